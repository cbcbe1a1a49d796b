package wallet_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger/wallet"
)

func someCode() wallet.Code {
	return wallet.Code{
		Identity: wallet.Identity{
			Participant: record.NewParticipantID("StMaryMSP", [10]byte{7}), Role: record.DoctorRole, MSPID: "StMaryMSP",
			Peer: "peer.stmary.example:7051", CA: "ca.stmary.example:7054", Channel: "medanchor", Chaincode: "medanchor",
		},
		Secret: "one-time", TLSRoots: []byte{0x30, 0x01, 0x02},
	}
}

func TestCodeRoundTrip(t *testing.T) {
	want := someCode()
	text := want.String()
	got, err := wallet.ParseCode("  " + text[:40] + "\r\n  " + text[40:] + "\n")
	if err != nil {
		t.Fatal(err)
	}
	if got.Identity != want.Identity || got.Secret != want.Secret || string(got.TLSRoots) != string(want.TLSRoots) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestDamagedCode(t *testing.T) {
	text := someCode().String()
	for name, damaged := range map[string]string{
		"empty":           "",
		"something else":  "hello",
		"cut":             text[:len(text)-4],
		"cut to a stump":  text[:14],
		"a letter wrong":  text[:30] + swap(text[30]) + text[31:],
		"another version": strings.Replace(text, "medanchor1", "medanchor2", 1),
		"not base64":      text + "!",
	} {
		if _, err := wallet.ParseCode(damaged); !errors.Is(err, wallet.ErrCode) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	incomplete := someCode()
	incomplete.Secret = ""
	if _, err := wallet.ParseCode(incomplete.String()); !errors.Is(err, wallet.ErrCode) {
		t.Errorf("without a secret: got %v", err)
	}
}

func swap(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}
