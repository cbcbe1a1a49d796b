package record_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

var update = flag.Bool("update", false, "rewrite the golden file")

func fill[T ~[16]byte](b byte) (t T) { return T(bytes.Repeat([]byte{b}, 16)) }

func cid(codec, b byte) record.CID {
	return record.CID(append([]byte{codec}, bytes.Repeat([]byte{b}, 32)...))
}

func txID(b byte) record.TxID { return record.TxID(bytes.Repeat([]byte{b}, 32)) }

// sample is a batch with everything that a batch can have.
func sample() record.Batch {
	patient := fill[record.Reference](0xaa)
	return record.Batch{Versions: []record.Version{
		{
			Patient: patient, Record: fill[record.Tag](0xbb), Kind: record.KindImaging,
			Date: time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC), Late: true,
			Author: fill[record.ParticipantID](0xab), Amends: fill[record.Tag](0xba),
			Documents: []record.Document{
				{Tag: fill[record.Tag](1), CID: cid(0x55, 0x11)},
				{Tag: fill[record.Tag](2), CID: cid(0x70, 0x22), VariantOf: fill[record.Tag](1)},
			},
		},
		{
			Patient: patient, Record: fill[record.Tag](0xcc), Kind: record.KindLetter,
			Documents: []record.Document{{Tag: fill[record.Tag](3), CID: cid(0x55, 0x33)}},
		},
	}}
}

// sampleVersion is the first version of the sample, as anchored: with the tags of its documents only.
func sampleVersion() record.AnchoredVersion {
	v := sample().Versions[0]
	v.Documents = []record.Document{{Tag: v.Documents[0].Tag}, {Tag: v.Documents[1].Tag}}
	return record.AnchoredVersion{Version: v, Anchoring: txID(0xdd).AnchoringID()}
}

// TestGolden pins the schema: what stands here is on ledgers, and may only be added to.
func TestGolden(t *testing.T) {
	batch := sample()
	first := batch.Versions[0]
	tx := txID(0xdd)
	wire, err := batch.Encode()
	if err != nil {
		t.Fatal(err)
	}
	anchoring, err := record.Anchoring{
		ID: tx.AnchoringID(), TxID: tx, MSPID: "StMaryMSP",
		Time: time.Date(2026, 11, 22, 18, 30, 0, 123456789, time.UTC),
	}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	line := func(name, value string) { fmt.Fprintf(&got, "%-20s %s\n", name, value) }
	packed := func(name string, value []byte) { line(name, hex.EncodeToString(value)) }
	patientStart, patientEnd := record.PatientRange(first.Patient)
	recordStart, recordEnd := record.RecordRange(first.Patient, first.Record)
	institutionStart, institutionEnd := record.InstitutionRange(first.Patient.Institution())
	holdingStart, holdingEnd := record.HoldingRange(first.Patient.Institution())
	second := record.AnchoredVersion{Version: batch.Versions[1], Anchoring: tx.AnchoringID()}
	var secret, digest [32]byte
	for i := range secret {
		secret[i], digest[i] = byte(i), byte(0xff-i)
	}

	line("document key", record.DocumentKey(first.Documents[0].Tag))
	line("version key", sampleVersion().Key())
	line("anchoring key", record.AnchoringKey(tx.AnchoringID()))
	line("holding key", record.HoldingKey(first.Patient.Institution(), first.Documents[0].Tag))
	line("institution range", institutionStart+" "+institutionEnd)
	line("patient range", patientStart+" "+patientEnd)
	line("record range", recordStart+" "+recordEnd)
	line("holding range", holdingStart+" "+holdingEnd)
	packed("document", record.StoredDocument{CID: cid(0x55, 0x11), Anchoring: tx.AnchoringID()}.Encode())
	packed("variant", record.StoredDocument{
		CID: cid(0x70, 0x22), Anchoring: tx.AnchoringID(), VariantOf: fill[record.Tag](1),
	}.Encode())
	packed("tombstone", record.StoredDocument{
		Tombstone: record.Tombstone{Generation: 258, Erasure: tx.AnchoringID()},
	}.Encode())
	packed("holding", record.StoredHolding{CID: cid(0x55, 0x11), Anchoring: tx.AnchoringID()}.Encode())
	packed("version", second.Encode())
	packed("amendment", sampleVersion().Encode())
	packed("anchoring", anchoring)
	packed("batch", wire)
	packed("result", record.Result{Outcomes: []record.Outcome{
		record.Created, record.Existing, record.Conflict, record.Erased, record.Existing,
	}}.Encode())
	packed("event", record.Anchored{
		ID: tx.AnchoringID(), Versions: 2, Created: 300, Existing: 1, Conflict: 0, Erased: 4,
	}.Encode())
	line("raw CID", cid(0x55, 0x11).String())
	line("dag-pb CID", cid(0x70, 0x22).String())
	line("document tag", record.DocumentTag(secret, 0, digest).String())
	line("generation 1", record.DocumentTag(secret, 1, digest).String())
	line("record tag", record.RecordTag(secret, "1.2.826.0.1.3680043.8.498.1").String())
	line("release key", record.ReleaseKey(first.Patient, first.Author, record.ID(tx.AnchoringID())))
	packed("release", storedRelease().Encode())
	packed("sealed release", sealedRelease(2, 1).Encode())
	line("key ID", record.KeyIDOf([]byte("an encryption key")).String())
	packed("emergency", statement().Message())

	path := filepath.Join("testdata", "schema.golden")
	if *update {
		if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("the schema changed:\n%s\nwant:\n%s", got.String(), want)
	}
}

