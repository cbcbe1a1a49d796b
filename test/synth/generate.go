package synth

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/medanchor/medanchor/document"
)

// Options say what to make. Start from Demo or Small.
type Options struct {
	Seed      uint64
	Dir       string   // made if it is not there
	Hospitals []string // their folders' names

	People int // of each hospital alone
	Shared int // known at every hospital; at least 1

	Shrink  int // divides the edges of all images; 1 is life size
	CT      int // slices of the CT study, at the first hospital; the others get a fifth
	MR      int // slices of the MR study
	Frames  int // of the XA run, at the first hospital: 262,144 bytes each at life size
	Letters int // PDFs
	Largest int // bytes of the largest PDF
}

// Demo makes what the demo drops: two hospitals, a CT study of 200 slices of 524 KB, files up to 50 MB, about 300 MB.
func Demo(dir string, seed uint64) Options {
	return Options{
		Seed: seed, Dir: dir, Hospitals: []string{"north", "south"}, People: 4, Shared: 2,
		Shrink: 1, CT: 200, MR: 40, Frames: 190, Letters: 16, Largest: 5 << 20,
	}
}

// Small makes the same kinds of files for tests: about 40 of them for each of two hospitals, a few megabytes.
func Small(dir string, seed uint64) Options {
	return Options{
		Seed: seed, Dir: dir, Hospitals: []string{"north", "south"}, People: 2, Shared: 1,
		Shrink: 8, CT: 15, MR: 4, Frames: 20, Letters: 6, Largest: 200 << 10,
	}
}

// generator writes files and keeps the manifest.
type generator struct {
	Options
	manifest Manifest
	noted    map[string]bool // personal values that the manifest has
	now      time.Time
}

// Generate writes the files.
func Generate(o Options) (Manifest, error) {
	if len(o.Hospitals) == 0 || o.Shared < 1 || o.Shrink < 1 {
		return Manifest{}, errors.New("generate files: want a hospital, a shared person and a shrink factor of at least 1")
	}
	g := newGenerator(o)
	shared := g.people("shared", o.Shared)
	for i, hospital := range o.Hospitals {
		people := append(slices.Clip(shared), g.people(hospital, o.People)...)
		if err := g.hospital(i, hospital, people); err != nil {
			return Manifest{}, fmt.Errorf("generate files of %s: %w", hospital, err)
		}
	}
	return g.manifest, nil
}

// Many writes n CT images of about size bytes for one person at one hospital, for benchmarks.
func Many(dir string, seed uint64, hospital string, n, size int) (Manifest, error) {
	g := newGenerator(Options{Seed: seed, Dir: dir, Hospitals: []string{hospital}, Shrink: 1})
	p := g.people(hospital, 1)[0]
	m := ct
	m.columns = max(size/(m.rows*m.bytes), 1)
	if err := g.study(hospital, "many", p, m, n, 1); err != nil {
		return Manifest{}, fmt.Errorf("generate %d images: %w", n, err)
	}
	return g.manifest, nil
}

func newGenerator(o Options) *generator {
	return &generator{
		Options:  o,
		noted:    map[string]bool{},
		manifest: Manifest{Seed: o.Seed, Hospitals: o.Hospitals},
		now:      time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC),
	}
}

// source gives the randomness of one thing, by its name: adding a file changes no other.
func (g *generator) source(parts ...string) *rand.ChaCha8 {
	return rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "%d/%s", g.Seed, strings.Join(parts, "/"))))
}

func (g *generator) noise(n int, parts ...string) []byte {
	b := make([]byte, n)
	_, _ = g.source(parts...).Read(b) // never fails (math/rand/v2)
	return b
}

// uid gives a UID under 2.25: a 128-bit number (PS3.5 §B.2).
func (g *generator) uid(parts ...string) string {
	uid := "2.25." + new(big.Int).SetBytes(g.noise(16, append(parts, "uid")...)).String()
	g.noteText(UID, uid)
	return uid
}

func (g *generator) people(group string, n int) []Person {
	r := rand.New(g.source("people", group))
	people := make([]Person, n)
	for i := range people {
		people[i] = newPerson(r, len(g.manifest.People))
		g.notePerson(people[i])
	}
	return people
}

