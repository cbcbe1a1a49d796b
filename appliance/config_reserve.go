package appliance

import (
	"errors"
	"fmt"
)

// ReserveConfig is what is kept free on the data folder's disk. The larger of Bytes and Percent counts.
type ReserveConfig struct {
	Bytes         Bytes   `yaml:"bytes"`
	Percent       float64 `yaml:"percent"`
	InodesPercent float64 `yaml:"inodes_percent"`
}

func (c *ReserveConfig) setDefaults() {
	orNumber(&c.Bytes, 4<<30)
	orNumber(&c.Percent, 5)
	orNumber(&c.InodesPercent, 5)
}

func (c ReserveConfig) validate() error {
	return errors.Join(share("reserve.percent", c.Percent), share("reserve.inodes_percent", c.InodesPercent))
}

func share(key string, percent float64) error {
	if percent < 0 || percent > 90 {
		return fmt.Errorf("%s: %g is not from 0 to 90", key, percent)
	}
	return nil
}
