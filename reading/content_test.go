package reading_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/reading"
)

// opened serves a record with one document, which is open in a session.
func opened(t *testing.T, d document.Description, open func(w *world) (reading.Plain, error)) (w *world, token string) {
	t.Helper()
	w = serve(t)
	w.anchor(here(), record.KindImaging, 1)
	w.holdAs(1, d, func() (reading.Plain, error) { return open(w) })
	token = w.token(w.doctor())
	answer[reading.Opened](t, w.raw(http.MethodPost, "/v1/readings", token, reading.OpenRequest{RecordName: here()}), http.StatusOK)
	w.told()
	return w, token
}

func openedText(t *testing.T, content []byte) (w *world, token string) {
	t.Helper()
	return opened(t, described(content, document.FormatText), func(w *world) (reading.Plain, error) { return w.plain(1, content), nil })
}

func TestADocumentIsServedAsWhatItIs(t *testing.T) {
	for format, kind := range map[document.Format]string{
		document.FormatDICOM: "application/dicom", document.FormatPDF: "application/pdf",
		document.FormatText: "text/plain; charset=utf-8", document.FormatUnknown: "application/octet-stream",
	} {
		content := []byte("<html>no page")
		w, token := opened(t, described(content, format), func(w *world) (reading.Plain, error) { return w.plain(1, content), nil })
		a := w.get(token, 1)
		if a.StatusCode != http.StatusOK || !bytes.Equal(a.body, content) || a.ContentLength != int64(len(content)) {
			t.Errorf("%s: %s, %q", format, a.Status, a.body)
		}
		for name, want := range map[string]string{
			"Content-Type": kind, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Accept-Ranges": "bytes",
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", format, name, got, want)
			}
		}
	}
}

// RFC 9110, 14.
func TestByteRanges(t *testing.T) {
	content := text(1, 100_000)
	w, token := openedText(t, content)
	for _, test := range []struct {
		given    string
		from, to int // what is served; of no length: 416
		status   int
	}{
		{"bytes=0-9", 0, 10, http.StatusPartialContent},
		{"bytes=0-0", 0, 1, http.StatusPartialContent},
		{"bytes=40000-59999", 40_000, 60_000, http.StatusPartialContent},
		{"bytes=99999-", 99_999, 100_000, http.StatusPartialContent},
		{"bytes=-1000", 99_000, 100_000, http.StatusPartialContent},
		{"bytes=0-", 0, 100_000, http.StatusPartialContent},
		{"bytes=99990-200000", 99_990, 100_000, http.StatusPartialContent},
		{"bytes=-200000", 0, 100_000, http.StatusPartialContent},
		{"bytes=100000-", 0, 0, http.StatusRequestedRangeNotSatisfiable},
		{"bytes=9-1", 0, 0, http.StatusRequestedRangeNotSatisfiable},
		{"lines=1-2", 0, 0, http.StatusRequestedRangeNotSatisfiable},
	} {
		t.Run(test.given, func(t *testing.T) {
			a := w.get(token, 1, test.given)
			if a.StatusCode != test.status {
				t.Fatalf("%s, want %d", a.Status, test.status)
			}
			if test.to == 0 {
				return
			}
			if want := fmt.Sprintf("bytes %d-%d/100000", test.from, test.to-1); a.Header.Get("Content-Range") != want {
				t.Errorf("Content-Range %q, want %q", a.Header.Get("Content-Range"), want)
			}
			if a.broke != nil || !bytes.Equal(a.body, content[test.from:test.to]) {
				t.Errorf("%d bytes, or others than were asked for, %v", len(a.body), a.broke)
			}
		})
	}
	t.Run("several", func(t *testing.T) {
		a := w.get(token, 1, "bytes=10-19,50000-50009,-5")
		kind, parameters := must2(mime.ParseMediaType(a.Header.Get("Content-Type")))
		if a.StatusCode != http.StatusPartialContent || kind != "multipart/byteranges" {
			t.Fatalf("%s, %s", a.Status, kind)
		}
		var parts []string
		for reader := multipart.NewReader(bytes.NewReader(a.body), parameters["boundary"]); ; {
			part, err := reader.NextPart()
			if errors.Is(err, io.EOF) {
				break
			}
			parts = append(parts, string(must(io.ReadAll(part))))
		}
		if want := []string{string(content[10:20]), string(content[50_000:50_010]), string(content[99_995:])}; !slices.Equal(parts, want) {
			t.Errorf("parts %q, want %q", parts, want)
		}
	})
	t.Run("two halves, the second first", func(t *testing.T) {
		a := w.get(token, 1, "bytes=50000-99999,0-49999")
		if a.broke != nil || !bytes.Contains(a.body, content[50_000:]) || !bytes.Contains(a.body, content[:50_000]) {
			t.Errorf("%s, %d bytes, %v", a.Status, len(a.body), a.broke)
		}
	})
	t.Run("of nothing but the head", func(t *testing.T) {
		a := w.raw(http.MethodHead, place(here(), 1), token, nil)
		if a.StatusCode != http.StatusOK || a.ContentLength != 100_000 || len(a.body) != 0 {
			t.Errorf("%s, %d bytes", a.Status, a.ContentLength)
		}
	})
}

