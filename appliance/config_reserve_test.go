package appliance_test

import (
	"strings"
	"testing"

	"github.com/medanchor/medanchor/appliance"
)

// On a large disk five percent are much: who writes 0 means none, and not the default.
func TestAReserveOfNothingIsNotTheDefault(t *testing.T) {
	const gib = 1 << 30
	for name, test := range map[string]struct {
		reserve string
		want    appliance.ReserveConfig
	}{
		"left out":           {"", appliance.ReserveConfig{Bytes: 4 * gib, Percent: 5, InodesPercent: 5}},
		"empty":              {"reserve:", appliance.ReserveConfig{Bytes: 4 * gib, Percent: 5, InodesPercent: 5}},
		"keys without value": {"reserve: {bytes: , percent: }", appliance.ReserveConfig{Bytes: 4 * gib, Percent: 5, InodesPercent: 5}},
		"bytes alone":        {"reserve: {bytes: 200GiB, percent: 0}", appliance.ReserveConfig{Bytes: 200 * gib, InodesPercent: 5}},
		"percent alone":      {"reserve: {bytes: 0, percent: 10}", appliance.ReserveConfig{Percent: 10, InodesPercent: 5}},
		"no inodes":          {"reserve: {inodes_percent: 0}", appliance.ReserveConfig{Bytes: 4 * gib, Percent: 5}},
		"other bytes":        {"reserve: {bytes: 1GiB}", appliance.ReserveConfig{Bytes: gib, Percent: 5, InodesPercent: 5}},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := appliance.ParseConfig([]byte(minimal + test.reserve))
			if err != nil || c.Reserve != test.want {
				t.Errorf("%+v, %v, want %+v", c.Reserve, err, test.want)
			}
		})
	}
}

func TestParseConfigRefusesReserves(t *testing.T) {
	for name, test := range map[string]struct{ reserve, want string }{
		"nothing":         {"{bytes: 0, percent: 0}", "reserve: bytes and percent are both 0"},
		"negative":        {"{percent: -1}", "reserve.percent: -1 is not from 0 to 90"},
		"nearly all":      {"{percent: 91}", "reserve.percent: 91 is not from 0 to 90"},
		"not a number":    {"{percent: .nan}", "reserve.percent: NaN is not from 0 to 90"},
		"negative inodes": {"{inodes_percent: -1}", "reserve.inodes_percent: -1 is not from 0 to 90"},
		"negative bytes":  {"{bytes: -4GiB}", "is not a size"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := appliance.ParseConfig([]byte(minimal + "reserve: " + test.reserve)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error: %v, want %q", err, test.want)
			}
		})
	}
}
