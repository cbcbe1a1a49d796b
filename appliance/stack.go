package appliance

import (
	"errors"
	"fmt"
)

// stack is what was opened, to be closed in the opposite order.
type stack []closer

type closer struct {
	name  string
	close func() error
}

func (s *stack) push(name string, close func() error) { *s = append(*s, closer{name, close}) }

// close closes everything once, whatever fails.
func (s *stack) close() error {
	var errs []error
	for i := len(*s) - 1; i >= 0; i-- {
		if err := (*s)[i].close(); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", (*s)[i].name, err))
		}
	}
	*s = nil
	return errors.Join(errs...)
}
