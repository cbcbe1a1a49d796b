package wallet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger"
)

// world is a CA that certifies whomever, and a ledger with one participant, whose next transaction can fail.
type world struct {
	t         *testing.T
	dir       string
	certified int                // by the CA
	key       record.Fingerprint // on the ledger
	suspended bool

	failBefore, failAfter error // the commit
}

var errCrash = errors.New("the power went")

func newWorld(t *testing.T) *world {
	t.Helper()
	wd := &world{t: t, dir: filepath.Join(t.TempDir(), "moss")}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		wd.certified++
		_, _ = io.WriteString(w, `{"success": true, "result": {"Cert": "Y2VydA=="}}`)
	}))
	t.Cleanup(server.Close)
	w, err := Enroll(t.Context(), Code{
		Identity: Identity{
			Participant: record.NewParticipantID("StMaryMSP", [10]byte{7}), Role: record.DoctorRole, MSPID: "StMaryMSP",
			CA: server.Listener.Addr().String(),
		},
		Secret: "once", TLSRoots: server.Certificate().Raw,
	}, wd.dir)
	if err != nil {
		t.Fatal(err)
	}
	wd.certified, wd.key = 0, wd.fingerprint(w)
	return wd
}

func (wd *world) fingerprint(w *Wallet) record.Fingerprint {
	wd.t.Helper()
	key, err := w.Fingerprint()
	if err != nil {
		wd.t.Fatal(err)
	}
	return key
}

func (wd *world) rotate() (*Wallet, error) {
	return rotate(wd.t.Context(), wd.dir, func(w *Wallet) (node, error) { return caller{wd, wd.fingerprint(w)}, nil })
}

// caller is a connection of somebody with a key.
type caller struct {
	*world
	fingerprint record.Fingerprint
}

func (c caller) WhoAmI(context.Context) (p record.Participant, err error) {
	if c.fingerprint != c.key || c.suspended {
		return p, record.Errorf(record.Forbidden, "no rights")
	}
	return record.Participant{Key: c.key}, nil
}

func (c caller) Participant(context.Context, record.ParticipantID) (record.Participant, error) {
	return record.Participant{Key: c.key}, nil
}

func (c caller) Act(ctx context.Context, function string, q record.Request, _ any, _ ...record.SealedNote,
) (ledger.Acted, error) {
	if _, err := c.WhoAmI(ctx); err != nil {
		return ledger.Acted{}, err
	}
	r := q.(record.Rotation)
	if err := r.Validate(); err != nil || function != record.RotateFunction {
		c.t.Errorf("%s: %v", function, err)
	}
	if c.failBefore != nil {
		return ledger.Acted{}, c.failBefore
	}
	c.key = record.FingerprintOf("StMaryMSP", r.NewKey)
	return ledger.Acted{}, c.failAfter
}

func (caller) Close() error { return nil }

