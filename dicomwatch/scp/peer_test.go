package scp_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/dicomwatch/scp"
	"github.com/medanchor/medanchor/dicomwatch/scp/wire"
	"github.com/medanchor/medanchor/test/synth"
)

// peer is a requestor that does what a test says, right or wrong.
type peer struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func (r *receiver) dial(t testing.TB) *peer {
	t.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &peer{conn, t, bufio.NewReader(conn)}
}

// request is an A-ASSOCIATE-RQ.
type request struct {
	version         uint16
	called, calling string
	application     string
	contexts        []wire.Proposal
	user            []byte // user information items
}

// proper is a request that the receivers of these tests accept.
func proper(contexts ...wire.Proposal) request {
	return request{1, ours, sender, wire.ApplicationContext, contexts, item(0x51, 0, 0, 0x40, 0)}
}

// ct and echo are the presentation contexts of most tests.
func ct() wire.Proposal {
	return wire.Proposal{ID: 1, AbstractSyntax: ctStorage, TransferSyntaxes: []string{synth.ExplicitLittleEndian}}
}

func echo() wire.Proposal {
	return wire.Proposal{ID: 3, AbstractSyntax: "1.2.840.10008.1.1", TransferSyntaxes: []string{synth.ImplicitLittleEndian}}
}

func item(kind byte, value ...byte) []byte {
	head := binary.BigEndian.AppendUint16([]byte{kind, 0}, uint16(len(value)))
	return append(head, value...)
}

func (q request) encode() []byte {
	title := func(s string) []byte { return append([]byte(s), "                "[:16-len(s)]...) }
	body := binary.BigEndian.AppendUint16(nil, q.version)
	body = append(body, 0, 0)
	body = append(append(body, title(q.called)...), title(q.calling)...)
	body = append(body, make([]byte, 32)...)
	body = append(body, item(0x10, []byte(q.application)...)...)
	for _, c := range q.contexts {
		value := append([]byte{c.ID, 0, 0, 0}, item(0x30, []byte(c.AbstractSyntax)...)...)
		for _, syntax := range c.TransferSyntaxes {
			value = append(value, item(0x40, []byte(syntax)...)...)
		}
		body = append(body, item(0x20, value...)...)
	}
	return wire.AppendPDU(nil, wire.TypeAssociateRQ, append(body, item(0x50, q.user...)...))
}

func (p *peer) send(pdus ...[]byte) {
	p.t.Helper()
	for _, pdu := range pdus {
		if _, err := p.Write(pdu); err != nil {
			p.t.Fatal(err)
		}
	}
}

// expect reads a PDU of this type, and gives its body.
func (p *peer) expect(kind wire.Type) []byte {
	p.t.Helper()
	if err := p.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		p.t.Fatal(err)
	}
	header := make([]byte, wire.HeaderSize)
	if _, err := io.ReadFull(p.r, header); err != nil {
		p.t.Fatalf("wait for a PDU of type %d: %v", kind, err)
	}
	got, length := wire.ParseHeader(header)
	body := make([]byte, length)
	if _, err := io.ReadFull(p.r, body); err != nil {
		p.t.Fatal(err)
	}
	if got != kind {
		p.t.Fatalf("a PDU of type %d, want %d: % x", got, kind, body)
	}
	return body
}

// closed checks that the receiver closes the connection, and says nothing more.
func (p *peer) closed() {
	p.t.Helper()
	if err := p.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		p.t.Fatal(err)
	}
	var timeout net.Error
	if n, err := p.r.Read(make([]byte, 1)); n > 0 || err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		p.t.Fatalf("still open: %d bytes, %v", n, err)
	}
}

// open requests an association, which is accepted.
func (p *peer) open(contexts ...wire.Proposal) {
	p.t.Helper()
	p.send(proper(contexts...).encode())
	p.expect(wire.TypeAssociateAC)
}

// release ends the association properly.
func (p *peer) release() {
	p.t.Helper()
	p.send(wire.AppendPDU(nil, wire.TypeReleaseRQ, make([]byte, 4)))
	p.expect(wire.TypeReleaseRP)
	p.Close()
}

// aborted waits for an A-ABORT, of the upper layer's provider for this reason.
func (p *peer) aborted(reason wire.AbortReason) {
	p.t.Helper()
	if body := p.expect(wire.TypeAbort); len(body) != 4 || body[2] != 2 || body[3] != byte(reason) {
		p.t.Errorf("aborted with % x, want source 2 and reason %d", body, reason)
	}
}

// The message control header of a PDV.
const (
	isDataset = 0
	isCommand = 1
	isLast    = 2
)

func pdv(context, control byte, data []byte) []byte {
	value := binary.BigEndian.AppendUint32(nil, uint32(len(data)+2))
	return append(append(value, context, control), data...)
}

func pdata(pdvs ...[]byte) []byte {
	var body []byte
	for _, v := range pdvs {
		body = append(body, v...)
	}
	return wire.AppendPDU(nil, wire.TypeData, body)
}

// command is a command set, as a request.
type command struct {
	field, id       uint16
	class, instance string
	noDataset       bool
}

