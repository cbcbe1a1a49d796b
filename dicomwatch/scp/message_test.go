package scp_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/dicomwatch/scp"
	"github.com/medanchor/medanchor/dicomwatch/scp/wire"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/test/synth"
)

func TestMessagesInEveryFragmentation(t *testing.T) {
	set := storeRQ(9, "1.2.3").encode()
	data := ctDataset(ctStorage, "1.2.3", 20<<10)
	split := func(b []byte, n int, control byte) (pdvs [][]byte) {
		for len(b) > n {
			pdvs = append(pdvs, pdv(1, control, b[:n]))
			b = b[n:]
		}
		return append(pdvs, pdv(1, control|isLast, b))
	}
	apart := func(pdvs [][]byte) (pdus []byte) {
		for _, v := range pdvs {
			pdus = append(pdus, pdata(v)...)
		}
		return pdus
	}
	for name, pdus := range map[string][]byte{
		"one PDU each":               message(1, storeRQ(9, "1.2.3"), data),
		"one PDU for both":           pdata(pdv(1, isCommand|isLast, set), pdv(1, isLast, data)),
		"a PDU for each ten bytes":   append(apart(split(set, 10, isCommand)), apart(split(data, 10, isDataset))...),
		"a PDV for each ten bytes":   pdata(append(split(set, 10, isCommand), split(data, 1000, isDataset)...)...),
		"the command with the first": append(pdata(pdv(1, isCommand|isLast, set), pdv(1, isDataset, data[:999])), pdata(pdv(1, isLast, data[999:]))...),
		"an empty last fragment":     append(pdata(pdv(1, isCommand|isLast, set)), append(pdata(pdv(1, isDataset, data)), pdata(pdv(1, isLast, nil))...)...),
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, scp.Options{})
			p := r.dial(t)
			p.open(ct())
			for range 2 {
				p.send(pdus)
				p.response(storeRQ(9, "1.2.3"), scp.StatusSuccess)
			}
			p.release()
			r.stop()
			for _, o := range r.spool.objects() {
				if !bytes.Equal(datasetOf(t, o.file.Bytes()), data) {
					t.Error("the dataset is not what was sent")
				}
			}
			if len(r.spool.objects()) != 2 {
				t.Errorf("%d objects", len(r.spool.objects()))
			}
		})
	}
}

func TestResponsesFitThePeersLimit(t *testing.T) {
	r := start(t, scp.Options{})
	p := r.dial(t)
	q := proper(echo())
	q.user = item(0x51, 0, 0, 0, 40)
	p.send(q.encode())
	p.expect(wire.TypeAssociateAC)
	p.send(message(3, echoRQ(5), nil))
	var set []byte
	for last := false; !last; {
		body := p.expect(wire.TypeData)
		v, _, err := wire.NextPDV(body)
		if err != nil || len(body) > 40 {
			t.Fatalf("%d bytes: %v", len(body), err)
		}
		set, last = append(set, v.Data...), v.Last
	}
	if c, err := wire.ParseCommand(set); err != nil || c.Status != 0 || c.RespondedTo != 5 {
		t.Errorf("%+v: %v", c, err)
	}
	p.release()
}

