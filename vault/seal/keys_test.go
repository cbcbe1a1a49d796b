package seal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/medanchor/medanchor/document"
)

// testRoot is 00 01 02 … 1f.
func testRoot() []byte {
	root := make([]byte, rootSize)
	for i := range root {
		root[i] = byte(i)
	}
	return root
}

// The derived keys are a disk format: a failure here means that existing vaults would no longer open.
func TestDerivedKeysAreAFormat(t *testing.T) {
	for label, want := range map[string]string{
		labelValue:  "e195469171e5f84edd56f7a3f8ff2d54b730e3c160158d0e1947c2f587336ff9",
		labelBlind:  "332c917bf89ad28ea97a39ce7429307e2d5d0bf185fa687b9c242693497b0963",
		labelShards: "6335a021e901375bfa80a747cd986bd2564e4e6aaa43f53f034a85fd340b9413",
	} {
		key, err := derive(testRoot(), label)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(key); got != want {
			t.Errorf("%s = %s, want %s", label, got, want)
		}
	}
}

// What the first version wrote must be understood by every later one.
func TestSealedFormsAreAFormat(t *testing.T) {
	const (
		blind = "71f605a847319d78a1155d5f00358a72fe24e51402e30b462c38b8fff29c000b"
		value = "01ee3579dbfd36a6fef0f1985fbce0b740f28b01e74c13b8e47aa8cb417db8600098eb6ab2ba75e9d3fadd567a0a"
		shard = "0700000003a1b80a3d6e3aed1b900969d9438910fe0681298bbd5cecedff5840d26fd64750098d827e72c6243175d53d" +
			"90021132ff29650b5c5c82127dfd7602dfc0bf23e0ac8750ab61fb90eb0c994aafed134b0e53aab582fb54d755e9ebaf" +
			"047aa91af0a3caeb997c89eedd"
		header = "0100000003fd829fd25d0f2890f374eff30ae16c6d465ee2318dd94aa1cdfc12f714cf2c5e4ef24aec7c7e69ce4790da" +
			"ee5d0d"
	)
	keys, err := newKeys(testRoot())
	must(t, err)
	if got := hex.EncodeToString(keys.Blind("patient", []byte("NHS"), []byte("9990000018"))); got != blind {
		t.Errorf("blind = %s, want %s", got, blind)
	}
	if got, err := keys.OpenValue("items", []byte("key"), unhex(t, value)); err != nil || string(got) != "value" {
		t.Errorf("open value: %q, %v", got, err)
	}
	want := shardKey{shard: 7, generation: 3, key: [32]byte(testRoot())}
	got, err := decodeShards(testRoot(), append([]byte(shardsMagic), unhex(t, shard)...))
	if err != nil || len(got) != 1 || got[0] != want {
		t.Fatalf("decode shards file: %d keys, %v", len(got), err)
	}
	headers, err := newHeaders(append(newShardKeys(), got...))
	must(t, err)
	plain, err := headers.OpenHeader(document.ItemID{0: 1, 15: 7}, unhex(t, header))
	if err != nil || string(plain) != "header" {
		t.Errorf("open header: %q, %v", plain, err)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestValueOpensOnlyInItsPlace(t *testing.T) {
	keys, err := newKeys(testRoot())
	if err != nil {
		t.Fatal(err)
	}
	sealed := keys.SealValue("items", []byte("a"), []byte("secret"))
	if got, err := keys.OpenValue("items", []byte("a"), sealed); err != nil || string(got) != "secret" {
		t.Fatalf("open: %q, %v", got, err)
	}
	if bytes.Equal(sealed, keys.SealValue("items", []byte("a"), []byte("secret"))) {
		t.Error("sealing twice gives the same bytes")
	}
	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	otherRoot := testRoot()
	otherRoot[0]++
	otherKeys, err := newKeys(otherRoot)
	if err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"another key":    func() ([]byte, error) { return keys.OpenValue("items", []byte("b"), sealed) },
		"another bucket": func() ([]byte, error) { return keys.OpenValue("tags", []byte("a"), sealed) },
		"shifted border": func() ([]byte, error) { return keys.OpenValue("item", []byte("sa"), sealed) },
		"another root":   func() ([]byte, error) { return otherKeys.OpenValue("items", []byte("a"), sealed) },
		"changed":        func() ([]byte, error) { return keys.OpenValue("items", []byte("a"), changed) },
		"empty":          func() ([]byte, error) { return keys.OpenValue("items", []byte("a"), nil) },
		"another version": func() ([]byte, error) {
			return keys.OpenValue("items", []byte("a"), append([]byte{2}, sealed[1:]...))
		},
	} {
		if _, err := open(); !errors.Is(err, ErrSealed) {
			t.Errorf("%s: %v, want ErrSealed", name, err)
		}
	}
	for n := range len(sealed) {
		if _, err := keys.OpenValue("items", []byte("a"), sealed[:n]); !errors.Is(err, ErrSealed) {
			t.Errorf("cut to %d bytes: %v, want ErrSealed", n, err)
		}
	}
}

func TestBlindSeparates(t *testing.T) {
	keys, err := newKeys(testRoot())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for name, blind := range map[string][]byte{
		"one part":     keys.Blind("patient", []byte("ab")),
		"two parts":    keys.Blind("patient", []byte("a"), []byte("b")),
		"other split":  keys.Blind("patient", []byte(""), []byte("ab")),
		"other label":  keys.Blind("digest", []byte("ab")),
		"label border": keys.Blind("patienta", []byte("b")),
		"no parts":     keys.Blind("patient"),
	} {
		if first, dup := seen[string(blind)]; dup {
			t.Errorf("%s and %s give the same", name, first)
		}
		seen[string(blind)] = name
		if len(blind) != 32 {
			t.Errorf("%s: %d bytes", name, len(blind))
		}
	}
	if !bytes.Equal(keys.Blind("patient", []byte("ab")), keys.Blind("patient", []byte("ab"))) {
		t.Error("not a function")
	}
}

func TestHeaderOpensOnlyAsItsItem(t *testing.T) {
	headers, err := newHeaders(newShardKeys())
	if err != nil {
		t.Fatal(err)
	}
	id := document.ItemID{0: 1, 15: 200}
	sameShard := document.ItemID{0: 2, 15: 200}
	otherShard := document.ItemID{0: 1, 15: 201}
	sealed := headers.SealHeader(id, []byte("header"))
	if got, err := headers.OpenHeader(id, sealed); err != nil || string(got) != "header" {
		t.Fatalf("open: %q, %v", got, err)
	}
	for name, as := range map[string]document.ItemID{"same shard": sameShard, "other shard": otherShard} {
		if _, err := headers.OpenHeader(as, sealed); !errors.Is(err, ErrSealed) {
			t.Errorf("%s: %v, want ErrSealed", name, err)
		}
	}
	for n := range len(sealed) {
		if _, err := headers.OpenHeader(id, sealed[:n]); !errors.Is(err, ErrSealed) {
			t.Errorf("cut to %d bytes: %v, want ErrSealed", n, err)
		}
	}
}

// What an erasure relies on: once a shard's old key is gone, headers sealed under it are, while those of the newer
// generation and of other shards open.
func TestShardKeyDestroyed(t *testing.T) {
	id, other := document.ItemID{15: 5}, document.ItemID{15: 6}
	keys := newShardKeys()
	before, err := newHeaders(keys)
	if err != nil {
		t.Fatal(err)
	}
	old, untouched := before.SealHeader(id, []byte("header")), before.SealHeader(other, []byte("other"))

	both, err := newHeaders(append(keys, shardKey{shard: 5, generation: 2, key: [32]byte(testRoot())}))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := both.OpenHeader(id, old); err != nil || string(got) != "header" {
		t.Fatalf("while both keys are there: %q, %v", got, err)
	}
	renewed := both.SealHeader(id, []byte("header"))

	keys[5] = shardKey{shard: 5, generation: 2, key: [32]byte(testRoot())}
	after, err := newHeaders(keys)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := after.OpenHeader(id, old); !errors.Is(err, ErrSealed) {
		t.Errorf("old header: %v, want ErrSealed", err)
	}
	if got, err := after.OpenHeader(id, renewed); err != nil || string(got) != "header" {
		t.Errorf("renewed header: %q, %v", got, err)
	}
	if got, err := after.OpenHeader(other, untouched); err != nil || string(got) != "other" {
		t.Errorf("other shard: %q, %v", got, err)
	}
}

func TestShardsFile(t *testing.T) {
	keys := newShardKeys()
	keys[9].generation = 4
	file, err := encodeShards(testRoot(), keys)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeShards(testRoot(), file)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(keys) || got[9] != keys[9] || got[255] != keys[255] {
		t.Error("shards file does not give its keys back")
	}
	if bytes.Contains(file, keys[0].key[:]) {
		t.Error("a shard key stands in clear")
	}
	for n := range len(file) {
		if _, err := decodeShards(testRoot(), file[:n]); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut to %d bytes: %v, want ErrDamaged", n, err)
		}
	}
	if _, err := newHeaders(keys[:255]); !errors.Is(err, ErrDamaged) {
		t.Errorf("a shard without a key: %v, want ErrDamaged", err)
	}
}
