package e2e

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/storage"
	"github.com/syndtr/goleveldb/leveldb/table"
	"github.com/syndtr/goleveldb/leveldb/util"

	"github.com/medanchor/medanchor/test/synth"
)

// pattern is one way in which a personal value may stand in a file.
type pattern struct {
	bytes    []byte
	value    synth.Value
	encoding string
	// alone asks that no further digit stands beside it: see patterns.
	alone bool
}

func (p *pattern) String() string {
	return fmt.Sprintf("%s %q as %s", p.value.Kind, p.value.Text, p.encoding)
}

// personalValues are the generator's, and what follows from them: given names alone, birth dates as ISO 8601 writes them,
// and the unkeyed digests of all texts, which a dictionary reverses.
func personalValues(m synth.Manifest) []synth.Value {
	values := slices.Clone(m.Personal)
	for _, p := range m.People {
		iso := p.Birth[:4] + "-" + p.Birth[4:6] + "-" + p.Birth[6:]
		values = append(values,
			synth.Value{Kind: synth.Name, Text: p.Given, Raw: []byte(p.Given)},
			synth.Value{Kind: synth.BirthDate, Text: iso, Raw: []byte(iso)})
	}
	for _, v := range slices.Clone(values) {
		if v.Kind != synth.Digest {
			sum := sha256.Sum256([]byte(v.Text))
			values = append(values, synth.Value{Kind: synth.Digest, Text: hex.EncodeToString(sum[:]), Raw: sum[:]})
		}
	}
	return values
}

// patterns are all ways in which a value may stand. Of a digest its first 16 bytes are looked for, so that one cut short
// is found as well.
//
// A birth date is eight digits, and may stand in a longer number by chance: the logs of a run hold some hundred thousand
// timestamps of nanoseconds, which would give one false alarm in about fifty runs. So as text it counts only where no
// other digit stands beside it; in all other encodings it counts anywhere.
func patterns(v synth.Value) (all []pattern) {
	add := func(encoding string, b []byte) {
		for _, p := range all {
			if bytes.Equal(p.bytes, b) {
				return
			}
		}
		all = append(all, pattern{bytes: b, value: v, encoding: encoding})
	}
	text, raw := v.Text, v.Raw
	if v.Kind == synth.Digest {
		text, raw = v.Text[:32], v.Raw[:16]
	}
	add("UTF-8", []byte(text))
	all[0].alone = v.Kind == synth.BirthDate && len(text) == 8
	add("UTF-16LE", utf16Bytes(text, binary.LittleEndian))
	add("UTF-16BE", utf16Bytes(text, binary.BigEndian))
	add("its own character set", raw)
	add("upper case", []byte(strings.ToUpper(text)))
	for _, b := range [][]byte{[]byte(text), raw} {
		add("hex", []byte(hex.EncodeToString(b)))
		add("upper-case hex", []byte(strings.ToUpper(hex.EncodeToString(b))))
		for at := range 3 {
			add(fmt.Sprintf("base64 at %d", at), cut(base64.RawStdEncoding.EncodeToString, b, at, 6))
			add(fmt.Sprintf("base64url at %d", at), cut(base64.RawURLEncoding.EncodeToString, b, at, 6))
		}
		for at := range 5 {
			encoded := cut(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString, b, at, 5)
			add(fmt.Sprintf("base32 at %d", at), encoded)
			add(fmt.Sprintf("lower-case base32 at %d", at), bytes.ToLower(encoded))
		}
	}
	return all
}

func utf16Bytes(s string, order binary.AppendByteOrder) (b []byte) {
	for _, unit := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, unit)
	}
	return b
}

// cut gives the characters, of so many bits each, that b determines when it stands after some other bytes.
func cut(encode func([]byte) string, b []byte, after, bits int) []byte {
	text := encode(append(make([]byte, after), b...))
	first, last := (after*8+bits-1)/bits, (after+len(b))*8/bits
	return []byte(text[first:last])
}

// searcher looks for many patterns at once: a bitmap of hashes of their first four bytes says at most positions that none
// begins there.
type searcher struct {
	filter []uint64
	byHead map[uint32][]*pattern
}

const (
	headSize   = 4
	filterBits = 22
)

