package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest/inspect/wire"
)

// startTimeout bounds the time from starting the program to its hello.
const startTimeout = 20 * time.Second

// child is one running medanchor-inspect. One goroutine uses it at a time.
type child struct {
	cmd    *exec.Cmd
	in     *os.File  // its stdin
	out    *os.File  // its stdout
	retire bool      // ended, or to be ended before the next file
	until  time.Time // when what it does now is to be done
}

// errTime means that a child did not answer in its time.
var errTime = errors.New("inspector ran out of time")

func isLate(err error) bool { return errors.Is(err, errTime) || errors.Is(err, os.ErrDeadlineExceeded) }

// fault is a child's death, silence or breach of protocol, as opposed to an error of our own side.
type fault struct{ err error }

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

func isFault(err error) bool {
	var f *fault
	return errors.As(err, &f)
}

// start runs the program with an empty environment and awaits its hello.
func start(ctx context.Context, program string, limit time.Duration) (*child, error) {
	c, err := spawn(ctx, program)
	if err != nil {
		return nil, fmt.Errorf("start inspector %s: %w; check that it is installed, and the path to it in the configuration",
			program, err)
	}
	var hello wire.Hello
	err = c.within(ctx, limit, func() (err error) {
		hello, err = wire.ReadHello(c.out)
		return err
	})
	switch {
	case err != nil:
		c.end()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("start inspector %s: %w; check that the path names medanchor-inspect", program, err)
	case hello.Version != wire.Version:
		c.end()
		return nil, fmt.Errorf("start inspector %s: it speaks version %d, medanchor %d: install both from one package",
			program, hello.Version, wire.Version)
	case hello.Error != "":
		c.end()
		return nil, fmt.Errorf("start inspector %s: %s; it needs a Linux kernel with seccomp filters and leave to use them",
			program, wire.Text(hello.Error))
	}
	return c, nil
}

func spawn(ctx context.Context, program string) (*child, error) {
	stdin, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, stdout, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, stdin.Close(), in.Close())
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), program) // it outlives the file that it is started for
	cmd.Env = []string{}
	cmd.Stdin, cmd.Stdout = stdin, stdout
	// Its stdin ends with this process, and the kernel ends it too: it may be busy with a file.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = errors.Join(cmd.Start(), stdin.Close(), stdout.Close())
	c := &child{cmd: cmd, in: in, out: out}
	if err != nil {
		c.end()
		return nil, err
	}
	return c, nil
}

// end kills the child and waits for it.
func (c *child) end() {
	c.retire = true
	_, _ = c.in.Close(), c.out.Close()
	if c.cmd.Process == nil {
		return
	}
	_ = c.cmd.Process.Kill() // it may be dead already
	_ = c.cmd.Wait()         // "signal: killed" is what we asked for
}

// orNil gives the child if it may be used again.
func (c *child) orNil() *child {
	if c == nil || c.retire {
		return nil
	}
	return c
}

// within runs f, which reads and writes the pipes, and makes it fail when ctx ends or the time is over.
func (c *child) within(ctx context.Context, limit time.Duration, f func() error) error {
	c.until = time.Now().Add(limit)
	c.expire(c.until)
	stop := context.AfterFunc(ctx, func() { c.expire(time.Unix(1, 0)) })
	err := f()
	if !stop() && err == nil {
		return ctx.Err()
	}
	return err
}

// expire makes reads and writes of the pipes fail from then on: pipes have deadlines.
func (c *child) expire(t time.Time) { _, _ = c.in.SetDeadline(t), c.out.SetDeadline(t) }

// extend gives the child more time.
func (c *child) extend(ctx context.Context, d time.Duration) error {
	c.until = c.until.Add(d)
	c.expire(c.until)
	return ctx.Err() // it may have ended before: the pipes would not say so any more
}

// inspect reads one file. After an error the child has ended.
func (c *child) inspect(ctx context.Context, j *job, limit time.Duration) (document.Metadata, error) {
	var answer wire.Answer
	err := c.within(ctx, limit, func() (err error) {
		answer, err = c.converse(ctx, j)
		return err
	})
	if err != nil || answer.Worn {
		c.end()
	}
	if err != nil && ctx.Err() != nil {
		return document.Metadata{}, ctx.Err()
	}
	return answer.Metadata, err
}

// converse sends the file and serves the child's requests until it answers. EPIPE from the first write means that the
// child was dead before; later trouble with the child is a fault.
func (c *child) converse(ctx context.Context, j *job) (wire.Answer, error) {
	if err := j.opening.Send(c.in, j.mode); err != nil {
		if errors.Is(err, syscall.EPIPE) {
			return wire.Answer{}, err
		}
		return wire.Answer{}, &fault{err}
	}
	left := wire.MaxRead
	for range wire.MaxAsks {
		ask, answer, err := wire.ReadReply(c.out, j.size)
		if err != nil {
			return wire.Answer{}, &fault{describe(err)}
		}
		if ask == nil {
			return answer, nil
		}
		if left -= ask.Length; left < 0 {
			return wire.Answer{}, &fault{fmt.Errorf("%w: it asks for more than %d bytes", wire.ErrProtocol, wire.MaxRead)}
		}
		if err := c.serve(ctx, j, *ask); err != nil {
			return wire.Answer{}, err
		}
	}
	return wire.Answer{}, &fault{fmt.Errorf("%w: it asks too often", wire.ErrProtocol)}
}

func (c *child) serve(ctx context.Context, j *job, r wire.Range) error {
	buf := make([]byte, r.Length)
	n, took, err := j.read(buf, r.Offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read file to inspect: %w", err)
	}
	if err := c.extend(ctx, took); err != nil {
		return err
	}
	if err := wire.WriteFrame(c.in, wire.TypeBytes, buf[:n]); err != nil {
		return &fault{fmt.Errorf("send bytes: %w", describe(err))}
	}
	return nil
}

// describe says what the pipe's errors mean.
func describe(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return errTime
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE):
		return errors.New("inspector died")
	default:
		return err
	}
}
