package state_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"

	"golang.org/x/sys/unix"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/state"
	"github.com/medanchor/medanchor/test/sealtest"
)

// breakDB has a commit fail on a disk that is well again afterwards.
func breakDB(t *testing.T, db *state.DB) {
	t.Helper()
	restore := failWrites(t, db.Path())
	defer restore()
	if err := db.Commit(document.Commit{Entries: []document.Entry{queued(2)}}); !saysWhy(err) {
		t.Fatalf("Commit on a failing disk: %v", err)
	}
}

// saysWhy says whether err is of a broken state.db, and has what the disk answered.
func saysWhy(err error) bool { return errors.Is(err, state.ErrBroken) && errors.Is(err, unix.EBADF) }

// Whoever's commit failed, the process is to end by it: it may be a person's, who alone is answered.
func TestAFailedCommitIsTold(t *testing.T) {
	db := newDB(t)
	told := make(chan error)
	go func() { told <- db.Wait(t.Context()) }()
	breakDB(t, db)
	if err := <-told; !saysWhy(err) {
		t.Errorf("Wait = %v", err)
	}
	if err := db.Wait(t.Context()); !saysWhy(err) {
		t.Errorf("Wait afterwards = %v", err)
	}
}

// The refusals that follow say why too.
func TestARefusalSaysWhatFailedFirst(t *testing.T) {
	db := newDB(t)
	breakDB(t, db)
	if _, err := db.Patient(document.PatientID{Issuer: "nhs", Identifier: "9990000018"}); !saysWhy(err) {
		t.Errorf("Patient = %v", err)
	}
}

// What is refused for another reason breaks nothing.
func TestWaitEndsInOrder(t *testing.T) {
	path, vault := filepath.Join(t.TempDir(), "state.db"), sealtest.New(t)
	synctest.Test(t, func(t *testing.T) {
		db, err := state.Open(path, vault, mspID)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.Reviewed(document.ItemID{1}, document.Decision{}); !errors.Is(err, state.ErrNotFound) {
			t.Fatalf("Reviewed = %v", err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var told error
		ended := false
		go func() { told, ended = db.Wait(ctx), true }()
		synctest.Wait()
		if ended {
			t.Fatalf("Wait did not wait: %v", told)
		}
		stop()
		synctest.Wait()
		if !ended || told != nil {
			t.Errorf("Wait = %v at the end of its context (it ended: %v)", told, ended)
		}
	})
}
