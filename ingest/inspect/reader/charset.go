package reader

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// charset gives the encoding that a dataset's Specific Character Set names (PS3.3 C.12.1.1.2); nil means UTF-8 or
// ASCII, and whatever is not known. With code extensions the second value is what the escape sequences lead to.
func charset(value []byte) encoding.Encoding {
	names := strings.Split(string(value), `\`)
	name := ""
	for _, n := range names[:min(len(names), 2)] {
		if n = strings.Trim(n, padding); n != "" {
			name = strings.Replace(n, "ISO 2022 IR", "ISO_IR", 1)
		}
	}
	switch name {
	case "ISO_IR 100":
		return charmap.ISO8859_1
	case "ISO_IR 101":
		return charmap.ISO8859_2
	case "ISO_IR 109":
		return charmap.ISO8859_3
	case "ISO_IR 110":
		return charmap.ISO8859_4
	case "ISO_IR 144":
		return charmap.ISO8859_5
	case "ISO_IR 127":
		return charmap.ISO8859_6
	case "ISO_IR 126":
		return charmap.ISO8859_7
	case "ISO_IR 138":
		return charmap.ISO8859_8
	case "ISO_IR 148":
		return charmap.ISO8859_9
	case "ISO_IR 203":
		return charmap.ISO8859_15
	case "ISO_IR 166":
		return charmap.Windows874
	default:
		return multiByte(name)
	}
}

func multiByte(name string) encoding.Encoding {
	switch name {
	case "ISO_IR 13":
		return japanese.ShiftJIS
	case "ISO_IR 87", "ISO_IR 159":
		return japanese.ISO2022JP
	case "ISO_IR 149":
		return korean.EUCKR
	case "ISO_IR 58", "GBK":
		return simplifiedchinese.GBK
	case "GB18030":
		return simplifiedchinese.GB18030
	default:
		return nil
	}
}

// shifts are the escape sequences that name the 8-bit sets of Korean and Chinese: without effect once those are chosen.
var shifts = strings.NewReplacer("\x1b$)C", "", "\x1b$)A", "")

// decode gives a value as UTF-8. Bytes that are neither ASCII nor UTF-8, where nothing names their set, are taken for
// Latin-1: that is the usual cause, and it keeps different bytes different.
func decode(b []byte, enc encoding.Encoding) string {
	if enc != nil {
		if out, err := enc.NewDecoder().String(shifts.Replace(string(b))); err == nil {
			return out
		}
	}
	if utf8.Valid(b) {
		return string(b)
	}
	out := make([]rune, len(b))
	for i, c := range b {
		out[i] = rune(c)
	}
	return string(out)
}