// hospital writes everything of one hospital. The first person is a shared one.
func (g *generator) hospital(index int, name string, people []Person) error {
	slices := g.CT
	if index > 0 {
		slices = max(g.CT/5, 2)
	}
	person := func(i int) Person { return people[i%len(people)] }
	for _, step := range []func() error{
		func() error { return g.study(name, "ct", person(0), ct, slices, 1) },
		func() error { return g.study(name, "mr", person(1), mr, g.MR, 1) },
		func() error { return g.study(name, "cr", person(2), cr, 2, 1) },
		func() error { return g.study(name, "us", person(3), us, 1, 10) },
		func() error {
			if index > 0 {
				return nil
			}
			return g.study(name, "xa", person(4), xa, 1, g.Frames)
		},
		func() error { return g.sharedImage(name, people[0]) },
		func() error { return g.oddImages(name, person(1)) },
		func() error { return g.letters(name, people) },
		func() error { return g.notes(name, people) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// image makes an image of a hospital's study. Slices alternate between the transfer syntaxes by study.
func (g *generator) image(study string, p Person, m modality, number, frames int) Image {
	m = m.scaled(g.Shrink)
	syntax := ExplicitLittleEndian
	if m.name == "MR" {
		syntax = ImplicitLittleEndian
	}
	issuer := Issuer
	if m.name == "US" {
		issuer = OtherIssuer
	}
	instance := fmt.Sprintf("%s/%d", study, number)
	return Image{
		Patient: p, Issuer: issuer, Study: g.uid(study), Series: g.uid(study, "series"), Instance: g.uid(instance),
		Description: "Synthetic " + m.name + " study", Time: g.now, Number: number, Frames: frames,
		Syntax: syntax, Sender: "SYNTH_1",
		modality: m, noise: g.noise(m.frame()*frames, instance),
	}
}

func (g *generator) study(hospital, name string, p Person, m modality, instances, frames int) error {
	for n := range instances {
		img := g.image(hospital+"/"+name, p, m, n+1, frames)
		if err := g.writeImage(hospital, name, img, File{Outcome: Anchored}); err != nil {
			return err
		}
	}
	return nil
}

// sharedImage is the same file at every hospital that knows the person: a document at each, and nothing public may say
// that they are alike.
func (g *generator) sharedImage(hospital string, p Person) error {
	return g.writeImage(hospital, "shared", g.image("shared", p, cr, 1, 1), File{Outcome: Anchored})
}

// oddImages are a duplicate, the same object sent by another program, a variant, an image cut short, one that names
// nobody and three that name placeholders.
func (g *generator) oddImages(hospital string, p Person) error {
	img := g.image(hospital+"/odd", p, mr, 1, 1)
	first := imagePath(hospital, "odd", img)
	if err := g.writeImage(hospital, "odd", img, File{Outcome: Anchored}); err != nil {
		return err
	}
	if err := g.writeImage(hospital, "copy", img, File{Outcome: Duplicate, Original: first}); err != nil {
		return err
	}
	again := img
	again.Sender = "SYNTH_2"
	if err := g.writeImage(hospital, "resent", again, File{Outcome: Duplicate, Original: first}); err != nil {
		return err
	}
	variant := img
	variant.Description = "Synthetic MR study, corrected"
	if err := g.writeImage(hospital, "variant", variant, File{Outcome: Anchored, VariantOf: first}); err != nil {
		return err
	}
	for _, nobody := range []struct {
		folder, identifier string
		reason             document.Reason
	}{
		{"nobody", "", document.ReasonNoPatient},
		{"placeholder", "ID1", document.ReasonPlaceholder},
		{"zeros", "0000000000", document.ReasonPlaceholder},
		{"walk-in", Placeholder, document.ReasonPlaceholder},
	} {
		img := g.image(hospital+"/"+nobody.folder, p, mr, 1, 1)
		img.Patient.NHS = nobody.identifier
		if err := g.writeImage(hospital, nobody.folder, img, File{Outcome: Quarantined, Reason: nobody.reason}); err != nil {
			return err
		}
	}
	cut, _ := g.image(hospital+"/cut", p, mr, 1, 1).Encode()
	return g.write(cut[:len(cut)*3/4], 0, File{
		Path: path.Join(hospital, "dicom", "cut", "IM-0001.dcm"), Hospital: hospital, Format: document.FormatDICOM,
		NHS: p.NHS, Outcome: Quarantined, Reason: document.ReasonTruncated,
	})
}

// letters are PDFs of rising size, one of them twice, one for two people, and one that is none.
func (g *generator) letters(hospital string, people []Person) error {
	kinds := []string{"letter", "prescription", "lab-result"}
	for n := range g.Letters {
		p, kind := people[n%len(people)], kinds[n%len(kinds)]
		where := path.Join(hospital, "documents", p.NHS, fmt.Sprintf("%s-%d.pdf", kind, n+1))
		data := Letter{
			Title: "Synthetic " + kind,
			Lines: []string{"NHS number " + p.NHS, "Born " + p.Birth, "This person does not exist."},
			Pages: 1 + n%4, Time: g.now.AddDate(0, 0, n), noise: g.noise(g.Largest>>(g.Letters-1-n), where),
		}.Encode()
		if err := g.writeDocument(where, p, data, File{Outcome: Anchored}); err != nil {
			return err
		}
		if n > 0 {
			continue
		}
		copied := path.Join(hospital, "documents", p.NHS, "copy-of-"+path.Base(where))
		if err := g.writeDocument(copied, p, data, File{Outcome: Duplicate, Original: where}); err != nil {
			return err
		}
	}
	leaflet := Letter{Title: "Synthetic leaflet", Lines: []string{"For everybody."}, Pages: 2, Time: g.now}.Encode()
	for _, p := range people[:min(2, len(people))] {
		where := path.Join(hospital, "documents", p.NHS, "leaflet.pdf")
		if err := g.writeDocument(where, p, leaflet, File{Outcome: Anchored}); err != nil {
			return err
		}
	}
	where := path.Join(hospital, "documents", people[0].NHS, "not-a-pdf.pdf")
	return g.writeDocument(where, people[0], append([]byte("PK\x03\x04"), g.noise(10_000, where)...), File{
		Format: document.FormatUnknown, Outcome: Quarantined, Reason: document.ReasonNotUnderstood,
	})
}

// notes are text files, in UTF-8, and one that somebody filed under a mistyped number.
func (g *generator) notes(hospital string, people []Person) error {
	for _, p := range people {
		where := path.Join(hospital, "documents", p.NHS, "note-1.txt")
		text := fmt.Sprintf("%s, NHS number %s, born %s.\nSeen at %s. This person does not exist.\n",
			p.display(), p.NHS, p.Birth, hospital)
		if err := g.writeDocument(where, p, []byte(text), File{Format: document.FormatText, Outcome: Anchored}); err != nil {
			return err
		}
	}
	p := people[0]
	p.NHS = p.mistyped()
	g.noteText(Identifier, p.NHS)
	where := path.Join(hospital, "documents", p.NHS, "note-2.txt")
	return g.writeDocument(where, p, fmt.Appendf(nil, "NHS number %s, seen again at %s.\n", p.NHS, hospital), File{
		Format: document.FormatText, Outcome: Quarantined, Reason: document.ReasonBadIdentifier,
	})
}

func imagePath(hospital, folder string, img Image) string {
	return path.Join(hospital, "dicom", folder, fmt.Sprintf("IM-%04d.dcm", img.Number))
}

func (g *generator) writeImage(hospital, folder string, img Image, f File) error {
	data, offset := img.Encode()
	f.Path, f.Hospital, f.Format = imagePath(hospital, folder, img), hospital, document.FormatDICOM
	f.NHS = img.Patient.NHS
	return g.write(data, offset, f)
}

// writeDocument writes to a path that begins with the hospital; PDF is the usual format.
func (g *generator) writeDocument(where string, p Person, data []byte, f File) error {
	f.Path, f.NHS = where, p.NHS
	f.Hospital, _, _ = strings.Cut(where, "/")
	if f.Format == "" {
		f.Format = document.FormatPDF
	}
	return g.write(data, 0, f)
}

func (g *generator) write(data []byte, offset int, f File) error {
	f.Size, f.Offset = int64(len(data)), int64(offset)
	f.SHA256 = g.noteDigests(data, offset)
	g.manifest.Files = append(g.manifest.Files, f)
	target := filepath.Join(g.Dir, filepath.FromSlash(f.Path))
	if err := os.MkdirAll(filepath.Dir(target), 0o750); err != nil {
		return err
	}
	return os.WriteFile(target, data, 0o600)
}