func newSearcher(values []synth.Value) *searcher {
	s := &searcher{make([]uint64, 1<<filterBits/64), make(map[uint32][]*pattern)}
	for _, v := range values {
		for _, p := range patterns(v) {
			head := binary.LittleEndian.Uint32(p.bytes)
			h := hashHead(head)
			s.filter[h/64] |= 1 << (h % 64)
			s.byHead[head] = append(s.byHead[head], &p)
		}
	}
	return s
}

func hashHead(head uint32) uint32 { return head * 2654435761 >> (32 - filterBits) }

// search calls found for each pattern in data.
func (s *searcher) search(data []byte, found func(*pattern)) {
	const word = 8
	for i := 0; i+headSize <= len(data); i++ {
		if i+word <= len(data) && binary.LittleEndian.Uint64(data[i:]) == 0 {
			i += word - headSize // no pattern begins with four zeros: files are full of them
			continue
		}
		head := binary.LittleEndian.Uint32(data[i:])
		if h := hashHead(head); s.filter[h/64]>>(h%64)&1 == 0 {
			continue
		}
		for _, p := range s.byHead[head] {
			if bytes.HasPrefix(data[i:], p.bytes) && !(p.alone && besideDigit(data, i, i+len(p.bytes))) {
				found(p)
			}
		}
	}
}

func besideDigit(data []byte, from, to int) bool {
	digit := func(c byte) bool { return '0' <= c && c <= '9' }
	return from > 0 && digit(data[from-1]) || to < len(data) && digit(data[to])
}

// views are what a file holds, beside its bytes as they are: certificates without the line breaks of PEM, and the entries of
// a LevelDB table, which are compressed on disk.
func views(path string, data []byte) ([][]byte, error) {
	all := [][]byte{data}
	if bytes.Contains(data, []byte("-----BEGIN ")) {
		all = append(all, unbroken(data))
	}
	if filepath.Ext(path) == ".ldb" {
		entries, err := tableEntries(data)
		if err != nil {
			return nil, err
		}
		all = append(all, entries)
		if bytes.Contains(entries, []byte("-----BEGIN ")) {
			all = append(all, unbroken(entries))
		}
	}
	return all, nil
}

// unbroken is data without line breaks, those of JSON strings included.
func unbroken(data []byte) []byte {
	out := bytes.ReplaceAll(data, []byte(`\n`), nil)
	return bytes.ReplaceAll(out, []byte("\n"), nil)
}

// tableEntries gives the keys and values of a LevelDB table (.ldb), those overwritten or deleted since included.
func tableEntries(data []byte) ([]byte, error) {
	file := storage.FileDesc{Type: storage.TypeTable}
	r, err := table.NewReader(bytes.NewReader(data), int64(len(data)), file, nil, util.NewBufferPool(4<<10), nil)
	if err != nil {
		return nil, err
	}
	defer r.Release()
	var out []byte
	entries := r.NewIterator(nil, nil)
	defer entries.Release()
	for entries.Next() {
		out = append(append(append(out, entries.Key()...), entries.Value()...), 0)
	}
	return out, entries.Error()
}

// treeFile is a regular file of a tree.
type treeFile struct {
	path string
	info fs.FileInfo
}

// tree lists the files below root, but those below the folders in except. What disappears meanwhile is left out.
func tree(t *testing.T, root string, except ...string) (files []treeFile) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case e.IsDir() && slices.Contains(except, path):
			return fs.SkipDir
		case !e.Type().IsRegular():
			return nil
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		files = append(files, treeFile{path, info})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestSearchFinds: each way of each value is found in files of each kind, wherever it stands.
func TestSearchFinds(t *testing.T) {
	values := []synth.Value{
		{Kind: synth.Name, Text: "Quelñandworthy^Zebulina", Raw: []byte("Quel\xf1andworthy^Zebulina"), In: synth.Latin1},
		{Kind: synth.Identifier, Text: "9990001234", Raw: []byte("9990001234")},
		{Kind: synth.BirthDate, Text: "19300102", Raw: []byte("19300102")},
		{Kind: synth.UID, Text: "2.25.329800735698586629295641978511506172918", Raw: []byte("2.25.329800735698586629295641978511506172918")},
		digestOf("a file"),
	}
	s := newSearcher(values)
	noise := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(noise) // never fails
	for i, b := range noise {
		if b < 128 && i/4096%2 == 0 || '0' <= b && b <= '9' {
			noise[i] = 0 // half of it is mostly zeros, as preallocated files are; and there is no number in it
		}
	}
	if p := findAny(s, noise); p != nil {
		t.Fatalf("found %s in noise", p)
	}
	for _, v := range values {
		for _, p := range patterns(v) {
			for _, at := range []int{0, 1, 4095, 70_003, len(noise) - len(p.bytes)} {
				planted := bytes.Clone(noise)
				copy(planted[at:], p.bytes)
				if !finds(s, planted, &p) {
					t.Errorf("%s at %d is not found", &p, at)
				}
			}
		}
	}
}

