package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/test/hospital"
	"github.com/medanchor/medanchor/test/story"
	"github.com/medanchor/medanchor/test/synth"
)

// settleTimeout bounds the wait until every file is accounted for.
const settleTimeout = 5 * time.Minute

// storyBegins is the number of the story's first step.
const storyBegins = 8

// demo is one run.
type demo struct {
	dir, bin string
	seed     uint64
	once     bool
}

// site is one hospital of the demo.
type site struct {
	*hospital.Hospital
	member  *devnet.Member
	files   string // the generator's name for it
	want    synth.Counts
	process *hospital.Process
	began   time.Time
	took    time.Duration // until everything was anchored
}

func (d *demo) run(ctx context.Context) (err error) {
	if d.dir, err = filepath.Abs(d.dir); err != nil {
		return err
	}
	if d.bin, err = filepath.Abs(d.bin); err != nil {
		return err
	}
	if err := os.RemoveAll(d.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	say("1. A Fabric network of two hospitals: a peer and a CA each, one orderer, TLS everywhere.")
	network, err := devnet.Start(ctx, devnet.Options{Dir: filepath.Join(d.dir, "network"), Log: os.Stdout})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, network.Close()) }()

	say("2. Synthetic files: nobody in them exists.")
	manifest, err := synth.Generate(synth.Demo(filepath.Join(d.dir, "files"), d.seed))
	if err != nil {
		return err
	}
	fmt.Printf("%d files for %d people\n", len(manifest.Files), len(manifest.People))

	say("3. An appliance in each hospital.")
	sites, err := d.open(ctx, network, manifest)
	defer func() {
		for _, s := range sites {
			if s.process != nil {
				err = errors.Join(err, s.process.Stop())
			}
		}
	}()
	if err != nil {
		return err
	}
	say("4. The files are dropped.")
	if err := d.drop(ctx, sites); err != nil {
		return err
	}
	if err := report(ctx, network, sites); err != nil {
		return err
	}
	if err := d.showVerify(ctx, sites[0], manifest); err != nil {
		return err
	}
	if err := d.tellStory(ctx, network, sites); err != nil {
		return err
	}
	if d.once {
		return nil
	}
	d.next(sites)
	<-ctx.Done()
	return nil
}

func say(s string) { fmt.Printf("\n== %s\n", s) }

// open sets up and starts the appliances.
func (d *demo) open(ctx context.Context, network *devnet.Network, manifest synth.Manifest) (sites []*site, err error) {
	var swarmKey []byte
	for i, member := range network.Members {
		s := &site{member: member, files: manifest.Hospitals[i], want: manifest.Counts(manifest.Hospitals[i])}
		sites = append(sites, s)
		s.Hospital, err = hospital.New(ctx, network, member, hospital.Options{
			Dir: filepath.Join(d.dir, member.Name), Inspector: filepath.Join(d.bin, "medanchor-inspect"), SwarmKey: swarmKey,
		})
		if err != nil {
			return sites, err
		}
		if swarmKey, err = os.ReadFile(s.Config.IPFS.SwarmKeyFile); err != nil {
			return sites, err
		}
		if s.process, err = s.Run(ctx, filepath.Join(d.bin, "medanchor")); err != nil {
			return sites, err
		}
		fmt.Printf("%s: %s\n", member.Title, s.ConfigPath)
	}
	return sites, nil
}