// A range is no way around the rights.
func TestARangeIsCheckedLikeAWhole(t *testing.T) {
	w, token := openedText(t, text(1, 1000))
	w.change(func() { w.access[record.KindImaging] = denied(record.DeniedNoBasis) })
	w.pass(2 * time.Second)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		a := w.raw(method, place(here(), 1), token, nil, [2]string{"Range", "bytes=1-2,4-5"})
		if a.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", method, a.Status)
		}
	}
	if told := w.told(); slices.Contains(told, "open 1") {
		t.Errorf("who may not read it any more had it opened: %v", told)
	}
}

// Each part of it is in order, and the whole is another document: it must not look complete. Its last bytes are withheld, and the
// connection breaks; where nothing was sent yet, the reason is the answer.
func TestAWrongWholeNeverCompletes(t *testing.T) {
	for _, size := range []int{1, 1000, 32 << 10, 32<<10 + 1, 64 << 10, 200_000} {
		for _, ranges := range [][]string{nil, {"bytes=0-"}} {
			right, wrong := text(1, size), text(2, size)
			w, token := opened(t, described(right, document.FormatPDF), func(w *world) (reading.Plain, error) { return w.plain(1, wrong), nil })
			a := w.get(token, 1, ranges...)
			if a.StatusCode == http.StatusBadGateway && size <= 64<<10 {
				continue
			}
			if a.broke == nil || len(a.body) >= size {
				t.Errorf("of %d wrong bytes %d came, %s, %v", size, len(a.body), a.Status, a.broke)
			}
		}
	}
}

// What was found to be another document is not read part by part either: a client that reads on where it broke off would have
// the whole. It may be in order once the record is opened again.
func TestAWrongWholeIsNotReadOnFromWhereItBroke(t *testing.T) {
	for _, size := range []int{1, 1000, 200_000} {
		for _, joins := range []bool{false, true} {
			right, wrong := text(1, size), text(2, size)
			w := serve(t)
			w.anchor(here(), record.KindImaging, 1)
			w.holdAs(1, described(right, document.FormatPDF), func() (reading.Plain, error) { return w.plain(1, wrong), nil })
			c := w.dial(w.doctor())
			if _, err := open(t, c); err != nil {
				t.Fatal(err)
			}
			got, err := whole(t.Context(), c, here(), 1)
			if len(got) >= size {
				t.Errorf("of %d wrong bytes %d came", size, len(got))
			}
			wantError(t, err, reading.ErrUnavailable, "its digest differs")
			_, err = c.Document(t.Context(), here(), tag(1), int64(size)-1)
			wantError(t, err, reading.ErrUnavailable, "its digest differs")
			w.hold(1, right)
			if joins { // the record goes on with another kind
				w.anchor(here(), record.KindLetter, 2)
				w.hold(2, text(2, 10))
			}
			if _, err := open(t, c); err != nil {
				t.Fatal(err)
			}
			if got, err := whole(t.Context(), c, here(), 1); err != nil || !bytes.Equal(got, right) {
				t.Errorf("once it is in order: %d bytes, %v", len(got), err)
			}
		}
	}
}

