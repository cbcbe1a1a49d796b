package reader

import "testing"

// example is a value in a character set.
type example struct{ name, set, raw, want string }

// examples are texts as the standard has them: each set, and the examples of PS3.5 annexes H to K.
func examples() []example {
	return []example{
		{"default", "", "Doe", "Doe"},
		{"default, 8-bit", "ISO_IR 6", "\xc4neas", "Äneas"},
		{"unknown", "UNHEARD OF", "\xc4neas", "Äneas"},
		{"default, UTF-8", "", "Äneas", "Äneas"},
		{"Latin-1", "ISO_IR 100", "\xc4neas", "Äneas"},
		{"Latin-2", "ISO_IR 101", "Wa\xb3\xeasa", "Wałęsa"},
		{"Latin-3", "ISO_IR 109", "\xa6", "Ĥ"},
		{"Latin-4", "ISO_IR 110", "\xa2", "ĸ"},
		{"Latin-5", "ISO_IR 148", "\xfe", "ş"},
		{"Latin-9", "ISO_IR 203", "\xa4", "€"},
		{"Cyrillic", "ISO_IR 144", "\xbb\xee\xda", "Люк"},
		{"Greek", "ISO_IR 126", "\xc4\xe9", "Δι"},
		{"Arabic", "ISO_IR 127", "\xe2\xc8\xc7\xe6\xea^\xe4\xe6\xd2\xc7\xd1", "قباني^لنزار"},
		{"Hebrew", "ISO_IR 138", "\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4", "שרון^דבורה"},
		{"Thai", "ISO_IR 166", "\xca\xc1\xaa\xd2\xc2", "สมชาย"},
		{"misspelt", "iso-ir 144", "\xbb\xee\xda", "Люк"},
		{"padded", "ISO_IR 100 ", "\xc4neas", "Äneas"},

		// PS3.5 annex H.
		{
			"H.3, example 1", `\ISO 2022 IR 87`,
			"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
			"Yamada^Tarou=山田^太郎=やまだ^たろう",
		},
		{
			"H.3, example 2", `ISO 2022 IR 13\ISO 2022 IR 87`,
			"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
			"ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
		},
		// PS3.5 annex I.
		{
			"I.2", `\ISO 2022 IR 149`,
			"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
			"Hong^Gildong=洪^吉洞=홍^길동",
		},
		{"I.3", `\ISO 2022 IR 149`, "\x1b$)CThe \xb1\xe8 \xc8\xf1", "The 김 희"},
		// PS3.5 annex J.
		{
			"J.1", "ISO_IR 192",
			"Wang^XiaoDong=\xe7\x8e\x8b^\xe5\xb0\x8f\xe6\x9d\xb1=", "Wang^XiaoDong=王^小東=",
		},
		{"J.3", "GB18030", "Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=", "Wang^XiaoDong=王^小东="},
		{"J.4, GBK", "GBK", "Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=", "Wang^XiaoDong=王^小东="},
		{"GB18030, four bytes", "GB18030", "\x825\x8f3", "龦"},
		{"GB18030, with a delimiter's byte inside", "GB18030", "\x81\x5c", "乗"},
		// PS3.5 annex K.
		{
			"K.2", `\ISO 2022 IR 58`,
			"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=", "Zhang^XiaoDong=张^小东=",
		},
		{
			"K.3", `\ISO 2022 IR 58`,
			"1. \x1b$)A\xb5\xda\xd2\xbb\xd0\xd0\r\n2. \x1b$)A\xb5\xda\xb6\xfe\xd0\xd0\r\n", "1. 第一行\r\n2. 第二行\r\n",
		},

		{"a space between two-byte characters", `\ISO 2022 IR 87`, "\x1b$B;3ED B@O:\x1b(B", "山田 太郎"},
		{"a space, JIS X 0212", `\ISO 2022 IR 159`, "\x1b$(D\x30\x21 \x30\x21\x1b(B", "丂 丂"},
		{"a space, JIS X 0201", "ISO_IR 13", "\xd4 \xcf", "ﾔ ﾏ"},
		{"katakana", "ISO_IR 13", "\xd4\xcf\xc0\xde", "ﾔﾏﾀﾞ"},
		{"overline", "ISO_IR 13", "5~", "5‾"},
		{"edition of 1978", `\ISO 2022 IR 87`, "\x1b$@;3ED\x1b(B", "山田"},
		{"JIS X 0212", `\ISO 2022 IR 159`, "\x1b$(D\x30\x21\x1b(B.", "丂."},
		{"three sets", `ISO 2022 IR 13\ISO 2022 IR 87\ISO 2022 IR 159`, "\xd4\x1b$B;3\x1b$(D\x30\x21\x1b(J~", "ﾔ山丂‾"},
		{"a delimiter's byte inside", `\ISO 2022 IR 87`, "\x1b$B$^$=!\\\x1b(B^a", "まそ＋^a"},
		{
			"two of one byte", `ISO 2022 IR 100\ISO 2022 IR 144`, "Ren\xe9 \x1b-L\xbb\xee\xda^\xe9\\\xe9", `René Люк^é\é`,
		},
		{"back by hand", `ISO 2022 IR 100\ISO 2022 IR 126`, "\x1b-F\xc4\x1b-A\xc4", "ΔÄ"},
		{"the line's end", `ISO 2022 IR 100\ISO 2022 IR 144`, "\x1b-L\xbb\n\xe9", "Л\né"},
		{"in use from the beginning", `ISO 2022 IR 149`, "\xfb\xf3", "洪"},
		{"sequences left out", `\ISO 2022 IR 149`, "Hong=\x1b$)C\xfb\xf3^\xd1\xce\xd4\xd7", "Hong=洪^吉洞"},
	}
}

func TestCharacterSets(t *testing.T) {
	for _, c := range append(examples(), []example{
		{"yen", "ISO_IR 13", "5\\5", "5\\5"}, // a backslash separates values
		{"two candidates, no sequence", `\ISO 2022 IR 100\ISO 2022 IR 144`, "\x1b(B\xbb", "\uFFFD"},
		{"not announced", `ISO 2022 IR 100\ISO 2022 IR 126`, "\x1b-L\xbb", "\x1b-L»"},
		{"no extensions announced", "ISO_IR 100", "\x1b-L\xbb", "\x1b-L»"},
		{"half a character", `\ISO 2022 IR 87`, "\x1b$B;3E\x1b(B", "山\uFFFD"},
		{"cut", `\ISO 2022 IR 87`, "\x1b$B;", "\uFFFD"},
		{"no character", `\ISO 2022 IR 87`, "\x1b$B\x7e\x7e", "\uFFFD"},
		{"no katakana", "ISO_IR 13", "\xff", "\uFFFD"},
		{"escape at the end", `\ISO 2022 IR 87`, "a\x1b", "a\x1b"},
		{"GBK, half", "GBK", "\xcd", "\uFFFD"},
	}...) {
		if got := repertoires([]byte(c.set)).text([]byte(c.raw), `\^=`); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestDelimiters(t *testing.T) {
	for _, c := range []struct {
		tag  tag
		want string
	}{
		{tagPatientName, "é^é=é\\é"},
		{tagPatientID, "é^щ=щ\\é"},
		{tagTitle, "é^щ=щ\\щ"},
	} {
		sets := repertoires([]byte(`ISO 2022 IR 100\ISO 2022 IR 144`))
		if got := sets.text([]byte("\xe9\x1b-L^\xe9=\xe9\\\xe9"), c.tag.delimiters()); got != c.want {
			t.Errorf("%v: %q, want %q", c.tag, got, c.want)
		}
	}
}
