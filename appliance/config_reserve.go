package appliance

import (
	"errors"
	"fmt"
	"math"
)

// ReserveConfig is what is kept free on the data folder's disk. The larger of Bytes and Percent counts.
type ReserveConfig struct {
	Bytes         Bytes   `yaml:"bytes"`
	Percent       float64 `yaml:"percent"`
	InodesPercent float64 `yaml:"inodes_percent"`
}

// defaultReserve is what the file is read over: a 0 in the file is a 0, and not what was left out.
func defaultReserve() ReserveConfig {
	return ReserveConfig{Bytes: 4 << 30, Percent: 5, InodesPercent: 5}
}

// validate wants some reserve: without one there may be no room left to anchor what was taken in.
func (c ReserveConfig) validate() error {
	errs := []error{share("reserve.percent", c.Percent), share("reserve.inodes_percent", c.InodesPercent)}
	if c.Bytes == 0 && c.Percent == 0 {
		errs = append(errs, errors.New("reserve: bytes and percent are both 0: give one of them, "+
			"or there may be no room left to anchor what was taken in"))
	}
	return errors.Join(errs...)
}

func share(key string, percent float64) error {
	if math.IsNaN(percent) || percent < 0 || percent > 90 {
		return fmt.Errorf("%s: %g is not from 0 to 90", key, percent)
	}
	return nil
}
