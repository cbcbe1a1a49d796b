package scp_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/medanchor/medanchor/dicomwatch/scp"
	"github.com/medanchor/medanchor/dicomwatch/scp/wire"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/test/synth"
)

// brief are limits that a test can wait for.
func brief() scp.Limits {
	return scp.Limits{
		Idle: 250 * time.Millisecond, ARTIM: 250 * time.Millisecond, Write: time.Second, Grace: 250 * time.Millisecond,
	}
}

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
		"any called title":               {func(q *request) { q.called = "OTHER" }, scp.Options{AnyCalled: true}, ""},
		"no called title":                {func(q *request) { q.called = "" }, scp.Options{AnyCalled: true}, scp.RejectedCalled},
		"a sender's own called title":    {func(q *request) { q.calling, q.called = "BOUND", "CT-DOOR" }, scp.Options{}, ""},
		"ours, which it may not call":    {func(q *request) { q.calling = "BOUND" }, scp.Options{}, scp.RejectedCalled},
		"nor any other":                  {func(q *request) { q.calling = "BOUND" }, scp.Options{AnyCalled: true}, scp.RejectedCalled},
		"open to strangers":              {func(q *request) { q.calling = "STRANGER" }, scp.Options{Open: true}, ""},
		"open, but not to control chars": {func(q *request) { q.calling = "A\x01B" }, scp.Options{Open: true}, scp.RejectedCalling},
		"open, but not to backslashes":   {func(q *request) { q.calling = `A\B` }, scp.Options{Open: true}, scp.RejectedCalling},
		"open, but ours is called":       {func(q *request) { q.called = "OTHER" }, scp.Options{Open: true}, scp.RejectedCalled},
		"open, and any title is called":  {func(q *request) { q.called = "OTHER" }, scp.Options{Open: true, AnyCalled: true}, ""},
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

// A sender cannot have more connections than there are places for, either.
func TestConnectionsWithoutAnAssociationAreBounded(t *testing.T) {
	r := start(t, scp.Options{Limits: scp.Limits{Associations: 2, ARTIM: time.Second}})
	for range 4 {
		r.dial(t).send([]byte{1})
	}
	r.eventually(t, "one too many is turned away", func(s scp.Stats) bool {
		p := r.dial(t)
		defer p.Close()
		return s.Turned > 0
	})
	r.eventually(t, "ARTIM frees the places", func(s scp.Stats) bool { return s.Failed >= 4 })
	p := r.dial(t)
	p.open(echo())
	p.release()
}

func TestTransferSyntaxes(t *testing.T) {
	const (
		implicit, explicit, big = synth.ImplicitLittleEndian, synth.ExplicitLittleEndian, "1.2.840.10008.1.2.2"
		jpeg, lossless          = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70"
		mpeg, jpip, smpte       = "1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.7.1"
		private                 = "1.2.840.113619.5.2"
	)
	for name, c := range map[string]struct {
		proposed []string
		want     string // rejected if empty
	}{
		"implicit alone":                     {[]string{implicit}, implicit},
		"the first":                          {[]string{explicit, implicit}, explicit},
		"the first, big endian":              {[]string{big, explicit, implicit}, big},
		"the first, lossy":                   {[]string{jpeg, explicit, implicit}, jpeg},
		"implicit gives way":                 {[]string{implicit, explicit}, explicit},
		"implicit gives way to lossless":     {[]string{implicit, lossless}, lossless},
		"implicit gives way to video":        {[]string{implicit, mpeg}, mpeg},
		"implicit gives way to private":      {[]string{implicit, private}, private},
		"implicit stays before lossy":        {[]string{implicit, jpeg}, implicit},
		"implicit stays before big endian":   {[]string{implicit, big}, implicit},
		"lossy and big endian are left out":  {[]string{implicit, jpeg, big, explicit}, explicit},
		"one that nobody knows":              {[]string{"1.2.3.4"}, "1.2.3.4"},
		"pixels elsewhere":                   {[]string{jpip}, ""},
		"pixels elsewhere, or here":          {[]string{jpip, explicit}, explicit},
		"a stream":                           {[]string{smpte}, ""},
		"what is no UID":                     {[]string{"nonsense"}, ""},
		"what is no UID, and one":            {[]string{"nonsense", explicit}, explicit},
		"padded":                             {[]string{explicit + "\x00"}, explicit},
		"implicit twice":                     {[]string{implicit, implicit}, implicit},
		"the first after implicit and lossy": {[]string{implicit, jpeg, lossless}, lossless},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, scp.Options{})
			p := r.dial(t)
			p.send(proper(wire.Proposal{ID: 7, AbstractSyntax: ctStorage, TransferSyntaxes: c.proposed}).encode())
			ac := acceptOf(t, p.expect(wire.TypeAssociateAC))
			want := answer{7, 0, c.want}
			if c.want == "" {
				want = answer{7, 4, implicit}
			}
			if len(ac.answers) != 1 || ac.answers[0] != want {
				t.Errorf("answered %+v, want %+v", ac.answers, want)
			}
			p.release()
		})
	}
}

