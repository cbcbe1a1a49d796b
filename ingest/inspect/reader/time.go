package reader

import (
	"strings"
	"time"
)

// maxZone is the offset from UTC that is farthest from it, in hours (PS3.5 §6.2, DT: -1200 to +1400).
const maxZone = 14

// objectTime is when the study took place; else, where the study does not say, when the series, the acquisition or the
// content did. It is in the zone that the file names, else in UTC as if it were; zero if nothing says when.
func objectTime(value func(tag) string) time.Time {
	zone := zoneOf(value(tagTimezone))
	for _, t := range []time.Time{
		dateAndTime(value(tagStudyDate), value(tagStudyTime), zone),
		dateAndTime(value(tagSeriesDate), value(tagSeriesTime), zone),
		dateTime(value(tagAcquired), zone),
		dateAndTime(value(tagAcquisitionDate), value(tagAcquisitionTime), zone),
		dateAndTime(value(tagContentDate), value(tagContentTime), zone),
	} {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

// zoneOf reads an offset from UTC, "+HHMM" (PS3.3 C.12.1.1.8); UTC if there is none that can be.
func zoneOf(offset string) *time.Location {
	t, err := time.Parse("-0700", strings.Trim(offset, padding))
	if err != nil {
		return time.UTC
	}
	return inZone(t).Location()
}

// inZone gives the same time in a zone that is plainly an offset from UTC, or in UTC if there is no such zone.
func inZone(t time.Time) time.Time {
	_, seconds := t.Zone()
	if seconds == 0 || max(seconds, -seconds) > maxZone*60*60 {
		return t.UTC()
	}
	return t.In(time.FixedZone("", seconds))
}

// dateTime reads a DT, "YYYYMMDDHHMMSS.FFFFFF&ZZXX" of which all but the date may be left out (PS3.5 §6.2). Without a zone
// of its own it is in the given one.
func dateTime(s string, zone *time.Location) time.Time {
	s = strings.Trim(s, padding)
	if i := strings.LastIndexAny(s, "+-"); i > 0 {
		s, zone = s[:i], zoneOf(s[i:])
	}
	const date = len("20060102")
	if len(s) < date {
		return time.Time{}
	}
	return dateAndTime(s[:date], s[date:], zone)
}

// dateAndTime joins DA and TM (PS3.5 §6.2). Of a time that cannot be read only the date counts; of a date that cannot be,
// nothing.
func dateAndTime(date, clock string, zone *time.Location) time.Time {
	date = strings.ReplaceAll(strings.Trim(date, padding), ".", "") // ACR-NEMA wrote YYYY.MM.DD
	t, err := time.ParseInLocation("20060102", date, zone)
	if err != nil {
		return time.Time{}
	}
	clock = strings.ReplaceAll(strings.Trim(clock, padding), ":", "")
	if whole, _, _ := strings.Cut(clock, "."); len(whole) <= 6 && whole != "" {
		if of, err := time.Parse("150405"[:len(whole)], whole); err == nil {
			t = t.Add(of.Sub(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)))
		}
	}
	if !inCalendar(t) {
		return time.Time{}
	}
	return t
}

// inCalendar tells whether a time has a year from 1 to 9999, also in UTC: others cannot be stored.
func inCalendar(t time.Time) bool {
	return t.Year() >= 1 && t.Year() <= 9999 && t.UTC().Year() >= 1 && t.UTC().Year() <= 9999 && !t.IsZero()
}
