package synth

import (
	"crypto/sha256"
	"encoding/hex"
)

// note adds a personal value to the manifest, once.
func (g *generator) note(v Value) {
	key := string(v.Kind) + string(v.Raw)
	if !g.noted[key] {
		g.noted[key] = true
		g.manifest.Personal = append(g.manifest.Personal, v)
	}
}

func (g *generator) noteText(kind ValueKind, s string) {
	g.note(Value{Kind: kind, Text: s, Raw: []byte(s)})
}

func (g *generator) notePerson(p Person) {
	g.manifest.People = append(g.manifest.People, p)
	for _, name := range []string{p.Name(), p.display(), p.Family} {
		g.note(Value{Kind: Name, Text: name, Raw: encode(name, p.Script), In: p.Script})
	}
	g.noteText(Identifier, p.NHS)
	g.noteText(Identifier, p.NHS[:3]+" "+p.NHS[3:6]+" "+p.NHS[6:])
	g.noteText(BirthDate, p.Birth)
}

// noteDigests adds the digest of a file and, where that differs, of its dataset; it gives the first in hexadecimal.
func (g *generator) noteDigests(data []byte, offset int) string {
	sum := sha256.Sum256(data)
	g.note(Value{Kind: Digest, Text: hex.EncodeToString(sum[:]), Raw: sum[:]})
	if offset > 0 {
		inner := sha256.Sum256(data[offset:])
		g.note(Value{Kind: Digest, Text: hex.EncodeToString(inner[:]), Raw: inner[:]})
	}
	return hex.EncodeToString(sum[:])
}