func TestBatchRoundTrip(t *testing.T) {
	tests := map[string]func(b *record.Batch){
		"sample":            func(*record.Batch) {},
		"before 1970":       func(b *record.Batch) { b.Versions[0].Date = time.Date(1895, 11, 8, 0, 0, 0, 0, time.UTC) },
		"first day":         func(b *record.Batch) { b.Versions[0].Date = time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC) },
		"last day":          func(b *record.Batch) { b.Versions[0].Date = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC) },
		"Unix epoch":        func(b *record.Batch) { b.Versions[0].Date = time.Unix(0, 0).UTC() },
		"no date":           func(b *record.Batch) { b.Versions[0].Date = time.Time{} },
		"author only":       func(b *record.Batch) { b.Versions[0].Amends, b.Versions[0].Late = record.Tag{}, false },
		"amends only":       func(b *record.Batch) { b.Versions[0].Author = record.ParticipantID{} },
		"a record twice":    func(b *record.Batch) { b.Versions[1].Record = b.Versions[0].Record },
		"most documents":    func(b *record.Batch) { *b = large(1, record.MaxDocuments) },
		"most versions":     func(b *record.Batch) { *b = large(record.MaxVersions, 1) },
		"most of both":      func(b *record.Batch) { *b = large(record.MaxVersions, record.MaxDocuments/record.MaxVersions) },
		"of another family": func(b *record.Batch) { b.Versions[1].Patient = fill[record.Reference](0xab) },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			want := sample()
			change(&want)
			wire, err := want.Encode()
			if err != nil {
				t.Fatal(err)
			}
			got, err := record.DecodeBatch(wire)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(got.Versions, want.Versions, equalVersion) {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func equalVersion(a, b record.Version) bool {
	return a.Patient == b.Patient && a.Record == b.Record && a.Kind == b.Kind && a.Date.Equal(b.Date) &&
		a.Author == b.Author && a.Late == b.Late && a.Amends == b.Amends && slices.Equal(a.Documents, b.Documents)
}

// large is a batch of versions with authors, amendments and variants, the largest encoding.
func large(versions, documents int) (b record.Batch) {
	n := 0
	for range versions {
		v := record.Version{
			Patient: fill[record.Reference](1), Record: fill[record.Tag](2), Kind: 1, Author: fill[record.ParticipantID](3),
			Amends: fill[record.Tag](4),
		}
		for range documents {
			n++
			d := record.Document{CID: cid(0x55, 1), VariantOf: fill[record.Tag](0xee)}
			d.Tag[0], d.Tag[1], d.Tag[2] = byte(n), byte(n>>8), 1
			v.Documents = append(v.Documents, d)
		}
		b.Versions = append(b.Versions, v)
	}
	return b
}

func TestBatchRefused(t *testing.T) {
	elsewhere := time.FixedZone("elsewhere", 3600)
	tests := map[string]struct {
		change func(b *record.Batch)
		index  int
	}{
		"empty":              {func(b *record.Batch) { b.Versions = nil }, record.NoVersion},
		"too many versions":  {func(b *record.Batch) { *b = large(record.MaxVersions+1, 1) }, record.NoVersion},
		"too many documents": {func(b *record.Batch) { *b = large(1, record.MaxDocuments+1) }, record.NoVersion},
		"no patient":         {func(b *record.Batch) { b.Versions[1].Patient = record.Reference{} }, 1},
		"no record":          {func(b *record.Batch) { b.Versions[1].Record = record.Tag{} }, 1},
		"no kind":            {func(b *record.Batch) { b.Versions[0].Kind = 0 }, 0},
		"unknown kind":       {func(b *record.Batch) { b.Versions[0].Kind = record.KindOther + 1 }, 0},
		"year 10000":         {func(b *record.Batch) { b.Versions[0].Date = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, 0},
		"year 0":             {func(b *record.Batch) { b.Versions[0].Date = time.Date(0, 12, 31, 0, 0, 0, 0, time.UTC) }, 0},
		"time of day":        {func(b *record.Batch) { b.Versions[1].Date = time.Date(2024, 2, 29, 0, 0, 1, 0, time.UTC) }, 1},
		"nanosecond":         {func(b *record.Batch) { b.Versions[1].Date = time.Date(2024, 2, 29, 0, 0, 0, 1, time.UTC) }, 1},
		"midnight elsewhere": {func(b *record.Batch) { b.Versions[1].Date = time.Date(2024, 2, 29, 0, 0, 0, 0, elsewhere) }, 1},
		"amends itself":      {func(b *record.Batch) { b.Versions[0].Amends = fill[record.Tag](2) }, 0},
		"no documents":       {func(b *record.Batch) { b.Versions[1].Documents = nil }, 1},
		"zero tag":           {func(b *record.Batch) { b.Versions[0].Documents[1].Tag = record.Tag{} }, 0},
		"zero CID":           {func(b *record.Batch) { b.Versions[0].Documents[0].CID = record.CID{} }, 0},
		"CID of CBOR":        {func(b *record.Batch) { b.Versions[0].Documents[0].CID[0] = 0x71 }, 0},
		"variant of itself":  {func(b *record.Batch) { b.Versions[0].Documents[0].VariantOf = fill[record.Tag](1) }, 0},
		"document twice":     {func(b *record.Batch) { b.Versions[1].Documents[0].Tag = fill[record.Tag](1) }, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := sample()
			test.change(&b)
			_, err := b.Encode()
			refused, ok := errors.AsType[*record.Error](err)
			if !ok || refused.Code != record.BadRequest || refused.Index != test.index {
				t.Errorf("got %v, want BAD_REQUEST about version %d", err, test.index)
			}
		})
	}
}

// TestDecodeRefuses cuts, lengthens and bends valid encodings: each has exactly one form.
func TestDecodeRefuses(t *testing.T) {
	wire, err := sample().Encode()
	if err != nil {
		t.Fatal(err)
	}
	anchoring, err := record.Anchoring{
		ID: txID(7).AnchoringID(), TxID: txID(7), MSPID: "A", Time: time.Unix(1, 0),
	}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	document := record.StoredDocument{CID: cid(0x55, 1), VariantOf: fill[record.Tag](1)}.Encode()
	tombstone := record.StoredDocument{Tombstone: record.Tombstone{Generation: 1}}.Encode()
	holding := record.StoredHolding{CID: cid(0x55, 1)}.Encode()
	version := sampleVersion().Encode() // of two documents: what the first needs, and 16 bytes for the second
	release := storedRelease().Encode() // of two documents
	forms := map[string]struct {
		valid  []byte
		decode func([]byte) error
		cuts   []int // lengths at which a shorter form is valid
		grows  int   // how many bytes may follow; 1 where any may
	}{
		"batch":     {wire, func(b []byte) error { _, err := record.DecodeBatch(b); return err }, nil, 0},
		"document":  {document, func(b []byte) error { _, err := record.DecodeDocument(b); return err }, []int{42}, 0},
		"tombstone": {tombstone, func(b []byte) error { _, err := record.DecodeDocument(b); return err }, nil, 0},
		"holding":   {holding, func(b []byte) error { _, err := record.DecodeHolding(b); return err }, nil, 0},
		"version": {
			version, func(b []byte) error { _, err := record.DecodeVersion(sampleVersion().Key(), b); return err },
			[]int{len(version) - 16},
			0,
		},
		"anchoring": {anchoring, func(b []byte) error { _, err := record.DecodeAnchoring(b); return err }, nil, 1},
		"result": {
			record.Result{Outcomes: make([]record.Outcome, 5)}.Encode(),
			func(b []byte) error { _, err := record.DecodeResult(b); return err }, nil, 0,
		},
		"event": {
			record.Anchored{Created: 200}.Encode(),
			func(b []byte) error { _, err := record.DecodeAnchored(b); return err }, nil, 0,
		},
		"release": {
			release, func(b []byte) error { _, err := record.DecodeRelease(b); return err },
			[]int{len(release) - 16, len(release) - 32},
			0,
		},
	}
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			if err := form.decode(form.valid); err != nil {
				t.Fatalf("the valid form is refused: %v", err)
			}
			for n := range form.valid {
				if form.decode(form.valid[:n]) == nil && !slices.Contains(form.cuts, n) {
					t.Errorf("cut to %d of %d bytes is accepted", n, len(form.valid))
				}
			}
			if form.grows == 0 && form.decode(append(slices.Clone(form.valid), 0)) == nil {
				t.Error("a trailing byte is accepted")
			}
			newer := slices.Clone(form.valid)
			newer[0]++
			if err := form.decode(newer); err == nil || !strings.Contains(err.Error(), "upgrade") {
				t.Errorf("a newer schema gives %v, want advice to upgrade", err)
			}
		})
	}

	t.Run("longer number", func(t *testing.T) {
		long := slices.Concat(wire[:1], []byte{wire[1] | 0x80, 0}, wire[2:])
		if _, err := record.DecodeBatch(long); err == nil {
			t.Error("a count in two bytes that fits in one is accepted")
		}
	})
	t.Run("huge count", func(t *testing.T) {
		huge := append([]byte{1}, bytes.Repeat([]byte{0xff}, 8)...)
		if _, err := record.DecodeBatch(append(huge, 0x7f)); err == nil {
			t.Error("2⁶³ versions are accepted")
		}
	})
	t.Run("too large", func(t *testing.T) {
		_, err := record.DecodeBatch(make([]byte, record.MaxBatchBytes+1))
		if err == nil || !strings.Contains(err.Error(), fmt.Sprint(record.MaxBatchBytes)) {
			t.Errorf("a batch over the limit: %v", err)
		}
	})
	for name, change := range map[string]func(version []byte){
		"day after the year 9999": func(v []byte) { copy(v[2:5], []byte{0xff, 0xff, 0xff}) },
		"unknown flag":            func(v []byte) { v[1] |= 0x80 },
		"no kind":                 func(v []byte) { v[1] &= 0xf0 },
		"unknown kind":            func(v []byte) { v[1] |= 0x0f },
		"empty author":            func(v []byte) { clear(v[13:29]) },
		"empty amends":            func(v []byte) { clear(v[29:45]) },
	} {
		t.Run(name, func(t *testing.T) {
			bent := slices.Clone(version)
			change(bent)
			if v, err := record.DecodeVersion(sampleVersion().Key(), bent); err == nil {
				t.Errorf("accepted as %+v", v)
			}
		})
	}
	t.Run("version under another key", func(t *testing.T) {
		if _, err := record.DecodeVersion(record.DocumentKey(fill[record.Tag](1)), version); err == nil {
			t.Error("a version under a document's key is accepted")
		}
	})
	t.Run("result with bits after its end", func(t *testing.T) {
		if _, err := record.DecodeResult([]byte{1, 1, 0b0100}); err == nil {
			t.Error("bits after the last outcome are accepted")
		}
	})
}

