// Package wire is the protocol between the daemon and its inspectors, over the child's stdin and stdout.
//
// A frame is a type byte, a length (4 bytes, big endian) and that many bytes. The child opens with Hello. Then, for each
// file, the parent sends File (size, mode, the first bytes), the child sends any number of Range requests, each met with
// Bytes, and ends with an Answer. Both sides bound what they read: the parent because the child is hostile once it has
// read a hostile file, the child so that a fault shows at once.
package wire

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/medanchor/medanchor/document"
)

// Version is the protocol's version: parent and child are installed together and must agree.
const Version = 2

// The bounds.
const (
	// Head is how many of a file's first bytes go with the File frame.
	Head = 64 << 10
	// MaxRange is the longest range that a child may ask for at once, in bytes.
	MaxRange = 1 << 20
	// MaxRead is how much of one file, beyond its head, a child may ask for altogether.
	MaxRead = 80 << 20
	// MaxAsks is how often a child may ask during one file.
	MaxAsks = 1 << 16
	// maxAnswer bounds Hello and Answer.
	maxAnswer = 64 << 10
	// maxFrame bounds what the child accepts from its parent.
	maxFrame = MaxRange + fileHeader

	frameHeader = 5
	fileHeader  = 9
)

// Type tells what a frame carries.
type Type byte

// The types of frame.
const (
	TypeHello  Type = 'H' // child: Hello, JSON
	TypeFile   Type = 'F' // parent: size (8 bytes), mode (1 byte), head
	TypeRange  Type = 'R' // child: offset (8 bytes), length (4 bytes)
	TypeBytes  Type = 'B' // parent: the bytes asked for; fewer at the end of the file
	TypeAnswer Type = 'A' // child: Answer, JSON
)

// Mode says how bold the child is to be.
type Mode byte

// The modes.
const (
	Full    Mode = 0 // every parser
	Careful Mode = 1 // after a child has died on the file: DICOM by our own scanner alone, PDF without its text
)

// ErrProtocol means that the other side broke the protocol. A parent then replaces the child.
var ErrProtocol = errors.New("inspector broke the protocol")

// Hello is the child's first frame.
type Hello struct {
	Version int `json:"version"`
	// Error says why the child cannot work (the sandbox could not be set up); empty if it can.
	Error string `json:"error,omitempty"`
}

// Answer ends a file.
type Answer struct {
	Metadata document.Metadata `json:"metadata"`
	// Worn asks the parent for a successor: much of the child's lifetime of CPU or memory is used up.
	Worn bool `json:"worn,omitempty"`
}

// Range is a child's request for part of the file.
type Range struct {
	Offset int64
	Length int
}

// WriteFrame sends one frame in one write; the parts are joined.
func WriteFrame(w io.Writer, t Type, parts ...[]byte) error {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	frame := make([]byte, frameHeader, frameHeader+size)
	frame[0] = byte(t)
	binary.BigEndian.PutUint32(frame[1:], uint32(size)) // #nosec G115 -- callers send at most maxFrame
	for _, p := range parts {
		frame = append(frame, p...)
	}
	_, err := w.Write(frame)
	return err
}

func readFrame(r io.Reader, limit int) (Type, []byte, error) {
	var store []byte
	return readFrameInto(r, limit, &store)
}

// readFrameInto reads a frame into store, which it grows where the frame needs it.
func readFrameInto(r io.Reader, limit int, store *[]byte) (Type, []byte, error) {
	var head [frameHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if int64(n) > int64(limit) {
		return 0, nil, fmt.Errorf("%w: a frame of %d bytes", ErrProtocol, n)
	}
	if int64(cap(*store)) < int64(n) {
		*store = make([]byte, n)
	}
	body := (*store)[:n]
	if _, err := io.ReadFull(r, body); err != nil {
		return 0, nil, fmt.Errorf("read frame of %d bytes: %w", n, err)
	}
	return Type(head[0]), body, nil
}

// WriteJSON sends a Hello or an Answer.
func WriteJSON(w io.Writer, t Type, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode frame %c: %w", t, err)
	}
	return WriteFrame(w, t, b)
}

// ReadHello reads the child's first frame, in the parent.
func ReadHello(r io.Reader) (Hello, error) {
	t, body, err := readFrame(r, maxAnswer)
	if err != nil {
		return Hello{}, err
	}
	var h Hello
	if t != TypeHello {
		return h, fmt.Errorf("%w: it did not say hello", ErrProtocol)
	}
	if err := json.Unmarshal(body, &h); err != nil {
		return h, fmt.Errorf("%w: its hello is not JSON", ErrProtocol)
	}
	return h, nil
}

