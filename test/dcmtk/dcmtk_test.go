package dcmtk_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/medanchor/medanchor/test/dcmtk"
	"github.com/medanchor/medanchor/test/synth"
)

func TestStoreSCUSendsToStoreSCPWhatDumpReads(t *testing.T) {
	dcmtk.Need(t, "storescu", "storescp", "echoscu", "dcmsend", "dcmdump")
	source, received := t.TempDir(), t.TempDir()
	if _, err := synth.Many(source, 1, "north", 2, 8<<10); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(source, "north", "dicom", "*", "*.dcm"))
	if err != nil || len(files) != 2 {
		t.Fatalf("made %v: %v", files, err)
	}
	address, err := dcmtk.StoreSCP(t.Context(), received)
	if err != nil {
		t.Fatal(err)
	}
	to := dcmtk.Peer{Address: address, Calling: "A", Called: "B"}
	if _, err := dcmtk.EchoSCU(t.Context(), to); err != nil {
		t.Error(err)
	}
	if _, err := dcmtk.StoreSCU(t.Context(), to, files[:1]); err != nil {
		t.Error(err)
	}
	if _, err := dcmtk.DCMSend(t.Context(), to, files[1:]); err != nil {
		t.Error(err)
	}
	stored, err := os.ReadDir(received)
	if err != nil || len(stored) != 2 {
		t.Fatalf("stored %v: %v", stored, err)
	}
	for tag, want := range map[string]string{"0008,0060": "CT", "0002,0010": synth.ExplicitLittleEndian, "0009,0010": ""} {
		if got, err := dcmtk.Dump(t.Context(), files[0], tag); err != nil || got != want {
			t.Errorf("(%s) is %q, want %q: %v", tag, got, want, err)
		}
	}
	for _, tag := range []string{"0010,0010", "0008,0018", "0028,0010"} {
		if got, err := dcmtk.Dump(t.Context(), files[0], tag); err != nil || got == "" {
			t.Errorf("(%s) is %q: %v", tag, got, err)
		}
	}
	to.Address = "127.0.0.1:1"
	if _, err := dcmtk.EchoSCU(t.Context(), to); err == nil {
		t.Error("an echo that nobody answered is a success")
	}
}
