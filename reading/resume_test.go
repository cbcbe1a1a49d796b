package reading_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/reading"
)

// readTo reads a document, whose content fails where failure says so, by the client.
func readTo(t *testing.T, content []byte, failure func(from, to int64) error) ([]byte, error) {
	t.Helper()
	w := serve(t)
	w.anchor(here(), record.KindImaging, 1)
	w.holdAs(1, described(content, document.FormatText), func() (reading.Plain, error) {
		p := w.plain(1, content)
		p.fails = failure
		return p, nil
	})
	c := w.dial(w.doctor())
	if _, err := c.Open(t.Context(), reading.OpenRequest{RecordName: here()}); err != nil {
		t.Fatal(err)
	}
	body, err := c.Document(t.Context(), here(), tag(1), 0)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

// A reader whose content breaks off is told why, by the answer to asking on from there.
func TestAContentThatBreaksOffSaysWhy(t *testing.T) {
	content := text(1, 300_000)
	for _, at := range []int64{0, 100, 40_000, 200_000, 299_999} {
		gone := fmt.Errorf("%w: the holder is gone", reading.ErrUnavailable)
		got, err := readTo(t, content, cut(at, gone))
		if !errors.Is(err, reading.ErrUnavailable) || int64(len(got)) > at || !bytes.HasPrefix(content, got) {
			t.Errorf("from %d on: %d bytes, %v", at, len(got), err)
		}
	}
}

// What fails once is read on from there, and the reader does not notice.
func TestAContentThatBreaksOffOnceGoesOn(t *testing.T) {
	content := text(1, 300_000)
	var failed atomic.Bool
	got, err := readTo(t, content, func(_, to int64) error {
		if to > 200_000 && !failed.Swap(true) {
			return errInjected
		}
		return nil
	})
	if err != nil || !bytes.Equal(got, content) || !failed.Load() {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