// TestEncodingsMeanWhatTheySay: a value that is really encoded in a longer text is found as such.
func TestEncodingsMeanWhatTheySay(t *testing.T) {
	v := digestOf("another file")
	s := newSearcher([]synth.Value{v})
	for before := range 6 {
		whole := append(bytes.Repeat([]byte{0xa5}, before), v.Raw...)
		whole = append(whole, 0x5a, 0x11)
		for name, text := range map[string]string{
			"base64":    base64.StdEncoding.EncodeToString(whole),
			"base64url": base64.URLEncoding.EncodeToString(whole),
			"base32":    base32.StdEncoding.EncodeToString(whole), // as IPFS names block files
			"hex":       hex.EncodeToString(whole),
		} {
			if findAny(s, []byte(text)) == nil {
				t.Errorf("%s after %d bytes is not found", name, before)
			}
		}
	}
}

// TestSearchOpensContainers: a value is found in a certificate's PEM, and in a compressed LevelDB table.
func TestSearchOpensContainers(t *testing.T) {
	v := synth.Value{Kind: synth.UID, Text: "2.25.329800735698586629295641978511506172918", Raw: []byte("2.25.329800735698586629295641978511506172918")}
	s := newSearcher([]synth.Value{v})
	t.Run("certificate", func(t *testing.T) {
		_, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1),
			Subject:      pkix.Name{Organization: []string{"Northfield"}, CommonName: v.Text},
		}
		der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		file := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
		if !foundInViews(t, s, "cert.pem", file) {
			t.Error("not found")
		}
		if !foundInViews(t, s, "connection.json", []byte(strings.ReplaceAll(string(file), "\n", `\n`))) {
			t.Error("not found in JSON")
		}
	})
	t.Run("LevelDB", func(t *testing.T) {
		dir := t.TempDir()
		db, err := leveldb.OpenFile(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2000 { // so alike that the value is stored as references to others
			like := v.Text[:20] + fmt.Sprint(i) + v.Text[22:]
			if err := db.Put(fmt.Appendf(nil, "%06d", i), []byte(like), nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(db.Put([]byte("000777"), []byte(v.Text), nil), db.CompactRange(util.Range{}), db.Close()); err != nil {
			t.Fatal(err)
		}
		tables, found := 0, false
		for _, f := range tree(t, dir) {
			data, err := os.ReadFile(f.path)
			if err != nil {
				t.Fatal(err)
			}
			if filepath.Ext(f.path) == ".ldb" {
				tables++
				found = found || foundInViews(t, s, f.path, data)
			}
		}
		if tables == 0 || !found {
			t.Errorf("found %v in %d tables", found, tables)
		}
	})
}

func foundInViews(t *testing.T, s *searcher, path string, data []byte) bool {
	t.Helper()
	all, err := views(path, data)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(all, func(view []byte) bool { return findAny(s, view) != nil })
}

func digestOf(content string) synth.Value {
	sum := sha256.Sum256([]byte(content))
	return synth.Value{Kind: synth.Digest, Text: hex.EncodeToString(sum[:]), Raw: sum[:]}
}

func findAny(s *searcher, data []byte) (first *pattern) {
	s.search(data, func(p *pattern) {
		if first == nil {
			first = p
		}
	})
	return first
}

func finds(s *searcher, data []byte, wanted *pattern) (ok bool) {
	s.search(data, func(p *pattern) { ok = ok || p.encoding == wanted.encoding && p.value.Text == wanted.value.Text })
	return ok
}
