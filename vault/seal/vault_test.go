package seal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/medanchor/medanchor/document"
)

func TestVaultSurvivesRestart(t *testing.T) {
	f := newFixture(t)
	id := document.ItemID{15: 42}
	first := f.load(t)
	value, header := first.SealValue("b", []byte("k"), []byte("v")), first.SealHeader(id, []byte("h"))

	second := f.load(t)
	if got, err := second.OpenValue("b", []byte("k"), value); err != nil || string(got) != "v" {
		t.Errorf("value: %q, %v", got, err)
	}
	if got, err := second.OpenHeader(id, header); err != nil || string(got) != "h" {
		t.Errorf("header: %q, %v", got, err)
	}
	if !bytes.Equal(first.Blind("l", []byte("p")), second.Blind("l", []byte("p"))) {
		t.Error("blind index changed")
	}
}

func TestVaultFilesArePrivate(t *testing.T) {
	f := newFixture(t)
	for path, want := range map[string]os.FileMode{
		f.keyFile:                            0o400,
		filepath.Join(f.dataDir, shardsFile): 0o600,
		filepath.Join(f.dataDir, escrowFile): 0o600,
		filepath.Join(f.dataDir, canaryFile): 0o600,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", filepath.Base(path), info.Mode(), want)
		}
	}
}

func TestCreateNeverOverwrites(t *testing.T) {
	recovery := newFixture(t).recovery.Recipient().String()
	for _, name := range []string{"vault.key", shardsFile, escrowFile, canaryFile} {
		dir := t.TempDir()
		existing := filepath.Join(dir, name)
		if err := os.WriteFile(existing, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Create(filepath.Join(dir, "vault.key"), dir, recovery); !errors.Is(err, ErrExists) {
			t.Errorf("over %s: %v, want ErrExists", name, err)
		}
		assertFiles(t, dir, name)
		if got, _ := os.ReadFile(existing); string(got) != "precious" {
			t.Errorf("%s was changed", name)
		}
	}
}

func TestCreateFailedLeavesNothing(t *testing.T) {
	recovery := newFixture(t).recovery.Recipient().String()
	keyDir := t.TempDir()
	err := Create(filepath.Join(keyDir, "vault.key"), filepath.Join(keyDir, "no such folder"), recovery)
	if err == nil {
		t.Fatal("created a vault in a folder that is not there")
	}
	assertFiles(t, keyDir)
}

func assertFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("folder holds %q, want %q", got, want)
	}
}

func TestRecoveryRecipientRefused(t *testing.T) {
	f := newFixture(t)
	classic, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]string{
		"empty":                     "",
		"not a key":                 "recovery",
		"classic recipient":         classic.Recipient().String(),
		"recovery identity":         f.recovery.String(),
		"cut short":                 f.recovery.Recipient().String()[:100],
		"another vault's recipient": other.Recipient().String(),
	} {
		_, err := Load(f.keyFile, f.dataDir, s)
		if !errors.Is(err, ErrRecovery) {
			t.Errorf("%s: %v, want ErrRecovery", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "AGE-SECRET-KEY") {
			t.Errorf("%s: the error quotes a secret", name)
		}
	}
	dir := t.TempDir()
	if err := Create(filepath.Join(dir, "vault.key"), dir, classic.Recipient().String()); !errors.Is(err, ErrRecovery) {
		t.Errorf("create with a classic recipient: %v, want ErrRecovery", err)
	}
	assertFiles(t, dir)
}

func TestLoadRefusesKey(t *testing.T) {
	foreign := newFixture(t)
	for name, c := range map[string]struct {
		spoil func(t *testing.T, f fixture)
		want  error
	}{
		"missing":        {func(t *testing.T, f fixture) { must(t, os.Remove(f.keyFile)) }, ErrKeyMissing},
		"group readable": {func(t *testing.T, f fixture) { must(t, os.Chmod(f.keyFile, 0o440)) }, ErrKeyExposed},
		"world readable": {func(t *testing.T, f fixture) { must(t, os.Chmod(f.keyFile, 0o404)) }, ErrKeyExposed},
		"another vault's": {func(t *testing.T, f fixture) {
			key, err := os.ReadFile(foreign.keyFile)
			must(t, err)
			rewrite(t, f.keyFile, key)
		}, ErrKeyWrong},
		"another identity, same root": {func(t *testing.T, f fixture) {
			s, err := readKeyFile(f.keyFile)
			must(t, err)
			s.identity = foreign.recovery
			rewrite(t, f.keyFile, s.encode())
		}, ErrKeyWrong},
		"another root, same identity": {func(t *testing.T, f fixture) {
			s, err := readKeyFile(f.keyFile)
			must(t, err)
			s.root = testRoot()
			rewrite(t, f.keyFile, s.encode())
		}, ErrKeyWrong},
		"short root": {func(t *testing.T, f fixture) {
			s, err := readKeyFile(f.keyFile)
			must(t, err)
			s.root = s.root[:16]
			rewrite(t, f.keyFile, s.encode())
		}, ErrKeyDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			c.spoil(t, f)
			if _, err := Load(f.keyFile, f.dataDir, f.recovery.Recipient().String()); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestTornKeyFile(t *testing.T) {
	f := newFixture(t)
	key, err := os.ReadFile(f.keyFile)
	must(t, err)
	for n := range len(key) {
		rewrite(t, f.keyFile, key[:n])
		_, err := Load(f.keyFile, f.dataDir, f.recovery.Recipient().String())
		if !errors.Is(err, ErrKeyDamaged) {
			t.Fatalf("cut to %d of %d bytes: %v, want ErrKeyDamaged", n, len(key), err)
		}
		if strings.Contains(err.Error(), "AGE-SECRET-KEY") {
			t.Fatalf("cut to %d bytes: the error quotes a secret", n)
		}
	}
}

func TestTornDataFiles(t *testing.T) {
	for _, name := range []string{canaryFile, shardsFile} {
		f := newFixture(t)
		path := filepath.Join(f.dataDir, name)
		data, err := os.ReadFile(path)
		must(t, err)
		// Every length of the canary; of the longer shards file (covered in TestShardsFile) a sample.
		for n := 0; n < len(data); n += max(1, len(data)/1000) {
			rewrite(t, path, data[:n])
			_, err := Load(f.keyFile, f.dataDir, f.recovery.Recipient().String())
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("%s cut to %d bytes: %v, want ErrDamaged", name, n, err)
			}
		}
		must(t, os.Remove(path))
		_, err = Load(f.keyFile, f.dataDir, f.recovery.Recipient().String())
		if !errors.Is(err, ErrDataMissing) {
			t.Errorf("%s removed: %v, want ErrDataMissing", name, err)
		}
	}
}

// Shard keys of another vault in this data folder: a restore that mixed two backups.
func TestForeignShards(t *testing.T) {
	f, other := newFixture(t), newFixture(t)
	data, err := os.ReadFile(filepath.Join(other.dataDir, shardsFile))
	must(t, err)
	rewrite(t, filepath.Join(f.dataDir, shardsFile), data)
	if _, err := Load(f.keyFile, f.dataDir, f.recovery.Recipient().String()); !errors.Is(err, ErrDamaged) {
		t.Errorf("got %v, want ErrDamaged", err)
	}
}

func rewrite(t *testing.T, path string, data []byte) {
	t.Helper()
	must(t, os.Remove(path))
	must(t, os.WriteFile(path, data, 0o400))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
