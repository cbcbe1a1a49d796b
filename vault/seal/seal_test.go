package seal

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"filippo.io/age"
)

// A vault on disk, with the recovery identity that its hospital would keep elsewhere.
type fixture struct {
	keyFile, dataDir string
	recovery         *age.HybridIdentity
}

func newFixture(t testing.TB) fixture {
	t.Helper()
	recovery, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	f := fixture{keyFile: filepath.Join(t.TempDir(), "vault.key"), dataDir: t.TempDir(), recovery: recovery}
	if err := Create(f.keyFile, f.dataDir, recovery.Recipient().String()); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f fixture) load(t testing.TB) *Vault {
	t.Helper()
	v, err := Load(f.keyFile, f.dataDir, f.recovery.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func sealAll(t testing.TB, v *Vault, plain []byte) (header, payload []byte) {
	t.Helper()
	header, r, err := v.Seal(bytes.NewReader(plain))
	if err != nil {
		t.Fatal(err)
	}
	payload, err = io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return header, payload
}

func TestSealRoundTrip(t *testing.T) {
	v := newFixture(t).load(t)
	const chunk = 64 << 10 // of age's STREAM
	for _, n := range []int{0, 1, chunk - 1, chunk, chunk + 1, 2*chunk - 1, 2 * chunk, 2*chunk + 1, 1 << 20} {
		plain := randomBytes(n)
		header, payload := sealAll(t, v, plain)
		if !bytes.HasPrefix(header, []byte("age-encryption.org/v1\n-> ")) || header[len(header)-1] != '\n' {
			t.Errorf("%d bytes: header is not an age header", n)
		}
		chunks := max(1, (n+chunk-1)/chunk)
		if want := 16 + n + 16*chunks; len(payload) != want {
			t.Errorf("%d bytes: payload has %d bytes, want nonce and chunks, %d", n, len(payload), want)
		}
		r, err := v.Open(header, bytes.NewReader(payload))
		if err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: opened to %d bytes, %v", n, len(got), err)
		}
	}
}

// The header is in the first bytes that age writes, but how its parser buffers is not ours to rely on.
func TestSplitSurvivesAnyBuffering(t *testing.T) {
	v := newFixture(t).load(t)
	plain := randomBytes(100_000)
	header, payload := sealAll(t, v, plain)
	file := append(bytes.Clone(header), payload...)
	for name, r := range map[string]io.Reader{
		"whole": bytes.NewReader(file), "byte by byte": iotest.OneByteReader(bytes.NewReader(file)),
	} {
		h, p, err := split(r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := io.ReadAll(p); err != nil || !bytes.Equal(h, header) || !bytes.Equal(got, payload) {
			t.Errorf("%s: header %d bytes, payload %d bytes, %v", name, len(h), len(got), err)
		}
	}
}

func TestSealPassesSourceErrorOn(t *testing.T) {
	v := newFixture(t).load(t)
	broken := errors.New("disk gone")
	_, payload, err := v.Seal(io.MultiReader(bytes.NewReader(randomBytes(1<<20)), iotest.ErrReader(broken)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, payload); !errors.Is(err, broken) {
		t.Errorf("got %v, want the source's error", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	v := newFixture(t).load(t)
	other := newFixture(t).load(t)
	header, payload := sealAll(t, v, randomBytes(100_000))
	header2, _ := sealAll(t, v, randomBytes(100_000))
	foreign, _ := sealAll(t, other, randomBytes(100_000))

	flip := func(b []byte, at int) []byte {
		b = bytes.Clone(b)
		b[at] ^= 1
		return b
	}
	for name, c := range map[string]struct{ header, payload []byte }{
		"another vault's header":     {foreign, payload},
		"another file's header":      {header2, payload},
		"no header":                  {nil, payload},
		"header cut short":           {header[:len(header)-1], payload},
		"header changed":             {flip(header, len(header)-2), payload},
		"no payload":                 {header, nil},
		"nonce cut short":            {header, payload[:15]},
		"first chunk changed":        {header, flip(payload, 20)},
		"last byte changed":          {header, flip(payload, len(payload)-1)},
		"cut inside a chunk":         {header, payload[:len(payload)-1]},
		"cut at a chunk's end":       {header, payload[:16+64<<10+16]},
		"bytes after the last chunk": {header, append(bytes.Clone(payload), 0)},
	} {
		r, err := v.Open(c.header, bytes.NewReader(c.payload))
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		if err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

// After a disaster there may be no medanchor: the stock tool and the recovery identity must do, for the escrow as for
// any file.
func TestStockAgeOpens(t *testing.T) {
	dir := t.TempDir()
	recoveryKey := filepath.Join(dir, "recovery.key")
	goTool(t, "age-keygen", "-pq", "-o", recoveryKey)
	recipient := strings.TrimSpace(string(goTool(t, "age-keygen", "-y", recoveryKey)))

	keyFile, dataDir := filepath.Join(dir, "vault.key"), t.TempDir()
	if err := Create(keyFile, dataDir, recipient); err != nil {
		t.Fatal(err)
	}
	v, err := Load(keyFile, dataDir, recipient)
	if err != nil {
		t.Fatal(err)
	}
	plain := randomBytes(200_000)
	header, payload := sealAll(t, v, plain)
	sealed := filepath.Join(dir, "sealed.age")
	if err := os.WriteFile(sealed, append(header, payload...), 0o600); err != nil {
		t.Fatal(err)
	}

	if got := goTool(t, "age", "-d", "-i", recoveryKey, sealed); !bytes.Equal(got, plain) {
		t.Error("age does not give the file back")
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	if got := goTool(t, "age", "-d", "-i", recoveryKey, filepath.Join(dataDir, escrowFile)); !bytes.Equal(got, key) {
		t.Error("age does not give the key file back from the escrow")
	}
}

func TestNewRecoveryIdentity(t *testing.T) {
	file, recipient, err := NewRecoveryIdentity()
	if err != nil {
		t.Fatal(err)
	}
	identities, err := age.ParseIdentities(bytes.NewReader(file))
	if err != nil || len(identities) != 1 {
		t.Fatalf("age reads %d identities from it, %v", len(identities), err)
	}
	id, ok := identities[0].(*age.HybridIdentity)
	if !ok || id.Recipient().String() != recipient {
		t.Error("the recipient is not the identity's")
	}
}

func goTool(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"tool"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go tool %s: %v\n%s", args[0], err, &stderr)
	}
	return out
}

func BenchmarkSeal(b *testing.B) {
	vault, _ := age.GenerateHybridIdentity()
	recovery, _ := age.GenerateHybridIdentity()
	s := Sealer{identity: vault, recovery: recovery.Recipient()}
	plain := randomBytes(524 << 10)
	b.SetBytes(int64(len(plain)))
	for b.Loop() {
		_, payload, err := s.Seal(bytes.NewReader(plain))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, payload); err != nil {
			b.Fatal(err)
		}
	}
}
