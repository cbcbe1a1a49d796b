package index_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/index"
)

// sealer marks values and checks that they stay where they were put; the real one is tested in vault/seal.
type sealer struct{}

func (sealer) SealValue(bucket string, key, plaintext []byte) []byte {
	sealed := append([]byte(bucket), key...)
	for _, b := range plaintext {
		sealed = append(sealed, ^b)
	}
	return sealed
}

func (sealer) OpenValue(bucket string, key, sealed []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(sealed, append([]byte(bucket), key...))
	if !ok {
		return nil, errors.New("moved")
	}
	plaintext := make([]byte, len(rest))
	for i, b := range rest {
		plaintext[i] = ^b
	}
	return plaintext, nil
}

func open(t *testing.T, path string) *index.Index {
	t.Helper()
	x, err := index.Open(path, sealer{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

// transaction writes an anchoring, and versions of the record in Tag 9 with their documents.
func transaction(n byte, member string, versions ...record.Version) []index.Write {
	tx := record.TxID{n}
	a := record.Anchoring{ID: tx.AnchoringID(), TxID: tx, MSPID: member, Time: time.Unix(int64(n), 0).UTC()}
	value, err := a.Encode()
	if err != nil {
		panic(err)
	}
	put := func(key string, value []byte) index.Write {
		return index.Write{TxID: tx, Time: a.Time, Key: key, Value: value}
	}
	writes := []index.Write{put(record.AnchoringKey(a.ID), value)}
	for _, v := range versions {
		for _, d := range v.Documents {
			document := record.StoredDocument{CID: d.CID, Anchoring: a.ID, VariantOf: d.VariantOf}
			writes = append(writes, put(record.DocumentKey(d.Tag), document.Encode()))
		}
		anchored := record.AnchoredVersion{Version: v, Anchoring: a.ID}
		writes = append(writes, put(anchored.Key(), anchored.Encode()))
	}
	return writes
}

func version(documents ...byte) record.Version {
	v := record.Version{Patient: record.Reference{1}, Record: record.Tag{9}, Kind: record.KindLetter}
	for _, d := range documents {
		v.Documents = append(v.Documents, record.Document{Tag: record.Tag{d}, CID: record.CID{0x55, d}})
	}
	return v
}

// block anchors two documents in a version of one record for a member.
func block(n byte, member string) index.Block {
	return index.Block{Number: uint64(n), Writes: transaction(n, member, version(2*n, 2*n+1))}
}

// erase puts a tombstone in the place of a document.
func erase(document byte) index.Write {
	return index.Write{
		TxID: record.TxID{0xee, document}, Time: time.Unix(99, 0).UTC(), Key: record.DocumentKey(record.Tag{document}),
		Value: record.StoredDocument{Tombstone: record.Tombstone{Erasure: record.AnchoringID{0xee}}}.Encode(),
	}
}

func apply(t *testing.T, x *index.Index, blocks ...index.Block) {
	t.Helper()
	for _, b := range blocks {
		if err := x.Apply(b); err != nil {
			t.Fatal(err)
		}
	}
}

// model reads what the index tells of versions and members.
func model(t *testing.T, x *index.Index) (names []byte, held map[string]int64, next uint64) {
	t.Helper()
	err := x.Versions(func(v index.Version, at index.Anchored) bool {
		if at.ID != v.Anchoring || at.Block != v.Block {
			t.Errorf("version %s of block %d is said to be anchored in block %d", v.Name(), v.Block, at.Block)
		}
		names = append(names, v.Name()[0])
		return true
	})
	held, heldErr := x.Held()
	next, nextErr := x.Next()
	if err := errors.Join(err, heldErr, nextErr); err != nil {
		t.Fatal(err)
	}
	return names, held, next
}

func TestApplyAndReplay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index.db")
	x := open(t, path)
	apply(t, x, index.Block{Number: 0}, block(1, "A"), block(2, "B"), block(3, "A"))
	apply(t, x, block(2, "B")) // a stream that starts again may repeat blocks
	x.Close()
	x = open(t, path)
	versions, held, next := model(t, x)
	if len(versions) != 3 || !maps.Equal(held, map[string]int64{"A": 4, "B": 2}) || next != 4 {
		t.Fatalf("versions %v, held %v, next %d", versions, held, next)
	}
	d, at, found, err := x.Document(record.Tag{6})
	if err != nil || !found || d != version(6).Documents[0] || at.MSPID != "A" || at.Block != 3 {
		t.Fatalf("Document = %+v at %+v, %v, %v", d, at, found, err)
	}
}

// The names of versions do not sort by time: readers get them as they came.
func TestVersionsComeInTheOrderOfTheChain(t *testing.T) {
	x := open(t, filepath.Join(t.TempDir(), "index.db"))
	other := version(50)
	other.Record = record.Tag{8}
	apply(t, x,
		index.Block{Number: 0, Writes: transaction(1, "A", version(30), version(20))},
		index.Block{Number: 1, Writes: slices.Concat(transaction(2, "A", version(10), other), transaction(3, "B", version(5)))},
	)
	if names, _, _ := model(t, x); !slices.Equal(names, []byte{50, 30, 20, 10, 5}) {
		t.Fatalf("got %v", names)
	}
	for stop := range 5 {
		seen := 0
		err := x.Versions(func(index.Version, index.Anchored) bool {
			seen++
			return seen <= stop
		})
		if err != nil || seen != stop+1 {
			t.Errorf("told to stop after %d, %d versions came, %v", stop+1, seen, err)
		}
	}
}

func TestAnErasedDocumentIsHeldByNobody(t *testing.T) {
	x := open(t, filepath.Join(t.TempDir(), "index.db"))
	apply(t, x, index.Block{Number: 0}, block(1, "A"), block(2, "B"))
	apply(t, x, index.Block{Number: 3, Writes: []index.Write{erase(2), erase(4), erase(5)}})
	if _, held, _ := model(t, x); !maps.Equal(held, map[string]int64{"A": 1}) {
		t.Errorf("held %v, want one of A", held)
	}
	if _, _, found, err := x.Document(record.Tag{2}); found || err != nil {
		t.Errorf("the erased document: found %t, %v", found, err)
	}
}

// Every key is kept, of whatever noun, with the write that was the last.
func TestGetAndRange(t *testing.T) {
	x := open(t, filepath.Join(t.TempDir(), "index.db"))
	put := func(key, value string) index.Write {
		return index.Write{TxID: record.TxID{7}, Time: time.Unix(1, 2).UTC(), Key: key, Value: []byte(value)}
	}
	deleted := func(key string) index.Write { return index.Write{Key: key, Deleted: true} }
	apply(t, x,
		index.Block{Number: 0, Writes: []index.Write{put("Za", "1"), put("Zb", "2"), put("Zc", "3"), put("~", "4")}},
		index.Block{Number: 1, Writes: []index.Write{put("Zc", ""), deleted("Za"), put("Zb", "5"), put("Zb", "6")}},
	)
	got, found, err := x.Get("Zb")
	want := index.Change{Write: put("Zb", "6"), Place: index.Place{Block: 1, Number: 3}}
	if err != nil || !found || !reflect.DeepEqual(got, want) {
		t.Errorf("Get = %+v, %t, %v, want %+v", got, found, err, want)
	}
	for _, key := range []string{"Za", "Z", "none"} {
		if got, found, err := x.Get(key); found || err != nil || !reflect.DeepEqual(got, index.Change{}) {
			t.Errorf("Get(%s) = %+v, %t, %v", key, got, found, err)
		}
	}
	var keys []string
	collect := func(c index.Change) bool {
		keys = append(keys, c.Key)
		return len(keys) < 3
	}
	if err := x.Range("Za", "Zd", collect); err != nil || !slices.Equal(keys, []string{"Zb", "Zc"}) {
		t.Errorf("Range gives %v, %v", keys, err)
	}
	if keys = nil; x.Range("", "\x7f", collect) != nil || !slices.Equal(keys, []string{"Zb", "Zc", "~"}) {
		t.Errorf("Range of all gives %v", keys)
	}
}

func TestSinceABlock(t *testing.T) {
	x := open(t, filepath.Join(t.TempDir(), "index.db"))
	put := func(key string) index.Write { return index.Write{Key: key, Value: []byte(key)} }
	apply(t, x,
		index.Block{Number: 0, Writes: []index.Write{put("a"), put("b"), put("c"), put("d")}},
		index.Block{Number: 1, Writes: []index.Write{put("e"), put("b")}},
		index.Block{Number: 2},
		index.Block{Number: 3, Writes: []index.Write{put("a"), {Key: "e", Deleted: true}}},
	)
	for block, want := range map[uint64]string{0: "c0 d0 b1 a3 -e3", 1: "b1 a3 -e3", 2: "a3 -e3", 3: "a3 -e3", 4: ""} {
		var got []string
		err := x.Since(block, func(c index.Change) bool {
			got = append(got, map[bool]string{true: "-"}[c.Deleted]+c.Key+strconv.FormatUint(c.Block, 10))
			return true
		})
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("since %d: %v, %v, want %s", block, got, err, want)
		}
	}
	calls := 0
	err := x.Since(0, func(index.Change) bool {
		calls++
		return false
	})
	if err != nil || calls != 1 {
		t.Errorf("told to stop, Since calls %d times, %v", calls, err)
	}
}

func TestABlockMayNotBeSkipped(t *testing.T) {
	x := open(t, filepath.Join(t.TempDir(), "index.db"))
	if err := x.Apply(block(1, "A")); !errors.Is(err, index.ErrGap) {
		t.Fatalf("Apply: %v", err)
	}
	if versions, _, next := model(t, x); len(versions) != 0 || next != 0 {
		t.Fatalf("a refused block left %v, next %d", versions, next)
	}
}

// A document of a schema that this version does not know stops the index where it is, until medanchor is upgraded.
func TestANewerSchemaIsNotGuessedAt(t *testing.T) {
	x := open(t, filepath.Join(t.TempDir(), "index.db"))
	apply(t, x, index.Block{Number: 0})
	newer := block(1, "A")
	newer.Writes[1].Value = slices.Clone(newer.Writes[1].Value)
	newer.Writes[1].Value[0]++
	if err := x.Apply(newer); !errors.Is(err, index.ErrUnreadable) {
		t.Fatalf("Apply: %v", err)
	}
	if versions, _, next := model(t, x); len(versions) != 0 || next != 1 {
		t.Fatalf("a refused block left %v, next %d", versions, next)
	}
	apply(t, x, block(1, "A"))
}

// TestAnyReplayIsTheSame feeds blocks to two indexes. One of them is closed in between, gets blocks twice and again from
// earlier on, and crashes in the midst of some. In the end the files hold the same.
func TestAnyReplayIsTheSame(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 0))
		straight, crooked := filepath.Join(t.TempDir(), "index.db"), filepath.Join(t.TempDir(), "index.db")
		blocks := chain(random)
		x := open(t, straight)
		apply(t, x, blocks...)
		x.Close()
		feed(t, random, crooked, blocks)
		if want, got := dump(t, straight), dump(t, crooked); got != want {
			t.Fatalf("seed %d: the index differs from one that was fed straight:\n%s\nwant:\n%s", seed, got, want)
		}
	}
}

