package folder_test

import (
	"os"
	"os/signal"
	"testing"

	"golang.org/x/sys/unix"
)

// lease takes a lease for writing, if the file system has leases, and ignores that it is asked for.
func lease(t *testing.T, f *os.File) bool {
	t.Helper()
	signal.Ignore(unix.SIGIO)
	t.Cleanup(func() { signal.Reset(unix.SIGIO) })
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK)
	return err == nil
}
