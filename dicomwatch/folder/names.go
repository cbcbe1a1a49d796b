package folder

import (
	"path"
	"strings"
)

const (
	// doneDir is where Done moves files, inside the folder.
	doneDir = "done"

	readySuffix   = ".ready"
	sidecarSuffix = ".patient.json"
)

// takeable says whether a file of this name may be a document.
func (o *Options) takeable(name string) bool {
	switch {
	case hidden(name), inProgress(name):
		return false
	case o.Ready && strings.HasSuffix(name, readySuffix):
		return false
	default:
		return !o.Patient.sidecar || !strings.HasSuffix(name, sidecarSuffix)
	}
}

// enters says whether a directory is looked into. lost+found is the file system's own, and closed to others.
func enters(at string) bool {
	return at == "." || at != doneDir && at != "lost+found" && !hidden(path.Base(at))
}

// reaches says whether every directory on the way to a path is looked into.
func reaches(at string) bool {
	for d := path.Dir(at); d != "."; d = path.Dir(d) {
		if !enters(d) {
			return false
		}
	}
	return true
}

func hidden(name string) bool { return strings.HasPrefix(name, ".") }

// inProgress says whether a name is one that programs give to a file that is not whole yet, or never will be a document.
func inProgress(name string) bool {
	name = strings.ToLower(name)
	for _, suffix := range []string{
		".part", ".partial", ".filepart", ".tmp", ".temp", ".crdownload", ".download", ".swp", ".swx", ".lock", "~",
	} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return strings.HasPrefix(name, "~$") // Office has the document open
}

// sidecarsOf are the names that a file's sidecar may have; the first that is there, and is no other file's own, counts.
func sidecarsOf(at string) []string {
	own, shared := at+sidecarSuffix, stem(at)+sidecarSuffix
	if own == shared {
		return []string{own}
	}
	return []string{own, shared}
}

// sidecarNames are all names that say which its sidecar is: what stands at its stem may have the shared one for its own.
func sidecarNames(at string) []string { return append(sidecarsOf(at), stem(at)) }

// stem is a path without the file's extension.
func stem(at string) string { return strings.TrimSuffix(at, path.Ext(at)) }
