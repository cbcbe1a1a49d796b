package reader

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
)

const escape = 0x1b

// set is a coded character set that ISO 2022 designates, by an escape sequence, to G0 (bytes below 0x80) or to G1 (bytes
// from 0x80 on): PS3.3 tables C.12-2 to C.12-4.
type set struct {
	name     string // as normalised by registration
	sequence string // what follows the escape character
	g1       bool
	width    int // bytes of a character
	// decode gives the character that the bytes, as they would stand in G1, encode; utf8.RuneError if none.
	decode func(b []byte) rune
}

// sets lists those of the standard. The first of those with the same name is the one to begin with.
func sets() []set {
	return []set{
		{"6", "(B", false, 1, ascii},
		{"13", ")I", true, 1, katakana},
		{"13", "(J", false, 1, romaji},
		{"100", "-A", true, 1, single(charmap.ISO8859_1)},
		{"101", "-B", true, 1, single(charmap.ISO8859_2)},
		{"109", "-C", true, 1, single(charmap.ISO8859_3)},
		{"110", "-D", true, 1, single(charmap.ISO8859_4)},
		{"144", "-L", true, 1, single(charmap.ISO8859_5)},
		{"127", "-G", true, 1, single(charmap.ISO8859_6)},
		{"126", "-F", true, 1, single(charmap.ISO8859_7)},
		{"138", "-H", true, 1, single(charmap.ISO8859_8)},
		{"148", "-M", true, 1, single(charmap.ISO8859_9)},
		{"203", "-b", true, 1, single(charmap.ISO8859_15)},
		{"166", "-T", true, 1, single(charmap.Windows874)},
		{"87", "$B", false, 2, double(japanese.EUCJP)},
		{"87", "$@", false, 2, double(japanese.EUCJP)}, // its edition of 1978
		{"159", "$(D", false, 2, supplementary},
		{"149", "$)C", true, 2, double(korean.EUCKR)},
		{"58", "$)A", true, 2, double(simplifiedchinese.GBK)},
	}
}

func ascii(b []byte) rune { return rune(b[0] & 0x7F) }

// katakana is the upper half of JIS X 0201.
func katakana(b []byte) rune {
	if b[0] < 0xA1 || b[0] > 0xDF {
		return utf8.RuneError
	}
	return 'ｱ' + rune(b[0]) - 0xB1
}

// romaji is the lower half of JIS X 0201.
func romaji(b []byte) rune {
	switch b[0] & 0x7F {
	case '\\':
		return '¥'
	case '~':
		return '‾'
	default:
		return ascii(b)
	}
}

func single(m *charmap.Charmap) func([]byte) rune {
	return func(b []byte) rune { return m.DecodeByte(b[0]) }
}

func double(e encoding.Encoding) func([]byte) rune {
	return func(b []byte) rune { return only(e, b) }
}

// supplementary is JIS X 0212, which EUC-JP marks with a byte of its own.
func supplementary(b []byte) rune { return only(japanese.EUCJP, []byte{0x8F, b[0], b[1]}) }

// only decodes the bytes of one character.
func only(e encoding.Encoding, b []byte) rune {
	out, err := e.NewDecoder().Bytes(b)
	r, n := utf8.DecodeRune(out)
	if err != nil || n != len(out) {
		return utf8.RuneError
	}
	return r
}

// repertoire is what a dataset's Specific Character Set says (PS3.3 C.12.1.1.2, PS3.5 §6.1.2).
type repertoire struct {
	// whole is an encoding that goes without code extensions; nil for none.
	whole encoding.Encoding
	// g0 and g1 are designated where a text begins, and anew after a delimiter; nil for ASCII and for none.
	g0, g1 *set
	others []set // what escape sequences may designate
}

