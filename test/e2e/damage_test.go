package e2e

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/reading"
	"github.com/medanchor/medanchor/vault/ipfs"
)

// flipped, truncated and emptied are the ways in which the file of a block goes bad.
func flipped(block []byte) []byte {
	block[len(block)/2] ^= 4
	return block
}

func truncated(block []byte) []byte { return block[:len(block)/2] }
func emptied([]byte) []byte         { return nil }

// leafSize is that of a payload's leaves but the last, in bytes (docs/vault-format.md).
const leafSize = 1 << 20

// root stands for the block that a payload's CID names: all of a small payload, of a large one what links its leaves.
const root = -1

// TestDamage: blocks go bad on A's disk, in every way, of papers of one block and of several. Nobody is served wrong bytes, at
// A or at B; everybody is told soon; A reports it, and mends them from another node that has them. At B nothing is stored that
// could go bad.
func TestDamage(t *testing.T) {
	const small, large = 40_000, 5 * leafSize / 2
	damages := []struct {
		name   string
		size   int
		block  int // number of the leaf, or root
		damage func([]byte) []byte
		served bool // what stands before it, also to who reads from the beginning on
	}{
		{"one block, a bit flipped", small, root, flipped, false},
		{"one block, truncated", small, root, truncated, false},
		{"one block, empty", small, root, emptied, false},
		{"the first leaf empty", large, 0, emptied, false},
		{"a leaf with a bit flipped", large, 1, flipped, true},
		{"the last leaf truncated", large, 2, truncated, false},
		{"the node above, a bit flipped", large, root, flipped, false},
	}
	w := newWard(t, devnettest.Network(t), somePatient)
	var contents [][]byte
	for i, d := range damages {
		contents = append(contents, noise(byte(i+11), d.size))
	}
	papers := w.files(contents...)
	w.grants(w.doctor, tomorrow(), papers...)
	keys := w.released(w.doctor, papers...)
	here, there := w.supervisor.login(w.a), w.doctor.login(w.b)
	everywhere := func(do func(where *site, reader *reading.Client, keys []reading.ReleasedKey)) {
		do(w.a, here, nil)
		do(w.b, there, keys)
	}
	before := blockFiles(t, w.b)
	elsewhere := t.TempDir()
	third, gone := openNode(t, elsewhere, w.swarm)
	for i, one := range papers {
		everywhere(func(where *site, reader *reading.Client, keys []reading.ReleasedKey) {
			if _, err := w.open(reader, one, keys...); err != nil {
				t.Fatalf("%s: %v", where.member.Name, err)
			}
			if _, err := w.read(reader, one); err != nil {
				t.Fatalf("%s: %v", where.member.Name, err)
			}
		})
		payload := ciphertext(t, third, w.a.source(), one)
		hold(t, third, one, payload)
		damageBlock(t, blockFile(w.a, one, payload, damages[i].block), damages[i].damage)
	}

	gone()
	t.Run("damaged", func(t *testing.T) {
		for i, d := range damages {
			t.Run(d.name, func(t *testing.T) {
				t.Parallel()
				w, one := w.in(t), papers[i]
				everywhere(func(where *site, reader *reading.Client, _ []reading.ReleasedKey) {
					got, err := w.read(reader, one)
					if err == nil || (len(got) > 0) != d.served {
						t.Errorf("%s: %d bytes are read from damaged blocks, then %v", where.member.Name, len(got), err)
					}
					if !d.served && !errors.Is(err, reading.ErrUnavailable) {
						t.Errorf("%s: %v, want that nobody can give it", where.member.Name, err)
					}
				})
			})
		}
	})
	if n := w.a.metric("medanchor_damaged_total"); n < float64(len(papers)) {
		t.Errorf("A reports %v damages, want %d", n, len(papers))
	}
	if n := w.a.metric("medanchor_repaired_blocks_total"); n != 0 {
		t.Errorf("A reports %v blocks that were mended from nobody", n)
	}
	for _, i := range []int{0, 4} { // refused at once, and in the middle
		t.Run("the program says that "+damages[i].name, func(t *testing.T) {
			w := w.in(t)
			for _, said := range []string{
				w.gets(w.supervisor, w.a, exitAway, papers[i]), w.gets(w.doctor, w.b, exitAway, papers[i]),
			} {
				if !strings.Contains(said, "no holder of the document can give it now") {
					t.Errorf("it says %q", said)
				}
			}
		})
	}

	// Another member's node has the blocks.
	third, _ = openNode(t, elsewhere, w.swarm)
	w.announce(w.b, w.a, third.Addresses()...)
	for i, one := range papers {
		everywhere(func(where *site, reader *reading.Client, _ []reading.ReleasedKey) {
			if _, err := w.read(reader, one); err != nil {
				t.Errorf("%s, %s, where another has it: %v", damages[i].name, where.member.Name, err)
			}
		})
	}
	if n := w.a.metric("medanchor_repaired_blocks_total"); n != float64(len(papers)) {
		t.Errorf("A reports %v blocks that were mended, want %d", n, len(papers))
	}
	if after := blockFiles(t, w.b); !slices.Equal(after, before) {
		t.Errorf("after all these readings B stores the blocks %v, before %v", after, before)
	}
}

