package index_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

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

// block anchors two documents of one record for a member.
func block(n uint64, member string) index.Block {
	id := record.AnchoringID{byte(n)}
	documents := []record.Document{{Tag: record.Tag{byte(n), 1}}, {Tag: record.Tag{byte(n), 2}}}
	b := index.Block{
		Number:     n,
		Anchorings: []record.Anchoring{{ID: id, MSPID: member, Time: time.Unix(int64(n), 0).UTC()}},
		Versions: []index.Version{{Anchoring: id, Version: record.Version{
			Patient: record.Reference{1}, Record: record.Tag{9}, Number: uint16(n), Kind: record.KindLetter, Documents: documents,
		}}},
	}
	for _, d := range documents {
		b.Documents = append(b.Documents, index.Document{Document: d, Anchoring: id})
	}
	return b
}

func apply(t *testing.T, x *index.Index, blocks ...index.Block) {
	t.Helper()
	for _, b := range blocks {
		if err := x.Apply(b); err != nil {
			t.Fatal(err)
		}
	}
}

// model reads everything that the index tells.
func model(t *testing.T, x *index.Index) (versions []uint16, held map[string]int64, next uint64) {
	t.Helper()
	err := x.Versions(func(v index.Version, at index.Anchored) bool {
		if at.ID != v.Anchoring || at.Block != uint64(v.Number) {
			t.Errorf("version %d is said to be in block %d", v.Number, at.Block)
		}
		versions = append(versions, v.Number)
		return true
	})
	held, heldErr := x.Held()
	next, nextErr := x.Next()
	if err := errors.Join(err, heldErr, nextErr); err != nil {
		t.Fatal(err)
	}
	return versions, held, next
}

func TestApplyAndReplay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index.db")
	x := open(t, path)
	apply(t, x, index.Block{Number: 0}, block(1, "A"), block(2, "B"), block(3, "A"))
	apply(t, x, block(2, "B")) // a stream that starts again may repeat blocks
	x.Close()
	x = open(t, path)
	versions, held, next := model(t, x)
	if len(versions) != 3 || held["A"] != 4 || held["B"] != 2 || next != 4 {
		t.Fatalf("versions %v, held %v, next %d", versions, held, next)
	}
	d, at, found, err := x.Document(record.Tag{3, 2})
	if err != nil || !found || d.Tag != (record.Tag{3, 2}) || at.MSPID != "A" || at.Block != 3 {
		t.Fatalf("Document = %+v at %+v, %v, %v", d, at, found, err)
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

func TestADeletedIndexIsRebuiltTheSame(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index.db")
	blocks := []index.Block{{Number: 0}, block(1, "A"), block(2, "B")}
	x := open(t, path)
	apply(t, x, blocks...)
	before, held, _ := model(t, x)
	x.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	x = open(t, path)
	apply(t, x, blocks...)
	after, heldAfter, _ := model(t, x)
	if len(before) != len(after) || held["A"] != heldAfter["A"] || held["B"] != heldAfter["B"] {
		t.Fatalf("%v %v became %v %v", before, held, after, heldAfter)
	}
}

func TestOpenRefusesAFileInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index.db")
	open(t, path)
	if _, err := index.Open(path, sealer{}); !errors.Is(err, index.ErrInUse) {
		t.Fatalf("second Open: %v", err)
	}
}
