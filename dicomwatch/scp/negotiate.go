package scp

import (
	"slices"
	"strings"

	"github.com/medanchor/medanchor/dicomwatch/scp/wire"
)

// presentation is an accepted presentation context.
type presentation struct {
	id             byte
	class          string // abstract syntax: the SOP class of what is sent in it
	transferSyntax string
}

// negotiate answers the proposed presentation contexts, in their order.
func negotiate(proposals []wire.Proposal) ([]wire.Answer, map[byte]presentation) {
	answers := make([]wire.Answer, 0, len(proposals))
	accepted := make(map[byte]presentation)
	for _, p := range proposals {
		answer := wire.Answer{ID: p.ID, TransferSyntax: wire.ImplicitLittleEndian}
		if !wire.ValidUID(p.AbstractSyntax) || (p.AbstractSyntax != verification && !Storable(p.AbstractSyntax)) {
			answer.Result = wire.NoAbstractSyntax
		} else if syntax := choose(p.TransferSyntaxes); syntax == "" {
			answer.Result = wire.NoTransferSyntax
		} else {
			answer.TransferSyntax = syntax
			accepted[p.ID] = presentation{p.ID, p.AbstractSyntax, syntax}
		}
		answers = append(answers, answer)
	}
	return answers, accepted
}

// choose picks a transfer syntax. A sender that proposes several for one context can send in each, and would re-encode its
// object for all but one; it mostly lists that one first, so the first is taken. But implicit VR little endian must be proposed
// whatever the object is in (PS3.5 §10.1), is often listed first because its UID sorts first, and loses the VRs of private
// elements: it gives way to the first of the others, unless that could make the sender lose by re-encoding.
func choose(proposed []string) string {
	takeable := slices.DeleteFunc(slices.Clone(proposed), func(syntax string) bool {
		return !wire.ValidUID(syntax) || incomplete(syntax)
	})
	if len(takeable) == 0 {
		return ""
	}
	if takeable[0] != wire.ImplicitLittleEndian {
		return takeable[0]
	}
	better := slices.IndexFunc(takeable, func(syntax string) bool {
		return syntax != wire.ImplicitLittleEndian && !worse(syntax)
	})
	return takeable[max(better, 0)]
}

// incomplete says whether what is sent in a transfer syntax is not the whole object, so that it cannot be kept: pixels that stay
// with a JPIP server, and the real-time streams of SMPTE ST 2110 (PS3.5 §A.6, §A.7; PS3.22).
func incomplete(syntax string) bool {
	switch syntax {
	case "1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.204", "1.2.840.10008.1.2.4.205":
		return true
	}
	return strings.HasPrefix(syntax, "1.2.840.10008.1.2.7.")
}

// worse says whether a sender of an uncompressed image could lose something by re-encoding it so, which it would not in implicit
// VR little endian: the compressions that may lose (PS3.5 §8.2, §A.4; PS3.6 Annex A), big endian, which is retired, and what is
// private, of which nobody but its maker knows what it loses. Video is not among them: nobody has it uncompressed.
func worse(syntax string) bool {
	switch syntax {
	case wire.ExplicitBigEndian,
		"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", // JPEG baseline and extended
		"1.2.840.10008.1.2.4.52", "1.2.840.10008.1.2.4.53", "1.2.840.10008.1.2.4.54", // the other processes of JPEG that
		"1.2.840.10008.1.2.4.55", "1.2.840.10008.1.2.4.56", "1.2.840.10008.1.2.4.59", // are not lossless, retired
		"1.2.840.10008.1.2.4.60", "1.2.840.10008.1.2.4.61", "1.2.840.10008.1.2.4.62",
		"1.2.840.10008.1.2.4.63", "1.2.840.10008.1.2.4.64",
		"1.2.840.10008.1.2.4.81",                           // JPEG-LS near-lossless
		"1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.93", // JPEG 2000
		"1.2.840.10008.1.2.4.112", // JPEG XL
		"1.2.840.10008.1.2.4.203": // high-throughput JPEG 2000
		return true
	}
	return !strings.HasPrefix(syntax, standardRoot)
}
