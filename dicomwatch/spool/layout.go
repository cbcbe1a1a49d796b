package spool

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/medanchor/medanchor/dicomwatch"
	"github.com/medanchor/medanchor/dicomwatch/dir"
)

// A spooled file, integers big-endian:
//
//	"medanchor spool 1\n"
//	uint32           length of the sealed info
//	sealed info      JSON of info, by Sealer.SealValue under bucket "spool" and the file's name
//	payload          of an age v1 file, under the file key in info
//	uint64           length of the payload
//	"medanchor spooled\n"
//
// The end tells a file that a stop cut short from one that was whole and is damaged. It proves nothing: STREAM does.
const (
	magic    = "medanchor spool 1\n"
	endMagic = "medanchor spooled\n"
	bucket   = "spool"

	headSize = int64(len(magic) + 4)
	endSize  = int64(8 + len(endMagic))
	// maxInfo is the longest sealed info, in bytes: an Object's strings are at most some hundred bytes.
	maxInfo = 64 << 10
)

// What is told of a file that is not a whole object.
var (
	errTorn    = errors.New("cut short while it was written")
	errDamaged = errors.New("damaged")
)

// info is what a file says of its object. The names of its fields are a disk format.
type info struct {
	Object   known     `json:"object"`
	Key      []byte    `json:"key"`      // file key of the payload
	Received time.Time `json:"received"` // when its first byte was awaited, UTC
}

// known is dicomwatch.Object.
type known struct {
	Calling string `json:"calling,omitempty"`
	Called  string `json:"called,omitempty"`
	Address string `json:"address,omitempty"`

	SOPClassUID       string `json:"sop_class_uid,omitempty"`
	InstanceUID       string `json:"instance_uid,omitempty"`
	TransferSyntaxUID string `json:"transfer_syntax_uid,omitempty"`

	Department string `json:"department,omitempty"`
	Issuer     string `json:"issuer,omitempty"`
}

// head gives a file's beginning, up to the payload.
func (s *Spool) head(name string, o dicomwatch.Object, key [16]byte, received time.Time) ([]byte, error) {
	plain, err := json.Marshal(info{Object: known(o), Key: key[:], Received: received})
	if err != nil {
		return nil, fmt.Errorf("encode what is known of an object: %w", err)
	}
	sealed := s.Sealer.SealValue(bucket, []byte(name), plain)
	if len(sealed) > maxInfo {
		return nil, fmt.Errorf("what is known of an object takes %d bytes: at most %d are kept", len(sealed), maxInfo)
	}
	head := binary.BigEndian.AppendUint32([]byte(magic), uint32(len(sealed))) //nolint:gosec // compared above
	return append(head, sealed...), nil
}

// end gives what follows a payload of size bytes.
func end(size int64) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(size)), endMagic...) //nolint:gosec // a size
}

// examine reads a file's head and last chunk. errTorn if it never was whole; any other error is of one that was, or that cannot
// be read now.
func (s *Spool) examine(name string, f dir.File) (*object, error) {
	stat, err := f.Stat()
	if err != nil {
		return nil, err
	}
	src := &source{file: f}
	o, err := s.decode(name, src, stat.Size())
	if errors.Is(err, errTorn) && ended(src, stat.Size()) {
		err = errDamaged
	}
	if failed := src.failed(); failed != nil {
		return nil, failed
	}
	return o, err
}

// decode reads a file of size bytes. What ends early, what STREAM refuses, and a head of zeros, is errTorn: the last is what a
// power cut leaves of blocks that were not written yet, and what a probe writes.
func (s *Spool) decode(name string, src *source, size int64) (*object, error) {
	head := make([]byte, headSize)
	if !src.full(head, 0) {
		return nil, errTorn
	}
	if bytes.Equal(head, make([]byte, headSize)) {
		return nil, errTorn
	}
	sealedSize := int64(binary.BigEndian.Uint32(head[len(magic):]))
	if string(head[:len(magic)]) != magic || sealedSize > maxInfo {
		return nil, fmt.Errorf("%w, or not of this version", errDamaged)
	}
	sealed := make([]byte, sealedSize)
	if !src.full(sealed, headSize) {
		return nil, errTorn
	}
	in, err := s.openInfo(name, sealed)
	if err != nil {
		return nil, err
	}
	o := &object{
		name: name, key: [16]byte(in.Key), received: in.Received, fileSize: size, payloadAt: headSize + sealedSize,
		department: in.Object.Department, issuer: in.Object.Issuer, from: in.Object.Calling,
	}
	if _, o.size, err = s.Cipher.OpenAt(o.key, o.payload(src), o.payloadSize()); err != nil {
		return nil, errTorn
	}
	return o, nil
}

func (s *Spool) openInfo(name string, sealed []byte) (in info, err error) {
	plain, err := s.Sealer.OpenValue(bucket, []byte(name), sealed)
	if err != nil {
		return in, err
	}
	if err := json.Unmarshal(plain, &in); err != nil || len(in.Key) != len(object{}.key) {
		return in, fmt.Errorf("%w: what is known of the object", errDamaged)
	}
	return in, nil
}

// ended says whether a file was written to its end once.
func ended(src *source, size int64) bool {
	end := make([]byte, endSize)
	if size < headSize+endSize || !src.full(end, size-endSize) {
		return false
	}
	return bytes.Equal(end[8:], []byte(endMagic)) && binary.BigEndian.Uint64(end) < uint64(size)
}

// source reads a file, and remembers what a read failed with: so a disk that fails is told from a file that is wrong, and is
// said though whoever read passes over it.
type source struct {
	file io.ReaderAt

	mu  sync.Mutex
	err error
}

// ReadAt implements io.ReaderAt.
func (s *source) ReadAt(b []byte, off int64) (int, error) {
	n, err := s.file.ReadAt(b, off)
	if err != nil && !errors.Is(err, io.EOF) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.err = err
	}
	return n, err
}

// failed is what a read failed with, if one did.
func (s *source) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		return nil
	}
	return fmt.Errorf("read: %w", s.err)
}

// full says whether there are as many bytes at this place as b has, and reads them.
func (s *source) full(b []byte, off int64) bool {
	n, _ := s.ReadAt(b, off)
	return n == len(b)
}
