package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/medanchor/medanchor/dicomwatch/scp/wire"
)

func TestValidUID(t *testing.T) {
	for uid, want := range map[string]bool{
		"1": true, "1.2.840.10008.1.1": true, "2.25.0": true, "1.02.3": true, strings.Repeat("1", 64): true,
		"": false, ".": false, "1.": false, ".1": false, "1..2": false, "1.2a": false, "1 2": false, "1.2\x00": false,
		strings.Repeat("1", 65): false, "１": false,
	} {
		if got := wire.ValidUID(uid); got != want {
			t.Errorf("%q: %v", uid, got)
		}
	}
}

func TestValidTitle(t *testing.T) {
	for title, want := range map[string]bool{
		"A": true, "CT 1": true, "!~": true, strings.Repeat("A", 16): true,
		"": false, " ": false, " A": false, "A ": false, `A\B`: false, "A\nB": false, "Ä": false, "\x7f": false,
		strings.Repeat("A", 17): false,
	} {
		if got := wire.ValidTitle(title); got != want {
			t.Errorf("%q: %v", title, got)
		}
	}
}

// element is one of a command set.
func element(number uint16, value ...byte) []byte {
	b := binary.LittleEndian.AppendUint16([]byte{0, 0}, number)
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(value))), value...)
}

func echoRQ() []byte {
	return slices.Concat(
		element(0x0000, 56, 0, 0, 0), element(0x0002, []byte("1.2.840.10008.1.1\x00")...), element(0x0100, 0x30, 0),
		element(0x0110, 7, 0), element(0x0800, 1, 1),
	)
}

func TestACommandIsRead(t *testing.T) {
	got, err := wire.ParseCommand(echoRQ())
	if want := (wire.Command{Field: wire.CEchoRQ, MessageID: 7, Class: "1.2.840.10008.1.1"}); err != nil || got != want {
		t.Errorf("%+v, want %+v: %v", got, want, err)
	}
	store := slices.Concat(
		element(0x0002, []byte("1.2 ")...), element(0x0100, 1, 0), element(0x0110, 255, 255), element(0x0700, 0, 0),
		element(0x0800, 0, 0), element(0x1000, []byte("1.2.3\x00")...), element(0x1030, []byte("MOVER ")...),
	)
	got, err = wire.ParseCommand(store)
	want := wire.Command{Field: wire.CStoreRQ, MessageID: 65535, Class: "1.2", Instance: "1.2.3", Dataset: true}
	if err != nil || got != want {
		t.Errorf("%+v, want %+v: %v", got, want, err)
	}
}

