package synth

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/medanchor/medanchor/document"
)

// The DICOM character sets that people's names are written in.
const (
	Latin1 = "ISO_IR 100"
	UTF8   = "ISO_IR 192"
)

// Issuer is the Issuer of Patient ID (0010,0021) of NHS numbers. A hospital's rule for its documents folder names the
// same, so that both doors lead to one patient.
const Issuer = document.NHS

// What only the hospitals know of their own systems, and so configure.
const (
	// OtherIssuer is what ultrasound writes in place of Issuer.
	OtherIssuer = "SYNTHETIC SPINE"
	// Placeholder is what is written for patients whom nobody knows yet.
	Placeholder = "WALK-IN"
)

// Person is someone who does not exist.
type Person struct {
	Family string `json:"family"`
	Given  string `json:"given"`
	NHS    string `json:"nhs"`    // 10 digits, 999 range, with a valid check digit
	Birth  string `json:"birth"`  // YYYYMMDD
	Sex    string `json:"sex"`    // F or M
	Script string `json:"script"` // the character set of the person's DICOM files
}

// Name gives the name as DICOM writes it (PN).
func (p Person) Name() string { return p.Family + "^" + p.Given }

// families and givens are no one's: the endings make them long enough that none occurs by chance where a test looks.
var (
	beginnings = []string{"Bram", "Quel", "Thorn", "Wex", "Drum", "Pell", "Grav", "Hask", "Yarl", "Mund", "Zell", "Corv"}
	middles    = []string{"ing", "and", "ov", "er", "ill", "um", "ast", "eth"}
	endings    = []string{"worthy", "quist", "brooke", "sdale", "vellyn", "mourne", "thwick", "garde"}
	latin      = []string{"é", "ü", "ø", "ñ", "å", "ö"}
	other      = []string{"ł", "ş", "ř", "η", "王", "ж"}
	givens     = []string{"Zebulina", "Orrinald", "Perpetia", "Quillon", "Marvella", "Thaddeon", "Isolinde", "Bertrick"}
)

// newPerson makes the i-th person. Every third has a name beyond ASCII, in Latin-1, every other third in UTF-8.
func newPerson(r *rand.Rand, i int) Person {
	p := Person{
		Family: pick(r, beginnings) + pick(r, middles) + pick(r, endings),
		Given:  pick(r, givens),
		NHS:    newNHS(r),
		Birth:  time.Date(1930, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, r.IntN(90*365)).Format("20060102"),
		Sex:    pick(r, []string{"F", "M"}),
		Script: Latin1,
	}
	switch i % 3 {
	case 1:
		p.Family = p.Family[:4] + pick(r, latin) + p.Family[4:]
	case 2:
		p.Family = p.Family[:4] + pick(r, other) + p.Family[4:]
		p.Script = UTF8
	}
	return p
}

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

// newNHS gives a number of the 999 range with its modulus 11 check digit (NHS Data Dictionary, NHS NUMBER).
func newNHS(r *rand.Rand) string {
	for {
		digits := fmt.Sprintf("999%06d", r.IntN(999_999)) // not 999 999 9999, which is nobody's
		if check := checkDigit(digits); check < 10 {
			return fmt.Sprintf("%s%d", digits, check)
		}
	}
}

// mistyped gives the person's number with a last digit that is not its check digit.
func (p Person) mistyped() string {
	last := len(p.NHS) - 1
	return p.NHS[:last] + strconv.Itoa((int(p.NHS[last]-'0')+1)%10)
}

// checkDigit gives 0 to 9, or 10 for a number that is not issued.
func checkDigit(digits string) int {
	sum := 0
	for i, c := range digits[:9] {
		sum += int(c-'0') * (10 - i)
	}
	return (11 - sum%11) % 11
}

// encode gives text in a DICOM character set.
func encode(s, script string) []byte {
	if script != Latin1 {
		return []byte(s)
	}
	b := make([]byte, 0, utf8.RuneCountInString(s))
	for _, r := range s {
		b = append(b, byte(r)) // Latin-1 is the first 256 runes
	}
	return b
}

// display writes a name as letters do.
func (p Person) display() string { return strings.Join([]string{p.Given, p.Family}, " ") }