func TestSOPClasses(t *testing.T) {
	for class, want := range map[string]bool{
		"1.2.840.10008.1.1":              true, // verification
		ctStorage:                        true,
		"1.2.840.10008.5.1.4.1.1.9999.1": true, // yet to come
		"1.2.840.10008.5.1.4.34.7":       true, // RT Beams Delivery Instruction
		"1.3.12.2.1107.5.9.1":            true, // private: Siemens CSA
		"2.25.1":                         true,
		"1.2.840.10008.5.1.4.1.1.201.2":  false, // Inventory - FIND
		"1.2.840.10008.5.1.4.1.1.200.4":  false, // Protocol Approval - FIND
		"1.2.840.10008.5.1.4.1.2.2.1":    false, // Study Root - FIND
		"1.2.840.10008.5.1.4.31":         false, // Modality Worklist
		"1.2.840.10008.1.20.1":           false, // Storage Commitment
		"1.2.840.10008.1.3.10":           false, // Media Storage Directory
		"1.2.840.10008.5.1.1.9":          false, // print
		"nonsense":                       false,
		"1.2.840.10008.5.1.4.1.1.2." + ctStorage + ctStorage: false, // 72 characters
	} {
		t.Run(class, func(t *testing.T) {
			r := start(t, scp.Options{})
			p := r.dial(t)
			p.send(proper(wire.Proposal{ID: 1, AbstractSyntax: class, TransferSyntaxes: []string{synth.ImplicitLittleEndian}}).encode())
			ac := acceptOf(t, p.expect(wire.TypeAssociateAC))
			if got := ac.answers[0].result == 0; got != want || !want && ac.answers[0].result != 3 {
				t.Errorf("result %d, want accepted %v", ac.answers[0].result, want)
			}
			p.release()
		})
	}
}