func TestValuesRoundTrip(t *testing.T) {
	document := record.StoredDocument{CID: cid(0x70, 9), Anchoring: txID(4).AnchoringID(), VariantOf: fill[record.Tag](8)}
	if got, err := record.DecodeDocument(document.Encode()); err != nil || got != document {
		t.Errorf("document: got %+v, %v", got, err)
	}
	erased := record.StoredDocument{Tombstone: record.Tombstone{Generation: 1 << 31, Erasure: txID(4).AnchoringID()}}
	if got, err := record.DecodeDocument(erased.Encode()); err != nil || got != erased || !got.Erased() || document.Erased() {
		t.Errorf("tombstone: got %+v, %v", got, err)
	}
	holding := record.StoredHolding{CID: cid(0x70, 9), Anchoring: txID(4).AnchoringID()}
	buried := record.StoredHolding{Tombstone: erased.Tombstone}
	for name, holding := range map[string]record.StoredHolding{"holding": holding, "erased holding": buried} {
		if got, err := record.DecodeHolding(holding.Encode()); err != nil || got != holding || got.Erased() != (name != "holding") {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	plain := record.AnchoredVersion{Version: record.Version{
		Patient: fill[record.Reference](1), Record: fill[record.Tag](2), Kind: record.KindOther,
		Documents: []record.Document{{Tag: fill[record.Tag](3)}},
	}}
	for name, version := range map[string]record.AnchoredVersion{"version": plain, "amendment": sampleVersion()} {
		got, err := record.DecodeVersion(version.Key(), version.Encode())
		if err != nil || !equalVersion(got.Version, version.Version) || got.Anchoring != version.Anchoring {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	anchoring := record.Anchoring{
		ID: txID(5).AnchoringID(), TxID: txID(5), MSPID: "Öst", Time: time.Date(2026, 1, 2, 3, 4, 5, 999_999_999, time.UTC),
	}
	value, err := anchoring.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := record.DecodeAnchoring(value); err != nil || got != anchoring {
		t.Errorf("anchoring: got %+v, %v", got, err)
	}
	result := record.Result{Outcomes: []record.Outcome{2, 1, 0, 1, 3, 2, 0}}
	if got, err := record.DecodeResult(result.Encode()); err != nil || !slices.Equal(got.Outcomes, result.Outcomes) {
		t.Errorf("result: got %+v, %v", got, err)
	}
	event := record.Anchored{ID: txID(5).AnchoringID(), Versions: 1, Created: 2, Existing: 3, Conflict: 5000, Erased: 4}
	if got, err := record.DecodeAnchored(event.Encode()); err != nil || got != event {
		t.Errorf("event: got %+v, %v", got, err)
	}
}

func TestKeys(t *testing.T) {
	patient, rec := fill[record.Reference](0xff), fill[record.Tag](0xfe)
	start, end := record.RecordRange(patient, rec)
	patientStart, patientEnd := record.PatientRange(patient)
	institutionStart, institutionEnd := record.InstitutionRange(patient.Institution())
	for _, b := range []byte{0, 1, 0x3e, 0x3f, 0x80, 0xfe, 0xff} {
		name := fill[record.Tag](b)
		key := record.VersionKey(patient, rec, name)
		if key < start || key >= end || key < patientStart || key >= patientEnd ||
			key < institutionStart || key >= institutionEnd {
			t.Errorf("a version's key is out of range: %s", key)
		}
		p, r, n, err := record.ParseVersionKey(key)
		if err != nil || p != patient || r != rec || n != name {
			t.Errorf("parse %s: got %v %v %v, %v", key, p, r, n, err)
		}
	}
	other, colleague := fill[record.Reference](0xfe), patient
	colleague[6] = 0xfe
	if key := record.VersionKey(other, rec, rec); key >= institutionStart && key < institutionEnd {
		t.Error("another institution's key is in the institution's range")
	}
	if key := record.VersionKey(colleague, rec, rec); key >= patientStart && key < patientEnd ||
		key < institutionStart || key >= institutionEnd {
		t.Error("the key of another patient of the institution is in the patient's range, or not in the institution's")
	}
	holding := record.HoldingKey(patient.Institution(), rec)
	holdingStart, holdingEnd := record.HoldingRange(patient.Institution())
	if p, tag, err := record.ParseHoldingKey(holding); err != nil || p != patient.Institution() || tag != rec ||
		holding < holdingStart || holding >= holdingEnd {
		t.Errorf("holding key: %v, %v, %v", p, tag, err)
	}
	if tag, err := record.ParseDocumentKey(record.DocumentKey(rec)); err != nil || tag != rec {
		t.Errorf("document key: %v, %v", tag, err)
	}
	id := txID(0xfb).AnchoringID()
	if got, err := record.ParseAnchoringKey(record.AnchoringKey(id)); err != nil || got != id {
		t.Errorf("anchoring key: %v, %v", got, err)
	}
	valid := record.VersionKey(patient, rec, fill[record.Tag](0xab))
	for _, bad := range []string{
		"", "R", "D", "A", "O", valid[1:], valid + "0", "D" + valid[1:], valid[:len(valid)-1] + "+", valid[:len(valid)-1] + "r",
		"R+" + valid[2:], record.DocumentKey(rec) + "x", "A" + "Zg==", holding[:len(holding)-1], "O+" + holding[2:],
	} {
		if _, _, _, err := record.ParseVersionKey(bad); err == nil {
			t.Errorf("version key %q is accepted", bad)
		}
		if _, err := record.ParseDocumentKey(bad); err == nil {
			t.Errorf("document key %q is accepted", bad)
		}
		if _, _, err := record.ParseHoldingKey(bad); err == nil {
			t.Errorf("holding key %q is accepted", bad)
		}
		if _, err := record.ParseAnchoringKey(bad); err == nil {
			t.Errorf("anchoring key %q is accepted", bad)
		}
	}
}

func TestTextForms(t *testing.T) {
	tag := fill[record.Tag](0xfb)
	if got, err := record.ParseTag(tag.String()); err != nil || got != tag || len(tag.String()) != 22 {
		t.Errorf("tag: %v, %v", got, err)
	}
	ref := fill[record.Reference](0xfc)
	if got, err := record.ParseReference(ref.String()); err != nil || got != ref {
		t.Errorf("reference: %v, %v", got, err)
	}
	prefix := ref.Institution()
	if got, err := record.ParseInstitutionPrefix(prefix.String()); err != nil || got != prefix || len(prefix.String()) != 8 {
		t.Errorf("institution's prefix: %v, %v", got, err)
	}
	id := txID(0xfd)
	if got, err := record.ParseTxID(id.String()); err != nil || got != id {
		t.Errorf("transaction ID: %v, %v", got, err)
	}
	if got, err := record.ParseAnchoringID(id.AnchoringID().String()); err != nil || got != id.AnchoringID() {
		t.Errorf("anchoring ID: %v, %v", got, err)
	}
	// The CID of the empty raw block, as Kubo writes it.
	const empty = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
	c, err := record.ParseCID(empty)
	if err != nil || c.String() != empty || hex.EncodeToString(c[1:5]) != "e3b0c442" {
		t.Errorf("CID: %v, %v", c, err)
	}
	for k := record.KindImaging; k <= record.KindOther; k++ {
		if got, err := record.ParseKind(k.String()); err != nil || got != k {
			t.Errorf("kind %d: %v, %v", k, got, err)
		}
	}

	bent := tag.String()[:21] + "x" // the last character has bits beyond the 16 bytes
	for _, bad := range []string{"", "AA", bent, tag.String() + "=", strings.Repeat("+", 22), "\n" + tag.String()[1:]} {
		if _, err := record.ParseTag(bad); err == nil {
			t.Errorf("tag %q is accepted", bad)
		}
	}
	for _, bad := range []string{
		"", strings.ToUpper(empty), empty[:58], empty + "a", "z" + empty[1:], "bafyreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
		"QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH", empty[:58] + "v",
	} {
		if _, err := record.ParseCID(bad); err == nil {
			t.Errorf("CID %q is accepted", bad)
		}
	}
	for _, bad := range []string{"", "Imaging", "7"} {
		if _, err := record.ParseKind(bad); err == nil {
			t.Errorf("kind %q is accepted", bad)
		}
	}
	if _, err := record.ParseTxID(strings.ToUpper(id.String())); err == nil {
		t.Error("a transaction ID in upper case is accepted")
	}
	if _, err := record.Kind(0).MarshalText(); err == nil {
		t.Error("kind 0 is written")
	}
}

func TestJSON(t *testing.T) {
	want := record.AnchoredVersion{Version: sample().Versions[0], Anchoring: txID(3).AnchoringID()}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"kind":"imaging"`) || !strings.Contains(string(text), want.Patient.String()) {
		t.Errorf("JSON does not use the text forms: %s", text)
	}
	var got record.AnchoredVersion
	if err := json.Unmarshal(text, &got); err != nil || !equalVersion(got.Version, want.Version) || got.Anchoring != want.Anchoring {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestTagsDiffer(t *testing.T) {
	var secret, digest [32]byte
	other := [32]byte{1}
	tags := map[record.Tag]string{}
	for name, tag := range map[string]record.Tag{
		"document":         record.DocumentTag(secret, 0, digest),
		"other secret":     record.DocumentTag(other, 0, digest),
		"other generation": record.DocumentTag(secret, 1, digest),
		"other digest":     record.DocumentTag(secret, 0, other),
		"record":           record.RecordTag(secret, string(digest[:])),
		"record by name":   record.RecordTag(secret, "1.2.3"),
		"other patient's":  record.RecordTag(other, "1.2.3"),
	} {
		if twin, found := tags[tag]; found {
			t.Errorf("%s and %s have the same tag", name, twin)
		}
		tags[tag] = name
	}
}

func TestParseError(t *testing.T) {
	tests := map[string]struct {
		text string
		want *record.Error
	}{
		"plain":      {"NOT_FOUND: no such document", &record.Error{Code: record.NotFound, Index: record.NoVersion, Message: "no such document"}},
		"with index": {"FORBIDDEN[17]: another's", &record.Error{Code: record.Forbidden, Index: 17, Message: "another's"}},
		"wrapped": {
			"chaincode response 500, FORBIDDEN: needs \"appliance\"",
			&record.Error{Code: record.Forbidden, Index: record.NoVersion, Message: `needs "appliance"`},
		},
		"a word in other text": {"Unavailable: orderer says NOT_FOUND: no channel", nil},
		"another's":            {"Function X not found in contract records", nil},
		"unknown code":         {"WHATEVER: x", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, ok := record.ParseError(test.text)
			if ok != (test.want != nil) || ok && *got != *test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
	e := &record.Error{Code: record.BadRequest, Index: 3, Message: "x"}
	if got, ok := record.ParseError(e.Error()); !ok || *got != *e {
		t.Errorf("its own text reads back as %+v", got)
	}
}
