package scp_test

import (
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/medanchor/medanchor/dicomwatch/scp"
	"github.com/medanchor/medanchor/test/dcmtk"
)

// encode makes a file anew in another encoding, by a program of dcmtk.
func encode(t *testing.T, file, program string, options ...string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "encoded.dcm")
	output, err := exec.CommandContext(t.Context(), program, append(options, file, to)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", program, err, output)
	}
	return to
}

// compressed are images in each compressed transfer syntax that dcmtk can make.
func compressed(t *testing.T) []string {
	t.Helper()
	dcmtk.Need(t, "dcmcjpeg", "dcmcjpls", "dcmcrle")
	files := imagesBy(t, 8, 4, 64<<10)
	return []string{
		encode(t, files[0], "dcmcjpeg", "+e1"), // JPEG lossless, first order
		encode(t, files[1], "dcmcjpls"),        // JPEG-LS lossless
		encode(t, files[2], "dcmcrle"),
		encode(t, files[3], "dcmcjpeg", "+ee"), // JPEG extended, lossy
	}
}

// Whatever an object is encoded in, it is kept as it came.
func TestTransferSyntaxesPassThrough(t *testing.T) {
	dcmtk.Need(t, "storescu", "dcmsend", "dcmconv", "dcmdump")
	files := compressed(t)
	plain := images(t, 4, 64<<10)
	files = append(files,
		plain[0],
		encode(t, plain[1], "dcmconv", "+ti"), // implicit
		encode(t, plain[2], "dcmconv", "+tb"), // big endian
		encode(t, plain[3], "dcmconv", "+td"), // deflated
	)
	t.Run("dcmsend", func(t *testing.T) {
		// It proposes the uncompressed ones in one context, of which only the first choice is sent as it is.
		files := slices.Concat(files[:5], files[7:])
		r := start(t, scp.Options{})
		if output, err := dcmtk.DCMSend(t.Context(), r.peer(), files, "--decompress-never"); err != nil {
			t.Fatal(err, output)
		}
		r.stop()
		r.same(t, files)
		if s := r.Stats(); s.Accepted != 1 {
			t.Errorf("%d associations", s.Accepted)
		}
	})
	for i, option := range []string{"-xs", "-xt", "-xr", "-xx", "-xe", "-xi", "-xb", "-xd"} {
		for _, combined := range []bool{false, true} {
			t.Run("storescu "+option, func(t *testing.T) {
				r := start(t, scp.Options{})
				options := []string{option}
				if combined {
					options = append(options, "+C")
				}
				if output, err := dcmtk.StoreSCU(t.Context(), r.peer(), files[i:i+1], options...); err != nil {
					t.Fatal(err, output)
				}
				r.stop()
				got := r.spool.objects()[0].TransferSyntaxUID
				if want := attribute(t, files[i], "0002,0010"); got != want {
					t.Errorf("received in %s, want %s", got, want)
				}
				r.same(t, files[i:i+1])
			})
		}
	}
}
