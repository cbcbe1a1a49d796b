package folder

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/medanchor/medanchor/dicomwatch/dir"
	"github.com/medanchor/medanchor/document"
)

// errNoSidecar says that a file has no sidecar.
var errNoSidecar = errors.New("waits for its sidecar file, <name>" + sidecarSuffix)

// sidecar is a sidecar file as it was found; the zero value is none.
type sidecar struct {
	at    string
	stamp stamp
}

// beside says what else stands in a file's directory. What is no regular file has no stamp.
type beside func(at string) (s stamp, ok bool)

// sidecarOf finds a file's sidecar.
func sidecarOf(at string, stands beside) sidecar {
	for _, name := range sidecarsOf(at) {
		if s, ok := stands(name); ok && !anothersOwn(at, name, stands) {
			return sidecar{name, s}
		}
	}
	return sidecar{}
}

// anothersOwn says whether a sidecar has the whole name of another file that is there: report.pdf.patient.json is of report.pdf
// alone, and not of report.pdf.1 as well.
func anothersOwn(at, name string, stands beside) bool {
	owner := strings.TrimSuffix(name, sidecarSuffix)
	s, _ := stands(owner)
	return owner != at && s != (stamp{})
}

// lookBeside asks the directory itself. The error is of what could not be told.
func lookBeside(root dir.FS, names ...string) (beside, error) {
	found := make(map[string]stamp)
	var errs []error
	for _, name := range names {
		info, err := root.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found[name], _ = stampOf(info)
	}
	return func(at string) (stamp, bool) {
		s, ok := found[at]
		return s, ok
	}, errors.Join(errs...)
}

// read gives the patient that the sidecar names.
func (s sidecar) read(root dir.FS) (id document.PatientID, err error) {
	content, err := s.content(root)
	if err == nil {
		id, err = parseSidecar(content)
	}
	if err != nil {
		return document.PatientID{}, fmt.Errorf("its sidecar file %w", err)
	}
	return id, nil
}

func (s sidecar) content(root dir.FS) ([]byte, error) {
	if s.stamp == (stamp{}) {
		return nil, errors.New("is not a regular file")
	}
	if s.stamp.size > maxSidecar {
		return nil, fmt.Errorf("is larger than %d bytes", maxSidecar)
	}
	f, err := root.Open(s.at, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot be opened: %w", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.NewSectionReader(f, 0, s.stamp.size))
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	if now, ok := stampOf(info); !ok || now != s.stamp || beingWritten(f) {
		return nil, errors.New("is being written")
	}
	return content, nil
}