// feed applies the blocks with all that can happen in between.
func feed(t *testing.T, random *rand.Rand, path string, blocks []index.Block) {
	t.Helper()
	fragile := &fragileSealer{}
	reopen := func() *index.Index {
		x, err := index.Open(path, fragile)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	x := reopen()
	for next := 0; next < len(blocks); {
		switch random.IntN(5) {
		case 0, 1:
			apply(t, x, blocks[next])
			next++
		case 2:
			fragile.left = 1 + random.IntN(6)
			if !crashes(x, blocks[next]) {
				next++
			}
			fragile.left = 0
		case 3:
			x.Close()
			x = reopen()
		case 4:
			apply(t, x, blocks[random.IntN(next+1):next]...)
		}
	}
	x.Close()
}

// chain makes blocks of anchorings, erasures and writes of other nouns; keys come again.
func chain(random *rand.Rand) (blocks []index.Block) {
	for n := range 1 + random.IntN(8) {
		b := index.Block{Number: uint64(n)}
		for range random.IntN(5) {
			document := byte(1 + random.IntN(6))
			other := index.Write{TxID: record.TxID{byte(n)}, Key: "Z" + strconv.Itoa(random.IntN(4))}
			switch random.IntN(4) {
			case 0:
				member := []string{"A", "B"}[random.IntN(2)]
				b.Writes = append(b.Writes, transaction(byte(1+random.IntN(5)), member, version(document))...)
			case 1:
				b.Writes = append(b.Writes, erase(document))
			case 2:
				other.Value = make([]byte, random.IntN(9))
				b.Writes = append(b.Writes, other)
			case 3:
				other.Deleted = true
				b.Writes = append(b.Writes, other)
			}
		}
		blocks = append(blocks, b)
	}
	return blocks
}

// fragileSealer panics instead of the left-th seal, as a process dies in the midst of a transaction.
type fragileSealer struct {
	sealer
	left int
}

func (f *fragileSealer) SealValue(bucket string, key, plaintext []byte) []byte {
	if f.left--; f.left == 0 {
		panic("crash")
	}
	return f.sealer.SealValue(bucket, key, plaintext)
}

// crashes applies a block, and says whether that panicked.
func crashes(x *index.Index, b index.Block) (crashed bool) {
	defer func() { crashed = recover() != nil }()
	if err := x.Apply(b); err != nil {
		panic(err)
	}
	return false
}

// dump writes down every key and value of the file, and that each key on the ledger has one change.
func dump(t *testing.T, path string) string {
	t.Helper()
	b, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var text strings.Builder
	counts := map[string]int{}
	err = b.View(func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, bucket *bolt.Bucket) error {
			return bucket.ForEach(func(key, value []byte) error {
				counts[string(name)]++
				fmt.Fprintf(&text, "%s %x %x\n", name, key, value)
				return nil
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if counts["state"] != counts["changes"] {
		t.Errorf("%d keys have %d changes", counts["state"], counts["changes"])
	}
	return text.String()
}

// An index of an older layout is emptied: it is rebuilt from the ledger.
func TestAnotherFormatIsEmptied(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index.db")
	x := open(t, path)
	apply(t, x, index.Block{Number: 0}, block(1, "A"))
	x.Close()
	b, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = b.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket([]byte("versions"))
		return errors.Join(err, tx.Bucket([]byte("meta")).Put([]byte("format"), []byte("1")))
	})
	if err := errors.Join(err, b.Close()); err != nil {
		t.Fatal(err)
	}
	x = open(t, path)
	if versions, held, next := model(t, x); len(versions) != 0 || len(held) != 0 || next != 0 {
		t.Errorf("versions %v, held %v, next %d", versions, held, next)
	}
	apply(t, x, index.Block{Number: 0}, block(1, "A"))
	x.Close()
	if strings.Contains(dump(t, path), "versions ") {
		t.Error("a bucket of the older layout is left")
	}
}

func TestOpenRefusesAFileInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index.db")
	open(t, path)
	if _, err := index.Open(path, sealer{}); !errors.Is(err, index.ErrInUse) {
		t.Fatalf("second Open: %v", err)
	}
}
