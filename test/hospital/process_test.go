package hospital_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/medanchor/medanchor/test/hospital"
	"github.com/medanchor/medanchor/test/netns"
)

// Daemons and commands run on the hospital's machine.
func TestMachine(t *testing.T) {
	network := netns.New(t)
	here, there := namespace(t, &hospital.Hospital{}), ""
	for _, machine := range []hospital.Machine{nil, network.Host(t, 1), network.Host(t, 2)} {
		h := &hospital.Hospital{Dir: t.TempDir(), Machine: machine}
		inside := namespace(t, h)
		if (inside == here) != (machine == nil) || inside == there {
			t.Errorf("on %v a command runs in %s, beside the test it is %s", machine, inside, here)
		}
		there = inside
		p, err := h.Start("readlink", []string{"/proc/self/ns/net"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		<-p.Exited()
		log, err := os.ReadFile(h.Log())
		if err != nil || p.Err() != nil || strings.TrimSpace(string(log)) != inside {
			t.Errorf("a daemon runs in %q, a command in %s (%v, %v)", log, inside, err, p.Err())
		}
	}
	if again := namespace(t, &hospital.Hospital{}); again != here {
		t.Errorf("the test has come to another namespace")
	}
}

// namespace is that of a command that is run for the hospital.
func namespace(t *testing.T, h *hospital.Hospital) (name string) {
	t.Helper()
	err := h.Do(func() error {
		out, err := exec.CommandContext(t.Context(), "readlink", "/proc/self/ns/net").Output()
		name = strings.TrimSpace(string(out))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return name
}