// isRotated checks that the wallet holds what the ledger knows, opens what was sealed before, and nothing else is left.
func (wd *world) isRotated(w *Wallet, err error, earlier ...*Wallet) {
	wd.t.Helper()
	if err != nil {
		wd.t.Fatal(err)
	}
	if wd.fingerprint(w) != wd.key || w.Rotating() {
		wd.t.Errorf("the ledger has another key than the wallet, or it is still rotating (%v)", w.Rotating())
	}
	old := w.EarlierEncryptionKeys()
	if len(old) != len(earlier) {
		wd.t.Fatalf("%d earlier encryption keys, want %d", len(old), len(earlier))
	}
	for i, before := range earlier {
		if !sameKey(old[i], before.encryption) || sameKey(w.encryption, before.encryption) {
			wd.t.Errorf("earlier encryption key %d is another, or the current one", i)
		}
	}
	var names []string
	entries, err := os.ReadDir(wd.dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	want := []string{"cert.pem", "encryption.key", "identity.json", "key.pem", "old", "tls-ca.pem"}
	if !slices.Equal(names, want) {
		wd.t.Errorf("the folder holds %q, want %q (%v)", names, want, err)
	}
}

func (wd *world) open() *Wallet {
	wd.t.Helper()
	w, err := Open(wd.dir)
	if err != nil {
		wd.t.Fatal(err)
	}
	return w
}

func TestRotateTwice(t *testing.T) {
	wd := newWorld(t)
	first := wd.open()
	second, err := wd.rotate()
	wd.isRotated(second, err, first)
	third, err := wd.rotate()
	wd.isRotated(third, err, second, first)
}

// TestRotationThatWasNotCommitted: the wallet works on, and the next attempt takes the same new keys, since the
// transaction of the first may still come.
func TestRotationThatWasNotCommitted(t *testing.T) {
	wd := newWorld(t)
	before := wd.open()
	wd.failBefore = errCrash
	if _, err := wd.rotate(); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	if w := wd.open(); wd.fingerprint(w) != wd.key || !w.Rotating() {
		t.Error("the wallet does not work on, or has forgotten the rotation")
	}
	wd.failBefore = nil
	w, err := wd.rotate()
	wd.isRotated(w, err, before)
	if wd.certified != 1 {
		t.Errorf("%d keys were certified, want the first", wd.certified)
	}
}

// TestRotationThatWasCommitted ends it after each file that is replaced.
func TestRotationThatWasCommitted(t *testing.T) {
	for _, replaced := range [][]string{
		nil,
		{"old"},
		{"old", encryptionFile},
		{"old", encryptionFile, certificateFile},
		{"old", encryptionFile, certificateFile, keyFile},
	} {
		wd := newWorld(t)
		before := wd.open()
		wd.failAfter = errCrash
		if _, err := wd.rotate(); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		for _, name := range replaced {
			if name == "old" {
				next, err := Open(before.path(nextDir))
				if err != nil || before.keepEncryptionKey(next.encryption) != nil {
					t.Fatal("the old key is not kept")
				}
				continue
			}
			content, err := os.ReadFile(before.path(filepath.Join(nextDir, name)))
			if err != nil || writeOver(before.path(name), content) != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(before.path(".cert.pem.new"), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		w, err := wd.rotate()
		wd.isRotated(w, err, before)
		if wd.certified != 1 {
			t.Errorf("%d keys were certified, want the first", wd.certified)
		}
	}
}

// TestRotationThatEndsOverItsScratch: what an earlier one left behind is in nobody's way.
func TestRotationThatEndsOverItsScratch(t *testing.T) {
	wd := newWorld(t)
	before := wd.open()
	if err := os.MkdirAll(before.path(filepath.Join(scratchDir, "half")), 0o700); err != nil {
		t.Fatal(err)
	}
	w, err := wd.rotate()
	wd.isRotated(w, err, before)
}

// TestRotationThatIsRefused makes no keys for whom the ledger does not know.
func TestRotationThatIsRefused(t *testing.T) {
	wd := newWorld(t)
	wd.suspended = true
	if _, err := wd.rotate(); err == nil || wd.certified > 0 || wd.open().Rotating() {
		t.Errorf("got %v; certified %d", err, wd.certified)
	}
	if _, err := Rotate(t.Context(), filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a wallet: %v", err)
	}
}

func TestOneRotationAtATime(t *testing.T) {
	wd := newWorld(t)
	unlock, err := lock(wd.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if _, err := wd.rotate(); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("got %v", err)
	}
}

func TestRequestRoundTrip(t *testing.T) {
	w := newWorld(t).open()
	text, err := w.Request()
	if err != nil {
		t.Fatal(err)
	}
	q, err := ParseRequest("  " + text[:100] + "\r\n" + text[100:] + "\n")
	if err != nil {
		t.Fatal(err)
	}
	key, err := w.SigningKey()
	if err != nil || q.Participant != w.Participant || !bytes.Equal(q.NewKey, key) {
		t.Errorf("read %+v (%v)", q, err)
	}
	for name, damaged := range map[string]string{
		"empty": "", "cut": text[:len(text)-9], "a code": someText(codePrefix), "no JSON": someText(requestPrefix),
	} {
		if _, err := ParseRequest(damaged); !errors.Is(err, ErrRequest) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func someText(prefix string) string { return armour(prefix, []byte("hello")) }
