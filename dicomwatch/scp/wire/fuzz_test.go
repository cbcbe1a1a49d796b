package wire_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/medanchor/medanchor/dicomwatch/scp/wire"
)

// FuzzPDU reads a stream of PDUs as an association does. The seeds in testdata are what dcmtk and Orthanc send.
func FuzzPDU(f *testing.F) {
	f.Add(wire.Abort(wire.AbortUnexpected))
	f.Add(wire.ReleaseReply())
	f.Add(wire.AppendPDU(nil, wire.TypeAssociateRQ, slices.Concat(make([]byte, 68), item(0x20, slices.Concat(
		[]byte{1, 0, 0, 0}, item(0x30, []byte("1.2")), item(0x40, []byte("1.2.3")),
	)), item(0x50, slices.Concat(
		item(0x51, []byte{0, 0, 64, 0}), item(0x53, []byte{0, 0, 0, 0}), item(0x54, []byte{0, 3, '1', '.', '2', 1, 1}),
	)))))
	f.Fuzz(func(t *testing.T, stream []byte) {
		for len(stream) >= wire.HeaderSize {
			kind, length := wire.ParseHeader(stream)
			if uint64(length) > uint64(len(stream)-wire.HeaderSize) {
				return
			}
			body := stream[wire.HeaderSize : wire.HeaderSize+int(length)]
			switch kind { //nolint:exhaustive // the bodies of the others are not read
			case wire.TypeAssociateRQ:
				associate(t, body)
			case wire.TypeData:
				values(t, body)
			}
			stream = stream[wire.HeaderSize+int(length):]
		}
	})
}

// item is one of an A-ASSOCIATE-RQ.
func item(kind byte, value []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{kind, 0}, uint16(len(value))), value...)
}

// associate checks that what is read can be answered, in a PDU whose items are whole.
func associate(t *testing.T, body []byte) {
	t.Helper()
	r, err := wire.ParseAssociateRequest(body)
	if err != nil {
		orderly(t, err)
		return
	}
	ids := make(map[byte]bool)
	var answers []wire.Answer
	for _, c := range r.Contexts {
		if c.ID%2 == 0 || ids[c.ID] || c.AbstractSyntax == "" || len(c.TransferSyntaxes) == 0 {
			t.Fatalf("%+v", c)
		}
		ids[c.ID] = true
		answers = append(answers, wire.Answer{ID: c.ID, TransferSyntax: wire.ImplicitLittleEndian})
	}
	ac := r.Accept(answers, 1<<17)
	if kind, length := wire.ParseHeader(ac); kind != wire.TypeAssociateAC || int(length) != len(ac)-wire.HeaderSize {
		t.Fatalf("type %d, %d bytes of %d", kind, length, len(ac))
	}
	for items := ac[wire.HeaderSize+68:]; len(items) > 0; {
		end := 4 + int(binary.BigEndian.Uint16(items[2:]))
		if items[0] == 0x50 && end != len(items) {
			t.Fatal("the user information is not the last item")
		}
		items = items[end:]
	}
}

// values checks that nothing of a P-DATA-TF is lost or read twice.
func values(t *testing.T, body []byte) {
	t.Helper()
	for len(body) > 0 {
		v, rest, err := wire.NextPDV(body)
		if err != nil {
			orderly(t, err)
			return
		}
		if len(v.Data)+6+len(rest) != len(body) {
			t.Fatalf("%d bytes of data and %d of the rest in %d", len(v.Data), len(rest), len(body))
		}
		body = rest
	}
}

// FuzzCommand: what is read comes back from what is written, as far as responses go.
func FuzzCommand(f *testing.F) {
	f.Add(echoRQ())
	f.Fuzz(func(t *testing.T, set []byte) {
		c, err := wire.ParseCommand(set)
		if err != nil {
			orderly(t, err)
			return
		}
		written := wire.Command{Field: c.Field.Response(), RespondedTo: c.MessageID, Status: c.Status, Class: c.Class, Instance: c.Instance}
		read, err := wire.ParseCommand(written.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if !wire.ValidUID(written.Class) {
			written.Class = ""
		}
		if !wire.ValidUID(written.Instance) {
			written.Instance = ""
		}
		if read != written {
			t.Fatalf("%+v, want %+v", read, written)
		}
	})
}

// FuzzPeek: what is found stands in what was looked at, and longer beginnings agree with shorter ones.
func FuzzPeek(f *testing.F) {
	f.Add(beginning(binary.LittleEndian, false), byte(0))
	f.Add(beginning(binary.LittleEndian, true), byte(1))
	f.Add(beginning(binary.BigEndian, false), byte(2))
	syntaxes := []string{wire.ExplicitLittleEndian, wire.ImplicitLittleEndian, wire.ExplicitBigEndian, wire.DeflatedLittleEndian}
	f.Fuzz(func(t *testing.T, head []byte, choice byte) {
		syntax := syntaxes[int(choice)%len(syntaxes)]
		class, instance := wire.Peek(head, syntax)
		if len(class)+len(instance) > len(head) {
			t.Fatalf("%q and %q in %d bytes", class, instance, len(head))
		}
		half := head[:len(head)/2]
		if c, i := wire.Peek(half, syntax); c != "" && c != class || i != "" && i != instance {
			t.Fatalf("%q and %q in the half, %q and %q in the whole", c, i, class, instance)
		}
	})
}

// orderly says that an error is one of the protocol's, which the peer is told.
func orderly(t *testing.T, err error) {
	t.Helper()
	if _, ok := errors.AsType[*wire.ProtocolError](err); !ok {
		t.Fatal(err)
	}
}
