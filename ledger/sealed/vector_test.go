package sealed_test

import (
	"bytes"
	"crypto/hpke"
	"encoding/base64"
	"os"
	"strings"
	"testing"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger/sealed"
)

// TestVector opens a note that was sealed once and for all: notes stay on the ledger, so what opens them may not change.
func TestVector(t *testing.T) {
	key, err := hpke.MLKEM768X25519().DeriveKeyPair(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/note.b64")
	if err != nil {
		t.Fatal(err)
	}
	ciphertext, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	got, err := sealed.Open(sealed.Context{
		Purpose: sealed.AccessRequest, Channel: "medanchor", Patient: record.Reference{1}, Sender: record.ParticipantID{2},
		Recipient: record.ParticipantID{3},
	}, key, ciphertext)
	if want := (sealed.Note{Text: "second opinion", Name: "Dr Ada Moss"}); err != nil || got != want {
		t.Errorf("opened %+v, %v; want %+v", got, err, want)
	}
}
