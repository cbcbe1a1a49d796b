// Package index keeps index.db: the read model of the channel, fed from the writes of its blocks.
//
// It holds what stands under each key of the ledger, whatever noun that is, with its place on the chain, and so can tell
// what changed since a block. The readers of documents and versions stand on top of that.
//
// A block and the checkpoint that says it was applied are one bbolt transaction, so a crash repeats a block or does
// not; applying a block twice changes nothing. The file holds nothing that is not on the ledger and can be deleted:
// it is then rebuilt from block 0. Values are sealed all the same, so that a stolen disk says less.
package index

import (
	"cmp"
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
const format = 3

const lockTimeout = time.Second

// ErrInUse says that another process has the file open.
var ErrInUse = errors.New("in use by another process: stop the other medanchor first")

// ErrGap says that a block was skipped: the stream must start again from Next.
var ErrGap = errors.New("block out of order")

// ErrUnreadable says that a block holds a document or anchoring in a form that is not known.
var ErrUnreadable = errors.New("value of another schema: upgrade medanchor")

// Sealer seals values; vault/seal implements it.
type Sealer interface {
	SealValue(bucket string, key, plaintext []byte) []byte
	OpenValue(bucket string, key, sealed []byte) ([]byte, error)
}

// Block is what one block of the channel wrote, valid transactions only, in their order.
type Block struct {
	Number uint64
	Writes []Write
}

// Write is one write of a transaction.
type Write struct {
	TxID    record.TxID
	Time    time.Time // the transaction's timestamp
	Key     string
	Value   []byte // empty if Deleted
	Deleted bool
}

// Change is the last write of a key, and where it stands.
type Change struct {
	Write
	Place
}

// Place is where a write stands on the chain.
type Place struct {
	Block  uint64
	Number uint32 // in the block
}

// Compare is negative if p is before the other place, and positive if it is after it.
func (p Place) Compare(other Place) int {
	return cmp.Or(cmp.Compare(p.Block, other.Block), cmp.Compare(p.Number, other.Number))
}

func (p Place) key() []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, p.Block), p.Number)
}

