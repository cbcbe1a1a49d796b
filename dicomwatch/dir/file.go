package dir

import (
	"errors"
	"io/fs"
	"os"
)

// pathless is a file whose errors name no path.
type pathless struct{ *os.File }

// ReadAt implements io.ReaderAt.
func (f pathless) ReadAt(b []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(b, off)
	return n, Cause(err)
}

// Write implements io.Writer.
func (f pathless) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	return n, Cause(err)
}

// Close implements io.Closer.
func (f pathless) Close() error { return Cause(f.File.Close()) }

// Stat implements File.
func (f pathless) Stat() (fs.FileInfo, error) {
	info, err := f.File.Stat()
	return info, Cause(err)
}

// Sync implements File.
func (f pathless) Sync() error { return Cause(f.File.Sync()) }

// Cause is err without the path that the os package puts into it: paths may be personal data.
func Cause(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}
