package spool

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/medanchor/medanchor/dicomwatch"
	"github.com/medanchor/medanchor/dicomwatch/dir"
	"github.com/medanchor/medanchor/document"
)

const (
	// writeSize is how much is written to the disk at once: some chunks of STREAM.
	writeSize = 256 << 10
	// askEvery is after how many bytes of one object it is asked again whether there is room.
	askEvery = 16 << 20
	// maxKept is how many files of waiting objects are kept open, so that they reach the pipeline though their directory is
	// deleted.
	maxKept = 256
)

// errDone says that nothing more can be done with an object on its way in.
var errDone = errors.New("the object was committed or discarded already")

// arrival is an object on its way in.
type arrival struct {
	spool  *Spool
	object *object
	file   dir.File
	buffer *bufio.Writer  // of file
	plain  io.WriteCloser // encrypts into buffer
	onDisk int64          // bytes written to file
	asked  int64          // size at which Room was asked the last time
	err    error          // that it failed with
	done   bool           // committed or discarded
}

// Create begins an object. document.ErrNoRoom if the disk is at its reserve or too much waits here already; any other error
// says what is wrong with the spool.
func (s *Spool) Create(o dicomwatch.Object) (dicomwatch.Incoming, error) {
	if err := s.admit(); err != nil {
		return nil, err
	}
	now := time.Now().UTC().Round(0)
	name := document.NewItemID(now).String()
	s.mu.Lock()
	s.arriving[name] = true
	s.arrived()
	s.mu.Unlock()
	in := &arrival{spool: s, object: &object{
		name: name, received: now, department: o.Department, issuer: o.Issuer, from: o.Calling,
	}}
	if err := in.begin(o); err != nil {
		in.abandon()
		return nil, s.writeError(err)
	}
	return in, nil
}

// admit says whether another object may come in.
func (s *Spool) admit() error {
	if err := s.fatalErr(); err != nil {
		return err
	}
	s.mu.Lock()
	full, waiting, gone := s.full, s.bytes, s.gone
	s.mu.Unlock()
	if !full.IsZero() && time.Since(full) >= s.Patience {
		return &backlogError{waiting}
	}
	if gone != nil {
		if err := s.revisit(); err != nil {
			return err
		}
	}
	return s.room()
}

// room asks whether there is room for what is in the spool, once more.
func (s *Spool) room() error {
	_, pending := s.Waiting()
	if err := s.Room(pending); err != nil {
		return &roomError{err}
	}
	return nil
}

// roomError is what Options.Room gave: it stays as it is.
type roomError struct{ error }

// Unwrap gives it.
func (e *roomError) Unwrap() error { return e.error }

// begin makes the file, and writes its head.
func (in *arrival) begin(o dicomwatch.Object) (err error) {
	s := in.spool
	in.object.home, in.file, err = s.create(in.object.name)
	if err != nil {
		return err
	}
	in.buffer = bufio.NewWriterSize((*disk)(in), writeSize)
	// The head is before the payload, and names the key that the payload's writer makes.
	nonce := new(deferred)
	key, plain, err := s.Cipher.NewFile(nonce)
	if err != nil {
		return err
	}
	head, err := s.head(in.object.name, o, key, in.object.received)
	if err != nil {
		return err
	}
	in.object.key, in.object.payloadAt, in.plain = key, int64(len(head)), plain
	if _, err := in.buffer.Write(append(head, nonce.begun...)); err != nil {
		return err
	}
	nonce.Writer = in.buffer
	return nil
}

// create makes a file in the spool's directory; if that is gone, in the one that stands at its path now.
func (s *Spool) create(name string) (*home, dir.File, error) {
	const flags = os.O_RDWR | os.O_CREATE | os.O_EXCL
	h := s.current()
	f, err := h.Open(name, flags, 0o600)
	if !errors.Is(err, fs.ErrNotExist) {
		return h, f, err
	}
	if err := s.revisit(); err != nil {
		return h, nil, err
	}
	h = s.current()
	f, err = h.Open(name, flags, 0o600)
	return h, f, err
}

// Write implements io.Writer.
func (in *arrival) Write(b []byte) (int, error) {
	if in.err != nil {
		return 0, in.err
	}
	n, err := in.plain.Write(b)
	in.object.size += int64(n)
	if err == nil && in.object.size-in.asked >= askEvery {
		in.asked = in.object.size
		err = in.spool.room()
	}
	in.err = in.spool.writeError(err)
	return n, in.err
}

// Commit implements dicomwatch.Incoming. An object that it gives an error for is removed.
func (in *arrival) Commit(ctx context.Context) error {
	if in.done {
		return errDone
	}
	if in.err == nil {
		in.err = in.spool.writeError(in.commit(ctx))
	}
	if err := in.err; err != nil {
		in.abandon()
		return err
	}
	in.done, in.err = true, errDone
	in.spool.Trace(document.StepSpooled)
	in.spool.admitted(in)
	return nil
}