// The digest of a DICOM file leaves its file meta group out: the same object may come with another one.
func TestTheWholeIsVerifiedFromTheDatasetOn(t *testing.T) {
	for _, offset := range []int64{0, 1, 511, 512, 513, 40_000, 99_999, 100_000} {
		content := text(1, 100_000)
		d := described(content[offset:], document.FormatDICOM)
		d.Size, d.Metadata.DatasetOffset = 100_000, offset
		other := slices.Clone(content)
		for i := range other[:offset] {
			other[i]++
		}
		w, token := opened(t, d, func(w *world) (reading.Plain, error) { return w.plain(1, other), nil })
		if a := w.get(token, 1); a.broke != nil || !bytes.Equal(a.body, other) {
			t.Errorf("a dataset from %d on: %d bytes, %v", offset, len(a.body), a.broke)
		}
	}
	content := text(1, 100_000)
	d := described(content, document.FormatDICOM) // counts from the beginning
	d.Metadata.DatasetOffset = 200
	w, token := opened(t, d, func(w *world) (reading.Plain, error) { return w.plain(1, content), nil })
	if a := w.get(token, 1); a.broke == nil {
		t.Errorf("the digest of other bytes: %d bytes", len(a.body))
	}
}

// What is opened has another size than is described; and what is empty has nothing to be verified while it is read.
func TestAContentOfAnotherSizeIsNotServed(t *testing.T) {
	for name, test := range map[string]struct{ right, there int }{
		"shorter": {1000, 999}, "longer": {1000, 1001}, "empty": {1000, 0}, "not empty": {0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w, token := opened(t, described(text(1, test.right), document.FormatText), func(w *world) (reading.Plain, error) {
				return w.plain(1, text(1, test.there)), nil
			})
			f := answer[reading.Failure](t, w.get(token, 1), http.StatusBadGateway)
			if !strings.Contains(f.Error, "its description says") {
				t.Errorf("refused with %q", f.Error)
			}
			if told := w.told(); !slices.Contains(told, "close 1") || slices.Contains(told, "read 1") {
				t.Errorf("it was not only opened and closed: %v", told)
			}
		})
	}
	w, token := openedText(t, nil)
	if a := w.get(token, 1); a.StatusCode != http.StatusOK || len(a.body) != 0 {
		t.Errorf("an empty document: %s, %d bytes", a.Status, len(a.body))
	}
	d := described(text(1, 1), document.FormatText)
	d.Size = 0
	w, token = opened(t, d, func(w *world) (reading.Plain, error) { return w.plain(1, nil), nil })
	answer[reading.Failure](t, w.get(token, 1), http.StatusBadGateway)
}