// Whatever is refused, the association goes on, and the next object is stored.
func TestRefusals(t *testing.T) {
	good := ctDataset(ctStorage, "1.2.3", 4000)
	mr := "1.2.840.10008.5.1.4.1.1.4"
	for name, c := range map[string]struct {
		context byte
		command command
		data    []byte
		want    scp.Status
	}{
		"no dataset":                 {1, command{1, 4, ctStorage, "1.2.3", true}, nil, scp.StatusNotUnderstood},
		"an empty dataset":           {1, storeRQ(4, "1.2.3"), nil, scp.StatusNotUnderstood},
		"no class":                   {1, command{field: 1, id: 4, instance: "1.2.3"}, good, scp.StatusNotUnderstood},
		"no instance":                {1, storeRQ(4, ""), good, scp.StatusNotUnderstood},
		"an instance that is no UID": {1, storeRQ(4, "1..3"), good, scp.StatusNotUnderstood},
		"an instance of 65":          {1, storeRQ(4, "1."+strings.Repeat("3", 63)), good, scp.StatusNotUnderstood},
		"another class than agreed":  {1, command{1, 4, mr, "1.2.3", false}, good, scp.StatusNotSupported},
		"verification":               {3, command{1, 4, "1.2.840.10008.1.1", "1.2.3", false}, good, scp.StatusNotSupported},
		"another class inside":       {1, storeRQ(4, "1.2.3"), ctDataset(mr, "1.2.3", 4000), scp.StatusMismatch},
		"another instance inside":    {1, storeRQ(4, "1.2.3"), ctDataset(ctStorage, "1.2.4", 4000), scp.StatusMismatch},
		"another, far from the end":  {1, storeRQ(4, "1.2.3"), ctDataset(ctStorage, "1.2.4", 60<<10), scp.StatusMismatch},
		"too large":                  {1, storeRQ(4, "1.2.3"), ctDataset(ctStorage, "1.2.3", 100<<10), scp.StatusNotUnderstood},
		"a C-FIND":                   {1, command{0x20, 4, ctStorage, "", false}, good, scp.StatusUnrecognised},
		"an N-ACTION":                {1, command{0x130, 4, "", "", true}, nil, scp.StatusUnrecognised},
		"an echo where objects go":   {1, command{0x30, 4, "1.2.840.10008.1.1", "", true}, nil, scp.StatusNotSupported},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, scp.Options{Limits: scp.Limits{Object: 64 << 10}})
			p := r.dial(t)
			p.open(ct(), echo())
			p.send(message(c.context, c.command, c.data))
			comment := p.response(c.command, c.want)
			if at := bytes.Index(comment, []byte{0, 0, 2, 9}); at < 0 || comment[at+4] > 64 || comment[at+4] == 0 {
				t.Errorf("no error comment: % x", comment)
			}
			p.send(message(1, storeRQ(5, "1.2.3"), good))
			p.response(storeRQ(5, "1.2.3"), scp.StatusSuccess)
			p.release()
			r.stop()
			if s := r.Stats(); s.Refused[c.want] != 1 || s.Stored != 1 || len(r.spool.objects()) != 1 {
				t.Errorf("%+v", s)
			}
			r.silent(t, "1.2.3")
		})
	}
}

func TestACancelIsIgnored(t *testing.T) {
	r := start(t, scp.Options{})
	p := r.dial(t)
	p.open(echo())
	p.send(message(3, command{field: 0x0FFF, id: 4, noDataset: true}, nil), message(3, echoRQ(5), nil))
	p.response(echoRQ(5), scp.StatusSuccess)
	p.release()
}

