package scp_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/medanchor/medanchor/dicomwatch/scp"
	"github.com/medanchor/medanchor/dicomwatch/scp/wire"
	"github.com/medanchor/medanchor/test/dcmtk"
)

// Real files, sent as each is encoded, are kept as they are.
func TestRealFiles(t *testing.T) {
	corpus := os.Getenv("MEDANCHOR_CORPUS")
	if corpus == "" {
		t.Skip("MEDANCHOR_CORPUS names no folder of real files")
	}
	dcmtk.Need(t, "dcmdump")
	r := start(t, scp.Options{})
	sent := make(map[string]int) // by SOP instance UID: the corpus has some twice
	err := filepath.WalkDir(filepath.Join(corpus, "dicom"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		file := read(t, path)
		meta := func(tag string) string {
			value, _ := dcmtk.Dump(t.Context(), path, tag) // what dcmdump does not read has none
			return value
		}
		class, instance, syntax := meta("0002,0002"), meta("0002,0003"), meta("0002,0010")
		if len(file) < 132 || string(file[128:132]) != "DICM" || !wire.ValidUID(class) || !scp.Storable(class) || !wire.ValidUID(instance) {
			t.Logf("%s is nothing to be stored: SOP class %q", entry.Name(), class)
			return nil
		}
		dataset := datasetOf(t, file)
		p := r.dial(t)
		p.open(wire.Proposal{ID: 1, AbstractSyntax: class, TransferSyntaxes: []string{syntax}})
		rq := command{field: 1, id: 1, class: class, instance: instance}
		p.send(pdata(pdv(1, isCommand|isLast, rq.encode())))
		const part = 64 << 10
		for len(dataset) > part {
			p.send(pdata(pdv(1, isDataset, dataset[:part])))
			dataset = dataset[part:]
		}
		p.send(pdata(pdv(1, isLast, dataset)))
		// As VR UN it is printed in bytes.
		if inside := meta("0008,0018"); inside != "" && inside != instance && !strings.Contains(inside, `\`) {
			p.response(rq, scp.StatusMismatch) // the file contradicts itself
			p.release()
			return nil
		}
		p.response(rq, scp.StatusSuccess)
		p.release()
		objects := r.spool.objects()
		if kept := objects[len(objects)-1]; !bytes.Equal(datasetOf(t, kept.file.Bytes()), datasetOf(t, file)) {
			t.Errorf("%s is not what was sent", entry.Name())
		}
		sent[instance]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d files, %d instances", len(r.spool.objects()), len(sent))
}
