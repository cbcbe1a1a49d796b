// Package index keeps index.db: the read model of the channel, fed from the writes of its blocks.
//
// A block and the checkpoint that says it was applied are one bbolt transaction, so a crash repeats a block or does
// not; applying a block twice changes nothing. The file holds nothing that is not on the ledger and can be deleted:
// it is then rebuilt from block 0. Values are sealed all the same, so that a stolen disk says less.
package index

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/medanchor/medanchor/chaincode/record"
)

// format is the layout that this version writes. An index with another one is rebuilt.
const format = 1

const lockTimeout = time.Second

// ErrInUse says that another process has the file open.
var ErrInUse = errors.New("in use by another process: stop the other medanchor first")

// ErrGap says that a block was skipped: the stream must start again from Next.
var ErrGap = errors.New("block out of order")

// Sealer seals values; vault/seal implements it.
type Sealer interface {
	SealValue(bucket string, key, plaintext []byte) []byte
	OpenValue(bucket string, key, sealed []byte) ([]byte, error)
}

// Block is what one block of the channel wrote, valid transactions only.
type Block struct {
	Number     uint64
	Anchorings []record.Anchoring
	// Documents and Versions refer to their Anchoring by ID.
	Documents []Document
	Versions  []Version
}

// Document is one document as indexed.
type Document struct {
	record.Document
	Anchoring record.AnchoringID `json:"anchoring"`
}

// Version is one version of a record as indexed. Its Documents carry tags only.
type Version struct {
	record.Version
	Anchoring record.AnchoringID `json:"anchoring"`
}

// Anchored is where an anchoring stands in the chain.
type Anchored struct {
	record.Anchoring
	Block uint64
}

var (
	metaBucket      = []byte("meta")       // format, next block
	anchoringBucket = []byte("anchorings") // anchoring ID → sealed Anchored
	documentBucket  = []byte("documents")  // document tag → sealed Document
	versionBucket   = []byte("versions")   // patient, record tag, number → sealed Version
	formatKey       = []byte("format")
	nextKey         = []byte("next")
	heldKey         = []byte("held")
)

// Index is an open index.db. Its methods may be called from several goroutines at once.
type Index struct {
	bolt   *bolt.DB
	sealer Sealer
}

// Open opens the file at path, or makes it; one of another format is emptied.
func Open(path string, sealer Sealer) (*Index, error) {
	b, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: lockTimeout, FreelistType: bolt.FreelistMapType})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("open %s: %w", path, ErrInUse)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w (it may be deleted: it is rebuilt from the ledger)", path, err)
	}
	if err := b.Update(prepare); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare %s: %w", path, err), b.Close())
	}
	return &Index{bolt: b, sealer: sealer}, nil
}

