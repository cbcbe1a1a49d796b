package sealed_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger/sealed"
)

func releaseTo(to *person) sealed.ReleaseContext {
	return sealed.ReleaseContext{
		Channel: channel, Patient: record.NewReference(mspID, [10]byte{1}), Grant: record.ID{7},
		Custodian: record.InstitutionID("NorthgateMSP").Institution(), Recipient: to.ID,
		Key: record.KeyIDOf(to.EncryptionKey), Until: time.Unix(2_000_000_000, 0),
	}
}

// documentKeys are those of n documents, two in each version.
func documentKeys(n int) (keys []sealed.DocumentKey) {
	for i := range n {
		keys = append(keys, sealed.DocumentKey{
			Record: record.Tag{1}, Version: record.Tag{2, byte(i / 2)}, Tag: record.Tag{3, byte(i)},
			CID: record.CID{0x55, byte(i)}, FileKey: [16]byte(bytes.Repeat([]byte{0xa0 + byte(i)}, 16)),
			Metadata: json.RawMessage(fmt.Sprintf(`{"size":%d}`, i)),
		})
	}
	return keys
}

func TestARecipientOpensARelease(t *testing.T) {
	to := newPerson(t, 1)
	want := documentKeys(5)
	r, err := sealed.SealRelease(releaseTo(to), to.Participant, want)
	if err != nil {
		t.Fatal(err)
	}
	wire := r.Encode()
	for _, k := range want {
		if bytes.Contains(wire, k.FileKey[:]) {
			t.Error("a file key stands in the release")
		}
	}
	r, err = record.DecodeSealedRelease(wire) // by way of the ledger
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Versions) != 3 || r.Documents() != 5 {
		t.Errorf("%d versions of %d documents", len(r.Versions), r.Documents())
	}
	got, err := sealed.OpenRelease(releaseTo(to), to.encryption, r)
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d keys, %v", len(got), err)
	}
	for i := range got {
		if got[i].FileKey != want[i].FileKey || got[i].Tag != want[i].Tag || !bytes.Equal(got[i].Metadata, want[i].Metadata) {
			t.Errorf("key %d: %+v, want %+v", i, got[i], want[i])
		}
	}
}

// A release is of one grant, record, reader and channel. Whoever moves it has nothing.
func TestAReleaseThatWasMovedDoesNotOpen(t *testing.T) {
	to, other := newPerson(t, 1), newPerson(t, 2)
	r, err := sealed.SealRelease(releaseTo(to), to.Participant, documentKeys(3))
	if err != nil {
		t.Fatal(err)
	}
	for name, move := range map[string]func(*sealed.ReleaseContext){
		"channel":   func(c *sealed.ReleaseContext) { c.Channel = "other" },
		"patient":   func(c *sealed.ReleaseContext) { c.Patient[15] ^= 1 },
		"grant":     func(c *sealed.ReleaseContext) { c.Grant[0] ^= 1 },
		"custodian": func(c *sealed.ReleaseContext) { c.Custodian[0] ^= 1 },
		"recipient": func(c *sealed.ReleaseContext) { c.Recipient = other.ID },
		"key":       func(c *sealed.ReleaseContext) { c.Key[0] ^= 1 },
		"end":       func(c *sealed.ReleaseContext) { c.Until = c.Until.Add(time.Hour) },
		"no end":    func(c *sealed.ReleaseContext) { c.Until = time.Time{} },
	} {
		c := releaseTo(to)
		move(&c)
		if _, err := sealed.OpenRelease(c, to.encryption, r); !errors.Is(err, sealed.ErrNotForRelease) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	if _, err := sealed.OpenRelease(releaseTo(to), other.encryption, r); !errors.Is(err, sealed.ErrNotForRelease) {
		t.Errorf("another's key: %v", err)
	}
	for name, alter := range map[string]func(*record.SealedRelease){
		"record":     func(r *record.SealedRelease) { r.Versions[0].Record[0] ^= 1 },
		"version":    func(r *record.SealedRelease) { r.Versions[0].Version[0] ^= 1 },
		"tag":        func(r *record.SealedRelease) { r.Versions[0].Documents[0].Tag[0] ^= 1 },
		"CID":        func(r *record.SealedRelease) { r.Versions[0].Documents[0].CID[1] ^= 1 },
		"sealed key": func(r *record.SealedRelease) { r.Versions[0].Documents[0].SealedKey[0] ^= 1 },
		"order": func(r *record.SealedRelease) {
			d := r.Versions[0].Documents
			d[0], d[1] = d[1], d[0]
		},
		"metadata": func(r *record.SealedRelease) { r.Metadata[0] ^= 1 },
		"less":     func(r *record.SealedRelease) { r.Versions = r.Versions[:1] },
	} {
		altered, err := record.DecodeSealedRelease(r.Encode())
		if err != nil {
			t.Fatal(err)
		}
		alter(&altered)
		if _, err := sealed.OpenRelease(releaseTo(to), to.encryption, altered); !errors.Is(err, sealed.ErrNotForRelease) {
			t.Errorf("another %s: %v", name, err)
		}
	}
}

func TestAReleaseIsSealedToTheKeyThatIsVouchedFor(t *testing.T) {
	to, other := newPerson(t, 1), newPerson(t, 2)
	c := releaseTo(to)
	if _, err := sealed.SealRelease(c, other.Participant, documentKeys(1)); err == nil {
		t.Error("sealed to another participant")
	}
	to.EncryptionKey = other.EncryptionKey
	c.Key = record.KeyIDOf(to.EncryptionKey)
	if _, err := sealed.SealRelease(c, to.Participant, documentKeys(1)); !errors.Is(err, sealed.ErrKey) {
		t.Errorf("a key that nobody vouches for: %v", err)
	}
}

// BenchmarkSealRelease seals 500 keys, as one release does.
func BenchmarkSealRelease(b *testing.B) {
	t := &testing.T{}
	to := newPerson(t, 1)
	var keys []sealed.DocumentKey
	for i := range 500 {
		k := documentKeys(1)[0]
		k.Tag[2], k.Tag[3] = byte(i), byte(i>>8)
		keys = append(keys, k)
	}
	for b.Loop() {
		if _, err := sealed.SealRelease(releaseTo(to), to.Participant, keys); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(500*b.N)/b.Elapsed().Seconds(), "keys/s")
}
