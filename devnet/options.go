package devnet

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// DefaultHospitals is how many hospitals a network has unless told otherwise.
const DefaultHospitals = 2

// Options say what network to make. The zero value is a network of two hospitals in a temporary folder.
type Options struct {
	// Hospitals is the number of members, 1 to 8; 0 means [DefaultHospitals].
	Hospitals int
	// Dir is the network's folder. It must be empty or absent, and is kept. Where Dir is "", the network gets a folder of
	// its own below Cache, which Close removes; that of a start that failed, or of an owner that was killed, is there to be
	// looked at until the next start.
	Dir string
	// Root is the checkout that holds the sources. Where it is "", it is looked for from the working folder upward.
	Root string
	// Cache is where the programs are built; "" means .cache/devnet in Root.
	Cache string
	// Log gets progress, a line at a time; nil means nowhere.
	Log io.Writer
}

// withDefaults fills in what is absent and refuses what cannot be.
func (o Options) withDefaults() (Options, error) {
	if o.Hospitals == 0 {
		o.Hospitals = DefaultHospitals
	}
	if o.Hospitals < 0 || o.Hospitals > len(hospitals) {
		return o, fmt.Errorf("a network of %d hospitals: choose 1 to %d", o.Hospitals, len(hospitals))
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.Root == "" {
		root, err := findRoot()
		if err != nil {
			return o, err
		}
		o.Root = root
	}
	if o.Cache == "" {
		o.Cache = filepath.Join(o.Root, ".cache", "devnet")
	}
	return o, nil
}

// findRoot looks upward from the working folder for the checkout.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, fabricModule, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("find the sources: no medanchor checkout here or above: run this inside one")
		}
		dir = parent
	}
}