func prepare(tx *bolt.Tx) error {
	if meta := tx.Bucket(metaBucket); meta != nil && string(meta.Get(formatKey)) == strconv.Itoa(format) {
		return nil
	}
	for _, name := range [][]byte{metaBucket, anchoringBucket, documentBucket, versionBucket} {
		if err := tx.DeleteBucket(name); err != nil && !errors.Is(err, bolterrors.ErrBucketNotFound) {
			return err
		}
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return tx.Bucket(metaBucket).Put(formatKey, []byte(strconv.Itoa(format)))
}

// Close closes the file.
func (x *Index) Close() error { return x.bolt.Close() }

// Next is the number of the first block that was not applied yet.
func (x *Index) Next() (next uint64, err error) {
	err = x.bolt.View(func(tx *bolt.Tx) error {
		next = number(tx.Bucket(metaBucket).Get(nextKey))
		return nil
	})
	return next, err
}

func number(b []byte) uint64 {
	if len(b) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

// Apply takes in a block and moves the checkpoint past it, in one transaction. A block applied before is ignored; one
// from beyond the checkpoint is ErrGap.
func (x *Index) Apply(block Block) error {
	return x.bolt.Update(func(tx *bolt.Tx) error {
		meta := tx.Bucket(metaBucket)
		switch next := number(meta.Get(nextKey)); {
		case block.Number < next:
			return nil
		case block.Number > next:
			return fmt.Errorf("apply block %d, expected %d: %w", block.Number, next, ErrGap)
		}
		if err := x.write(tx, block); err != nil {
			return fmt.Errorf("apply block %d: %w", block.Number, err)
		}
		return meta.Put(nextKey, binary.BigEndian.AppendUint64(nil, block.Number+1))
	})
}

func (x *Index) write(tx *bolt.Tx, block Block) error {
	for _, a := range block.Anchorings {
		if err := x.put(tx, anchoringBucket, a.ID[:], Anchored{Anchoring: a, Block: block.Number}); err != nil {
			return err
		}
	}
	for _, d := range block.Documents {
		if err := x.put(tx, documentBucket, d.Tag[:], d); err != nil {
			return err
		}
	}
	for _, v := range block.Versions {
		if err := x.put(tx, versionBucket, versionKey(v.Version), v); err != nil {
			return err
		}
	}
	return x.countHeld(tx, block)
}

// countHeld keeps the number of documents by member.
func (x *Index) countHeld(tx *bolt.Tx, block Block) error {
	members := make(map[record.AnchoringID]string, len(block.Anchorings))
	for _, a := range block.Anchorings {
		members[a.ID] = a.MSPID
	}
	held, err := heldIn(tx)
	if err != nil {
		return err
	}
	for _, d := range block.Documents {
		held[members[d.Anchoring]]++
	}
	raw, err := json.Marshal(held)
	if err != nil {
		return err
	}
	return tx.Bucket(metaBucket).Put(heldKey, raw)
}

func heldIn(tx *bolt.Tx) (map[string]int64, error) {
	held := make(map[string]int64)
	raw := tx.Bucket(metaBucket).Get(heldKey)
	if raw == nil {
		return held, nil
	}
	return held, json.Unmarshal(raw, &held)
}

// Held is the number of documents on the channel by the member (MSP ID) that anchored them.
func (x *Index) Held() (held map[string]int64, err error) {
	err = x.bolt.View(func(tx *bolt.Tx) error {
		held, err = heldIn(tx)
		return err
	})
	return held, err
}

func versionKey(v record.Version) []byte {
	key := append(v.Patient[:], v.Record[:]...)
	return binary.BigEndian.AppendUint16(key, v.Number)
}

func (x *Index) put(tx *bolt.Tx, bucket, key []byte, value any) error {
	plaintext, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return tx.Bucket(bucket).Put(key, x.sealer.SealValue(string(bucket), key, plaintext))
}

func (x *Index) get(tx *bolt.Tx, bucket, key []byte, value any) (found bool, err error) {
	sealed := tx.Bucket(bucket).Get(key)
	if sealed == nil {
		return false, nil
	}
	return true, x.open(bucket, key, sealed, value)
}

func (x *Index) open(bucket, key, sealed []byte, value any) error {
	plaintext, err := x.sealer.OpenValue(string(bucket), key, sealed)
	if err != nil {
		return fmt.Errorf("open value in %s: %w", bucket, err)
	}
	return json.Unmarshal(plaintext, value)
}

// Document returns the document with this tag and where it was anchored.
func (x *Index) Document(tag record.Tag) (d Document, at Anchored, found bool, err error) {
	err = x.bolt.View(func(tx *bolt.Tx) error {
		found, err = x.get(tx, documentBucket, tag[:], &d)
		if err != nil || !found {
			return err
		}
		_, err = x.get(tx, anchoringBucket, d.Anchoring[:], &at)
		return err
	})
	return d, at, found, err
}

// Versions calls f for every version of every record, by patient, record and number, until f returns false.
func (x *Index) Versions(f func(Version, Anchored) bool) error {
	return x.bolt.View(func(tx *bolt.Tx) error {
		cursor := tx.Bucket(versionBucket).Cursor()
		for key, sealed := cursor.First(); key != nil; key, sealed = cursor.Next() {
			var v Version
			if err := x.open(versionBucket, key, sealed, &v); err != nil {
				return err
			}
			var at Anchored
			if _, err := x.get(tx, anchoringBucket, v.Anchoring[:], &at); err != nil {
				return err
			}
			if !f(v, at) {
				return nil
			}
		}
		return nil
	})
}