// drop moves the generated folders into the drop folders, and waits until every file is accounted for.
func (d *demo) drop(ctx context.Context, sites []*site) error {
	for _, s := range sites {
		s.began = time.Now()
		for _, kind := range []string{"dicom", "documents"} {
			from := filepath.Join(d.dir, "files", s.files, kind)
			if err := moveInto(from, filepath.Join(s.Dir, "drop", kind)); err != nil {
				return err
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		settled, err := progress(ctx, sites)
		if err != nil || settled {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the files: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// moveInto moves what is in one folder into another on the same file system.
func moveInto(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := os.Rename(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// progress prints a line, and says whether every file of every hospital is accounted for.
func progress(ctx context.Context, sites []*site) (settled bool, err error) {
	settled = true
	for _, s := range sites {
		status, err := s.Client().Status(ctx)
		if err != nil {
			return false, err
		}
		items := status.Items
		fmt.Printf("%-12s received %4d of %4d, anchored %4d, waiting %4d   ", s.member.Name,
			items.Received, s.want.Files, items.Anchored, items.Waiting)
		done := items.Received == int64(s.want.Files) && items.Waiting == 0
		if done && s.took == 0 {
			s.took = time.Since(s.began)
		}
		settled = settled && done
	}
	fmt.Println()
	return settled, nil
}

// showVerify verifies one anchored file, and the same with one byte changed, by the command that a person would use.
func (d *demo) showVerify(ctx context.Context, s *site, manifest synth.Manifest) error {
	path, err := anchoredDICOM(s, manifest)
	if err != nil {
		return err
	}
	say("6. A file is what was anchored.")
	if code, err := d.medanchor(ctx, "verify", path, "--config", s.ConfigPath); err != nil || code != 0 {
		return fmt.Errorf("verify %s: exit code %d: %w", path, code, err)
	}
	say("7. The same file with one byte changed.")
	changed := filepath.Join(s.Dir, "changed.dcm")
	if err := copyWithOneByteChanged(path, changed); err != nil {
		return err
	}
	code, err := d.medanchor(ctx, "verify", changed, "--config", s.ConfigPath)
	if err != nil || code != 3 {
		return fmt.Errorf("verify of a changed file: exit code %d, want 3: %w", code, err)
	}
	return nil
}

// tellStory has the history of a patient follow them from the first hospital to the second.
func (d *demo) tellStory(ctx context.Context, network *devnet.Network, sites []*site) error {
	a, b := &story.Place{Hospital: sites[0].Hospital, Member: sites[0].member}, &story.Place{Hospital: sites[1].Hospital, Member: sites[1].member}
	if err := story.Announce(ctx, network, a, b); err != nil {
		return err
	}
	s, err := story.Begin(ctx, story.Options{
		Dir: filepath.Join(d.dir, "story"), Program: filepath.Join(d.bin, "medanchor"), Network: network, A: a, B: b,
		Slices: 5, Late: 3, Size: 524 << 10, Seed: d.seed, Out: os.Stdout,
	})
	if err != nil {
		return err
	}
	for i, step := range s.Steps() {
		say(fmt.Sprintf("%d. %s", storyBegins+i, step.Title))
		if err := step.Run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// anchoredDICOM finds a DICOM file of the hospital that was anchored, where it was moved to.
func anchoredDICOM(s *site, manifest synth.Manifest) (string, error) {
	for _, f := range manifest.Files {
		if f.Hospital == s.files && f.Outcome == synth.Anchored && filepath.Ext(f.Path) == ".dcm" && f.VariantOf == "" {
			rel, err := filepath.Rel(s.files+"/dicom", f.Path)
			return filepath.Join(s.Config.Folders[0].Path, "done", rel), err
		}
	}
	return "", errors.New("the generator made no DICOM file to be anchored")
}

func copyWithOneByteChanged(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	content[len(content)-1] ^= 1 // in the pixels
	return os.WriteFile(to, content, 0o600)
}

func (d *demo) next(sites []*site) {
	say("It stays up. Try, in another terminal:")
	program, config := filepath.Join(d.bin, "medanchor"), sites[0].ConfigPath
	for _, line := range []string{
		"status --config " + config, "records --config " + config, "records --all --config " + config,
		"verify FILE --config " + config,
	} {
		fmt.Println(" ", program, line)
	}
	fmt.Println("  cp FILE", sites[0].Config.Folders[0].Path)
	fmt.Println("Ctrl-C ends it.")
}
