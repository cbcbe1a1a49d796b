package record_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/medanchor/medanchor/chaincode/record"
)

// FuzzDecodeBatch checks that whatever is accepted is written back as it was: there is one encoding of each batch.
func FuzzDecodeBatch(f *testing.F) {
	wire, err := sample().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(wire)
	f.Add([]byte{})
	f.Add([]byte{1, 1})
	f.Fuzz(func(t *testing.T, wire []byte) {
		batch, err := record.DecodeBatch(wire)
		if err != nil {
			return
		}
		again, err := batch.Encode()
		if err != nil || !bytes.Equal(again, wire) {
			t.Errorf("%x is written back as %x, %v", wire, again, err)
		}
	})
}

// FuzzDecodeSealedRelease checks the same of what readers are given, and that it is within the limits.
func FuzzDecodeSealedRelease(f *testing.F) {
	for _, r := range []record.SealedRelease{sealedRelease(1), sealedRelease(2, 1), ofRecords(3), sealedRelease()} {
		wire := r.Encode()
		f.Add(wire)
		f.Add(wire[:len(wire)-len(r.Metadata)])
		f.Add(wire[:1+record.EncapsulatedKeySize])
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		r, err := record.DecodeSealedRelease(wire)
		if err != nil {
			if refused, ok := errors.AsType[*record.Error](err); !ok || refused.Code != record.BadRequest {
				t.Errorf("refused with %v, want %s", err, record.BadRequest)
			}
			return
		}
		if again := r.Encode(); !bytes.Equal(again, wire) {
			t.Errorf("%x is written back as %x", wire, again)
		}
		if n := r.Documents(); n == 0 || n > record.MaxReleaseDocuments || len(r.Records()) > record.MaxReleaseRecords {
			t.Errorf("%d documents of %d records", n, len(r.Records()))
		}
	})
}

// FuzzDecodeValues checks the same of the values under keys, and of messages.
func FuzzDecodeValues(f *testing.F) {
	f.Add(record.StoredDocument{CID: cid(0x55, 1), VariantOf: fill[record.Tag](2)}.Encode())
	f.Add(record.StoredDocument{Tombstone: record.Tombstone{Generation: 7}}.Encode())
	f.Add(record.StoredHolding{CID: cid(0x70, 1)}.Encode())
	f.Add(sampleVersion().Encode())
	f.Add(record.Result{Outcomes: []record.Outcome{1, 2, 0}}.Encode())
	f.Add(record.Anchored{Created: 300}.Encode())
	f.Add(storedRelease().Encode())
	f.Add(record.StoredRelease{}.Encode())
	f.Fuzz(func(t *testing.T, value []byte) {
		check := func(name string, again []byte, err error) {
			if err == nil && !bytes.Equal(again, value) {
				t.Errorf("%s %x is written back as %x", name, value, again)
			}
		}
		document, err := record.DecodeDocument(value)
		check("document", document.Encode(), err)
		holding, err := record.DecodeHolding(value)
		check("holding", holding.Encode(), err)
		if version, err := record.DecodeVersion(sampleVersion().Key(), value); err == nil {
			check("version", version.Encode(), nil)
		}
		result, err := record.DecodeResult(value)
		check("result", result.Encode(), err)
		event, err := record.DecodeAnchored(value)
		check("event", event.Encode(), err)
		release, err := record.DecodeRelease(value)
		check("release", release.Encode(), err)
		if anchoring, err := record.DecodeAnchoring(value); err == nil {
			again, err := anchoring.Encode()
			if err != nil {
				t.Errorf("anchoring %x cannot be written back: %v", value, err)
			}
			check("anchoring", again, nil)
		}
	})
}

// FuzzParseKeys checks that a key is accepted in one form only.
func FuzzParseKeys(f *testing.F) {
	f.Add(record.VersionKey(fill[record.Reference](1), fill[record.Tag](2), fill[record.Tag](3)))
	f.Add(record.HoldingKey(record.InstitutionPrefix{1}, fill[record.Tag](2)))
	f.Add(record.DocumentKey(fill[record.Tag](2)))
	f.Add(record.ReleaseKey(fill[record.Reference](1), fill[record.ParticipantID](2), record.ID{3}))
	f.Fuzz(func(t *testing.T, key string) {
		if patient, rec, name, err := record.ParseVersionKey(key); err == nil {
			if again := record.VersionKey(patient, rec, name); again != key {
				t.Errorf("%q is written back as %q", key, again)
			}
		}
		if institution, tag, err := record.ParseHoldingKey(key); err == nil && record.HoldingKey(institution, tag) != key {
			t.Errorf("%q is not written back", key)
		}
		if tag, err := record.ParseDocumentKey(key); err == nil && record.DocumentKey(tag) != key {
			t.Errorf("%q is not written back", key)
		}
		if r, to, id, err := record.ParseReleaseKey(key); err == nil && record.ReleaseKey(r, to, id) != key {
			t.Errorf("%q is not written back", key)
		}
		if id, err := record.ParseAnchoringKey(key); err == nil && record.AnchoringKey(id) != key {
			t.Errorf("%q is not written back", key)
		}
	})
}
