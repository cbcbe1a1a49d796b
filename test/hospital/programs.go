package hospital

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// BinEnv names the environment variable that holds the folder of programs that are built already.
const BinEnv = "MEDANCHOR_BIN"

// Programs gives the paths of medanchor and medanchor-inspect for a test. Where $MEDANCHOR_BIN does not name the folder
// that holds them, they are built, once for each test process, into .cache/test-bin.
func Programs(tb testing.TB) (medanchor, inspector string) {
	tb.Helper()
	dir := os.Getenv(BinEnv)
	if dir == "" {
		var err error
		if dir, err = buildOnce(); err != nil {
			tb.Fatal(err)
		}
	}
	return filepath.Join(dir, "medanchor"), filepath.Join(dir, "medanchor-inspect")
}

// buildOnce is build, once for each test process: looking whether the programs are up to date takes a second as well.
var buildOnce = sync.OnceValues(build)

// build brings the programs up to date. The folder is shared by test processes, which take turns: a program that runs is
// replaced, and not written over.
func build() (dir string, err error) {
	root, err := checkout()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(root, ".cache", "test-bin")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", err
	}
	turn, err := os.Open(dir)
	if err != nil {
		return "", err
	}
	defer turn.Close()
	if err := syscall.Flock(int(turn.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("wait for another build: %w", err)
	}
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", dir+"/", //nolint:noctx // ends by itself
		"./cmd/medanchor", "./cmd/medanchor-inspect")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return dir, nil
}

// checkout looks upward from the working folder for the sources of the programs.
func checkout() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "cmd", "medanchor", "main.go")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("find the sources: no medanchor checkout here or above: run this inside one")
		}
		dir = parent
	}
}
