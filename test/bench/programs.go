package main

import (
	"fmt"
	"os/exec"
)

// program finds a program of others, which a package of Debian installs.
func program(name, debian string) (string, error) {
	// Not every user has /usr/sbin in the PATH.
	for _, candidate := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("find %s: it is not installed: apt-get install %s", name, debian)
}
