package appliance

import (
	"errors"
	"fmt"
	"slices"
)

// stack is what was opened, to be closed in the opposite order.
type stack []closer

type closer struct {
	name  string
	close func() error
}

func (s *stack) push(name string, stop func() error) { *s = append(*s, closer{name, stop}) }

// close closes everything once, whatever fails.
func (s *stack) close() error {
	var errs []error
	for _, c := range slices.Backward(*s) {
		if err := c.close(); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", c.name, err))
		}
	}
	*s = nil
	return errors.Join(errs...)
}
