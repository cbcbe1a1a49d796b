package reader

import "fmt"

// tag is a DICOM tag: group, then element.
type tag uint32

// The tags that matter (PS3.6).
const (
	tagMediaClass      tag = 0x00020002 // Media Storage SOP Class UID
	tagTransferSyntax  tag = 0x00020010
	tagDirectory       tag = 0x00041220 // Directory Record Sequence
	tagCharacterSet    tag = 0x00080005
	tagSOPClass        tag = 0x00080016
	tagInstance        tag = 0x00080018
	tagStudyDate       tag = 0x00080020
	tagSeriesDate      tag = 0x00080021
	tagAcquisitionDate tag = 0x00080022
	tagContentDate     tag = 0x00080023
	tagAcquired        tag = 0x0008002A // Acquisition DateTime
	tagStudyTime       tag = 0x00080030
	tagSeriesTime      tag = 0x00080031
	tagAcquisitionTime tag = 0x00080032
	tagContentTime     tag = 0x00080033
	tagModality        tag = 0x00080060
	tagTimezone        tag = 0x00080201
	tagDescription     tag = 0x00081030
	tagSeriesText      tag = 0x0008103E // Series Description
	tagPatientName     tag = 0x00100010
	tagPatientID       tag = 0x00100020
	tagIssuer          tag = 0x00100021
	tagQualifiers      tag = 0x00100024 // Issuer of Patient ID Qualifiers Sequence
	tagBirthDate       tag = 0x00100030
	tagStudy           tag = 0x0020000D
	tagSeries          tag = 0x0020000E
	tagInstances       tag = 0x00201208 // Number of Study Related Instances
	tagUniversalID     tag = 0x00400032 // Universal Entity ID, in tagQualifiers only
	tagUniversalType   tag = 0x00400033 // Universal Entity ID Type, likewise
	tagTitle           tag = 0x00420010 // Document Title
	tagSpectroscopy    tag = 0x56000020 // Spectroscopy Data, in place of pixels

	lastGroup = 0x0020 // what says whose an object is, and which, ends with this group

	tagFloatPixels  tag = 0x7FE00008
	tagDoublePixels tag = 0x7FE00009
	tagPixels       tag = 0x7FE00010

	maxTag tag = 0xFFFFFFFF

	tagItem     tag = 0xFFFEE000
	tagItemEnd  tag = 0xFFFEE00D
	tagItemsEnd tag = 0xFFFEE0DD
)

func (t tag) group() uint16  { return uint16(t >> 16) } // #nosec G115 -- the upper half
func (t tag) String() string { return fmt.Sprintf("(%04X,%04X)", t.group(), uint32(t)&0xFFFF) }

// wanted tells whether the value of a tag is kept, where it stands at the top level.
func (t tag) wanted() bool {
	switch t {
	case tagMediaClass, tagTransferSyntax, tagCharacterSet, tagSOPClass, tagInstance,
		tagStudyDate, tagSeriesDate, tagAcquisitionDate, tagContentDate, tagAcquired,
		tagStudyTime, tagSeriesTime, tagAcquisitionTime, tagContentTime, tagTimezone,
		tagModality, tagDescription, tagSeriesText, tagPatientName, tagPatientID, tagIssuer, tagBirthDate,
		tagStudy, tagSeries, tagInstances, tagTitle:
		return true
	default:
		return false
	}
}

// delimiters are the bytes that end a part of a tag's text, at which code extensions start anew (PS3.5 §6.1.2.5.3).
func (t tag) delimiters() string {
	switch t {
	case tagPatientName: // PN
		return `\^=`
	case tagTitle: // ST
		return ""
	default:
		return `\`
	}
}

func (t tag) pixels() bool { return t == tagPixels || t == tagFloatPixels || t == tagDoublePixels }

// trails tells whether a tag may follow the pixels: of other pixels, digital signatures (FFFA), padding (FFFC), or private, which
// none of group FFFF is (PS3.5 §7.8.1).
func (t tag) trails() bool {
	switch g := t.group(); g {
	case tagPixels.group(), 0xFFFA, 0xFFFC:
		return true
	default:
		return g%2 == 1 && g != 0xFFFF
	}
}

// describesImage tells whether a tag says that pixels are to come: from Samples per Pixel to Columns (PS3.3 C.7.6.3).
func (t tag) describesImage() bool { return t >= 0x00280002 && t <= 0x00280011 }

// isVR tells whether s is a value representation (PS3.5 §6.2).
func isVR(s string) bool { return shortVR(s) || longVR(s) }

// shortVR tells whether a value representation has a length of 2 bytes (PS3.5 §7.1.2).
func shortVR(s string) bool {
	switch s {
	case "AE", "AS", "AT", "CS", "DA", "DS", "DT", "FL", "FD", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST", "TM",
		"UI", "UL", "US":
		return true
	default:
		return false
	}
}

// longVR tells whether a value representation has a length of 4 bytes.
func longVR(s string) bool {
	switch s {
	case "OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV":
		return true
	default:
		return false
	}
}

// futureVR tells whether the 4 bytes behind a tag are a VR of a later edition of the standard: each will have a length of
// 4 bytes, behind two that are zero (PS3.5 §7.1.2).
func futureVR(b []byte) bool {
	capital := func(c byte) bool { return c >= 'A' && c <= 'Z' }
	return capital(b[0]) && capital(b[1]) && b[2] == 0 && b[3] == 0
}

// oddVR tells whether s is what careless writers put where they know no VR. Its length has 2 bytes.
func oddVR(s string) bool { return s == "  " || s == "??" || s == "--" }
