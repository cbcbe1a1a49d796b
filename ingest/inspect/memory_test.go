package inspect_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest/inspect"
	"github.com/medanchor/medanchor/test/synth"
)

// TestLargestPDF: the memory that a child has is enough for the largest PDF, beside what the one before left.
func TestLargestPDF(t *testing.T) {
	letter := synth.Letter{Title: "Large", Pages: 3, Time: time.Now()}.Encode()
	noise := bytes.Repeat([]byte("noise of the stream "), 49_000_000/20)
	// An object that nothing refers to, between the others and a second end.
	large := append(letter, "9999 0 obj\n<< /Length 49000000 >>\nstream\n"...)
	large = append(append(large, noise...), "\nendstream\nendobj\n"...)
	large = append(large, letter[bytes.LastIndex(letter, []byte("startxref")):]...)
	p := pool(t, inspect.Options{Children: 1, Program: inspector(t)})
	for range 2 {
		if m := inspectBytes(t, p, large); m.Problem != "" || m.Pages != 3 || m.Format != document.FormatPDF {
			t.Errorf("%d bytes: %+v", len(large), m)
		}
	}
	if m := inspectBytes(t, p, append(large, make([]byte, 2<<20)...)); m.Problem != document.ReasonTooLarge {
		t.Errorf("larger: %+v", m)
	}
}

// TestOneLargeAllocation: an element deep inside says that it has a gigabyte, which the library believes, and asks for. The
// file is read all the same, by the scanner.
func TestOneLargeAllocation(t *testing.T) {
	var b bytes.Buffer
	put := func(group, element uint16, vr, value string) {
		_ = binary.Write(&b, binary.LittleEndian, []uint16{group, element})
		b.WriteString(vr)
		_ = binary.Write(&b, binary.LittleEndian, uint16(len(value)))
		b.WriteString(value)
	}
	long := func(group, element uint16, vr string, length uint32) {
		_ = binary.Write(&b, binary.LittleEndian, []uint16{group, element})
		b.WriteString(vr)
		_ = binary.Write(&b, binary.LittleEndian, length)
	}
	put(0x0008, 0x0016, "UI", "1.2.840.10008.5.1.4.1.1.4\x00")
	put(0x0008, 0x0018, "UI", "2.25.3\x00\x00")
	put(0x0010, 0x0010, "PN", strings.Repeat("Long^", 20))
	put(0x0010, 0x0020, "LO", "9990000018")
	long(0x0010, 0x1002, "SQ\x00\x00", 8+12+2)
	long(0xFFFE, 0xE000, "", 12+2)
	long(0x0010, 0x2000, "UT\x00\x00", 1<<30)
	b.WriteString("ab")
	put(0x0020, 0x000D, "UI", "2.25.1\x00\x00")
	p := pool(t, inspect.Options{Children: 1, Program: inspector(t)})
	peak := watchChildren(t)
	m := inspectBytes(t, p, b.Bytes())
	if m.Problem != "" || m.Patient.Identifier != "9990000018" || m.StudyUID != "2.25.1" || m.Parser != "header" {
		t.Errorf("got %+v", m)
	}
	if got := peak(); got == 0 || got > memoryOfAChild {
		t.Errorf("the child had %d MiB", got>>20)
	}
}
