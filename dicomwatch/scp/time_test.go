package scp_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/medanchor/medanchor/dicomwatch/scp"
	"github.com/medanchor/medanchor/dicomwatch/scp/wire"
)

// brief are limits that a test can wait for.
func brief() scp.Limits {
	return scp.Limits{
		Idle: time.Second, ARTIM: time.Second, Write: time.Second, Grace: 250 * time.Millisecond,
	}
}

func TestTimeouts(t *testing.T) {
	rq := pdata(pdv(1, isCommand|isLast, storeRQ(1, "1.2.3").encode()))
	for name, sent := range map[string][]byte{
		"between messages":       nil,
		"within a PDU's header":  {4, 0, 0},
		"within a PDU":           {4, 0, 0, 0, 50, 1, 2, 3},
		"between two fragments":  append(slices.Clone(rq), pdata(pdv(1, isDataset, []byte("data")))...),
		"before a dataset":       rq,
		"within a command":       pdata(pdv(1, isCommand, []byte{0, 0})),
		"within a dataset's PDU": append(slices.Clone(rq), pdata(pdv(1, isDataset, make([]byte, 1000)))[:500]...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, scp.Options{Limits: brief()})
			p := r.dial(t)
			p.open(ct())
			p.send(sent)
			p.aborted(wire.AbortUnspecified)
			p.closed() // by ARTIM: we do not close
			r.stop()
			if s := r.Stats(); s.Ended[scp.EndIdle] != 1 || len(r.spool.objects()) != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestARTIM(t *testing.T) {
	t.Run("no request", func(t *testing.T) {
		t.Parallel()
		r := start(t, scp.Options{Limits: brief()})
		p := r.dial(t)
		p.closed()
	})
	t.Run("half a request", func(t *testing.T) {
		t.Parallel()
		r := start(t, scp.Options{Limits: brief()})
		p := r.dial(t)
		p.send(proper(ct()).encode()[:50])
		p.closed()
	})
	t.Run("after a reject", func(t *testing.T) {
		t.Parallel()
		r := start(t, scp.Options{Limits: brief()})
		p := r.dial(t)
		q := proper(ct())
		q.called = "OTHER"
		p.send(q.encode())
		p.expect(wire.TypeAssociateRJ)
		p.closed()
	})
	t.Run("after a release", func(t *testing.T) {
		t.Parallel()
		r := start(t, scp.Options{Limits: brief()})
		p := r.dial(t)
		p.open(ct())
		p.send(wire.AppendPDU(nil, wire.TypeReleaseRQ, make([]byte, 4)))
		p.expect(wire.TypeReleaseRP)
		p.closed()
	})
}

// Bytes that come one after the other are no progress: a PDU has its time as a whole.
func TestADribbleIsAborted(t *testing.T) {
	r := start(t, scp.Options{Limits: brief()})
	p := r.dial(t)
	p.open(ct())
	began := time.Now()
	drip := time.NewTicker(20 * time.Millisecond)
	defer drip.Stop()
	p.send([]byte{4, 0, 0, 1, 0, 0})
	for range 500 {
		<-drip.C
		if _, err := p.Write([]byte{0}); err != nil || r.Stats().Associations == 0 {
			break
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("held for %v", took)
	}
	p.aborted(wire.AbortUnspecified)
}

// A peer that never reads an answer does not hold us.
func TestAPeerThatDoesNotReadIsAborted(t *testing.T) {
	r, p := overPipe(t, scp.Options{Limits: brief()})
	p.open(echo())
	p.send(message(3, echoRQ(1), nil))
	r.eventually(t, "it ends", func(s scp.Stats) bool { return s.Ended[scp.EndIdle] == 1 && s.Associations == 0 })
}

// Each PDU that comes in time gives the next one its time.
func TestASlowSenderIsNotIdle(t *testing.T) {
	r := start(t, scp.Options{Limits: scp.Limits{Idle: time.Second}})
	p := r.dial(t)
	p.open(ct())
	data := ctDataset(ctStorage, "1.2.3", 4000)
	p.send(pdata(pdv(1, isCommand|isLast, storeRQ(1, "1.2.3").encode())))
	pause := time.NewTicker(300 * time.Millisecond)
	defer pause.Stop()
	for part := range slices.Chunk(data, 700) {
		<-pause.C
		p.send(pdata(pdv(1, isDataset, part)))
	}
	p.send(pdata(pdv(1, isLast, nil)))
	p.response(storeRQ(1, "1.2.3"), scp.StatusSuccess)
	p.release()
}

// Making an object durable takes what it takes: our own timer is for what the peer does.
func TestASlowCommitIsWaitedFor(t *testing.T) {
	s := &spool{hold: make(chan struct{}), committing: make(chan struct{}, 1)}
	r := start(t, scp.Options{Spool: s, Limits: brief()})
	p := r.dial(t)
	p.open(ct())
	p.send(message(1, storeRQ(1, "1.2.3"), ctDataset(ctStorage, "1.2.3", 400)))
	s.wait(t)
	time.AfterFunc(4*brief().Idle, func() { close(s.hold) })
	p.response(storeRQ(1, "1.2.3"), scp.StatusSuccess)
	p.release()
}

func TestTheEnd(t *testing.T) {
	t.Run("idle associations are aborted at once", func(t *testing.T) {
		r := start(t, scp.Options{})
		p, q := r.dial(t), r.dial(t)
		p.open(ct())
		go r.stop()
		p.aborted(wire.AbortUnspecified)
		p.closed()
		q.closed() // it never asked for one
		r.stop()
		if s := r.Stats(); s.Ended[scp.EndStopped] != 1 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("an object on its way may come to its end", func(t *testing.T) {
		s := &spool{hold: make(chan struct{}), committing: make(chan struct{}, 1)}
		r := start(t, scp.Options{Spool: s})
		p := r.dial(t)
		p.open(ct())
		data := ctDataset(ctStorage, "1.2.3", 4000)
		p.send(pdata(pdv(1, isCommand|isLast, storeRQ(1, "1.2.3").encode())), pdata(pdv(1, isDataset, data[:100])))
		r.eventually(t, "the object begins", func(scp.Stats) bool { s.mu.Lock(); defer s.mu.Unlock(); return s.open == 1 })
		idle := r.dial(t)
		idle.open(ct())
		go r.stop()
		idle.aborted(wire.AbortUnspecified) // so the server has begun to end
		p.send(pdata(pdv(1, isLast, data[100:])))
		s.wait(t)
		close(s.hold)
		p.response(storeRQ(1, "1.2.3"), scp.StatusSuccess)
		p.aborted(wire.AbortUnspecified)
		r.stop()
		if len(s.objects()) != 1 {
			t.Error("it is not there")
		}
	})
	t.Run("but not for ever", func(t *testing.T) {
		r := start(t, scp.Options{Limits: scp.Limits{Grace: 100 * time.Millisecond}})
		p := r.dial(t)
		p.open(ct())
		p.send(pdata(pdv(1, isCommand|isLast, storeRQ(1, "1.2.3").encode())), pdata(pdv(1, isDataset, make([]byte, 100))))
		r.eventually(t, "the object begins", func(scp.Stats) bool { r.spool.mu.Lock(); defer r.spool.mu.Unlock(); return r.spool.open == 1 })
		r.stop()
		if s := r.Stats(); s.Cut != 1 || s.Ended[scp.EndStopped] != 1 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("nor does a commit hold it", func(t *testing.T) {
		s := &spool{hold: make(chan struct{}), committing: make(chan struct{}, 1)}
		r := start(t, scp.Options{Spool: s, Limits: scp.Limits{Grace: 100 * time.Millisecond}})
		p := r.dial(t)
		p.open(ct())
		p.send(message(1, storeRQ(1, "1.2.3"), ctDataset(ctStorage, "1.2.3", 400)))
		s.wait(t)
		r.stop()
		if len(s.objects()) != 0 || r.Stats().Stored != 0 {
			t.Error("stored")
		}
	})
	t.Run("a listener that breaks ends it", func(t *testing.T) {
		r := start(t, scp.Options{})
		l := listen(t)
		done := make(chan error)
		go func() { done <- r.Serve(context.WithoutCancel(t.Context()), l) }()
		l.Close()
		if err := <-done; err == nil {
			t.Error("no error")
		}
	})
}
