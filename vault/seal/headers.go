package seal

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/medanchor/medanchor/document"
)

// shards is the number of shards: an item's headers are in the shard that the last, random byte of its ID names.
// Re-keying one for an erasure re-seals a 256th of all headers.
const shards = 256

// headerVersion begins every sealed header.
const headerVersion = 1

// shardsMagic begins the shards file.
const shardsMagic = "medanchor header shards 1\n"

// A shardKey is one generation of one shard's key. Headers name the generation that sealed them, so that a shard can
// have two while it is re-keyed.
type shardKey struct {
	shard      uint8
	generation uint32
	key        [chacha20poly1305.KeySize]byte
}

// Headers seals the detached headers of files, each bound to its item, under the keys of the shards file. It is safe
// for concurrent use.
type Headers struct {
	current [shards]uint32 // the newest generation of each shard
	aeads   map[shardID]cipher.AEAD
}

type shardID struct {
	shard      uint8
	generation uint32
}

func newHeaders(keys []shardKey) (Headers, error) {
	h := Headers{aeads: make(map[shardID]cipher.AEAD, len(keys))}
	for _, k := range keys {
		aead, err := chacha20poly1305.NewX(k.key[:])
		if err != nil {
			return Headers{}, fmt.Errorf("use shard key: %w", err)
		}
		h.aeads[shardID{k.shard, k.generation}] = aead
		h.current[k.shard] = max(h.current[k.shard], k.generation)
	}
	for shard, generation := range h.current {
		if generation == 0 {
			return Headers{}, fmt.Errorf("%w: shard %d has no key", ErrDamaged, shard)
		}
	}
	return h, nil
}

// SealHeader encrypts an item's header: it opens only as that item's.
func (h Headers) SealHeader(id document.ItemID, header []byte) []byte {
	shard := id[len(id)-1]
	generation := h.current[shard]
	prefix := binary.BigEndian.AppendUint32([]byte{headerVersion}, generation)
	return sealAEAD(h.aeads[shardID{shard, generation}], prefix, header, headerContext(id, prefix))
}

// OpenHeader decrypts what SealHeader gave for the same item; anything else is ErrSealed.
func (h Headers) OpenHeader(id document.ItemID, sealed []byte) ([]byte, error) {
	const prefixSize = 5 // version, generation
	if len(sealed) < prefixSize || sealed[0] != headerVersion {
		return nil, fmt.Errorf("open header: %w", ErrSealed)
	}
	prefix, sealed := sealed[:prefixSize], sealed[prefixSize:]
	aead, ok := h.aeads[shardID{id[len(id)-1], binary.BigEndian.Uint32(prefix[1:])}]
	if !ok {
		return nil, fmt.Errorf("open header: its shard key is gone: %w", ErrSealed)
	}
	header, err := openAEAD(aead, sealed, headerContext(id, prefix))
	if err != nil {
		return nil, fmt.Errorf("open header: %w", err)
	}
	return header, nil
}

func headerContext(id document.ItemID, prefix []byte) []byte {
	return lengthPrefixed([]byte("header"), id[:], prefix)
}

// newShardKeys makes the first generation of every shard.
func newShardKeys() []shardKey {
	keys := make([]shardKey, shards)
	for i := range keys {
		keys[i] = shardKey{shard: uint8(i), generation: 1}
		rand.Read(keys[i].key[:])
	}
	return keys
}

// A line of the shards file: shard, generation, then the wrapped key.
const (
	shardNameSize = 1 + 4
	shardLineSize = shardNameSize + chacha20poly1305.NonceSizeX + chacha20poly1305.KeySize + chacha20poly1305.Overhead
)

// encodeShards gives the shards file: each key wrapped under the root secret and bound to its shard and generation.
func encodeShards(root []byte, keys []shardKey) ([]byte, error) {
	wrap, err := deriveAEAD(root, labelShards)
	if err != nil {
		return nil, err
	}
	var body []byte
	for _, k := range keys {
		name := binary.BigEndian.AppendUint32([]byte{k.shard}, k.generation)
		body = append(body, sealAEAD(wrap, name, k.key[:], lengthPrefixed([]byte("shard"), name))...)
	}
	return frame(shardsMagic, body), nil
}

func decodeShards(root, file []byte) ([]shardKey, error) {
	body, err := unframe(shardsMagic, file)
	if err != nil {
		return nil, err
	}
	wrap, err := deriveAEAD(root, labelShards)
	if err != nil {
		return nil, err
	}
	if len(body)%shardLineSize != 0 {
		return nil, fmt.Errorf("%w: odd length", ErrDamaged)
	}
	var keys []shardKey
	for r := bytes.NewBuffer(body); r.Len() > 0; {
		name, wrapped := r.Next(shardNameSize), r.Next(shardLineSize-shardNameSize)
		key, err := openAEAD(wrap, wrapped, lengthPrefixed([]byte("shard"), name))
		if err != nil {
			return nil, fmt.Errorf("unwrap shard key: %w", err)
		}
		keys = append(keys, shardKey{
			shard: name[0], generation: binary.BigEndian.Uint32(name[1:]), key: [chacha20poly1305.KeySize]byte(key),
		})
		clear(key)
	}
	return keys, nil
}