func (c command) encode() []byte {
	var set []byte
	put := func(element uint16, value []byte) {
		set = binary.LittleEndian.AppendUint16(append(set, 0, 0), element)
		set = append(binary.LittleEndian.AppendUint32(set, uint32(len(value))), value...)
	}
	number := func(n uint16) []byte { return binary.LittleEndian.AppendUint16(nil, n) }
	padded := func(s string) []byte { return append([]byte(s), make([]byte, len(s)%2)...) }
	if c.class != "" {
		put(0x0002, padded(c.class))
	}
	put(0x0100, number(c.field))
	put(0x0110, number(c.id))
	put(0x0700, number(0))
	if c.noDataset {
		put(0x0800, number(0x0101))
	} else {
		put(0x0800, number(1))
	}
	if c.instance != "" {
		put(0x1000, padded(c.instance))
	}
	whole := set
	set = nil
	put(0x0000, binary.LittleEndian.AppendUint32(nil, uint32(len(whole))))
	return append(set, whole...)
}

// storeRQ asks to store an instance of CT; echoRQ is a C-ECHO.
func storeRQ(id uint16, instance string) command {
	return command{field: 0x0001, id: id, class: ctStorage, instance: instance}
}

func echoRQ(id uint16) command {
	return command{field: 0x0030, id: id, class: "1.2.840.10008.1.1", noDataset: true}
}

// message is a message in as few PDUs as there can be.
func message(context byte, c command, dataset []byte) []byte {
	pdus := pdata(pdv(context, isCommand|isLast, c.encode()))
	if !c.noDataset {
		pdus = append(pdus, pdata(pdv(context, isDataset|isLast, dataset))...)
	}
	return pdus
}

// response waits for the response to a message, and gives its command set as well as it came.
func (p *peer) response(to command, status scp.Status) []byte {
	p.t.Helper()
	var set []byte
	for last := false; !last; {
		body := p.expect(wire.TypeData)
		v, rest, err := wire.NextPDV(body)
		if err != nil || len(rest) != 0 || !v.Command {
			p.t.Fatalf("%+v, then %d bytes: %v", v, len(rest), err)
		}
		set, last = append(set, v.Data...), v.Last
	}
	got, err := wire.ParseCommand(set)
	if err != nil {
		p.t.Fatal(err)
	}
	want := wire.Command{
		Field: wire.Field(to.field).Response(), RespondedTo: to.id, Status: uint16(status), Class: to.class, Instance: to.instance,
	}
	if !wire.ValidUID(to.class) {
		want.Class = ""
	}
	if !wire.ValidUID(to.instance) {
		want.Instance = ""
	}
	if got != want {
		p.t.Errorf("the response is %+v, want %+v", got, want)
	}
	return set
}

// ctDataset is the beginning of a dataset in explicit VR little endian, filled up to size bytes.
func ctDataset(class, instance string, size int) []byte {
	var b []byte
	put := func(group, element uint16, vr string, value []byte) {
		b = binary.LittleEndian.AppendUint16(b, group)
		b = append(binary.LittleEndian.AppendUint16(b, element), vr...)
		if vr == "OW" {
			b = binary.LittleEndian.AppendUint32(append(b, 0, 0), uint32(len(value)))
		} else {
			b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
		}
		b = append(b, value...)
	}
	padded := func(s string) []byte { return append([]byte(s), make([]byte, len(s)%2)...) }
	put(0x0008, 0x0005, "CS", []byte("ISO_IR 100"))
	put(0x0008, 0x0016, "UI", padded(class))
	put(0x0008, 0x0018, "UI", padded(instance))
	if rest := size - len(b) - 12; rest > 0 {
		put(0x7FE0, 0x0010, "OW", make([]byte, rest))
	}
	return b
}

// accept is an A-ASSOCIATE-AC.
type accept struct {
	called, calling, application string
	answers                      []answer
	user                         map[byte][][]byte // user information, by the type of item
}

type answer struct {
	id, result     byte
	transferSyntax string
}

func acceptOf(t testing.TB, body []byte) accept {
	t.Helper()
	if len(body) < 68 || binary.BigEndian.Uint16(body) != 1 {
		t.Fatalf("no A-ASSOCIATE-AC of version 1: % x", body)
	}
	a := accept{
		called: strings.TrimRight(string(body[4:20]), " "), calling: strings.TrimRight(string(body[20:36]), " "),
		user: make(map[byte][][]byte),
	}
	for kind, value := range items(t, body[68:]) {
		switch kind {
		case 0x10:
			a.application = string(value)
		case 0x21:
			for _, syntax := range items(t, value[4:]) {
				a.answers = append(a.answers, answer{value[0], value[2], string(syntax)})
			}
		case 0x50:
			for kind, value := range items(t, value) {
				a.user[kind] = append(a.user[kind], value)
			}
		default:
			t.Fatalf("an item of type %#x", kind)
		}
	}
	return a
}

func items(t testing.TB, b []byte) iter.Seq2[byte, []byte] {
	return func(yield func(byte, []byte) bool) {
		for len(b) > 0 {
			if len(b) < 4 || len(b) < 4+int(binary.BigEndian.Uint16(b[2:])) {
				t.Fatal("half an item")
			}
			end := 4 + int(binary.BigEndian.Uint16(b[2:]))
			if !yield(b[0], b[4:end]) {
				return
			}
			b = b[end:]
		}
	}
}

func (r *receiver) dialFrom(t testing.TB, address string) *peer {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	conn, err := dialer.DialContext(t.Context(), "tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &peer{conn, t, bufio.NewReader(conn)}
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
