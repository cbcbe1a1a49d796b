package seal

import (
	"bytes"
	"crypto/rand"
	"io"
	"testing"
)

// A reader elsewhere has the payload and the file key, and no header.
func TestAPayloadOpensWithItsFileKeyAlone(t *testing.T) {
	vault := newFixture(t).load(t)
	for _, size := range []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 200_000} {
		plain := make([]byte, size)
		rand.Read(plain)
		header, payload := sealAll(t, vault, plain)
		key, err := vault.FileKey(header)
		if err != nil {
			t.Fatal(err)
		}
		got, n, err := OpenAt(key, bytes.NewReader(payload), int64(len(payload)))
		if err != nil || n != int64(size) || PlaintextSize(int64(len(payload))) != n {
			t.Fatalf("size %d: OpenAt = %d, %v; PlaintextSize = %d", size, n, err, PlaintextSize(int64(len(payload))))
		}
		whole, err := io.ReadAll(io.NewSectionReader(got, 0, n))
		if err != nil || !bytes.Equal(whole, plain) {
			t.Fatalf("size %d: read back differs (%v)", size, err)
		}
		part := make([]byte, min(10, size))
		if _, err := got.ReadAt(part, int64(size-len(part))); err != nil && err != io.EOF || !bytes.Equal(part, plain[size-len(part):]) {
			t.Fatalf("size %d: the end differs (%v)", size, err)
		}
	}
}

func TestAnotherFileKeyOpensNothing(t *testing.T) {
	vault := newFixture(t).load(t)
	header, _ := sealAll(t, vault, []byte("one"))
	_, payload := sealAll(t, vault, []byte("two"))
	key, err := vault.FileKey(header)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenAt(key, bytes.NewReader(payload), int64(len(payload))); err == nil {
		t.Error("a payload opened with the key of another")
	}
}

func TestADamagedPayloadIsRefusedWhereItIsRead(t *testing.T) {
	vault := newFixture(t).load(t)
	plain := make([]byte, 200_000)
	header, payload := sealAll(t, vault, plain)
	key, err := vault.FileKey(header)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenAt(key, bytes.NewReader(payload[:len(payload)-1]), int64(len(payload)-1)); err == nil {
		t.Error("a payload that was cut short opened")
	}
	payload[100] ^= 1
	got, _, err := OpenAt(key, bytes.NewReader(payload), int64(len(payload)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := got.ReadAt(make([]byte, 10), 0); err == nil {
		t.Error("a changed chunk was read")
	}
	if _, err := got.ReadAt(make([]byte, 10), 100_000); err != nil {
		t.Errorf("a chunk beside the changed one: %v", err)
	}
}