func TestWhatIsNegotiatedBesides(t *testing.T) {
	r := start(t, scp.Options{Limits: scp.Limits{PDU: 32 << 10}})
	p := r.dial(t)
	q := proper(ct(), echo())
	role := append([]byte{0, byte(len(ctStorage))}, ctStorage...)
	for _, more := range [][]byte{
		item(0x52, []byte("1.2.3")...), item(0x55, []byte("THEIRS")...), // implementation
		item(0x53, 0, 0, 0, 0),                           // any number of operations at once
		item(0x54, append(slices.Clone(role), 1, 1)...),  // both roles
		item(0x54, append(slices.Clone(role), 0, 1)...),  // that of SCP
		item(0x56, append(slices.Clone(role), 2)...),     // extended negotiation
		item(0x58, 1, 1, 0, 4, 'u', 's', 'e', 'r', 0, 0), // user identity
		item(0x77, 1, 2, 3),                              // unknown
	} {
		q.user = append(q.user, more...)
	}
	p.send(q.encode())
	ac := acceptOf(t, p.expect(wire.TypeAssociateAC))
	if ac.called != ours || ac.calling != sender || ac.application != wire.ApplicationContext || len(ac.answers) != 2 {
		t.Errorf("%+v", ac)
	}
	want := map[byte][][]byte{
		0x51: {{0, 0, 0x80, 0}},
		0x52: {[]byte(wire.ImplementationClassUID)},
		0x53: {{0, 1, 0, 1}},
		0x54: {append(slices.Clone(role), 1, 0), append(slices.Clone(role), 0, 0)},
		0x55: {[]byte(wire.ImplementationVersionName)},
	}
	for kind, values := range ac.user {
		if !slices.EqualFunc(values, want[kind], bytes.Equal) {
			t.Errorf("user information %#x: % x, want % x", kind, values, want[kind])
		}
	}
	if len(ac.user) != len(want) {
		t.Errorf("%d kinds of user information, want %d", len(ac.user), len(want))
	}
	p.release()
}

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
		"another type too large":    {[]byte{5, 0, 0, 2, 0, 1}, wire.AbortInvalidValue},
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
		r := start(t, scp.Options{Limits: brief()})
		p := r.dial(t)
		p.closed()
	})
	t.Run("half a request", func(t *testing.T) {
		r := start(t, scp.Options{Limits: brief()})
		p := r.dial(t)
		p.send(proper(ct()).encode()[:50])
		p.closed()
	})
	t.Run("after a reject", func(t *testing.T) {
		r := start(t, scp.Options{Limits: brief()})
		p := r.dial(t)
		q := proper(ct())
		q.called = "OTHER"
		p.send(q.encode())
		p.expect(wire.TypeAssociateRJ)
		p.closed()
	})
	t.Run("after a release", func(t *testing.T) {
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

// pipe is a listener of one connection, which holds no byte that is not read.
type pipe struct {
	once   chan net.Conn
	closed chan struct{}
}

func (l pipe) Accept() (net.Conn, error) {
	select {
	case c := <-l.once:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l pipe) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (pipe) Addr() net.Addr { return &net.TCPAddr{} }

// overPipe serves one peer over a connection of which each read gives no more than was written at once.
func overPipe(t *testing.T, o scp.Options) (*receiver, *peer) {
	t.Helper()
	o.Open = true // there is no address
	r := start(t, o)
	ours, theirs := net.Pipe()
	l := pipe{make(chan net.Conn, 1), make(chan struct{})}
	l.once <- ours
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx, l) }()
	t.Cleanup(func() {
		theirs.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return r, &peer{theirs, t, bufio.NewReader(theirs)}
}

// A peer that never reads an answer does not hold us.
func TestAPeerThatDoesNotReadIsAborted(t *testing.T) {
	r, p := overPipe(t, scp.Options{Limits: brief()})
	p.open(echo())
	p.send(message(3, echoRQ(1), nil))
	r.eventually(t, "it ends", func(s scp.Stats) bool { return s.Ended[scp.EndIdle] == 1 && s.Associations == 0 })
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

// counted is a listener whose connections tell what is written at once.
type counted struct {
	net.Listener
	writes chan []byte
}

type countedConn struct {
	net.Conn
	writes chan []byte
}

func (l counted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return countedConn{c, l.writes}, err
}

func (c countedConn) Write(b []byte) (int, error) {
	c.writes <- bytes.Clone(b)
	return c.Conn.Write(b)
}

func TestEachPDUIsWrittenAtOnce(t *testing.T) {
	r := start(t, scp.Options{})
	l := counted{listen(t), make(chan []byte, 10)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx, l) }()
	r.address = l.Addr().String()
	p := r.dial(t)
	p.open(ct(), echo())
	p.send(message(3, echoRQ(1), nil))
	p.response(echoRQ(1), scp.StatusSuccess)
	p.send(message(1, storeRQ(2, "1.2.3"), ctDataset(ctStorage, "1.2.3", 400)))
	p.response(storeRQ(2, "1.2.3"), scp.StatusSuccess)
	p.release()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	close(l.writes)
	var kinds []wire.Type
	for b := range l.writes {
		kind, length := wire.ParseHeader(b)
		if int(length) != len(b)-wire.HeaderSize {
			t.Errorf("a write of %d bytes for a PDU of %d", len(b), length)
		}
		kinds = append(kinds, kind)
	}
	if want := []wire.Type{wire.TypeAssociateAC, wire.TypeData, wire.TypeData, wire.TypeReleaseRP}; !slices.Equal(kinds, want) {
		t.Errorf("%v, want %v", kinds, want)
	}
}

// kept is a listener that keeps the connections that it accepts.
type kept struct {
	net.Listener
	conns chan *net.TCPConn
}

func (l kept) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		l.conns <- tcp
	}
	return c, err
}

// option gives an option of TCP.
func option(t *testing.T, c *net.TCPConn, which int) int {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var value int
	var asked error
	if err := raw.Control(func(fd uintptr) { value, asked = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, which) }); err != nil || asked != nil {
		t.Fatal(err, asked)
	}
	return value
}

