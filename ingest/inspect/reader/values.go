package reader

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest/inspect/wire"
)

// padding is what surrounds a value without meaning anything (PS3.5 §6.2).
const padding = " \x00"

// fill puts the values of a dataset, as text, into metadata.
func fill(m *document.Metadata, value func(tag) string) error {
	for _, f := range []struct {
		field *string
		tag   tag
		limit int
	}{
		{&m.Patient.Identifier, tagPatientID, wire.MaxIdentifier},
		{&m.Patient.Issuer, tagIssuer, wire.MaxIdentifier},
		{&m.StudyUID, tagStudy, wire.MaxUID},
		{&m.SeriesUID, tagSeries, wire.MaxUID},
		{&m.InstanceUID, tagInstance, wire.MaxUID},
		{&m.SOPClassUID, tagSOPClass, wire.MaxUID},
	} {
		s := strings.Trim(value(f.tag), padding)
		if !wire.Clean(s, f.limit) || strings.ContainsRune(s, utf8.RuneError) {
			return fmt.Errorf("element %v: the identifier is too long or not clean", f.tag)
		}
		if f.limit == wire.MaxUID && !plain(s) {
			return fmt.Errorf("element %v: not a UID", f.tag)
		}
		*f.field = s
	}
	m.PatientName = wire.Text(strings.Trim(value(tagPatientName), padding))
	m.BirthDate = wire.Text(strings.Trim(value(tagBirthDate), padding))
	m.Modality = wire.Text(strings.Trim(value(tagModality), padding))
	m.Description = wire.Text(strings.Trim(value(tagDescription), padding))
	m.Time = studyTime(value(tagStudyDate), value(tagStudyTime), value(tagTimezone))
	return nil
}

// plain tells whether s could be a UID. Digits and dots are the rule (PS3.5 §9.1), but anonymisers write hashes.
func plain(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }) < 0
}

// uidValue trims a UID (PS3.5 §9.1: padded with NUL).
func uidValue(b []byte) string { return strings.Trim(string(b), padding) }

// studyTime joins DA, TM and the offset from UTC "+HHMM" (PS3.5 §6.2, PS3.3 C.12.1.1). Without an offset the time is
// taken for UTC; what cannot be read gives the zero time.
func studyTime(date, clock, offset string) time.Time {
	date = strings.ReplaceAll(strings.Trim(date, padding), ".", "") // ACR-NEMA wrote YYYY.MM.DD
	day, err := time.Parse("20060102", date)
	if err != nil {
		return time.Time{}
	}
	clock = strings.ReplaceAll(strings.Trim(clock, padding), ":", "")
	t := day
	if whole, _, _ := strings.Cut(clock, "."); len(whole) <= 6 {
		if of, err := time.Parse("150405"[:len(whole)], whole); err == nil && whole != "" {
			t = day.Add(of.Sub(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)))
		}
	}
	if zone, err := time.Parse("-0700", strings.Trim(offset, padding)); err == nil {
		_, seconds := zone.Zone()
		t = t.Add(-time.Duration(seconds) * time.Second)
	}
	if t.Year() < 1 {
		return time.Time{}
	}
	return t.UTC()
}
