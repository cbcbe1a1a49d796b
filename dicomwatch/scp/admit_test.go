package scp_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/dicomwatch/scp"
	"github.com/medanchor/medanchor/dicomwatch/scp/wire"
)

func TestOptionsThatAreRefused(t *testing.T) {
	anywhere := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
	for name, change := range map[string]func(*scp.Options){
		"nobody may send":           func(o *scp.Options) { o.Senders = nil },
		"no AE title":               func(o *scp.Options) { o.AETitle = "" },
		"an AE title of 17":         func(o *scp.Options) { o.AETitle = strings.Repeat("A", 17) },
		"a backslash":               func(o *scp.Options) { o.AETitle = `A\B` },
		"a letter that is not ours": func(o *scp.Options) { o.AETitle = "MÜNCHEN" },
		"no spool":                  func(o *scp.Options) { o.Spool = nil },
		"no log":                    func(o *scp.Options) { o.Log = nil },
		"no sender's title":         func(o *scp.Options) { o.Senders = []scp.Sender{{Networks: anywhere}} },
		"no sender's address":       func(o *scp.Options) { o.Senders = []scp.Sender{{AETitle: "A"}} },
		"no network":                func(o *scp.Options) { o.Senders = []scp.Sender{{AETitle: "A", Networks: make([]netip.Prefix, 1)}} },
		"a wrong called title":      func(o *scp.Options) { o.Senders[0].Called = []string{" "} },
		"a small PDU":               func(o *scp.Options) { o.Limits.PDU = 100 },
		"a large PDU":               func(o *scp.Options) { o.Limits.PDU = 1 << 30 },
		"a negative limit":          func(o *scp.Options) { o.Limits.Idle = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			o := scp.Options{AETitle: ours, Senders: local(), Spool: &spool{}, Log: discard()}
			if _, err := scp.New(o); err != nil {
				t.Fatal("before the change:", err)
			}
			change(&o)
			if _, err := scp.New(o); err == nil {
				t.Error("taken")
			}
		})
	}
}

func TestServeTLSWantsACertificate(t *testing.T) {
	r := start(t, scp.Options{})
	l := listen(t)
	if err := r.ServeTLS(t.Context(), l); err == nil {
		t.Error("served")
	}
	if _, err := l.Accept(); err == nil {
		t.Error("the listener is still open")
	}
}

func TestRejections(t *testing.T) {
	prefix := netip.MustParsePrefix
	elsewhere := scp.Sender{AETitle: "ELSEWHERE", Networks: []netip.Prefix{prefix("10.0.0.0/8"), prefix("2001:db8::/32")}}
	bound := scp.Sender{AETitle: "BOUND", Networks: []netip.Prefix{prefix("127.0.0.1/32")}, Called: []string{"CT-DOOR"}}
	senders := append(local(), elsewhere, bound)
	for name, c := range map[string]struct {
		change  func(q *request)
		options scp.Options
		want    scp.Rejection // none if empty
	}{
		"proper":                         {func(*request) {}, scp.Options{}, ""},
		"version 2 alone":                {func(q *request) { q.version = 2 }, scp.Options{}, scp.RejectedVersion},
		"version 1 among others":         {func(q *request) { q.version = 3 }, scp.Options{}, ""},
		"another application context":    {func(q *request) { q.application = "1.2.3" }, scp.Options{}, scp.RejectedApplication},
		"a padded application context":   {func(q *request) { q.application += "\x00" }, scp.Options{}, ""},
		"an unknown sender":              {func(q *request) { q.calling = "STRANGER" }, scp.Options{}, scp.RejectedCalling},
		"lower case":                     {func(q *request) { q.calling = "modality" }, scp.Options{}, scp.RejectedCalling},
		"outer spaces":                   {func(q *request) { q.calling = "  MODALITY" }, scp.Options{}, ""},
		"padded with NUL":                {func(q *request) { q.calling = "MODALITY\x00" }, scp.Options{}, ""},
		"no calling title":               {func(q *request) { q.calling = "" }, scp.Options{}, scp.RejectedCalling},
		"from another address":           {func(q *request) { q.calling = "ELSEWHERE" }, scp.Options{}, scp.RejectedCalling},
		"another called title":           {func(q *request) { q.called = "OTHER" }, scp.Options{}, scp.RejectedCalled},
		"no called title":                {func(q *request) { q.called = "" }, scp.Options{}, scp.RejectedCalled},
		"a sender's own called title":    {func(q *request) { q.calling, q.called = "BOUND", "CT-DOOR" }, scp.Options{}, ""},
		"ours, which it may not call":    {func(q *request) { q.calling = "BOUND" }, scp.Options{}, scp.RejectedCalled},
		"nor any other":                  {func(q *request) { q.calling, q.called = "BOUND", "OTHER" }, scp.Options{}, scp.RejectedCalled},
		"open to strangers":              {func(q *request) { q.calling = "STRANGER" }, scp.Options{Open: true}, ""},
		"open, but not to control chars": {func(q *request) { q.calling = "A\x01B" }, scp.Options{Open: true}, scp.RejectedCalling},
		"open, but not to backslashes":   {func(q *request) { q.calling = `A\B` }, scp.Options{Open: true}, scp.RejectedCalling},
		"open, but ours is called":       {func(q *request) { q.called = "OTHER" }, scp.Options{Open: true}, scp.RejectedCalled},
	} {
		t.Run(name, func(t *testing.T) {
			c.options.Senders = senders
			r := start(t, c.options)
			p := r.dial(t)
			q := proper(ct())
			c.change(&q)
			p.send(q.encode())
			if c.want == "" {
				p.expect(wire.TypeAssociateAC)
				p.release()
				r.stop()
				return
			}
			rejected(t, p, c.want)
			p.Close()
			r.stop()
			if s := r.Stats(); s.Rejected[c.want] != 1 || s.Accepted != 0 || s.Failed != 0 {
				t.Errorf("%+v", s)
			}
			if !strings.Contains(r.log.String(), "127.0.0.1") || !strings.Contains(r.log.String(), string(c.want)) {
				t.Errorf("the log does not say who and why: %s", r.log)
			}
		})
	}
}

