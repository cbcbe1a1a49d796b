package document_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/medanchor/medanchor/document"
)

func rules() document.PatientRules {
	return document.PatientRules{
		Issuer: "hospital", NHSIssuers: []string{"Spine"}, Placeholders: []string{"123456", "Walk In"},
	}
}

func TestPlaceholdersAreNeverAPatient(t *testing.T) {
	for identifier, want := range map[string]document.Reason{
		"":                document.ReasonNoPatient,
		" \t":             document.ReasonNoPatient,
		"ID1":             document.ReasonPlaceholder,
		" id1 ":           document.ReasonPlaceholder,
		"ID-1":            document.ReasonPlaceholder,
		"UNKNOWN":         document.ReasonPlaceholder,
		"Unknown Patient": document.ReasonPlaceholder,
		"0":               document.ReasonPlaceholder,
		"00000000":        document.ReasonPlaceholder,
		"000-000 0000":    document.ReasonPlaceholder,
		"x":               document.ReasonPlaceholder,
		"XXXXXX":          document.ReasonPlaceholder,
		"-":               document.ReasonPlaceholder,
		"???":             document.ReasonPlaceholder,
		"***":             document.ReasonPlaceholder,
		"N/A":             document.ReasonPlaceholder,
		"Anonymous":       document.ReasonPlaceholder,
		"not known":       document.ReasonPlaceholder,
		"NULL":            document.ReasonPlaceholder,
		"test":            document.ReasonPlaceholder,
		"123456":          document.ReasonPlaceholder, // configured
		"walk-in":         document.ReasonPlaceholder, // configured

		// These may be somebody's.
		"1":          "",
		"7":          "",
		"ID2":        "",
		"ID10":       "",
		"0001":       "",
		"10000000":   "",
		"99999":      "",
		"1234567":    "",
		"X1":         "",
		"TEST-17":    "",
		"ANON-4711":  "",
		"UNKNOWN-42": "",
		"Ω":          "",
	} {
		t.Run(identifier, func(t *testing.T) {
			if _, got := rules().Check(document.PatientID{Identifier: identifier}); got != want {
				t.Errorf("of the hospital: reason %q, want %q", got, want)
			}
			_, got := rules().Check(document.PatientID{Issuer: "NHS", Identifier: identifier})
			if want != "" && got != want {
				t.Errorf("of the NHS: reason %q, want %q", got, want)
			}
		})
	}
}

func TestOneNHSNumberIsOnePatientHoweverItIsWritten(t *testing.T) {
	want := document.PatientID{Issuer: document.NHS, Identifier: "9990000018"}
	for _, issuer := range []string{
		"NHS", "nhs", " Nhs ", "2.16.840.1.113883.2.1.4.1", "urn:oid:2.16.840.1.113883.2.1.4.1",
		"&2.16.840.1.113883.2.1.4.1&ISO", "https://fhir.nhs.uk/Id/nhs-number", "spine",
		"NHS&2.16.840.1.113883.2.1.4.1&ISO", "Trust 7&2.16.840.1.113883.2.1.4.1&ISO", "nhs&1.2.3&ISO", "spine&1.2.3",
		"PDS & 2.16.840.1.113883.2.1.4.1", "&https://fhir.nhs.uk/Id/nhs-number&URI",
	} {
		for _, number := range []string{"9990000018", "999 000 0018", "999-000-0018", " 999\u00a0000\u20100018 "} {
			got, reason := rules().Check(document.PatientID{Issuer: issuer, Identifier: number})
			if got != want || reason != "" {
				t.Errorf("(%q, %q) is %+v, reason %q", issuer, number, got, reason)
			}
		}
	}
}

func TestOtherIssuersAreComparedExactly(t *testing.T) {
	for id, want := range map[document.PatientID]document.PatientID{
		{Identifier: " 4711 "}:                         {Issuer: "hospital", Identifier: "4711"},
		{Issuer: " ", Identifier: "4711"}:              {Issuer: "hospital", Identifier: "4711"},
		{Issuer: " Lab ", Identifier: "47-11"}:         {Issuer: "Lab", Identifier: "47-11"},
		{Issuer: "lab", Identifier: "47 11"}:           {Issuer: "lab", Identifier: "47 11"},
		{Issuer: "hospital", Identifier: "9990000019"}: {Issuer: "hospital", Identifier: "9990000019"},
		{Issuer: "HIS&1.2.3&ISO", Identifier: "4711"}:  {Issuer: "HIS&1.2.3&ISO", Identifier: "4711"},
		{Issuer: "HIS&1.2.4&ISO", Identifier: "4711"}:  {Issuer: "HIS&1.2.4&ISO", Identifier: "4711"},
		{Issuer: "HIS&1.2.3&NHS", Identifier: "4711"}:  {Issuer: "HIS&1.2.3&NHS", Identifier: "4711"}, // a type names nobody
	} {
		if got, reason := rules().Check(id); got != want || reason != "" {
			t.Errorf("%+v is %+v, reason %q, want %+v", id, got, reason, want)
		}
	}
}