// A damage in the middle breaks the connection there. What is before it, or behind it, can be read.
func TestADamagedDocumentBreaksOff(t *testing.T) {
	content := text(1, 200_000)
	damaged := func(w *world) (reading.Plain, error) {
		p := w.plain(1, content)
		p.fails = func(from, to int64) error {
			if from < 100_000 && to > 99_000 {
				return errors.New("chunk does not open")
			}
			return nil
		}
		return p, nil
	}
	w, token := opened(t, described(content, document.FormatPDF), damaged)
	if a := w.get(token, 1); a.StatusCode != http.StatusOK || a.broke == nil || len(a.body) > 99_000 || !bytes.Equal(a.body, content[:len(a.body)]) {
		t.Errorf("%s, %d bytes, %v", a.Status, len(a.body), a.broke)
	}
	for given, want := range map[string][]byte{"bytes=0-9999": content[:10_000], "bytes=150000-": content[150_000:]} {
		if a := w.get(token, 1, given); a.broke != nil || !bytes.Equal(a.body, want) {
			t.Errorf("%s: %d bytes, %v", given, len(a.body), a.broke)
		}
	}
	// Who asks on from there is told why.
	if f := answer[reading.Failure](t, w.get(token, 1, "bytes=99000-"), http.StatusInternalServerError); !strings.Contains(f.Error, "does not open") {
		t.Errorf("refused with %q", f.Error)
	}
	// Whoever serves HTTP is told to break the connection.
	func() {
		defer func() {
			if reason := recover(); reason != http.ErrAbortHandler { //nolint:errorlint // what recover gives
				t.Errorf("the handler ends with %v", reason)
			}
		}()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, place(here(), 1), nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w.server.Handler().ServeHTTP(httptest.NewRecorder(), r)
	}()
	// Of several ranges one is damaged.
	if a := w.get(token, 1, "bytes=0-9,99500-99509,150000-150009"); a.broke == nil {
		t.Errorf("of several ranges one is damaged, and %s is complete", a.Status)
	}
	if told := counts(w.told()); told["open 1"] != told["close 1"] || told["open 1"] == 0 {
		t.Errorf("not all that was opened is closed: %v", told)
	}
}

func TestADocumentThatCannotBeOpenedSaysSo(t *testing.T) {
	w, token := opened(t, described(text(1, 10), document.FormatPDF), func(*world) (reading.Plain, error) {
		return nil, fmt.Errorf("%w: a block is missing", reading.ErrUnavailable)
	})
	f := answer[reading.Failure](t, w.get(token, 1), http.StatusBadGateway)
	if !strings.Contains(f.Error, "a block is missing") {
		t.Errorf("refused with %q", f.Error)
	}
	w, token = opened(t, described(text(1, 10), document.FormatPDF), func(*world) (reading.Plain, error) { return nil, errInjected })
	answer[reading.Failure](t, w.get(token, 1), http.StatusInternalServerError)
}

// custodians serves a document that North and two other hospitals hold; it is open with their keys. Each holder has it as they
// do: damage changes that.
func custodians(t *testing.T, content []byte, damage map[string]func(*plain)) (w *world, token string) {
	t.Helper()
	w = serve(t)
	w.anchor(here(), record.KindImaging, 1)
	holder := func(mspID string, n byte) *plain {
		p := w.plain(n, content)
		if damage[mspID] != nil {
			damage[mspID](p)
		}
		return p
	}
	w.holdAs(1, described(content, document.FormatPDF), func() (reading.Plain, error) { return holder(north, 1), nil })
	var keys []reading.ReleasedKey
	for i, mspID := range []string{south, "EastMSP"} {
		k := w.publish(mspID, 1, content)
		k.CID = cid(byte(100 + i)) // sealed anew, so another CID
		at := reading.Payload{Institution: prefix(mspID), CID: k.CID}
		w.payloads[tag(1)] = append(w.payloads[tag(1)], at)
		w.remote[at] = func([16]byte, int64) (reading.Plain, error) { return holder(mspID, byte(100+i)), nil }
		keys = append(keys, k)
	}
	token = w.token(w.doctor())
	answer[reading.Opened](t, w.raw(http.MethodPost, "/v1/readings", token, reading.OpenRequest{RecordName: here(), Keys: keys}), http.StatusOK)
	w.told()
	return w, token
}

// off breaks a content off at a place.
func off(at int64, err error) func(*plain) {
	return func(p *plain) { p.sound, p.broken = at, err }
}

// cut fails each read that goes beyond a place.
func cut(at int64, err error) func(from, to int64) error {
	return func(_, to int64) error {
		if to > at {
			return err
		}
		return nil
	}
}

