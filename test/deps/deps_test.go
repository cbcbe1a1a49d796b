// Package deps tests what each part of medanchor reaches through its imports, and theirs. The linter (depguard) sees single
// imports, and says why one is refused; only here is it seen that what was refused does not come in by a detour.
package deps

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/medanchor/medanchor"

// TestMap checks the map of docs/architecture.md: which of our own packages each one reaches. Not in the table are those
// that may reach everything: appliance, and what uses it.
func TestMap(t *testing.T) {
	const schema, nouns, pause = "chaincode/record", "document", "pause"
	for _, row := range []struct {
		pattern string
		reaches []string
	}{
		{"document", []string{schema}},
		{"dicomwatch/...", []string{schema, nouns, pause, "dicomwatch"}},
		{"ingest", []string{schema, nouns, pause}},
		{"ingest/inspect/...", []string{schema, nouns, "ingest/inspect"}},
		{"vault/seal", []string{schema, nouns}},
		{"vault/ipfs", []string{schema, nouns}},
		{"state", []string{schema, nouns}},
		{"ledger", []string{schema, nouns}},
		{"ledger/sealed", []string{schema}},
		{"ledger/fabricca", nil},
		{"ledger/wallet", []string{schema, nouns, "ledger"}},
		{"index", []string{schema, nouns}},
		{"appliance/control", []string{schema, nouns}},
		{"cmd/medanchor-inspect", []string{schema, nouns, "ingest/inspect"}},
		{"devnet/...", []string{"devnet", "ledger/fabricca"}},
	} {
		t.Run(row.pattern, func(t *testing.T) {
			t.Parallel()
			itself := strings.TrimSuffix(row.pattern, "/...")
			for _, pkg := range reached(t, row.pattern) {
				ours, ok := strings.CutPrefix(pkg, module+"/")
				if ok && !below(ours, append(row.reaches, itself)) {
					t.Errorf("it reaches %s: it may reach %q", ours, row.reaches)
				}
			}
		})
	}
}

// TestPrograms checks what the programs carry.
func TestPrograms(t *testing.T) {
	parsers := []string{
		"github.com/pdfcpu/pdfcpu", "github.com/suyashkumar/dicom", module + "/ingest/inspect/reader",
	}
	secrets := []string{
		"filippo.io/age", "go.etcd.io/bbolt", "github.com/hyperledger", "github.com/ipfs", "google.golang.org/grpc",
	}
	forTests := []string{module + "/devnet", module + "/test"}
	for _, row := range []struct {
		program, reason string
		refused         []string
	}{
		{"cmd/medanchor", "no parser of hostile input runs in the daemon", parsers},
		{"cmd/medanchor", "the product does not carry its tests", forTests},
		{"cmd/medanchor-inspect", "the program that meets hostile files holds nothing worth reaching", secrets},
		{"ledger", "what leaves the hospital can reach neither keys nor plaintext", []string{"filippo.io/age", "go.etcd.io/bbolt"}},
		{"vault/seal", "what holds keys talks to nobody", []string{"net", "net/http", "google.golang.org/grpc"}},
		{"state", "what keeps state talks to nobody", []string{"net", "net/http"}},
		{"ledger/sealed", "what opens notes talks to nobody", []string{"net/http", "google.golang.org/grpc"}},
	} {
		t.Run(row.program+"/"+row.refused[0], func(t *testing.T) {
			t.Parallel()
			for _, pkg := range reached(t, row.program) {
				if below(pkg, row.refused) {
					t.Errorf("it reaches %s: %s", pkg, row.reason)
				}
			}
		})
	}
}

// below says whether pkg is one of the packages or below one.
func below(pkg string, packages []string) bool {
	return slices.ContainsFunc(packages, func(p string) bool { return pkg == p || strings.HasPrefix(pkg, p+"/") })
}

// reached lists the packages that those of a pattern reach, themselves included; tests do not count.
func reached(t *testing.T, pattern string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{.ImportPath}} {{.Dir}}", module+"/"+pattern)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("list what %s reaches: %v\n%s", pattern, err, stderr.String())
	}
	var packages []string
	for line := range strings.Lines(string(out)) {
		pkg, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		packages = append(packages, pkg)
		if !below(pkg, []string{module}) {
			continue
		}
		// What is read here go test takes into account when it decides whether an earlier result still holds.
		if _, err := os.ReadDir(dir); err != nil {
			t.Fatal(err)
		}
	}
	return packages
}
