// Package proctest helps tests to see which processes are there.
package proctest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/devnet/internal/proc"
)

// Below lists the processes that work in a folder or below it: so all that a network runs, if it is the network's.
func Below(dir string) (pids []int) {
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for _, link := range links {
		cwd, err := os.Readlink(link)
		if err != nil {
			continue // it has ended, or is a zombie
		}
		if cwd != dir && !strings.HasPrefix(cwd, dir+"/") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// AwaitNone fails the test if some processes still work below dir after ten seconds.
func AwaitNone(tb testing.TB, dir string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 10*time.Second)
	defer cancel()
	err := proc.Poll(ctx, func(context.Context) error {
		if pids := Below(dir); len(pids) > 0 {
			return fmt.Errorf("processes %v are still there", pids)
		}
		return nil
	})
	if err != nil {
		tb.Error(err)
	}
}
