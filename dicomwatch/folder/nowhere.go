package folder

import (
	"io/fs"

	"github.com/medanchor/medanchor/dicomwatch/dir"
)

// nowhere is the root of a folder that was never there yet. Nothing is told of what stands in it: not even that it is gone.
type nowhere struct{}

// Open implements dir.FS.
func (nowhere) Open(string, int, fs.FileMode) (dir.File, error) { return nil, errAway }

// Stat implements dir.FS.
func (nowhere) Stat(string) (fs.FileInfo, error) { return nil, errAway }

// List implements dir.FS.
func (nowhere) List(string) ([]fs.DirEntry, error) { return nil, errAway }

// Rename implements dir.FS.
func (nowhere) Rename(string, string) error { return errAway }

// Remove implements dir.FS.
func (nowhere) Remove(string) error { return errAway }

// MakeDir implements dir.FS.
func (nowhere) MakeDir(string, fs.FileMode) error { return errAway }

// Sync implements dir.FS.
func (nowhere) Sync(string) error { return errAway }

// Close implements dir.FS.
func (nowhere) Close() error { return nil }
