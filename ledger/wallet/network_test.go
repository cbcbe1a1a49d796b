package wallet_test

import (
	"bytes"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/ledger/wallet"
	"github.com/medanchor/medanchor/test/consortium"
)

func TestMain(m *testing.M) { os.Exit(devnettest.Main(m)) }

// TestEnrolment takes a doctor from the institution's code to a key that the ledger knows.
func TestEnrolment(t *testing.T) {
	network := devnettest.Network(t)
	institution, err := consortium.Open(t.Context(), network, network.Members[0])
	if err != nil {
		t.Fatal(err)
	}
	defer institution.Close()
	code, err := wallet.Admit(t.Context(), institution.Wallet, institution.Client, record.DoctorRole)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "doctor")
	w, err := wallet.Enroll(t.Context(), code, dir)
	if err != nil {
		t.Fatal(err)
	}
	client := connect(t, w)
	if _, err := client.WhoAmI(t.Context()); !isForbidden(err) {
		t.Errorf("before joining: got %v", err)
	}
	for range 2 { // to repeat it does no harm
		if err := wallet.Join(t.Context(), w, client); err != nil {
			t.Fatal(err)
		}
	}
	me, err := client.WhoAmI(t.Context())
	if err != nil || me.ID != code.Participant || me.Role != record.DoctorRole || me.Status != record.Active {
		t.Errorf("after joining: %+v, %v", me, err)
	}
	again := filepath.Join(t.TempDir(), "again")
	if _, err := wallet.Enroll(t.Context(), code, again); !errors.Is(err, wallet.ErrUsed) {
		t.Errorf("a code that was used: got %v", err)
	}
	if left, _ := os.ReadDir(filepath.Dir(again)); len(left) > 0 {
		t.Errorf("a failed enrolment leaves %v", left)
	}
	if _, err := wallet.Enroll(t.Context(), code, dir); err == nil {
		t.Error("enrolling takes a folder that is there")
	}
	keysStayHome(t, network, dir)
}

// TestMintedElsewhere: the other member's CA mints the doctor's ID, and their own CA a second key for it. Neither is them.
func TestMintedElsewhere(t *testing.T) {
	network := devnettest.Network(t)
	institution, err := consortium.Open(t.Context(), network, network.Members[0])
	if err != nil {
		t.Fatal(err)
	}
	defer institution.Close()
	doctor, err := institution.Enrol(t.Context(), record.DoctorRole)
	if err != nil {
		t.Fatal(err)
	}
	defer doctor.Close()
	minted, err := network.Members[1].EnrollAs(t.Context(), doctor.ID.String(), string(record.DoctorRole))
	if err != nil {
		t.Fatal(err)
	}
	client, err := ledger.Connect(t.Context(), ledger.Options{
		Peer: network.Members[1].Peer.Address, TLSCAFile: network.Members[1].RootCert, MSPID: minted.MSPID,
		CertificateFile: minted.Cert, KeyFile: minted.Key, Channel: network.Channel, Chaincode: network.Chaincode,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.WhoAmI(t.Context()); !isForbidden(err) {
		t.Errorf("got %v", err)
	}
}

func connect(t *testing.T, w *wallet.Wallet) *ledger.Client {
	t.Helper()
	client, err := ledger.Connect(t.Context(), w.LedgerOptions())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func isForbidden(err error) bool {
	refused, ok := errors.AsType[*record.Error](err)
	return ok && refused.Code == record.Forbidden
}

// keysStayHome searches the network's folders, its CAs' databases among them, for the private keys of a wallet.
func keysStayHome(t *testing.T, network *devnet.Network, dir string) {
	t.Helper()
	var keys [][]byte
	for _, name := range []string{"key.pem", "encryption.key"} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v (%v)", name, info.Mode(), err)
		}
		block, _ := pem.Decode(raw)
		keys = append(keys, bytes.Split(raw, []byte("\n"))[1], block.Bytes[len(block.Bytes)-32:])
	}
	err := filepath.WalkDir(network.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil //nolint:nilerr // files come and go while the network runs
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return nil //nolint:nilerr // the same
		}
		for _, key := range keys {
			if bytes.Contains(content, key) {
				t.Errorf("%s holds a private key", path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
