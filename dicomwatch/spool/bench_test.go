package spool_test

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// ctSlice is the size of a CT slice of 512 × 512 pixels, in bytes.
const ctSlice = 524_288 + 1500

// BenchmarkSpool measures objects from Create to durable, beside what the disk does without a spool: the same bytes written in
// clear to a file, the file and its directory fsynced, one after the other.
func BenchmarkSpool(b *testing.B) {
	object := make([]byte, ctSlice)
	rand.Read(object)
	perSecond := func(b *testing.B) { b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "objects/s") }

	plain := func(b *testing.B, writers int) {
		at := b.TempDir()
		b.SetBytes(ctSlice)
		b.ResetTimer()
		each(b, writers, func(n int) error { return writePlain(at, strconv.Itoa(n), object) })
		perSecond(b)
	}
	b.Run("plain/1", func(b *testing.B) { plain(b, 1) })
	b.Run("plain/8", func(b *testing.B) { plain(b, 8) })
	for _, writers := range []int{1, 8, 64} {
		b.Run("spool/"+strconv.Itoa(writers), func(b *testing.B) {
			s := start(b, options(b), &pipeline{})
			b.SetBytes(ctSlice)
			b.ResetTimer()
			each(b, writers, func(int) error { return send(context.WithoutCancel(b.Context()), s, object) })
			perSecond(b)
		})
	}
}

// each calls f b.N times, writers at once.
func each(b *testing.B, writers int, f func(n int) error) {
	numbers, done := make(chan int), make(chan error, writers)
	for range writers {
		go func() {
			var errs error
			for n := range numbers {
				errs = errors.Join(errs, f(n))
			}
			done <- errs
		}()
	}
	for n := range b.N {
		numbers <- n
	}
	close(numbers)
	for range writers {
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
}

func writePlain(at, name string, content []byte) error {
	f, err := os.OpenFile(filepath.Join(at, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	d, openErr := os.Open(at)
	return errors.Join(err, f.Sync(), f.Close(), openErr, d.Sync(), d.Close())
}