// An IPv4 address may be written as IPv6 has it (RFC 4291 §2.5.5.2).
func TestAddressesThatAreMappedIntoIPv6(t *testing.T) {
	for network, want := range map[string]scp.Rejection{
		"::ffff:127.0.0.1/128": "", "::ffff:127.0.0.0/104": "", "::ffff:0:0/96": "", "::ffff:10.0.0.0/104": scp.RejectedCalling,
		"::ffff:127.0.0.2/128": scp.RejectedCalling, "2001:db8::/32": scp.RejectedCalling,
	} {
		t.Run(network, func(t *testing.T) {
			senders := []scp.Sender{{AETitle: sender, Networks: []netip.Prefix{netip.MustParsePrefix(network)}}}
			r := start(t, scp.Options{Senders: senders})
			p := r.dial(t)
			p.send(proper(ct()).encode())
			if want != "" {
				rejected(t, p, want)
				return
			}
			p.expect(wire.TypeAssociateAC)
			p.release()
		})
	}
}

// rejected waits for the A-ASSOCIATE-RJ of a rejection.
func rejected(t *testing.T, p *peer, want scp.Rejection) {
	t.Helper()
	result, source, reason := want.Code()
	if body := p.expect(wire.TypeAssociateRJ); !slices.Equal(body, []byte{0, result, source, reason}) {
		t.Errorf("rejected with % x, want %d %d %d", body, result, source, reason)
	}
}

// The codes are those of PS3.8 table 9-21.
func TestRejectionCodes(t *testing.T) {
	want := map[scp.Rejection][3]byte{
		scp.RejectedVersion: {1, 2, 2}, scp.RejectedApplication: {1, 1, 2}, scp.RejectedCalling: {1, 1, 3},
		scp.RejectedCalled: {1, 1, 7}, scp.RejectedLimit: {2, 3, 2},
	}
	if len(want) != len(scp.Rejections()) {
		t.Errorf("%d rejections, of which %d are tested", len(scp.Rejections()), len(want))
	}
	for _, rejection := range scp.Rejections() {
		result, source, reason := rejection.Code()
		if got := [3]byte{result, source, reason}; got != want[rejection] {
			t.Errorf("%s: %v, want %v", rejection, got, want[rejection])
		}
	}
}

func TestTheCalledTitleChoosesBetweenSendersThatAreAlike(t *testing.T) {
	here := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	r := start(t, scp.Options{Senders: []scp.Sender{
		{AETitle: sender, Networks: here, Called: []string{"CT-DOOR"}, Department: "ct"},
		{AETitle: sender, Networks: here, Called: []string{"MR-DOOR"}, Department: "mr"},
		{AETitle: sender, Networks: here, Department: "rest"},
	}})
	for _, called := range []string{"MR-DOOR", ours, "CT-DOOR"} {
		p := r.dial(t)
		q := proper(ct())
		q.called = called
		p.send(q.encode())
		p.expect(wire.TypeAssociateAC)
		rq := storeRQ(1, "1.2.3")
		p.send(message(1, rq, ctDataset(ctStorage, "1.2.3", 400)))
		p.response(rq, scp.StatusSuccess)
		p.release()
	}
	r.stop()
	var departments []string
	for _, o := range r.spool.objects() {
		departments = append(departments, o.Called+" "+o.Department)
	}
	if want := []string{"MR-DOOR mr", "MEDANCHOR rest", "CT-DOOR ct"}; !slices.Equal(departments, want) {
		t.Errorf("%v, want %v", departments, want)
	}
}