// A holder that fails half-way gives way to the next, and nobody notices.
func TestAnotherHolderGoesOnWhereOneFails(t *testing.T) {
	content := text(1, 300_000)
	type damage = map[string]func(*plain)
	other := func(p *plain) { p.content = text(2, len(content)) }
	for name, test := range map[string]struct {
		damage damage
		served bool
	}{
		"none":           {nil, true},
		"the first":      {damage{north: off(100_000, errInjected)}, true},
		"at once":        {damage{north: off(0, errInjected)}, true},
		"two of three":   {damage{north: off(100_000, errInjected), south: off(200_000, errInjected)}, true},
		"a connection":   {damage{north: off(100_000, fmt.Errorf("read block: %w", io.EOF))}, true},
		"an end, early":  {damage{north: off(100_000, io.EOF)}, true},
		"all, somewhere": {damage{north: off(100_000, errInjected), south: off(0, errInjected), "EastMSP": off(250_000, io.EOF)}, false},
		// The rest is of another document.
		"the first, and the second is another": {damage{north: off(100_000, errInjected), south: other}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w, token := custodians(t, content, test.damage)
			a := w.get(token, 1)
			if test.served && (a.broke != nil || !bytes.Equal(a.body, content)) || !test.served && (a.broke == nil || len(a.body) == len(content)) {
				t.Errorf("%d bytes, %v", len(a.body), a.broke)
			}
			told := counts(w.told())
			if len(test.damage) == 0 && told["fetch 100"]+told["fetch 101"] > 0 {
				t.Errorf("what is here was fetched: %v", told)
			}
			for opened, closed := range map[string]string{"open 1": "close 1", "fetch 100": "close 100", "fetch 101": "close 101"} {
				if told[opened] != told[closed] {
					t.Errorf("not all that was opened is closed: %v", told)
				}
			}
		})
	}
}

// A holder that cannot be reached, or whose payload is of another size, gives way before anything is read.
func TestAnotherHolderIsTakenWhereOneDoesNotOpen(t *testing.T) {
	content := text(1, 1000)
	w, _ := custodians(t, content, nil)
	w.holdAs(1, described(content, document.FormatPDF), func() (reading.Plain, error) { return nil, errInjected })
	at := reading.Payload{Institution: prefix(south), CID: cid(100)}
	for name, open := range map[string]func([16]byte, int64) (reading.Plain, error){
		"out of reach": nil,
		"another size": func([16]byte, int64) (reading.Plain, error) { return w.plain(100, text(1, 999)), nil },
	} {
		w.change(func() { w.remote[at] = open })
		token := w.token(w.doctor())
		key := w.publish(south, 1, content)
		key.CID = cid(100)
		other := key
		other.Institution, other.CID = prefix("EastMSP"), cid(101)
		answer[reading.Opened](t, w.raw(http.MethodPost, "/v1/readings", token,
			reading.OpenRequest{RecordName: here(), Keys: []reading.ReleasedKey{key, other}}), http.StatusOK)
		if a := w.get(token, 1); a.broke != nil || !bytes.Equal(a.body, content) {
			t.Errorf("%s: %d bytes, %v", name, len(a.body), a.broke)
		}
		if told := counts(w.told()); told["fetch 101"] != 1 {
			t.Errorf("%s: %v", name, told)
		}
	}
}

