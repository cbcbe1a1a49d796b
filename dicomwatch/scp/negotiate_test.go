package scp_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/medanchor/medanchor/dicomwatch/scp"
	"github.com/medanchor/medanchor/dicomwatch/scp/wire"
	"github.com/medanchor/medanchor/test/synth"
)

func TestTransferSyntaxes(t *testing.T) {
	const (
		implicit, explicit, big = synth.ImplicitLittleEndian, synth.ExplicitLittleEndian, "1.2.840.10008.1.2.2"
		jpeg, lossless          = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70"
		extended, progressive   = "1.2.840.10008.1.2.4.52", "1.2.840.10008.1.2.4.63" // retired, and lossy
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
		"implicit stays before private":      {[]string{implicit, private}, implicit},
		"private is left out":                {[]string{implicit, private, explicit}, explicit},
		"the first, private":                 {[]string{private, explicit, implicit}, private},
		"implicit stays before retired":      {[]string{implicit, extended, progressive}, implicit},
		"retired and lossy are left out":     {[]string{implicit, extended, progressive, explicit}, explicit},
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

// The longest request that a sender has reason for: all contexts that there can be, each with every transfer syntax.
// Of all processes of JPEG, an uncompressed object may only be re-encoded by those that lose nothing.
func TestImplicitGivesWayToLosslessJPEGAlone(t *testing.T) {
	lossless := []int{57, 58, 65, 66, 70} // PS3.6 Annex A, retired ones included
	for last := 50; last <= 70; last++ {
		syntax := fmt.Sprintf("1.2.840.10008.1.2.4.%d", last)
		if want := !slices.Contains(lossless, last); slices.Contains(transferSyntaxes(), syntax) && scp.Worse(syntax) != want {
			t.Errorf("%s: worse is %v", syntax, !want)
		}
	}
}

func TestARequestOfEverything(t *testing.T) {
	q := proper()
	for id := 1; id < 256; id += 2 {
		q.contexts = append(q.contexts, wire.Proposal{
			ID: byte(id), AbstractSyntax: "1.2.840.10008.5.1.4.1.1.481.10", TransferSyntaxes: transferSyntaxes(),
		})
	}
	r := start(t, scp.Options{})
	p := r.dial(t)
	p.send(q.encode())
	ac := acceptOf(t, p.expect(wire.TypeAssociateAC))
	accepted := 0
	for _, a := range ac.answers {
		if a.result == 0 {
			accepted++
		}
	}
	if accepted != 128 {
		t.Errorf("%d contexts of 128 are accepted, of a request of %d bytes", accepted, len(q.encode()))
	}
	p.release()
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