// Opening is a File frame, which starts a file, in the parent: the first bytes are read straight into it, and it serves for
// file after file. The zero value is ready.
type Opening struct{ frame []byte }

// Head gives the room for the first bytes of a file of the given size, for the caller to fill, valid until the next call.
func (o *Opening) Head(size int64) []byte {
	if o.frame == nil {
		o.frame = make([]byte, frameHeader+fileHeader+Head)
	}
	head := min(size, Head)
	body := fileHeader + int(head)
	o.frame = o.frame[:frameHeader+body]
	o.frame[0] = byte(TypeFile)
	binary.BigEndian.PutUint32(o.frame[1:], uint32(body))           // #nosec G115 -- at most fileHeader+Head
	binary.BigEndian.PutUint64(o.frame[frameHeader:], uint64(size)) // #nosec G115 -- sizes are not negative
	return o.frame[frameHeader+fileHeader:]
}

// Send sends the frame in one write; it may be sent more than once.
func (o *Opening) Send(w io.Writer, mode Mode) error {
	o.frame[frameHeader+fileHeader-1] = byte(mode)
	_, err := w.Write(o.frame)
	return err
}

// File is what a File frame says.
type File struct {
	Size int64
	Mode Mode
	Head []byte // the first bytes
}

// ReadFile awaits a file, in the child; io.EOF means that there are no more. The head's bytes are valid until the next call
// with the same store, which is grown to what is needed.
func ReadFile(r io.Reader, store *[]byte) (File, error) {
	t, body, err := readFrameInto(r, maxFrame, store)
	if err != nil {
		return File{}, err
	}
	if t != TypeFile || len(body) < fileHeader {
		return File{}, fmt.Errorf("%w: want a file, got frame %q", ErrProtocol, t)
	}
	size := int64(binary.BigEndian.Uint64(body)) // #nosec G115 -- checked by the next line
	if size < int64(len(body)-fileHeader) {
		return File{}, fmt.Errorf("%w: a file of %d bytes", ErrProtocol, size)
	}
	return File{Size: size, Mode: Mode(body[fileHeader-1]), Head: body[fileHeader:]}, nil
}

// WriteRange asks for part of the file, in the child.
func WriteRange(w io.Writer, r Range) error {
	var b [12]byte
	binary.BigEndian.PutUint64(b[:], uint64(r.Offset))  // #nosec G115 -- offsets are not negative
	binary.BigEndian.PutUint32(b[8:], uint32(r.Length)) // #nosec G115 -- at most MaxRange
	return WriteFrame(w, TypeRange, b[:])
}

// ReadBytes reads what the parent sent for a Range, in the child.
func ReadBytes(r io.Reader) ([]byte, error) {
	t, body, err := readFrame(r, maxFrame)
	if err != nil {
		return nil, err
	}
	if t != TypeBytes {
		return nil, fmt.Errorf("%w: want bytes, got frame %q", ErrProtocol, t)
	}
	return body, nil
}

// ReadReply reads what a child says about a file of the given size, in the parent: either a request or, with ask nil, a
// checked answer. It trusts nothing: whatever it returns without error is within bounds.
func ReadReply(r io.Reader, size int64) (ask *Range, answer Answer, err error) {
	t, body, err := readFrame(r, maxAnswer)
	if err != nil {
		return nil, Answer{}, err
	}
	switch t {
	case TypeRange:
		ask, err = parseRange(body, size)
		return ask, Answer{}, err
	case TypeAnswer:
		if err := json.Unmarshal(body, &answer); err != nil {
			return nil, Answer{}, fmt.Errorf("%w: its answer is not JSON", ErrProtocol)
		}
		return nil, answer, Check(answer.Metadata, size)
	default:
		return nil, Answer{}, fmt.Errorf("%w: unknown frame %q", ErrProtocol, t)
	}
}

func parseRange(body []byte, size int64) (*Range, error) {
	if len(body) != 12 {
		return nil, fmt.Errorf("%w: a range of %d bytes", ErrProtocol, len(body))
	}
	offset, length := binary.BigEndian.Uint64(body), binary.BigEndian.Uint32(body[8:])
	if offset > uint64(size) || length > MaxRange { // #nosec G115 -- sizes are not negative
		return nil, fmt.Errorf("%w: it asks for what no file has", ErrProtocol)
	}
	return &Range{Offset: int64(offset), Length: int(length)}, nil // #nosec G115 -- bounded above
}