// A released key is a reader's word. What the ledger does not have so is not served as the document.
func TestAKeyThatDoesNotFitTheLedgerIsNotTaken(t *testing.T) {
	for name, change := range map[string]func(*reading.ReleasedKey){
		"another document":    func(k *reading.ReleasedKey) { k.Tag = tag(7) },
		"another payload":     func(k *reading.ReleasedKey) { k.CID = cid(9) },
		"another institution": func(k *reading.ReleasedKey) { k.Institution = prefix(north) },
		"no institution":      func(k *reading.ReleasedKey) { k.Institution = record.InstitutionPrefix{} },
		"a short key":         func(k *reading.ReleasedKey) { k.FileKey = k.FileKey[:15] },
		"a long key":          func(k *reading.ReleasedKey) { k.FileKey = append(slices.Clone(k.FileKey), 0) },
		"no key":              func(k *reading.ReleasedKey) { k.FileKey = nil },
	} {
		t.Run(name, func(t *testing.T) {
			w := serve(t)
			w.anchor(elsewhere(), record.KindLetter, 1)
			key := w.publish(south, 1, text(1, 100))
			w.publish(south, 9, text(9, 100)) // of another document
			change(&key)
			c := w.dial(w.doctor())
			_, err := c.Open(t.Context(), reading.OpenRequest{RecordName: elsewhere(), Keys: []reading.ReleasedKey{key}})
			wantError(t, err, reading.ErrUnavailable, "no keys of it were released to you yet")
			_, err = whole(t.Context(), c, elsewhere(), 1)
			wantError(t, err, reading.ErrNotFound, "")
			for _, n := range []int{1, 7, 9} {
				if told := w.told(); slices.Contains(told, fmt.Sprint("fetch ", n)) {
					t.Errorf("it was fetched: %v", told)
				}
			}
		})
	}
}