func TestLimitsOfAssociations(t *testing.T) {
	for name, limits := range map[string]scp.Limits{
		"in all":       {Associations: 2, PerSender: 5},
		"of a sender":  {Associations: 9, PerSender: 2},
		"by the half":  {Associations: 4},
		"of an opened": {Associations: 5, PerSender: 2},
	} {
		t.Run(name, func(t *testing.T) {
			o := scp.Options{Limits: limits, Open: name == "of an opened"}
			r := start(t, o)
			first, second, third := r.dial(t), r.dial(t), r.dial(t)
			first.open(echo())
			second.open(echo())
			if s := r.Stats(); s.Associations != 2 {
				t.Errorf("%+v", s)
			}
			q := proper(echo())
			if o.Open {
				q.calling = "ANOTHER" // which anybody can say
			}
			third.send(q.encode())
			rejected(t, third, scp.RejectedLimit)
			first.release()
			r.eventually(t, "the place of a released association is free", func(s scp.Stats) bool { return s.Associations == 1 })
			fourth := r.dial(t)
			fourth.open(echo())
			fourth.release()
			second.release()
		})
	}
}

// Strangers have a few connections, and keep nobody out with them.
func TestStrangersDoNotKeepSendersOut(t *testing.T) {
	r := start(t, scp.Options{Senders: []scp.Sender{
		{AETitle: sender, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}},
	}})
	for range 8 {
		r.dial(t).send([]byte{1}) // silent from here on
	}
	r.eventually(t, "one stranger too many is turned away", func(s scp.Stats) bool {
		p := r.dial(t)
		defer p.Close()
		return s.Turned > 0
	})
	p := r.dialFrom(t, "127.0.0.2")
	p.open(echo())
	p.release()
}

// Senders cannot have more connections than there are places for, either.
func TestConnectionsWithoutAnAssociationAreBounded(t *testing.T) {
	r := start(t, scp.Options{Senders: twoAddresses(), Limits: scp.Limits{Associations: 2, PerSender: 2, ARTIM: 3 * time.Second}})
	for range 2 {
		r.dialFrom(t, "127.0.0.2").send([]byte{1}) // silent from here on
		r.dialFrom(t, "127.0.0.3").send([]byte{1})
	}
	r.eventually(t, "one too many is turned away", func(s scp.Stats) bool {
		p := r.dialFrom(t, "127.0.0.3")
		defer p.Close()
		return s.Turned > 0
	})
	r.eventually(t, "ARTIM frees the places", func(s scp.Stats) bool { return s.Failed >= 4 })
	p := r.dialFrom(t, "127.0.0.3")
	p.open(echo())
	p.release()
}

// Several devices may be behind one address, a gateway's: each has its own associations.
func TestDevicesBehindOneAddressHaveTheirOwnAssociations(t *testing.T) {
	network := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	titles := []string{"CT1", "CT2", "CT3", "CT4"}
	var senders []scp.Sender
	for _, title := range titles {
		senders = append(senders, scp.Sender{AETitle: title, Networks: network})
	}
	r := start(t, scp.Options{Senders: senders, Limits: scp.Limits{Associations: 8, PerSender: 1}})
	for _, title := range titles {
		p, q := r.dial(t), proper(echo())
		q.calling = title
		p.send(q.encode())
		p.expect(wire.TypeAssociateAC)
	}
}

// An address that opens connections and says nothing in them leaves places to the others.
func TestSilentConnectionsOfOneAddressKeepNobodyElseOut(t *testing.T) {
	r := start(t, scp.Options{Senders: twoAddresses(), Limits: scp.Limits{Associations: 4, ARTIM: 3 * time.Second}})
	for range 8 {
		r.dialFrom(t, "127.0.0.2")
	}
	r.eventually(t, "more than twice its associations are turned away", func(s scp.Stats) bool { return s.Turned == 4 })
	p := r.dialFrom(t, "127.0.0.3")
	p.open(echo())
	p.release()
	r.eventually(t, "ARTIM frees the places", func(s scp.Stats) bool { return s.Failed == 4 })
	p = r.dialFrom(t, "127.0.0.2")
	p.open(echo())
	p.release()
}

// twoAddresses is one sender at either of two addresses.
func twoAddresses() []scp.Sender {
	prefix := netip.MustParsePrefix
	return []scp.Sender{{AETitle: sender, Networks: []netip.Prefix{prefix("127.0.0.2/32"), prefix("127.0.0.3/32")}}}
}
