package reader

import (
	"testing"
	"time"
)

func TestDateAndTime(t *testing.T) {
	for _, c := range []struct{ date, clock, offset, want string }{
		{"20260102", "030405.123456", "", "2026-01-02T03:04:05Z"},
		{"20260102", "0304", "-0500", "2026-01-02T03:04:00-05:00"},
		{"20260102", "03", "", "2026-01-02T03:00:00Z"},
		{"2026.01.02", "03:04:05", "", "2026-01-02T03:04:05Z"},
		{"20260102", "", "", "2026-01-02T00:00:00Z"},
		{"20260102", "noon", "", "2026-01-02T00:00:00Z"},
		{"20260102 ", "030405 ", "+0100\x00", "2026-01-02T03:04:05+01:00"},
		{"20260102", "030405", "+0545", "2026-01-02T03:04:05+05:45"},
		{"20260102", "030405", "+0000", "2026-01-02T03:04:05Z"},
		{"20260102", "030405", "+1500", "2026-01-02T03:04:05Z"}, // no such zone
		{"20260102", "030405", "Z", "2026-01-02T03:04:05Z"},
		{"20261302", "030405", "", "0001-01-01T00:00:00Z"},
		{"", "030405", "", "0001-01-01T00:00:00Z"},
		{"00010101", "000000", "+1400", "0001-01-01T00:00:00Z"}, // year 0 in UTC
		{"99991231", "235959", "-1200", "0001-01-01T00:00:00Z"}, // year 10000 in UTC
	} {
		if got := dateAndTime(c.date, c.clock, zoneOf(c.offset)).Format(time.RFC3339); got != c.want {
			t.Errorf("%q, %q, %q: %s, want %s", c.date, c.clock, c.offset, got, c.want)
		}
	}
}

func TestDateTime(t *testing.T) {
	zone := time.FixedZone("", -5*60*60)
	for in, want := range map[string]string{
		"20260102030405.123456+0200": "2026-01-02T03:04:05+02:00",
		"20260102030405":             "2026-01-02T03:04:05-05:00",
		"202601020304&":              "2026-01-02T00:00:00-05:00",
		"20260102 ":                  "2026-01-02T00:00:00-05:00",
		"20260102-0800":              "2026-01-02T00:00:00-08:00",
		"202601":                     "0001-01-01T00:00:00Z",
		"+0200":                      "0001-01-01T00:00:00Z",
		"":                           "0001-01-01T00:00:00Z",
	} {
		if got := dateTime(in, zone).Format(time.RFC3339); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

// TestObjectTime takes the sources away one after the other.
func TestObjectTime(t *testing.T) {
	values := map[tag]string{
		tagTimezone:  "+0100",
		tagStudyDate: "20260101", tagStudyTime: "01", tagSeriesDate: "20260102", tagSeriesTime: "02",
		tagAcquired: "2026010303", tagAcquisitionDate: "20260104", tagAcquisitionTime: "04",
		tagContentDate: "20260105", tagContentTime: "05",
	}
	for day, first := range []tag{tagStudyDate, tagSeriesDate, tagAcquired, tagAcquisitionDate, tagContentDate} {
		want := time.Date(2026, 1, day+1, day+1, 0, 0, 0, time.FixedZone("", 3600))
		if got := objectTime(func(t tag) string { return values[t] }); !got.Equal(want) {
			t.Errorf("%v at hand: %v, want %v", first, got, want)
		}
		delete(values, first)
	}
	if got := objectTime(func(t tag) string { return values[t] }); !got.IsZero() {
		t.Errorf("no date: %v", got)
	}
}