// What is sent goes at once; and what is read is acknowledged at once, still, after an exchange of messages in which the
// kernel learnt to wait for an answer to send the acknowledgement with.
func TestNothingWaitsInTheKernel(t *testing.T) {
	r := start(t, scp.Options{})
	l := kept{listen(t), make(chan *net.TCPConn, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx, l) }()
	r.address = l.Addr().String()
	p := r.dial(t)
	p.open(ct(), echo())
	for n := range uint16(20) {
		p.send(message(3, echoRQ(n), nil))
		p.response(echoRQ(n), scp.StatusSuccess)
	}
	p.send(pdata(pdv(1, isCommand|isLast, storeRQ(1, "1.2.3").encode())), pdata(pdv(1, isDataset, make([]byte, 100))))
	r.eventually(t, "the object begins", func(scp.Stats) bool { r.spool.mu.Lock(); defer r.spool.mu.Unlock(); return r.spool.open == 1 })
	conn := <-l.conns
	if option(t, conn, unix.TCP_NODELAY) == 0 || option(t, conn, unix.TCP_QUICKACK) == 0 {
		t.Errorf("TCP_NODELAY %d, TCP_QUICKACK %d", option(t, conn, unix.TCP_NODELAY), option(t, conn, unix.TCP_QUICKACK))
	}
	p.Close()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// One server has its limits over all listeners, with TLS or without.
func TestOneServerOnTwoListeners(t *testing.T) {
	cert, key := newAuthority(t, "hospital").issue(t, "receiver")
	config, err := scp.TLSConfig(cert, key, "")
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, scp.Options{TLS: config, Limits: scp.Limits{Associations: 1}})
	l := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx, l) }()
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // G402: who answers is not what is tested
	secured, err := dialer.DialContext(t.Context(), "tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	first := &peer{secured, t, bufio.NewReader(secured)}
	first.open(ct())
	r.address = l.Addr().String()
	second := r.dial(t)
	second.send(proper(ct()).encode())
	rejected(t, second, scp.RejectedLimit)
	second.Close()
	first.send(message(1, storeRQ(2, "1.2.3"), ctDataset(ctStorage, "1.2.3", 4000)))
	first.response(storeRQ(2, "1.2.3"), scp.StatusSuccess)
	first.release()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Each PDU that comes in time gives the next one its time.
func TestASlowSenderIsNotIdle(t *testing.T) {
	r := start(t, scp.Options{Limits: brief()})
	p := r.dial(t)
	p.open(ct())
	data := ctDataset(ctStorage, "1.2.3", 4000)
	p.send(pdata(pdv(1, isCommand|isLast, storeRQ(1, "1.2.3").encode())))
	pause := time.NewTicker(100 * time.Millisecond)
	defer pause.Stop()
	for part := range slices.Chunk(data, 400) {
		<-pause.C
		p.send(pdata(pdv(1, isDataset, part)))
	}
	p.send(pdata(pdv(1, isLast, nil)))
	p.response(storeRQ(1, "1.2.3"), scp.StatusSuccess)
	p.release()
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
		"release": {func(p *peer) { p.release() }, scp.EndReleased},
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
			r.silent(t, "1.2.3")
		})
	}
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
