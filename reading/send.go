package reading

import (
	"io"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/medanchor/medanchor/document"
)

// send sends content. An error before its first byte is the answer. One half-way breaks the connection, so that nobody takes a
// part for the whole: who asks once more from there gets it as the answer.
func (s *Server) send(w http.ResponseWriter, r *http.Request, content *guarded, kind string) error {
	late := &lateHeader{ResponseWriter: w, header: http.Header{
		"Content-Type": {kind}, "Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"},
	}}
	following := &followed{content: content}
	http.ServeContent(late, r, "", time.Time{}, following)
	err := following.end()
	switch {
	case err == nil:
		late.send()
	case late.sent:
		if r.Context().Err() == nil {
			s.Log.Warn("a reading broke off", "err", err)
		}
		panic(http.ErrAbortHandler)
	}
	return err
}

// lateHeader sends status and header with the first byte, or by send: until then the answer may be another.
type lateHeader struct {
	http.ResponseWriter
	header http.Header
	status int
	sent   bool
}

// Header implements http.ResponseWriter.
func (l *lateHeader) Header() http.Header { return l.header }

// WriteHeader implements http.ResponseWriter.
func (l *lateHeader) WriteHeader(status int) { l.status = status }

// Write implements http.ResponseWriter.
func (l *lateHeader) Write(p []byte) (int, error) {
	l.send()
	return l.ResponseWriter.Write(p)
}

// send sends the header, once.
func (l *lateHeader) send() {
	if l.sent {
		return
	}
	l.sent = true
	maps.Copy(l.ResponseWriter.Header(), l.header)
	if l.status != 0 {
		l.ResponseWriter.WriteHeader(l.status)
	}
}

// followed is content as http.ServeContent reads it. That keeps to itself why reading failed, and reads several ranges in a
// goroutine of its own, which may outlive it.
type followed struct {
	mu      sync.Mutex
	content *guarded
	err     error
}

// Read implements io.Reader.
func (f *followed) Read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.content == nil {
		return 0, io.ErrClosedPipe
	}
	n, err := f.content.Read(p)
	if err != nil && f.content.offset < f.content.size {
		f.err = err
	}
	return n, err
}

// Seek implements io.Seeker.
func (f *followed) Seek(offset int64, whence int) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.content == nil {
		return 0, io.ErrClosedPipe
	}
	return f.content.Seek(offset, whence)
}

// end waits for a read that goes on, and lets no other begin. It gives why reading failed.
func (f *followed) end() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.content = nil
	return f.err
}

// contentType is the media type of a format.
func contentType(f document.Format) string {
	switch f {
	case document.FormatDICOM:
		return "application/dicom"
	case document.FormatPDF:
		return "application/pdf"
	case document.FormatText:
		return "text/plain; charset=utf-8"
	case document.FormatUnknown:
	}
	return "application/octet-stream"
}
