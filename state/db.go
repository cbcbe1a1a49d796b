package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/medanchor/medanchor/document"
)

// format is the layout that this version writes. A file with a higher one is refused.
const format = 2

// lockTimeout bounds the wait for another process to let go of the file.
const lockTimeout = time.Second

// The sentinels of this package.
var (
	// ErrInUse says that another process has the file open.
	ErrInUse = errors.New("in use by another process: stop the other medanchor first")
	// ErrNewer says that the file was written by a newer medanchor.
	ErrNewer = errors.New("written by a newer version of medanchor: install that version, or restore a backup")
	// ErrOlder says that the file is of a medanchor before its first release, whose patients the ledger does not take.
	ErrOlder = errors.New("written before medanchor's first release: begin with a new data folder")
	// ErrOtherMember says that the file's patients are another institution's.
	ErrOtherMember = errors.New("its patients are of another member of the channel: set ledger.msp_id back, or begin with " +
		"a new data folder")
	// ErrBroken says that a commit failed, so that what is on disk is unknown: the process must end, and open it again. DB.Wait
	// tells of it.
	ErrBroken = errors.New("state.db failed to commit: the disk is full or fails")
	// ErrStated says that another emergency has the same ID.
	ErrStated = errors.New("another emergency was stated under this ID: state it anew")
	// ErrNotFound says that there is no such item.
	ErrNotFound = errors.New("not found")
)

// Sealer seals values and hashes keys; vault/seal implements it.
type Sealer interface {
	// SealValue encrypts plaintext, bound to its bucket and key.
	SealValue(bucket string, key, plaintext []byte) []byte
	// OpenValue reverses SealValue; a value moved to another bucket or key does not open.
	OpenValue(bucket string, key, sealed []byte) ([]byte, error)
	// SealHeader encrypts an item's age header under its shard key.
	SealHeader(id document.ItemID, header []byte) []byte
	// OpenHeader reverses SealHeader.
	OpenHeader(id document.ItemID, sealed []byte) ([]byte, error)
	// Blind is a keyed hash for local look-ups: 32 bytes, of the parts in order.
	Blind(label string, parts ...[]byte) []byte
}

// bucket names one bbolt bucket. Its name is part of every sealed value's associated data.
type bucket string

const (
	metaBucket     bucket = "meta"      // format, counts, the submission in flight
	itemBucket     bucket = "items"     // item ID → sealed Item
	headerBucket   bucket = "headers"   // item ID → sealed age header
	tagBucket      bucket = "tags"      // document tag → sealed item ID of its carrier
	contentBucket  bucket = "contents"  // blind digest, item ID → empty: carriers and quarantined items
	instanceBucket bucket = "instances" // blind (patient, SOP Instance UID) → sealed tag of the first document
	patientBucket  bucket = "patients"  // blind (issuer, identifier) → sealed Patient
	claimBucket    bucket = "claims"    // blind claim → sealed item ID
	outboxBucket   bucket = "outbox"    // sequence, 8 bytes big-endian → item ID
	rootBucket     bucket = "roots"     // CID of a group commit's pin root → empty
	// Those below came later: they are made where they are missing.
	referenceBucket bucket = "references"  // own reference → sealed secret
	linkedBucket    bucket = "linked"      // own reference, linked reference → sealed secret
	copyBucket      bucket = "copies"      // document tag → item ID: copies of what another institution anchored
	emergencyBucket bucket = "emergencies" // ID → sealed Emergency that is not on the ledger yet
	trayBucket      bucket = "trays"       // item ID → empty: items that wait for a person
	repeatBucket    bucket = "repeats"     // item ID, item ID of a duplicate of it → empty
	studyBucket     bucket = "studies"     // patient, record → sealed Study
	openBucket      bucket = "open"        // patient, record → empty: the ledger was not told that the study is stable
	handedBucket    bucket = "handed"      // own reference, audit entry by which a secret was handed over → empty
	submissionKey          = "submission"
	countsKey              = "counts"
	formatKey              = "format"
	memberKey              = "member" // MSP ID of the institution whose patients these are
	sequenceKeySize        = 8
)

func buckets() []bucket {
	return []bucket{
		metaBucket, itemBucket, headerBucket, tagBucket, contentBucket, instanceBucket, patientBucket,
		claimBucket, outboxBucket, rootBucket,
	}
}

func laterBuckets() []bucket {
	return []bucket{referenceBucket, linkedBucket, copyBucket, emergencyBucket, handedBucket, trayBucket, repeatBucket, studyBucket, openBucket}
}

// DB is an open state.db. Its methods may be called from several goroutines at once.
type DB struct {
	bolt   *bolt.DB
	sealer Sealer
	mspID  string

	writer sync.Mutex    // held from before a transaction that writes until its end is noted
	broken chan struct{} // closed once a commit failed
	cause  error         // ErrBroken, and why; set before broken is closed
}

// Open opens the file at path, or makes it. Patients are registered as the institution's that is the channel's member
// mspID. ErrInUse, ErrNewer, ErrOlder and ErrOtherMember say why it may not.
func Open(path string, sealer Sealer, mspID string) (*DB, error) {
	b, err := bolt.Open(path, 0o600, &bolt.Options{
		Timeout:      lockTimeout,
		FreelistType: bolt.FreelistMapType,
	})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("open %s: %w", path, ErrInUse)
	}
	if errors.Is(err, bolterrors.ErrInvalid) || errors.Is(err, bolterrors.ErrChecksum) {
		err = fmt.Errorf("%w: it is damaged, or the disk does not read: look at the disk first; only then restore a backup", err)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db := &DB{bolt: b, sealer: sealer, mspID: mspID, broken: make(chan struct{})}
	for _, step := range []func(*bolt.Tx) error{db.prepare, db.addLater} {
		if err := b.Update(step); err != nil {
			return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), b.Close())
		}
	}
	return db, nil
}