// A hospital that numbers its patients by NHS number alone says so by patients.issuer.
func TestTheDefaultIssuerMayBeTheNHS(t *testing.T) {
	r := document.PatientRules{Issuer: "nhs"}
	if id, reason := r.Check(document.PatientID{Identifier: "999 000 0018"}); reason != "" || id.Issuer != document.NHS {
		t.Errorf("%+v, reason %q", id, reason)
	}
	if _, reason := r.Check(document.PatientID{Identifier: "9990000019"}); reason != document.ReasonBadIdentifier {
		t.Errorf("reason %q", reason)
	}
}

func TestWhatIsNoNHSNumber(t *testing.T) {
	for number, want := range map[string]document.Reason{
		"9434765919":   "", // the NHS Data Dictionary's and FHIR's example numbers
		"9876543210":   "",
		"4010232137":   "",
		"9434765918":   document.ReasonBadIdentifier,
		"9434765991":   document.ReasonBadIdentifier, // two digits changed places
		"943476591":    document.ReasonBadIdentifier,
		"94347659190":  document.ReasonBadIdentifier,
		"943476591X":   document.ReasonBadIdentifier,
		"９434765919":   document.ReasonBadIdentifier, // a full-width digit
		"H12345":       document.ReasonBadIdentifier,
		"1234567890":   document.ReasonBadIdentifier,
		"0000000000":   document.ReasonPlaceholder,
		"9999999999":   document.ReasonPlaceholder,
		"999 999 9999": document.ReasonPlaceholder,
		"1111111111":   document.ReasonPlaceholder,
	} {
		if _, got := rules().Check(document.PatientID{Issuer: "NHS", Identifier: number}); got != want {
			t.Errorf("%s: reason %q, want %q", number, got, want)
		}
	}
}

// FuzzNHSNumber checks every number against the steps that the NHS Data Dictionary gives, and that one wrong digit, or
// two neighbours in each other's place, never give another patient's number.
func FuzzNHSNumber(f *testing.F) {
	for _, nine := range []uint32{0, 1, 999_000_001, 943_476_591, 999_999_999, 123_456_789, 100_000_000} {
		f.Add(nine)
	}
	f.Fuzz(func(t *testing.T, n uint32) {
		nine := fmt.Sprintf("%09d", n%1_000_000_000)
		check := checkDigit(nine)
		for digit := range 10 {
			number := nine + strconv.Itoa(digit)
			if valid := isPatient(number); valid != (digit == check && !sameDigits(number)) {
				t.Fatalf("%s: accepted %v, check digit %d", number, valid, check)
			}
		}
		if check > 9 {
			return
		}
		for _, wrong := range mistyped([]byte(nine + strconv.Itoa(check))) {
			if isPatient(wrong) {
				t.Fatalf("%s, mistyped for %s%d, is accepted", wrong, nine, check)
			}
		}
	})
}

func isPatient(nhsNumber string) bool {
	_, reason := rules().Check(document.PatientID{Issuer: document.NHS, Identifier: nhsNumber})
	return reason == ""
}

// checkDigit follows the five steps of the NHS Data Dictionary to the letter; 10 is none.
func checkDigit(nine string) int {
	total := 0
	for position, weight := range []int{10, 9, 8, 7, 6, 5, 4, 3, 2} {
		total += int(nine[position]-'0') * weight
	}
	digit := 11 - total%11
	if digit == 11 {
		return 0
	}
	return digit
}

func sameDigits(number string) bool { return strings.Count(number, number[:1]) == len(number) }

func mistyped(number []byte) (wrong []string) {
	for i, right := range number {
		for digit := byte('0'); digit <= '9'; digit++ {
			if digit != right {
				number[i] = digit
				wrong = append(wrong, string(number))
			}
		}
		number[i] = right
		if i > 0 && number[i-1] != right {
			number[i-1], number[i] = right, number[i-1]
			wrong = append(wrong, string(number))
			number[i-1], number[i] = number[i], right
		}
	}
	return wrong
}

// FuzzCheck: the form in which patients are compared is a fixed point, and is never empty.
func FuzzCheck(f *testing.F) {
	f.Add("NHS", "999 000 0018")
	f.Add("", " ID1 ")
	f.Add("\u00a0", "\u2010")
	f.Add("&", "1")
	f.Add(" & &", "1")
	f.Fuzz(func(t *testing.T, issuer, identifier string) {
		once, reason := rules().Check(document.PatientID{Issuer: issuer, Identifier: identifier})
		twice, again := rules().Check(once)
		if once.Issuer == "" || reason == "" && once.Identifier == "" {
			t.Fatalf("a patient without issuer or identifier: %+v", once)
		}
		// A dash alone loses what it had: it is nobody either way.
		if twice != once || (reason == "") != (again == "") {
			t.Fatalf("%+v (%q) becomes %+v (%q)", once, reason, twice, again)
		}
	})
}