// A key that fits the ledger, and is false otherwise, opens nothing.
func TestAFalseKeyOpensNothing(t *testing.T) {
	for name, change := range map[string]func(*reading.ReleasedKey){
		"another file key": func(k *reading.ReleasedKey) { k.FileKey[0]++ },
		"another size":     func(k *reading.ReleasedKey) { k.Size++ },
		"another digest":   func(k *reading.ReleasedKey) { k.Digest[0]++ },
	} {
		t.Run(name, func(t *testing.T) {
			w := serve(t)
			w.anchor(elsewhere(), record.KindLetter, 1)
			key := w.publish(south, 1, text(1, 100))
			change(&key)
			c := w.dial(w.doctor())
			if _, err := c.Open(t.Context(), reading.OpenRequest{RecordName: elsewhere(), Keys: []reading.ReleasedKey{key}}); err != nil {
				t.Fatal(err)
			}
			if got, err := whole(t.Context(), c, elsewhere(), 1); err == nil || len(got) == 100 {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

// What a release holds is given on as it is. A custodian who describes nothing, or nonsense, has given nothing.
func TestAReleasedKeyIsMadeOfWhatWasReleased(t *testing.T) {
	w := serve(t)
	w.anchor(elsewhere(), record.KindLetter, 1)
	key := w.publish(south, 1, text(1, 100))
	made := func(metadata string) reading.ReleasedKey {
		return reading.NewReleasedKey(key.Institution, key.Tag, key.CID, [16]byte(key.FileKey), []byte(metadata))
	}
	if got := made(encoded(key.Description)); !reflect.DeepEqual(got, key) {
		t.Errorf("made: %+v, want %+v", got, key)
	}
	for _, metadata := range []string{"", "null", "{}", "[]", `{"size":-1}`, `{"size":"many"}`} {
		c := w.dial(w.doctor())
		q := reading.OpenRequest{RecordName: elsewhere(), Keys: []reading.ReleasedKey{made(metadata)}}
		if _, err := c.Open(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		got, err := whole(t.Context(), c, elsewhere(), 1)
		wantError(t, err, reading.ErrUnavailable, "")
		if len(got) != 0 {
			t.Errorf("metadata %s: %d bytes", metadata, len(got))
		}
	}
}

// A record of another hospital is read with the keys that it released, and nothing else.
func TestAnotherHospitalsRecordIsReadWithItsKeys(t *testing.T) {
	w := serve(t)
	w.anchor(elsewhere(), record.KindLetter, 1, 2)
	content := text(1, 100_000)
	key := w.publish(south, 1, content)
	c := w.dial(w.doctor())
	o, err := c.Open(t.Context(), reading.OpenRequest{RecordName: elsewhere(), Keys: []reading.ReleasedKey{key}})
	if err != nil || !slices.Equal(tags(o), []byte{1}) || o.Missing != 1 || o.Documents[0].Metadata.Format != document.FormatPDF {
		t.Fatalf("opened: %+v, %v", o, err)
	}
	if got, err := whole(t.Context(), c, elsewhere(), 1); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	rest, err := c.Document(t.Context(), elsewhere(), tag(1), 99_000)
	if err != nil {
		t.Fatal(err)
	}
	defer rest.Close()
	if got := must(io.ReadAll(rest)); !bytes.Equal(got, content[99_000:]) {
		t.Errorf("from an offset on: %d bytes", len(got))
	}
	// Another reader's session has no such key.
	other := w.dial(w.join(south, 2, record.DoctorRole))
	_, err = other.Open(t.Context(), reading.OpenRequest{RecordName: elsewhere()})
	wantError(t, err, reading.ErrUnavailable, "")
}

// A client goes away in the midst of several ranges, which are read in a goroutine of their own: the document is closed when that
// has ended.
func TestADocumentIsNotClosedWhileItIsRead(t *testing.T) {
	content := text(1, 1<<20)
	entered, leave := make(chan struct{}), make(chan struct{})
	w, token := opened(t, described(content, document.FormatDICOM), func(w *world) (reading.Plain, error) {
		p, once := w.plain(1, content), sync.Once{}
		p.fails = func(from, _ int64) error {
			if from >= 500_000 {
				once.Do(func() { close(entered) })
				<-leave
			}
			return nil
		}
		return p, nil
	})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, place(here(), 1), nil)
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Range", "bytes=0-9,500000-900000")
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = recover() }() // a connection is broken so
		w.server.Handler().ServeHTTP(&breaking{httptest.NewRecorder(), entered}, r)
	}()
	<-entered
	select {
	case <-done:
		t.Error("the handler ended while the document was read")
	case <-time.After(50 * time.Millisecond): // for a handler that does not wait
	}
	close(leave)
	<-done
	if told := w.told(); told[len(told)-1] != "close 1" {
		t.Errorf("in this order: %v", told)
	}
}

// breaking is a client that takes nothing any more once the second range is being read.
type breaking struct {
	*httptest.ResponseRecorder
	entered chan struct{}
}

func (b *breaking) Write(p []byte) (int, error) {
	if !bytes.Contains(p, []byte("500000-")) {
		return len(p), nil
	}
	<-b.entered
	return 0, errInjected
}

// endless is a content of a size that nobody has in memory.
type endless struct{ size int64 }

func (e endless) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > e.size {
		return 0, io.EOF
	}
	clear(p)
	return len(p), nil
}
func (e endless) Size() int64  { return e.size }
func (e endless) Close() error { return nil }

// Memory does not grow with a document's size.
func TestALargeDocumentTakesLittleMemory(t *testing.T) {
	const size = 64 << 20
	digest := digestOf(io.NewSectionReader(endless{size}, 0, size))
	d := document.Description{Size: size, Digest: digest, Metadata: document.Metadata{Format: document.FormatDICOM}}
	w, token := opened(t, d, func(*world) (reading.Plain, error) { return endless{size}, nil })
	before := allocated()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, place(here(), 1), nil)
	r.Header.Set("Authorization", "Bearer "+token)
	sink := &discarding{header: make(http.Header)}
	w.server.Handler().ServeHTTP(sink, r)
	if sink.n != size || sink.status != http.StatusOK {
		t.Fatalf("%d bytes, %d", sink.n, sink.status)
	}
	if n := allocated() - before; n > 4<<20 {
		t.Errorf("to read 64 MiB, %d KiB were allocated", n>>10)
	}
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// discarding counts what is written.
type discarding struct {
	header http.Header
	status int
	n      int64
}

func (d *discarding) Header() http.Header { return d.header }
func (d *discarding) WriteHeader(status int) {
	d.status = status
}

func (d *discarding) Write(p []byte) (int, error) {
	d.n += int64(len(p))
	return len(p), nil
}
