package flock_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/medanchor/medanchor/devnet/internal/flock"
)

func TestTry(t *testing.T) {
	tests := []struct {
		name        string
		held, asked flock.How
		granted     bool
	}{
		{"two share", flock.Shared, flock.Shared, true},
		{"alone, beside one who shares", flock.Shared, flock.Exclusive, false},
		{"shared, beside one who is alone", flock.Exclusive, flock.Shared, false},
		{"alone, beside one who is", flock.Exclusive, flock.Exclusive, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "lock")
			held, err := flock.Try(path, tt.held)
			if err != nil {
				t.Fatal(err)
			}
			defer held.Close()
			asked, err := flock.Try(path, tt.asked)
			if tt.granted {
				if err != nil {
					t.Fatal(err)
				}
				asked.Close()
				return
			}
			if !errors.Is(err, unix.EWOULDBLOCK) {
				t.Errorf("error %v, want EWOULDBLOCK", err)
			}
		})
	}
}

func TestAcquireWaitsForTheHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held, err := flock.Try(path, flock.Exclusive)
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := flock.Acquire(ended, path, flock.Exclusive); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v of one who waits no longer, want Canceled", err)
	}

	type result struct {
		lock *os.File
		err  error
	}
	acquired := make(chan result, 1)
	go func() {
		lock, err := flock.Acquire(t.Context(), path, flock.Exclusive)
		acquired <- result{lock, err}
	}()
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	got := <-acquired
	if got.err != nil {
		t.Fatal(got.err)
	}
	got.lock.Close()
}
