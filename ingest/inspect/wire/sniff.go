package wire

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"

	"github.com/medanchor/medanchor/document"
)

// Sniff recognises a format from a file's first bytes (up to Head of them), of a file of the given size. It only looks;
// it is safe to run in the daemon.
func Sniff(head []byte, size int64) document.Format {
	switch {
	case looksDICOM(head):
		return document.FormatDICOM
	case bytes.Contains(head[:min(len(head), 1024)], []byte("%PDF-")): // as ISO 32000-2 annex I lets readers do
		return document.FormatPDF
	case looksText(head, size):
		return document.FormatText
	default:
		return document.FormatUnknown
	}
}

// looksDICOM accepts PS3.10 files, and what is met without the preamble: file meta information at once, or a bare
// dataset that begins with an early element of group 0008.
func looksDICOM(head []byte) bool {
	if len(head) >= 132 && string(head[128:132]) == "DICM" {
		return true
	}
	if len(head) < 132 {
		return false
	}
	group, element := binary.LittleEndian.Uint16(head), binary.LittleEndian.Uint16(head[2:])
	if group == 0x0800 { // big endian
		group, element = 8, binary.BigEndian.Uint16(head[2:])
	}
	vr := head[4] >= 'A' && head[4] <= 'Z' && head[5] >= 'A' && head[5] <= 'Z'
	short := binary.LittleEndian.Uint32(head[4:]) <= 128
	switch group {
	case 2:
		return element <= 0x0102 && vr
	case 8:
		return element <= 0x0018 && (vr || short)
	default:
		return false
	}
}

// looksText accepts UTF-8 without control characters other than those of layout.
func looksText(head []byte, size int64) bool {
	if len(head) == 0 {
		return false
	}
	for i := 0; i < len(head); {
		r, n := utf8.DecodeRune(head[i:])
		if r == utf8.RuneError && n <= 1 {
			cut := len(head)-i < utf8.UTFMax && int64(len(head)) < size // a rune cut by the end of the head
			return cut && !utf8.FullRune(head[i:])
		}
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' && r != '\f' || r == 0x7f {
			return false
		}
		i += n
	}
	return true
}