// prepare makes the buckets of a new file and checks the format of an old one.
func (db *DB) prepare(tx *bolt.Tx) error {
	if meta := tx.Bucket([]byte(metaBucket)); meta != nil {
		if err := checkFormat(meta.Get([]byte(formatKey))); err != nil {
			return err
		}
		if member := string(meta.Get([]byte(memberKey))); member != db.mspID {
			return fmt.Errorf("made for %s, opened for %s: %w", member, db.mspID, ErrOtherMember)
		}
		return nil
	}
	for _, b := range buckets() {
		if _, err := tx.CreateBucketIfNotExists([]byte(b)); err != nil {
			return fmt.Errorf("create bucket %s: %w", b, err)
		}
	}
	meta := tx.Bucket([]byte(metaBucket))
	return errors.Join(meta.Put([]byte(formatKey), []byte(strconv.Itoa(format))),
		meta.Put([]byte(memberKey), []byte(db.mspID)))
}

// addLater makes the buckets that an older file lacks, and fills those that follow from others.
func (db *DB) addLater(tx *bolt.Tx) error {
	v := view{tx, db.sealer}
	noReferences, unsorted := v.bucket(referenceBucket) == nil, v.bucket(trayBucket) == nil
	for _, b := range laterBuckets() {
		if _, err := tx.CreateBucketIfNotExists([]byte(b)); err != nil {
			return fmt.Errorf("create bucket %s: %w", b, err)
		}
	}
	if unsorted {
		if err := v.sortAll(); err != nil {
			return err
		}
	}
	if !noReferences {
		return nil
	}
	return v.bucket(patientBucket).ForEach(func(key, _ []byte) error {
		var patient document.Patient
		if _, err := v.getJSON(patientBucket, key, &patient); err != nil {
			return err
		}
		return v.put(referenceBucket, patient.Reference[:], patient.Secret[:])
	})
}

func checkFormat(stored []byte) error {
	n, err := strconv.Atoi(string(stored))
	if err != nil {
		return fmt.Errorf("read format %q: not a medanchor state.db", stored)
	}
	switch {
	case n > format:
		return fmt.Errorf("format %d, this version knows %d: %w", n, format, ErrNewer)
	case n < format:
		return fmt.Errorf("format %d, this version knows %d: %w", n, format, ErrOlder)
	}
	return nil
}

// Close closes the file. It waits for transactions under way.
func (db *DB) Close() error { return db.bolt.Close() }

// Wait returns ErrBroken with its cause once a commit has failed, whoever asked for it, and nil at the end of ctx: whoever runs
// the process ends it by that.
func (db *DB) Wait(ctx context.Context) error {
	select {
	case <-db.broken:
		return db.cause
	case <-ctx.Done():
		return nil
	}
}

// Path is the file's path.
func (db *DB) Path() string { return db.bolt.Path() }

// Size is the file's size in bytes.
func (db *DB) Size() (int64, error) {
	info, err := os.Stat(db.bolt.Path())
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// view is a transaction with the sealer at hand.
type view struct {
	tx     *bolt.Tx
	sealer Sealer
}

func (db *DB) view(f func(v view) error) error {
	return db.bolt.View(func(tx *bolt.Tx) error { return f(view{tx, db.sealer}) })
}

// update runs f in a transaction. After a failed commit there is no other: bbolt might build it on pages that never
// reached the disk. Hence writer, too: bbolt lets the next one begin before it says that a commit failed.
func (db *DB) update(f func(v view) error) error {
	db.writer.Lock()
	defer db.writer.Unlock()
	if db.cause != nil {
		return db.cause
	}
	var refused error
	err := db.bolt.Update(func(tx *bolt.Tx) error {
		refused = f(view{tx, db.sealer})
		return refused
	})
	if err != nil && refused == nil {
		db.cause = fmt.Errorf("%w: %w: make room or replace the disk, and start again", ErrBroken, err)
		close(db.broken)
		return db.cause
	}
	return err
}

func (v view) bucket(b bucket) *bolt.Bucket { return v.tx.Bucket([]byte(b)) }

// put seals plaintext under (b, key).
func (v view) put(b bucket, key, plaintext []byte) error {
	return v.bucket(b).Put(key, v.sealer.SealValue(string(b), key, plaintext))
}

// get opens the value under (b, key); nil if there is none.
func (v view) get(b bucket, key []byte) ([]byte, error) {
	sealed := v.bucket(b).Get(key)
	if sealed == nil {
		return nil, nil
	}
	plaintext, err := v.sealer.OpenValue(string(b), key, sealed)
	if err != nil {
		return nil, fmt.Errorf("open value in %s: %w", b, err)
	}
	return plaintext, nil
}

// putJSON and getJSON are put and get for structured values. found is false if there is none.
func (v view) putJSON(b bucket, key []byte, value any) error {
	plaintext, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode value in %s: %w", b, err)
	}
	return v.put(b, key, plaintext)
}

func (v view) getJSON(b bucket, key []byte, value any) (found bool, err error) {
	plaintext, err := v.get(b, key)
	if err != nil || plaintext == nil {
		return false, err
	}
	if err := json.Unmarshal(plaintext, value); err != nil {
		return false, fmt.Errorf("decode value in %s: %w", b, err)
	}
	return true, nil
}
