package spool

import (
	"io"
	"time"

	"github.com/medanchor/medanchor/dicomwatch/dir"
	"github.com/medanchor/medanchor/document"
)

// object is one that is durable here, and not yet in the vault.
type object struct {
	name     string
	key      [16]byte
	received time.Time
	ready    time.Time // since when it may be offered, by this process's own clock
	size     int64     // of the object itself, in bytes

	fileSize  int64
	payloadAt int64 // where in the file the payload begins

	department, issuer, from string

	home *home    // the directory that it is in
	kept dir.File // its open file, so that it outlives its name; nil if too many are open

	offered bool // in the hands of the pipeline
	tries   int  // how often it was handed back
	held    error
	due     time.Time // when it is offered again
}

func (o *object) payloadSize() int64 { return o.fileSize - o.payloadAt - endSize }

// payload is the sealed payload in the object's file.
func (o *object) payload(file io.ReaderAt) io.ReaderAt {
	return io.NewSectionReader(file, o.payloadAt, o.payloadSize())
}

// claim names the object by its file's name. Inode and change time are left out, unlike a drop folder's: nobody else
// writes here, a name is never given twice, and so the claim is the same after a restore from a backup.
func (s *Spool) claim(o *object) document.Claim {
	return document.Claim{Door: s.Name, Path: o.name, Size: o.size, ModTime: o.received, ChangeTime: o.received}
}

func (s *Spool) delivery(o *object) document.Delivery {
	return document.Delivery{Claim: s.claim(o), Issuer: o.issuer, Department: o.department, From: o.from, Door: s}
}