func (in *arrival) commit(ctx context.Context) error {
	s := in.spool
	if err := in.finish(); err != nil {
		return err
	}
	if err := s.drain(ctx); err != nil {
		return err
	}
	if err := s.room(); err != nil {
		return err
	}
	if err := s.fatalErr(); err != nil {
		return err
	}
	if err := in.file.Sync(); err != nil {
		return s.fail(fmt.Errorf("make an object in the spool durable: %w", err))
	}
	if err := in.object.home.sync.do(); err != nil {
		return err
	}
	return s.fatalErr() // of another object meanwhile: nothing more is acknowledged
}

// finish writes the last chunk and the end.
func (in *arrival) finish() error {
	if err := in.plain.Close(); err != nil {
		return err
	}
	payload := in.onDisk + int64(in.buffer.Buffered()) - in.object.payloadAt
	if _, err := in.buffer.Write(end(payload)); err != nil {
		return err
	}
	err := in.buffer.Flush()
	in.object.fileSize = in.onDisk
	return err
}

// Discard implements dicomwatch.Incoming.
func (in *arrival) Discard() error {
	if !in.done {
		in.abandon()
	}
	return nil
}

// abandon removes the file. What cannot be removed now is removed later, or is torn at the next start.
func (in *arrival) abandon() {
	s := in.spool
	in.done = true
	in.release()
	if in.err == nil {
		in.err = errDone
	}
	if in.file != nil {
		_ = in.file.Close() // nothing in it counts
		s.remove(in.object.home, in.object.name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.arriving, in.object.name)
}

// release counts the object's bytes no more as those of one on its way in.
func (in *arrival) release() {
	s := in.spool
	s.mu.Lock()
	defer s.mu.Unlock()
	s.incoming -= in.onDisk
	in.onDisk = 0
}

// admitted counts an object that is durable.
func (s *Spool) admitted(in *arrival) {
	in.release()
	s.written()
	s.mu.Lock()
	keep := s.kept < maxKept
	if keep {
		s.kept++
		in.object.kept = in.file
	}
	s.mu.Unlock()
	if !keep {
		_ = in.file.Close() // it is durable
	}
	s.enqueue(in.object)
}

// drain waits while more than MaxBytes wait for the pipeline.
func (s *Spool) drain(ctx context.Context) error {
	patience := time.NewTimer(s.Patience)
	defer patience.Stop()
	for {
		s.mu.Lock()
		waiting, drained := s.bytes, s.drained
		s.mu.Unlock()
		if waiting <= s.MaxBytes {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-patience.C:
			return &backlogError{waiting}
		case <-s.failed:
			return s.fatalErr()
		case <-drained:
		}
	}
}

// writeError is why an object was not taken. It is remembered if it is the disk's, until another is taken or a probe is.
func (s *Spool) writeError(err error) error {
	if _, ok := errors.AsType[*roomError](err); ok {
		return err
	}
	var errno unix.Errno
	if !errors.As(err, &errno) || s.remembered(err) {
		return err
	}
	if errno == unix.ENOSPC || errno == unix.EDQUOT {
		err = fmt.Errorf("write to the spool folder %s: %w: %w: make room on its disk", s.Path, document.ErrNoRoom, err)
	} else {
		err = fmt.Errorf("write to the spool folder %s: %w: check its disk and its permissions", s.Path, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trouble == nil {
		s.Log.Error("an object was not taken: it could not be written to the spool", "door", s.Name, "err", err)
	}
	s.trouble = err
	return err
}

// remembered says whether an error is remembered already.
func (s *Spool) remembered(err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range []error{s.fatal, s.gone, s.trouble} {
		if e != nil && errors.Is(err, e) {
			return true
		}
	}
	return false
}

// backlogError says that the pipeline does not keep up.
type backlogError struct{ waiting int64 }

func (e *backlogError) Error() string {
	return fmt.Sprintf("%d MiB wait in the spool for the pipeline: it does not keep up, or it stands; see medanchor status, and "+
		"send again later", e.waiting>>20)
}

// Is makes it document.ErrNoRoom: there is none for the time being.
func (*backlogError) Is(target error) bool { return target == document.ErrNoRoom }

// disk counts what an arrival writes to its file.
type disk arrival

// Write implements io.Writer.
func (d *disk) Write(b []byte) (int, error) {
	n, err := d.file.Write(b)
	// The disk begins at once, so that the fsync has less to wait for. It is a hint: an error is the fsync's to tell.
	_ = unix.SyncFileRange(int(d.file.Fd()), d.onDisk, int64(n), unix.SYNC_FILE_RANGE_WRITE)
	d.onDisk += int64(n)
	d.spool.mu.Lock()
	defer d.spool.mu.Unlock()
	d.spool.incoming += int64(n)
	return n, err
}

// deferred holds back what is written to it until it has a writer.
type deferred struct {
	io.Writer
	begun []byte
}

// Write implements io.Writer.
func (d *deferred) Write(b []byte) (int, error) {
	if d.Writer == nil {
		d.begun = append(d.begun, b...)
		return len(b), nil
	}
	return d.Writer.Write(b)
}
