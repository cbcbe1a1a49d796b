package seal

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"filippo.io/age"
)

// pushed seals plain by NewFile, written in pieces of n bytes.
func pushed(t *testing.T, plain []byte, n int) (FileKey, []byte) {
	t.Helper()
	var payload bytes.Buffer
	key, w, err := NewFile(&payload)
	if err != nil {
		t.Fatal(err)
	}
	for rest := plain; len(rest) > 0; rest = rest[min(n, len(rest)):] {
		if _, err := w.Write(rest[:min(n, len(rest))]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return key, payload.Bytes()
}

func TestWhatWasWrittenToANewFileIsReadBack(t *testing.T) {
	const chunk = 64 << 10
	for _, size := range []int{0, 1, chunk - 1, chunk, chunk + 1, 2*chunk - 1, 2 * chunk, 2*chunk + 1, 1 << 20} {
		for _, piece := range []int{1000, chunk, 3 * chunk} {
			plain := randomBytes(size)
			key, payload := pushed(t, plain, piece)
			got, n, err := OpenAt(key, bytes.NewReader(payload), int64(len(payload)))
			if err != nil || n != int64(size) || PlaintextSize(int64(len(payload))) != n {
				t.Fatalf("size %d: OpenAt = %d, %v; PlaintextSize = %d", size, n, err, PlaintextSize(int64(len(payload))))
			}
			if whole, err := io.ReadAll(io.NewSectionReader(got, 0, n)); err != nil || !bytes.Equal(whole, plain) {
				t.Fatalf("size %d in pieces of %d: read back differs (%v)", size, piece, err)
			}
		}
	}
}

// The payload is one of age: with a header for its key before it, age itself opens it.
func TestANewFileIsAPayloadOfAge(t *testing.T) {
	plain := randomBytes(100_000)
	key, payload := pushed(t, plain, 4096)
	header, err := injectedHeader(key)
	if err != nil {
		t.Fatal(err)
	}
	file := io.MultiReader(bytes.NewReader(header), bytes.NewReader(payload))
	r, err := age.Decrypt(file, age.NewInjectedFileKeyIdentity(key[:]))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("age gives something else (%v)", err)
	}
}

func TestNoTwoNewFilesShareKeyOrNonce(t *testing.T) {
	key1, payload1 := pushed(t, []byte("same"), 10)
	key2, payload2 := pushed(t, []byte("same"), 10)
	if key1 == key2 || key1 == (FileKey{}) || bytes.Equal(payload1[:16], payload2[:16]) {
		t.Error("two files are sealed alike")
	}
	if _, _, err := OpenAt(key1, bytes.NewReader(payload2), int64(len(payload2))); err == nil {
		t.Error("a payload opened with the key of another")
	}
}

// Wherever a payload was cut, also between two chunks, it is refused before anything is read of it.
func TestANewFileThatWasCutShortIsRefused(t *testing.T) {
	const nonce, sealedChunk = 16, 64<<10 + 16
	key, payload := pushed(t, randomBytes(200_000), 1<<20)
	for _, size := range []int{
		0, nonce - 1, nonce, nonce + 15, nonce + sealedChunk - 1, nonce + sealedChunk, nonce + sealedChunk + 1,
		nonce + 2*sealedChunk, nonce + 3*sealedChunk, len(payload) - 1,
	} {
		if _, _, err := OpenAt(key, bytes.NewReader(payload[:size]), int64(size)); err == nil {
			t.Errorf("the first %d of %d bytes opened", size, len(payload))
		}
	}
}

// Not closed is cut short.
func TestANewFileThatWasNotClosedIsRefused(t *testing.T) {
	var payload bytes.Buffer
	key, w, err := NewFile(&payload)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 200_000)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenAt(key, bytes.NewReader(payload.Bytes()), int64(payload.Len())); err == nil {
		t.Error("it opened")
	}
}

func TestAFlippedBitOfANewFileIsRefusedWhereItIsRead(t *testing.T) {
	key, payload := pushed(t, randomBytes(200_000), 1<<20)
	for at := 0; at < len(payload); at += 9973 {
		damaged := bytes.Clone(payload)
		damaged[at] ^= 0x10
		plain, n, err := OpenAt(key, bytes.NewReader(damaged), int64(len(damaged)))
		if err != nil {
			continue
		}
		if _, err := io.ReadAll(io.NewSectionReader(plain, 0, n)); err == nil {
			t.Errorf("byte %d: what was changed was read", at)
		}
	}
}

// failing is a disk that is full after n bytes.
type failing struct{ n int }

var errFull = errors.New("full")

func (f *failing) Write(b []byte) (int, error) {
	if f.n -= len(b); f.n < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestWhatANewFileCannotWriteIsSaid(t *testing.T) {
	for _, room := range []int{0, 16, 16 + 65552, 150_000} {
		_, w, err := NewFile(&failing{room})
		if err == nil {
			_, err = w.Write(make([]byte, 160_000))
			if err == nil {
				err = w.Close()
			}
		}
		if !errors.Is(err, errFull) {
			t.Errorf("with room for %d bytes: %v", room, err)
		}
	}
}