func TestViolationsAreAborted(t *testing.T) {
	rq := pdata(pdv(1, isCommand|isLast, storeRQ(1, "1.2.3").encode()))
	long := wire.AppendPDU(nil, wire.TypeData, make([]byte, 8<<10+1))
	for name, c := range map[string]struct {
		pdus []byte
		want wire.AbortReason
	}{
		"a PDU too large":           {long, wire.AbortInvalidValue},
		"a PDU of 4 GiB":            {[]byte{4, 0, 255, 255, 255, 255}, wire.AbortInvalidValue},
		"another type too large":    {[]byte{5, 0, 0, 4, 0, 1}, wire.AbortInvalidValue},
		"a PDU of no type":          {[]byte{9, 0, 0, 0, 0, 0}, wire.AbortUnrecognised},
		"a second request":          {proper(ct()).encode(), wire.AbortUnexpected},
		"an accept":                 {wire.AppendPDU(nil, wire.TypeAssociateAC, nil), wire.AbortUnexpected},
		"a release reply":           {wire.ReleaseReply(), wire.AbortUnexpected},
		"an empty P-DATA-TF":        {pdata(), wire.AbortInvalidValue},
		"a PDV longer than its PDU": {wire.AppendPDU(nil, wire.TypeData, []byte{0, 0, 0, 9, 1, 3}), wire.AbortInvalidValue},
		"a PDV without control":     {wire.AppendPDU(nil, wire.TypeData, []byte{0, 0, 0, 1, 1, 3}), wire.AbortInvalidValue},
		"a context not proposed":    {pdata(pdv(99, isCommand|isLast, echoRQ(1).encode())), wire.AbortInvalidValue},
		"a context not accepted":    {pdata(pdv(5, isCommand|isLast, echoRQ(1).encode())), wire.AbortInvalidValue},
		"a dataset without command": {pdata(pdv(1, isLast, []byte("data"))), wire.AbortInvalidValue},
		"a command in a dataset":    {append(slices.Clone(rq), rq...), wire.AbortInvalidValue},
		"a dataset elsewhere":       {append(slices.Clone(rq), pdata(pdv(3, isLast, []byte("data")))...), wire.AbortInvalidValue},
		"a command in two contexts": {pdata(pdv(1, isCommand, nil), pdv(3, isCommand|isLast, echoRQ(1).encode())), wire.AbortInvalidValue},
		"a command that is none":    {pdata(pdv(1, isCommand|isLast, []byte("nonsense"))), wire.AbortInvalidValue},
		"an empty command":          {pdata(pdv(1, isCommand|isLast, nil)), wire.AbortInvalidValue},
		"a command without an end":  {bytes.Repeat(pdata(pdv(1, isCommand, make([]byte, 4000))), 5), wire.AbortInvalidValue},
		"a response":                {pdata(pdv(3, isCommand|isLast, command{field: 0x8030, id: 1, noDataset: true}.encode())), wire.AbortUnspecified},
		"a dataset that never ends": {append(slices.Clone(rq), bytes.Repeat(pdata(pdv(1, isDataset, make([]byte, 8000))), 20)...), wire.AbortUnspecified},
		"a command of 100 KB":       {bytes.Repeat(pdata(pdv(1, isCommand, make([]byte, 8000))), 12), wire.AbortInvalidValue},
		"half a message, then a RQ": {append(slices.Clone(rq), proper(ct()).encode()...), wire.AbortUnexpected},
		"a fragment in no PDV":      {wire.AppendPDU(nil, wire.TypeData, []byte{0, 0}), wire.AbortInvalidValue},
		"a PDV and some bytes":      {wire.AppendPDU(nil, wire.TypeData, append(pdv(1, isCommand, nil), 1, 2)), wire.AbortInvalidValue},
		"an echo with endless data": {append(pdata(pdv(3, isCommand|isLast, command{field: 0x30, id: 1}.encode())), bytes.Repeat(pdata(pdv(3, 0, make([]byte, 8000))), 20)...), wire.AbortUnspecified},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, scp.Options{Limits: scp.Limits{PDU: 8 << 10, Object: 64 << 10}})
			p := r.dial(t)
			p.open(ct(), echo(), wire.Proposal{
				ID: 5, AbstractSyntax: "1.2.840.10008.5.1.4.31", TransferSyntaxes: []string{synth.ImplicitLittleEndian},
			})
			p.send(c.pdus)
			p.aborted(c.want)
			p.Close()
			r.stop()
			if s := r.Stats(); s.Ended[scp.EndViolated] != 1 || len(r.spool.objects()) != 0 || s.Associations != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// Of the two limits there are, one is the operator's to raise.
func TestTheLogSaysWhichLimitAPDUExceeds(t *testing.T) {
	for want, header := range map[string][]byte{
		"a P-DATA-TF is longer than 8192 bytes":                  {4, 0, 0, 0, 0x20, 1},
		"a PDU that is no P-DATA-TF is longer than 262144 bytes": {5, 0, 0, 4, 0, 1},
	} {
		r := start(t, scp.Options{Limits: scp.Limits{PDU: 8 << 10}})
		p := r.dial(t)
		p.open(ct())
		p.send(header)
		p.aborted(wire.AbortInvalidValue)
		p.Close()
		r.stop()
		if !strings.Contains(r.log.String(), want) {
			t.Errorf("want %q in %s", want, r.log)
		}
	}
}

func TestRequestsThatAreNone(t *testing.T) {
	broken := func(change func(q *request)) []byte {
		q := proper(ct())
		change(&q)
		return q.encode()
	}
	for name, c := range map[string]struct {
		pdu  []byte
		want wire.AbortReason
	}{
		"data first":              {pdata(pdv(1, isLast, nil)), wire.AbortUnexpected},
		"release first":           {wire.AppendPDU(nil, wire.TypeReleaseRQ, make([]byte, 4)), wire.AbortUnexpected},
		"another protocol":        {[]byte("GET / HTTP/1.1\r\n\r\n"), wire.AbortUnrecognised},
		"an empty request":        {wire.AppendPDU(nil, wire.TypeAssociateRQ, nil), wire.AbortInvalidValue},
		"a request of 1 GiB":      {[]byte{1, 0, 64, 0, 0, 0}, wire.AbortInvalidValue},
		"an even context":         {broken(func(q *request) { q.contexts[0].ID = 2 }), wire.AbortInvalidValue},
		"one ID twice":            {broken(func(q *request) { q.contexts = append(q.contexts, q.contexts...) }), wire.AbortInvalidValue},
		"no transfer syntax":      {broken(func(q *request) { q.contexts[0].TransferSyntaxes = nil }), wire.AbortInvalidValue},
		"no abstract syntax":      {broken(func(q *request) { q.contexts[0].AbstractSyntax = "" }), wire.AbortInvalidValue},
		"too many syntaxes":       {broken(func(q *request) { q.contexts[0].TransferSyntaxes = make([]string, 300) }), wire.AbortInvalidValue},
		"half a maximum length":   {broken(func(q *request) { q.user = item(0x51, 0, 0) }), wire.AbortInvalidValue},
		"half an item":            {broken(func(q *request) { q.user = []byte{0x51, 0, 0, 4, 1} }), wire.AbortInvalidValue},
		"a role longer than told": {broken(func(q *request) { q.user = item(0x54, 0, 9, 1, 2, 1, 0) }), wire.AbortInvalidValue},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, scp.Options{})
			p := r.dial(t)
			p.send(c.pdu)
			p.aborted(c.want)
			p.Close()
			r.stop()
			if s := r.Stats(); s.Failed != 1 || s.Accepted != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A peer that aborts what it never asked for is told nothing (PS3.8 table 9-10, AA-2).
func TestAnAbortIsNotAnswered(t *testing.T) {
	r := start(t, scp.Options{})
	p := r.dial(t)
	p.send(wire.AppendPDU(nil, wire.TypeAbort, make([]byte, 4)))
	p.closed()
	r.eventually(t, "it is counted", func(s scp.Stats) bool { return s.Failed == 1 })
}

// A peer that says so small a limit that nothing can be told to it is aborted.
func TestALimitThatNothingFits(t *testing.T) {
	r := start(t, scp.Options{})
	p := r.dial(t)
	q := proper(echo())
	q.user = item(0x51, 0, 0, 0, 6)
	p.send(q.encode())
	p.expect(wire.TypeAssociateAC)
	p.send(message(3, echoRQ(5), nil))
	p.aborted(wire.AbortInvalidValue)
}

// What was read of a message stays what it was while the rest is read to the same memory.
func TestMessagesThatComeInPieces(t *testing.T) {
	r, p := overPipe(t, scp.Options{})
	p.open(ct())
	data := ctDataset(ctStorage, "1.2.3", 20<<10)
	for n := range uint16(3) {
		rq := storeRQ(n, "1.2.3")
		for part := range slices.Chunk(rq.encode(), 50) {
			p.send(pdata(pdv(1, isCommand, part)))
		}
		p.send(pdata(pdv(1, isCommand|isLast, nil)))
		for part := range slices.Chunk(data, 3000) {
			for piece := range slices.Chunk(pdata(pdv(1, isDataset, part)), 1000) {
				p.send(piece)
			}
		}
		p.send(pdata(pdv(1, isLast, nil)))
		p.response(rq, scp.StatusSuccess)
	}
	p.release()
	for _, o := range r.spool.objects() {
		if o.InstanceUID != "1.2.3" || !bytes.Equal(datasetOf(t, o.file.Bytes()), data) {
			t.Error("not what was sent")
		}
	}
}

func TestWhatIsCutIsDiscarded(t *testing.T) {
	half := append(pdata(pdv(1, isCommand|isLast, storeRQ(1, "1.2.3").encode())), pdata(pdv(1, isDataset, make([]byte, 5000)))...)
	for name, c := range map[string]struct {
		cut  func(p *peer)
		want scp.End
	}{
		"abort": {func(p *peer) { p.send(wire.AppendPDU(nil, wire.TypeAbort, make([]byte, 4))) }, scp.EndAborted},
		"close": {func(p *peer) { p.Close() }, scp.EndLost},
		"close within a PDU": {func(p *peer) {
			p.send(pdata(pdv(1, isLast, make([]byte, 5000)))[:3000])
			p.Close()
		}, scp.EndLost},
		"release": {func(p *peer) {
			p.send(wire.AppendPDU(nil, wire.TypeReleaseRQ, make([]byte, 4)))
			p.aborted(wire.AbortUnexpected)
		}, scp.EndViolated},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, scp.Options{})
			p := r.dial(t)
			p.open(ct())
			p.send(half)
			c.cut(p)
			r.eventually(t, "the association ends", func(s scp.Stats) bool { return s.Ended[c.want] == 1 })
			r.stop()
			if s := r.Stats(); s.Cut != 1 || s.Stored != 0 || s.Associations != 0 || len(r.spool.objects()) != 0 {
				t.Errorf("%+v", s)
			}
			if !strings.Contains(r.log.String(), "association ended early") {
				t.Errorf("the log does not tell of it: %s", r.log)
			}
			r.silent(t, "1.2.3")
		})
	}
}

// Nothing is answered before it is durable.
func TestSuccessComesAfterTheCommit(t *testing.T) {
	s := &spool{hold: make(chan struct{}), committing: make(chan struct{}, 1)}
	steps := make(chan document.Step, 1)
	r := start(t, scp.Options{Spool: s, Trace: func(step document.Step) { steps <- step }})
	p := r.dial(t)
	p.open(ct())
	p.send(message(1, storeRQ(1, "1.2.3"), ctDataset(ctStorage, "1.2.3", 400)))
	s.wait(t)
	if err := p.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := p.r.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Fatal("answered before the commit")
	}
	close(s.hold)
	p.response(storeRQ(1, "1.2.3"), scp.StatusSuccess)
	if step := <-steps; step != document.StepAnswered {
		t.Errorf("step %q", step)
	}
	p.release()
}
