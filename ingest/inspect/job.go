package inspect

import (
	"errors"
	"io"
	"time"

	"github.com/medanchor/medanchor/ingest/inspect/wire"
)

// errSource is the source's fault: a share that is busy, or away. The file stays where it is, and is tried again.
var errSource = errors.New("the source is slow")

// job is one file, and the time that is left for it.
type job struct {
	src     io.ReaderAt
	size    int64
	opening *wire.Opening // with the head
	mode    wire.Mode
	child   time.Duration // what children may yet take; counted after each attempt
	source  time.Duration // what reads of src may yet take, beside that
	until   time.Time     // the end of the attempt, if the source takes no time
}

// begin starts an attempt.
func (j *job) begin(mode wire.Mode) { j.mode, j.until = mode, time.Now().Add(j.child) }

// end ends an attempt.
func (j *job) end() { j.child = time.Until(j.until) }

// read reads from the source and tells how long that took: as much longer has the attempt.
func (j *job) read(b []byte, off int64) (n int, took time.Duration, err error) {
	began := time.Now()
	n, err = j.src.ReadAt(b, off)
	took = time.Since(began)
	j.until = j.until.Add(took)
	if j.source -= took; j.source < 0 {
		return 0, took, errSource
	}
	return n, took, err
}