// repertoires reads a value of (0008,0005). Of names that are not known nothing comes.
func repertoires(value []byte) repertoire {
	var r repertoire
	names := strings.Split(string(value), `\`)
	for i, name := range names[:min(len(names), 16)] {
		switch number := registration(name); number {
		case "GB18030":
			r.whole = simplifiedchinese.GB18030
		case "GBK":
			r.whole = simplifiedchinese.GBK
		default:
			r.add(number, i == 0)
		}
	}
	if r.g1 == nil {
		r.g1 = r.onlyG1()
	}
	if len(names) == 1 && !strings.Contains(names[0], "2022") {
		r.others = nil // code extensions are not announced
	} else if r.others != nil {
		r.add("6", false)
	}
	return r
}

// registration gives the number in names such as "ISO_IR 100" and "ISO 2022 IR 100", which careless writers spell with
// other separators; of other names all letters and digits.
func registration(name string) string {
	name = strings.ToUpper(strings.Map(func(r rune) rune {
		if strings.ContainsRune(padding+"_-", r) {
			return -1
		}
		return r
	}, name))
	for _, prefix := range []string{"ISOIR", "ISO2022IR"} {
		if number, ok := strings.CutPrefix(name, prefix); ok {
			return number
		}
	}
	return name
}

// add takes the sets with a name into the repertoire; the first name's are there from the beginning.
func (r *repertoire) add(number string, first bool) {
	for _, s := range sets() {
		if s.name != number {
			continue
		}
		r.others = append(r.others, s)
		if first && s.g1 && r.g1 == nil {
			r.g1 = &s
		}
		if first && !s.g1 && s.width == 1 && number != "6" {
			r.g0 = &s
		}
	}
}

// onlyG1 gives the set that escape sequences can designate to G1, if there is just one. The standard wants the sequence in
// each part of a text, and some writers leave it out.
func (r *repertoire) onlyG1() *set {
	var found *set
	for i := range r.others {
		if s := &r.others[i]; s.g1 && found != nil {
			return nil
		} else if s.g1 {
			found = s
		}
	}
	return found
}

// text gives a value as UTF-8; delimiters are those of its VR. What its sets do not know becomes U+FFFD.
//
// Where no set is in use that goes beyond ASCII, the value is taken for UTF-8 and, if it is none, for Latin-1: that is the
// usual cause, and it keeps different bytes different.
func (r repertoire) text(b []byte, delimiters string) string {
	switch {
	case r.g0 == nil && isASCII(string(b)):
		return string(b)
	case r.whole != nil:
		if out, err := r.whole.NewDecoder().Bytes(b); err == nil {
			return string(out)
		}
	case r.g1 != nil || r.others != nil && bytes.IndexByte(b, escape) >= 0:
		return (&decoder{repertoire: r, delimiters: delimiters}).run(b)
	case utf8.Valid(b):
		return string(b)
	}
	out := make([]rune, len(b))
	for i, c := range b {
		out[i] = rune(c)
	}
	return string(out)
}

// decoder is a text that is being decoded with code extensions (PS3.5 §6.1.2.5).
type decoder struct {
	repertoire
	delimiters string
	now0, now1 *set
	out        strings.Builder
}

func (d *decoder) run(b []byte) string {
	d.begin()
	for len(b) > 0 {
		b = b[d.step(b):]
	}
	return d.out.String()
}

// begin designates what the first name does (PS3.5 §6.1.2.5.3).
func (d *decoder) begin() { d.now0, d.now1 = d.g0, d.g1 }

// step decodes one character, delimiter or escape sequence and tells how many bytes that took.
func (d *decoder) step(b []byte) int {
	switch c := b[0]; {
	case c == escape:
		return d.designate(b)
	case c >= 0x80:
		return d.character(d.now1, b)
	case d.now0 != nil && d.now0.width > 1 && c > ' ': // within two-byte characters nothing is a delimiter
		return d.character(d.now0, b)
	case c < ' ', strings.IndexByte(d.delimiters, c) >= 0:
		d.begin()
		d.out.WriteByte(c)
		return 1
	case d.now0 == nil, c == ' ': // a space is one, whatever G0 is (ISO 2022)
		d.out.WriteByte(c)
		return 1
	default:
		return d.character(d.now0, b)
	}
}

// designate follows an escape sequence. One of a set that was not announced is left as it stands: an identifier with it is
// refused.
func (d *decoder) designate(b []byte) int {
	for i, s := range d.others {
		switch {
		case !strings.HasPrefix(string(b[1:min(len(b), 4)]), s.sequence):
			continue
		case s.g1:
			d.now1 = &d.others[i]
		default:
			d.now0 = &d.others[i]
		}
		return 1 + len(s.sequence)
	}
	d.out.WriteByte(b[0])
	return 1
}

// character decodes a character of a set; nil is that of a half to which none is designated.
func (d *decoder) character(s *set, b []byte) int {
	if s == nil || len(b) < s.width {
		d.out.WriteRune(utf8.RuneError)
		return 1
	}
	raised := [2]byte{b[0] | 0x80}
	if s.width == 2 {
		raised[1] = b[1] | 0x80
		if (b[1] >= 0x80) != s.g1 || raised[1] <= 0xA0 || raised[1] == 0xFF { // that is no second byte
			d.out.WriteRune(utf8.RuneError)
			return 1
		}
	}
	d.out.WriteRune(s.decode(raised[:s.width]))
	return s.width
}
