package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/test/synth"
)

// TestNoPersonalData: after everything that daemons do with files, none of what is personal in them stands anywhere but in
// the source folders: not on the appliances' disks or in their logs, and not with the peers, the orderer and the CAs.
func TestNoPersonalData(t *testing.T) {
	n := devnettest.Network(t)
	manifest, dir := generate(t, 23)
	var sites []*site
	for i := range manifest.Hospitals {
		sites = append(sites, newSite(t, n, i))
	}
	for i, s := range sites {
		s.Config.Log.Level = -4 // debug: the most that the daemon can say
		if err := s.WriteConfig(); err != nil {
			t.Fatal(err)
		}
		temporary := filepath.Join(s.Dir, "tmp")
		if err := os.Mkdir(temporary, 0o700); err != nil {
			t.Fatal(err)
		}
		s.env = []string{"TMPDIR=" + temporary}
		s.start()
		s.dropManifest(dir, manifest.Hospitals[i])
	}
	for i, s := range sites {
		s.await("intake is under way", func(c control.Status) bool { return c.Items.Received >= 5 })
		s.kill()
		s.start()
		s.awaitSettled(manifest.Counts(manifest.Hospitals[i]).Files)
		s.awaitIndexed()
		s.useCommands(manifest, dir, manifest.Hospitals[i])
	}

	look := newSearcher(personalValues(manifest))
	for _, s := range sites {
		for _, page := range []string{"/metrics", "/readyz", "/healthz"} {
			s.checkPage(look, page)
		}
	}
	for _, s := range sites {
		s.stop()
	}
	began := time.Now()
	var all []treeFile
	for _, s := range sites {
		// The source folders are the one exception: they are in clear for as long as their owner keeps files there.
		all = append(all, searchTree(t, look, s.Dir, filepath.Join(s.Dir, "drop"))...)
	}
	all = append(all, searchTree(t, look, n.Dir)...)
	size := int64(0)
	for _, f := range all {
		size += f.info.Size()
	}
	t.Logf("searched %d files, %d MB, for %d values in %v", len(all), size/1e6, len(personalValues(manifest)), time.Since(began))
	plantEverywhere(t, look, manifest, all)
}

// useCommands runs the commands that a person would, on files of each kind.
func (s *site) useCommands(m synth.Manifest, dir, name string) {
	s.t.Helper()
	kinds := make(map[string]bool)
	for _, f := range m.Files {
		kind := string(f.Format) + string(f.Outcome)
		if f.Hospital != name || kinds[kind] {
			continue
		}
		kinds[kind] = true
		path := filepath.Join(dir, filepath.FromSlash(f.Path))
		var verdicts []control.Verdict
		out := s.command("verify", "--json", path)
		if err := json.Unmarshal(out, &verdicts); err != nil || len(verdicts) == 0 {
			s.t.Fatalf("verify %s: %v: %s", f.Path, err, out)
		}
		s.command("verify", verdicts[0].Item.String())
		s.command("get", verdicts[0].Item.String())
	}
	changed := filepath.Join(s.t.TempDir(), "changed.dcm")
	for _, f := range m.Files {
		if f.Hospital == name && f.Outcome == synth.Anchored && strings.HasSuffix(f.Path, ".dcm") {
			content, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(f.Path)))
			if err != nil {
				s.t.Fatal(err)
			}
			content[len(content)-1] ^= 1
			if err := os.WriteFile(changed, content, 0o600); err != nil {
				s.t.Fatal(err)
			}
			break
		}
	}
	s.command("verify", changed)
	s.command("status")
	s.command("records", "--all")
	s.command("get", "00000000-0000-7000-8000-000000000000")
	s.command("verify", m.People[0].NHS)
}

// command runs one command and gives what it prints. Its exit code is the command's own matter.
func (s *site) command(args ...string) []byte {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), s.medanchor, append(args, "--config", s.ConfigPath)...)
	cmd.Env = append(os.Environ(), s.env...)
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := s.Do(cmd.Run); cmd.ProcessState == nil {
		s.t.Fatal(err)
	}
	return out.Bytes()
}

// checkPage searches a page of the daemon's listener.
func (s *site) checkPage(look *searcher, page string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.listensAt()+page, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || len(body) == 0 {
		s.t.Fatalf("%s: %s, %v", page, response.Status, err)
	}
	look.search(body, func(p *pattern) { s.t.Errorf("%s shows %s", page, p) })
}

// searchTree searches names and contents of all files below root but those below except, and returns what it searched.
func searchTree(t *testing.T, look *searcher, root string, except ...string) []treeFile {
	t.Helper()
	files := tree(t, root, except...)
	for _, f := range files {
		rel, found := strings.TrimPrefix(f.path, root), make(map[*pattern]bool)
		look.search([]byte(rel), func(p *pattern) { t.Errorf("the name %s is %s", rel, p) })
		data, err := os.ReadFile(f.path)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		all, err := views(f.path, data)
		if err != nil {
			t.Errorf("open %s: %v", rel, err)
		}
		for _, view := range all {
			look.search(view, func(p *pattern) { found[p] = true })
		}
		for p := range found {
			t.Errorf("%s holds %s", rel, p)
		}
	}
	return files
}

// plantEverywhere puts values into copies of files of each kind, in every encoding: the search that found nothing must
// find each.
func plantEverywhere(t *testing.T, look *searcher, m synth.Manifest, files []treeFile) {
	t.Helper()
	kinds := []string{
		// LevelDB keeps the pins in its journal (.log) or, from the next start on, in a table (.ldb).
		"data/state.db", "data/index.db", "data/escrow.age", "data/ipfs/blocks/*/*.data", "data/ipfs/datastore/*.l*",
		"data/ipfs/config", "keys/vault.key", "medanchor.yaml", "medanchor.log",
		"blockfile_000000", "*.log", "*.wal", "*.pem", "*.db", "MANIFEST-*", "*.ldb",
	}
	values := m.Personal[:8]
	for _, v := range m.Personal {
		if !slices.ContainsFunc(values, func(o synth.Value) bool { return o.Kind == v.Kind && o.In == v.In }) {
			values = append(values, v)
		}
	}
	for _, kind := range kinds {
		i := slices.IndexFunc(files, func(f treeFile) bool { return f.info.Size() > 0 && matchesEnd(t, kind, f.path) })
		if i < 0 {
			t.Errorf("no file like %s was searched", kind)
			continue
		}
		data, err := os.ReadFile(files[i].path)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			for _, p := range patterns(v) {
				at := len(data) * 2 / 3
				if planted := slices.Concat(data[:at], []byte{0}, p.bytes, []byte{0}, data[at:min(len(data), at+4096)]); !finds(look, planted[max(0, at-1<<16):], &p) {
					t.Errorf("%s, planted in a file like %s, is not found", &p, kind)
				}
			}
		}
	}
}

// matchesEnd says whether the end of a path matches a pattern of as many elements.
func matchesEnd(t *testing.T, pattern, path string) bool {
	t.Helper()
	elements := strings.Split(path, "/")
	n := strings.Count(pattern, "/") + 1
	ok, err := filepath.Match(pattern, strings.Join(elements[max(0, len(elements)-n):], "/"))
	if err != nil {
		t.Fatal(err)
	}
	return ok
}