var (
	metaBucket   = []byte("meta")    // format, next block, number of documents by member, latest timestamp
	stateBucket  = []byte("state")   // key on the ledger → sealed Change
	changeBucket = []byte("changes") // block (8), number in the block (4) → key on the ledger: the last write of each
	formatKey    = []byte("format")
	nextKey      = []byte("next")
	heldKey      = []byte("held")
	latestKey    = []byte("latest")
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
	var old [][]byte
	err := tx.ForEach(func(name []byte, _ *bolt.Bucket) error {
		old = append(old, name)
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range old {
		if err := tx.DeleteBucket(name); err != nil {
			return err
		}
	}
	for _, name := range [][]byte{metaBucket, stateBucket, changeBucket} {
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
// from beyond the checkpoint is ErrGap. ErrUnreadable leaves the index as it was.
func (x *Index) Apply(block Block) error {
	return x.bolt.Update(func(tx *bolt.Tx) error {
		meta := tx.Bucket(metaBucket)
		switch next := number(meta.Get(nextKey)); {
		case block.Number < next:
			return nil
		case block.Number > next:
			return fmt.Errorf("apply block %d, expected %d: %w", block.Number, next, ErrGap)
		}
		if err := (view{tx, x.sealer}).apply(block); err != nil {
			return fmt.Errorf("apply block %d: %w", block.Number, err)
		}
		if err := keepLatest(meta, block); err != nil {
			return fmt.Errorf("apply block %d: %w", block.Number, err)
		}
		return meta.Put(nextKey, binary.BigEndian.AppendUint64(nil, block.Number+1))
	})
}

// keepLatest remembers the latest timestamp of a transaction, in seconds of Unix time.
func keepLatest(meta *bolt.Bucket, block Block) error {
	latest := number(meta.Get(latestKey))
	for _, w := range block.Writes {
		if seconds := w.Time.Unix(); seconds > 0 {
			latest = max(latest, uint64(seconds))
		}
	}
	return meta.Put(latestKey, binary.BigEndian.AppendUint64(nil, latest))
}

// Latest is the latest timestamp of a transaction that wrote anything; zero if there is none. Peers let it be at most
// record.ClockSkew ahead of their clocks.
func (x *Index) Latest() (latest time.Time, err error) {
	err = x.bolt.View(func(tx *bolt.Tx) error {
		if seconds := number(tx.Bucket(metaBucket).Get(latestKey)); seconds > 0 {
			latest = time.Unix(int64(seconds), 0).UTC() //nolint:gosec // as written
		}
		return nil
	})
	return latest, err
}

// view is a transaction with the sealer at hand.
type view struct {
	tx     *bolt.Tx
	sealer Sealer
}

func (x *Index) view(f func(v view) error) error {
	return x.bolt.View(func(tx *bolt.Tx) error { return f(view{tx, x.sealer}) })
}

// apply puts each write in the place of the one before it under the same key.
func (v view) apply(block Block) error {
	var documents []tally
	for i, w := range block.Writes {
		before, found, err := v.get(w.Key)
		if err != nil {
			return err
		}
		if found {
			if err := v.tx.Bucket(changeBucket).Delete(before.key()); err != nil {
				return err
			}
		}
		place := Place{block.Number, uint32(i)}
		if err := v.put(Change{w, place}); err != nil {
			return err
		}
		if record.IsDocumentKey(w.Key) {
			documents = append(documents, tally{before.Value, -1}, tally{w.Value, 1})
		}
	}
	return v.countHeld(documents) // the anchorings that they refer to are there by now
}

// tally is a document's value that came, or gave way; empty if there is none.
type tally struct {
	value []byte
	by    int64
}

// countHeld keeps the number of documents by member.
func (v view) countHeld(documents []tally) error {
	if len(documents) == 0 {
		return nil
	}
	held, err := v.held()
	if err != nil {
		return err
	}
	members := make(map[record.AnchoringID]string)
	for _, d := range documents {
		member, err := v.holder(d.value, members)
		if err != nil {
			return err
		}
		if held[member] += d.by; held[member] == 0 || member == "" {
			delete(held, member)
		}
	}
	raw, err := json.Marshal(held)
	if err != nil {
		return err
	}
	return v.tx.Bucket(metaBucket).Put(heldKey, raw)
}

// holder is the member who anchored the document; empty if there is none, or it is erased. The members that were looked up
// are remembered.
func (v view) holder(value []byte, members map[record.AnchoringID]string) (string, error) {
	if len(value) == 0 {
		return "", nil
	}
	stored, err := record.DecodeDocument(value)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if stored.Erased() {
		return "", nil
	}
	if member, known := members[stored.Anchoring]; known {
		return member, nil
	}
	at, err := v.anchored(stored.Anchoring)
	if err != nil {
		return "", err
	}
	members[stored.Anchoring] = at.MSPID
	return at.MSPID, nil
}

func (v view) held() (map[string]int64, error) {
	held := make(map[string]int64)
	raw := v.tx.Bucket(metaBucket).Get(heldKey)
	if raw == nil {
		return held, nil
	}
	return held, json.Unmarshal(raw, &held)
}

func (v view) put(c Change) error {
	key := []byte(c.Key)
	if err := v.tx.Bucket(changeBucket).Put(c.key(), key); err != nil {
		return err
	}
	return v.tx.Bucket(stateBucket).Put(key, v.sealer.SealValue(string(stateBucket), key, c.encode()))
}

// get gives the last write of a key; found is false if there was none.
func (v view) get(key string) (c Change, found bool, err error) {
	sealed := v.tx.Bucket(stateBucket).Get([]byte(key))
	if sealed == nil {
		return Change{}, false, nil
	}
	c, err = v.open([]byte(key), sealed)
	return c, err == nil, err
}

func (v view) open(key, sealed []byte) (Change, error) {
	plaintext, err := v.sealer.OpenValue(string(stateBucket), key, sealed)
	if err != nil {
		return Change{}, fmt.Errorf("open value in %s: %w", stateBucket, err)
	}
	return decodeChange(string(key), plaintext)
}

// changeHeader is the length of what encode puts before the value.
const changeHeader = 8 + 4 + 32 + 8 + 4 + 1

// encode packs the change without its key: block (8), number (4), transaction ID (32), seconds (8) and nanoseconds (4) of
// the timestamp, 1 if it deleted the key, and the value.
func (c Change) encode() []byte {
	b := make([]byte, 0, changeHeader+len(c.Value))
	b = append(b, c.key()...)
	b = append(b, c.TxID[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(c.Time.Unix()))       //nolint:gosec // read back the same
	b = binary.BigEndian.AppendUint32(b, uint32(c.Time.Nanosecond())) //nolint:gosec // below 10⁹
	if c.Deleted {
		return append(b, 1)
	}
	return append(append(b, 0), c.Value...)
}

var errChange = errors.New("read index: a value is too short; stop medanchor, delete index.db and start again")

func decodeChange(key string, b []byte) (c Change, err error) {
	if len(b) < changeHeader {
		return c, errChange
	}
	c.Place = Place{binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:])}
	c.Key, c.TxID = key, record.TxID(b[12:44])
	seconds, nanos := int64(binary.BigEndian.Uint64(b[44:])), int64(binary.BigEndian.Uint32(b[52:])) //nolint:gosec // as written
	c.Time = time.Unix(seconds, nanos).UTC()
	c.Deleted, c.Value = b[56] == 1, b[changeHeader:]
	return c, nil
}
