package folder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"github.com/medanchor/medanchor/document"
)

// openFile is a source that is being read.
type openFile struct {
	*os.File
	claim document.Claim
}

// ReadAt implements io.ReaderAt, without the path in the error: what a read of a source fails with is logged.
func (o *openFile) ReadAt(b []byte, offset int64) (int, error) {
	n, err := o.File.ReadAt(b, offset)
	return n, pathless(err)
}

// Unchanged implements document.File.
func (o *openFile) Unchanged() error {
	info, err := o.Stat()
	if err != nil {
		return pathless(err)
	}
	if s, ok := stampOfInfo(info); !ok || !s.matches(o.claim) {
		return document.ErrChanged
	}
	return nil
}

// Open implements document.Door. Symbolic links are not followed, and nothing blocks (a FIFO put in the file's place).
func (f *Folder) Open(c document.Claim) (document.File, error) {
	rel, err := f.rel(c)
	if err != nil {
		return nil, document.ErrChanged
	}
	opened, err := f.root.OpenFile(rel, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, document.ErrChanged
	}
	if err != nil {
		return nil, fmt.Errorf("open source: %w", pathless(err))
	}
	source := &openFile{opened, c}
	if err := source.Unchanged(); err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	if beingWritten(opened) {
		return nil, errors.Join(fmt.Errorf("%w: a program still has it open for writing", document.ErrChanged), opened.Close())
	}
	return source, nil
}

// Release implements document.Door.
func (f *Folder) Release(c document.Claim, reason error) {
	rel, err := f.rel(c)
	if err != nil {
		return
	}
	f.release(rel, reason)
	if errors.Is(reason, document.ErrChanged) || errors.Is(reason, context.Canceled) {
		return
	}
	f.Log.Warn("file left at the door: see medanchor status for its path", "door", f.Name, "reason", reason)
}

// release makes a file wait for another quiet period before it is offered again.
func (f *Folder) release(rel string, reason error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if known := f.files[rel]; known != nil {
		// A new stamp, so that the next scan sees it afresh.
		*known = file{held: reason}
	}
}

// Acknowledge implements document.Door: it disposes of the sources, and makes that durable with one fsync a directory.
func (f *Folder) Acknowledge(_ context.Context, claims []document.Claim) (gone []document.Claim, err error) {
	if f.Disposal == Keep {
		f.keep(claims)
		return nil, nil
	}
	touched := make(map[string]bool)
	var errs []error
	for _, c := range claims {
		rel, err := f.rel(c)
		if err == nil {
			err = f.dispose(rel, c, touched)
		}
		f.settled(rel, err)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		gone = append(gone, c)
	}
	for dir := range touched {
		if err := f.sync(dir); err != nil {
			return nil, errors.Join(append(errs, err)...)
		}
	}
	return gone, errors.Join(errs...)
}

// keep remembers that the files were taken, so that they are not offered again until they change.
func (f *Folder) keep(claims []document.Claim) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range claims {
		rel, err := f.rel(c)
		if err != nil {
			continue
		}
		if known := f.files[rel]; known != nil {
			known.inPipeline, known.kept, known.held = false, true, nil
		}
	}
}

// Disposed says whether the source that was found at this path has been disposed of: it is deleted, or it is in done/. A
// folder whose disk is not mounted has neither, and one that keeps files disposes of none.
func (f *Folder) Disposed(found string) bool {
	rel, err := filepath.Rel(f.Path, found)
	if err != nil || f.Disposal == Keep {
		return false
	}
	if _, err := f.root.Lstat(rel); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if f.Disposal == Delete {
		return true
	}
	_, err = f.root.Lstat(path.Join(doneDir, filepath.ToSlash(rel)))
	return err == nil
}

// settled forgets a file that was disposed of, or has it looked at again.
func (f *Folder) settled(rel string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		delete(f.files, rel)
		return
	}
	f.files[rel] = &file{held: err}
}

// dispose moves or deletes the source, unless another file has taken its place since.
func (f *Folder) dispose(rel string, c document.Claim, touched map[string]bool) error {
	info, err := f.root.Lstat(rel)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return pathless(err)
	}
	if s, ok := stampOfInfo(info); !ok || !s.matches(c) {
		return nil // a new file under the old name: the next scan offers it
	}
	touched[path.Dir(filepath.ToSlash(rel))] = true
	if f.Disposal == Delete {
		return pathless(f.root.Remove(rel))
	}
	return f.moveToDone(rel, touched)
}

func (f *Folder) moveToDone(rel string, touched map[string]bool) error {
	target := path.Join(doneDir, filepath.ToSlash(rel))
	if err := f.makeDir(path.Dir(target), touched); err != nil {
		return fmt.Errorf("make %s: %w", doneDir, pathless(err))
	}
	free, err := f.freeName(target)
	if err != nil {
		return err
	}
	touched[path.Dir(target)] = true
	if err := f.root.Rename(rel, free); err != nil {
		return fmt.Errorf("move to %s: %w", doneDir, pathless(err))
	}
	return nil
}

// makeDir makes dir, and marks the parents of what it had to make.
func (f *Folder) makeDir(dir string, touched map[string]bool) error {
	if touched[dir] {
		return nil
	}
	for d := dir; d != "."; d = path.Dir(d) {
		touched[path.Dir(d)] = true
	}
	return f.root.MkdirAll(dir, 0o750)
}

// freeName returns target, or target with a number where an earlier delivery has that name.
func (f *Folder) freeName(target string) (string, error) {
	name := target
	for n := 2; ; n++ {
		_, err := f.root.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return name, nil
		}
		if err != nil {
			return "", pathless(err)
		}
		name = fmt.Sprintf("%s.~%d~", target, n)
	}
}

func (f *Folder) sync(dir string) error {
	d, err := f.root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed since by its owner
	}
	if err != nil {
		return pathless(err)
	}
	return errors.Join(pathless(d.Sync()), d.Close())
}