func TestCommandsThatAreNone(t *testing.T) {
	field, id, dataset := element(0x0100, 0x30, 0), element(0x0110, 7, 0), element(0x0800, 1, 1)
	for name, set := range map[string][]byte{
		"nothing":           nil,
		"no field":          slices.Concat(id, dataset),
		"no message ID":     slices.Concat(field, dataset),
		"no data set type":  slices.Concat(field, id),
		"out of order":      slices.Concat(id, field, dataset),
		"one twice":         slices.Concat(field, field, id, dataset),
		"another group":     slices.Concat([]byte{8, 0, 5, 0, 0, 0, 0, 0}, field, id, dataset),
		"half a header":     slices.Concat(field, id, dataset, []byte{0, 0, 1, 9}),
		"half a value":      slices.Concat(field, id, dataset, element(0x0900, 0, 0)[:9]),
		"a field of four":   slices.Concat(element(0x0100, 0x30, 0, 0, 0), id, dataset),
		"an empty field":    slices.Concat(element(0x0100), id, dataset),
		"an endless value":  slices.Concat(field, id, dataset, []byte{0, 0, 2, 9, 255, 255, 255, 255}),
		"more than 16 KiB":  slices.Concat(field, id, dataset, element(0x0902, make([]byte, wire.MaxCommand)...)),
		"cut within itself": echoRQ()[:30],
	} {
		_, err := wire.ParseCommand(set)
		if _, ok := errors.AsType[*wire.ProtocolError](err); !ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAResponseIsWritten(t *testing.T) {
	c := wire.Command{
		Field: wire.CStoreRQ.Response(), RespondedTo: 9, Status: 0xA700, Comment: strings.Repeat("c", 99), Class: "1.2.3", Instance: "1.2",
	}
	want := slices.Concat(
		element(0x0002, []byte("1.2.3\x00")...), element(0x0100, 1, 0x80), element(0x0120, 9, 0), element(0x0800, 1, 1),
		element(0x0900, 0, 0xA7), element(0x0902, bytes.Repeat([]byte("c"), 64)...), element(0x1000, []byte("1.2\x00")...),
	)
	want = append(element(0x0000, byte(len(want)), 0, 0, 0), want...)
	if got := c.Encode(); !bytes.Equal(got, want) {
		t.Errorf("% x, want % x", got, want)
	}
	c.Class, c.Instance, c.Comment = "no UID", strings.Repeat("1", 65), ""
	got, err := wire.ParseCommand(c.Encode())
	if c.Class, c.Instance = "", ""; err != nil || got != c {
		t.Errorf("%+v, want %+v: %v", got, c, err)
	}
}

// put appends an element of a dataset.
func put(order binary.AppendByteOrder, implicit bool, tag uint32, vr, value string) []byte {
	b := order.AppendUint16(nil, uint16(tag>>16))
	b = order.AppendUint16(b, uint16(tag))
	switch {
	case implicit:
		b = order.AppendUint32(b, uint32(len(value)))
	case slices.Contains([]string{"OB", "SQ", "UT"}, vr):
		b = order.AppendUint32(append(append(b, vr...), 0, 0), uint32(len(value)))
	default:
		b = order.AppendUint16(append(b, vr...), uint16(len(value)))
	}
	return append(b, value...)
}

// beginning is that of a dataset, with a long VR before the UIDs.
func beginning(order binary.AppendByteOrder, implicit bool) []byte {
	return slices.Concat(
		put(order, implicit, 0x00080005, "CS", "ISO_IR 100"), put(order, implicit, 0x00080006, "SQ", ""),
		put(order, implicit, 0x00080008, "CS", `ORIGINAL\PRIMARY`), put(order, implicit, 0x0008000A, "UT", "long"),
		put(order, implicit, 0x00080016, "UI", "1.2.3\x00"), put(order, implicit, 0x00080018, "UI", "1.2.3.4 "),
		put(order, implicit, 0x00080020, "DA", "20260302"),
	)
}

func TestPeek(t *testing.T) {
	little, big := binary.LittleEndian, binary.BigEndian
	undefined := append(put(little, false, 0x00080005, "CS", ""), 8, 0, 6, 0, 'S', 'Q', 0, 0, 255, 255, 255, 255)
	for name, c := range map[string]struct {
		head            []byte
		syntax          string
		class, instance string
	}{
		"explicit":            {beginning(little, false), wire.ExplicitLittleEndian, "1.2.3", "1.2.3.4"},
		"implicit":            {beginning(little, true), wire.ImplicitLittleEndian, "1.2.3", "1.2.3.4"},
		"big endian":          {beginning(big, false), wire.ExplicitBigEndian, "1.2.3", "1.2.3.4"},
		"JPEG":                {beginning(little, false), "1.2.840.10008.1.2.4.70", "1.2.3", "1.2.3.4"},
		"deflated":            {beginning(little, false), wire.DeflatedLittleEndian, "", ""},
		"private":             {beginning(little, false), "1.2.840.113619.5.2", "", ""},
		"unknown":             {beginning(little, false), "1.2.840.10008.1.20", "", ""},
		"another than agreed": {beginning(little, false), wire.ImplicitLittleEndian, "", ""},
		"and the reverse":     {beginning(little, true), wire.ExplicitLittleEndian, "", ""},
		"undefined length":    {append(undefined, beginning(little, false)[18:]...), wire.ExplicitLittleEndian, "", ""},
		"out of order":        {append(put(little, false, 0x00080018, "UI", "1.2"), beginning(little, false)...), wire.ExplicitLittleEndian, "", "1.2"},
		"no class":            {put(little, false, 0x00080018, "UI", "1.2"), wire.ExplicitLittleEndian, "", "1.2"},
		"neither":             {put(little, false, 0x00100010, "PN", "A^B "), wire.ExplicitLittleEndian, "", ""},
		"empty":               {nil, wire.ExplicitLittleEndian, "", ""},
	} {
		if class, instance := wire.Peek(c.head, c.syntax); class != c.class || instance != c.instance {
			t.Errorf("%s: %q and %q, want %q and %q", name, class, instance, c.class, c.instance)
		}
	}
}

// However early a beginning ends, nothing wrong is found in it.
func TestPeekIntoLess(t *testing.T) {
	for syntax, head := range map[string][]byte{
		wire.ExplicitLittleEndian: beginning(binary.LittleEndian, false),
		wire.ImplicitLittleEndian: beginning(binary.LittleEndian, true),
		wire.ExplicitBigEndian:    beginning(binary.BigEndian, false),
	} {
		for n := range head {
			class, instance := wire.Peek(head[:n], syntax)
			if class != "" && class != "1.2.3" || instance != "" && instance != "1.2.3.4" {
				t.Errorf("%s, %d bytes: %q and %q", syntax, n, class, instance)
			}
		}
	}
}

func TestCommandsAreCutToTheLimit(t *testing.T) {
	set := echoRQ()
	for limit, want := range map[uint32]int{0: 1, 1 << 30: 1, uint32(len(set)) + 6: 1, uint32(len(set)) + 5: 2, 7: len(set)} {
		pdus, err := wire.CommandPDUs(1, set, limit)
		if err != nil || len(pdus) != want {
			t.Errorf("limit %d: %d PDUs, want %d: %v", limit, len(pdus), want, err)
		}
		var whole []byte
		for i, pdu := range pdus {
			v, rest, err := wire.NextPDV(pdu[wire.HeaderSize:])
			if err != nil || len(rest) != 0 || !v.Command || v.Context != 1 || v.Last != (i == len(pdus)-1) {
				t.Errorf("limit %d, PDU %d: %+v, %v", limit, i, v, err)
			}
			whole = append(whole, v.Data...)
		}
		if !bytes.Equal(whole, set) {
			t.Errorf("limit %d: % x", limit, whole)
		}
	}
}

// requestBody is that of an A-ASSOCIATE-RQ with these items.
func requestBody(items ...[]byte) []byte {
	fixed := []byte{0, 1, 0, 0}
	for n := range 64 { // titles, and what is reserved
		fixed = append(fixed, byte('A'+n))
	}
	return append(fixed, slices.Concat(items...)...)
}

// What is reserved after the version goes back as it came (PS3.8 table 9-17).
func TestWhatIsReservedGoesBack(t *testing.T) {
	body := requestBody()
	r, err := wire.ParseAssociateRequest(body)
	if err != nil {
		t.Fatal(err)
	}
	if ac := r.Accept(nil, 1<<17); !bytes.Equal(ac[wire.HeaderSize:wire.HeaderSize+68], body) {
		t.Errorf("% x, want % x", ac[wire.HeaderSize:wire.HeaderSize+68], body)
	}
}

// A UID goes back without its padding, of which there may be more than an answer has room for.
func TestAPaddedRoleGoesBackWithoutItsPadding(t *testing.T) {
	for _, padding := range []int{0, 1, 65_500} {
		uid := append([]byte("1.2.3"), make([]byte, padding)...)
		role := append(binary.BigEndian.AppendUint16(nil, uint16(len(uid))), append(uid, 1, 1)...)
		r, err := wire.ParseAssociateRequest(requestBody(item(0x50, item(0x54, role))))
		if err != nil {
			t.Fatal(err)
		}
		ac := r.Accept(nil, 1<<17)
		if want := item(0x54, append([]byte{0, 5}, "1.2.3\x01\x00"...)); !bytes.Contains(ac, want) || len(ac) > 300 {
			t.Errorf("padded with %d bytes: %d bytes without % x", padding, len(ac), want)
		}
	}
}