// blockFiles are the blocks that a hospital stores.
func blockFiles(t *testing.T, s *site) (names []string) {
	t.Helper()
	for _, f := range tree(t, s.blocks()) {
		if filepath.Ext(f.path) == ".data" {
			names = append(names, f.path)
		}
	}
	return names
}

// blockFile is the file of a block of a paper's payload: of its multihash in base32 (/repo/flatfs/shard/v1/next-to-last/1).
func blockFile(s *site, p paper, payload []byte, block int) string {
	digest := [sha256.Size]byte(p.cid[1:])
	if block != root {
		digest = sha256.Sum256(payload[block*leafSize : min((block+1)*leafSize, len(payload))])
	}
	multihash := append([]byte{0x12, sha256.Size}, digest[:]...)
	name := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(multihash)
	return filepath.Join(s.blocks(), name[len(name)-2:len(name)-1], name+".data")
}

func damageBlock(t *testing.T, file string, damage func([]byte) []byte) {
	t.Helper()
	block, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, damage(block), 0o600); err != nil {
		t.Fatal(err)
	}
}

// hold has a node hold a payload, as another hospital would that has the same blocks.
func hold(t *testing.T, node *ipfs.Node, p paper, ciphertext []byte) {
	t.Helper()
	payload, err := node.Import(t.Context(), bytes.NewReader(ciphertext))
	if err != nil {
		t.Fatal(err)
	}
	if payload.CID != p.cid {
		t.Fatalf("the same payload is %s here and %s there", payload.CID, p.cid)
	}
	if _, err := node.Store(t.Context(), []*ipfs.Payload{payload}); err != nil {
		t.Fatal(err)
	}
}

// metricsURL finds in the log where the daemon's metrics are.
var metricsURL = regexp.MustCompile(`msg="metrics and health" url=(\S+)`)

// listensAt is the URL of the daemon's metrics and health.
func (s *site) listensAt() string {
	s.t.Helper()
	said := metricsURL.FindAllStringSubmatch(string(s.log()), -1)
	if len(said) == 0 {
		s.t.Fatal("the daemon does not say where its metrics are")
	}
	return said[len(said)-1][1]
}

// metric reads a counter of the daemon's.
func (s *site) metric(name string) float64 {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.listensAt()+"/metrics", http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if text, is := strings.CutPrefix(lines.Text(), name+" "); is {
			value, err := strconv.ParseFloat(text, 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return value
		}
	}
	s.t.Fatalf("no metric %s: %v", name, lines.Err())
	return 0
}
