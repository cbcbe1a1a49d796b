package spool_test

import (
	"context"
	"testing"
	"time"

	"github.com/medanchor/medanchor/dicomwatch/spool"
	"github.com/medanchor/medanchor/document"
)

// taken counts what is submitted.
type taken chan document.Delivery

func (c taken) Submit(ctx context.Context, d document.Delivery) error {
	select {
	case c <- d:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// While senders send, the machine is theirs: what waits is offered once there is a lull, or it has waited for long, or too much
// waits.
func TestSendersComeFirst(t *testing.T) {
	const objects, pace, size = 20, 20 * time.Millisecond, 1000
	for name, c := range map[string]struct {
		adjust func(*spool.Options)
		during bool // whether something is offered while they send
	}{
		"a lull":            {func(o *spool.Options) { o.Lull = 200 * pace }, false},
		"they pause":        {func(o *spool.Options) { o.Lull = pace / 4 }, true},
		"it waits for long": {func(o *spool.Options) { o.Lull, o.LullAge = 50*pace, 5*pace }, true},
		"too much waits":    {func(o *spool.Options) { o.Lull, o.LullBytes = 50*pace, 5*size }, true},
	} {
		t.Run(name, func(t *testing.T) {
			o, pipeline := options(t), make(taken, objects)
			c.adjust(&o)
			s, err := spool.New(o, pipeline)
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- s.Run(ctx) }()
			for n := range objects {
				if err := send(t.Context(), s, content(n, size)); err != nil {
					t.Fatal(err)
				}
				<-time.After(pace)
			}
			if during := len(pipeline) > 0; during != c.during {
				t.Errorf("%d objects were offered while the senders sent", len(pipeline))
			}
			for range objects {
				select {
				case <-pipeline:
				case <-time.After(10 * time.Second):
					t.Fatal("not all were offered after the senders had ended")
				}
			}
			stop()
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
