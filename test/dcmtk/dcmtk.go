package dcmtk

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Need skips the test where one of the programs is not installed.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed: apt-get install dcmtk", program)
		}
	}
}

// Peer is whom a sender talks to, and as whom.
type Peer struct {
	Address string // host and port
	Calling string // AE title of the sender; the program's own if empty
	Called  string // AE title of the receiver; ANY-SCP if empty
}

// EchoSCU sends a C-ECHO. The output is what the program printed, the error that of its exit code.
func EchoSCU(ctx context.Context, to Peer, options ...string) (string, error) {
	return send(ctx, "echoscu", to, nil, options)
}

// StoreSCU sends files over one association, as they are encoded if the options propose their transfer syntax.
func StoreSCU(ctx context.Context, to Peer, files []string, options ...string) (string, error) {
	return send(ctx, "storescu", to, files, options)
}

// DCMSend sends files, and proposes what each is encoded in.
func DCMSend(ctx context.Context, to Peer, files []string, options ...string) (string, error) {
	return send(ctx, "dcmsend", to, files, options)
}

func send(ctx context.Context, program string, to Peer, files, options []string) (string, error) {
	args, err := to.arguments(files, options)
	if err != nil {
		return "", err
	}
	return run(ctx, program, args...)
}

func (to Peer) arguments(files, options []string) (args []string, err error) {
	host, port, err := net.SplitHostPort(to.Address)
	if err != nil {
		return nil, err
	}
	if to.Calling != "" {
		args = append(args, "-aet", to.Calling)
	}
	if to.Called != "" {
		args = append(args, "-aec", to.Called)
	}
	args = append(append(args, options...), host, port)
	return append(args, files...), nil
}

// Sender is a storescu that sends, to be stopped or killed on the way.
type Sender struct {
	process *os.Process
	ended   chan struct{}
	err     error
}

// StartStoreSCU begins to send files over one association, as StoreSCU does. It ends with ctx at the latest.
func StartStoreSCU(ctx context.Context, to Peer, files []string, options ...string) (*Sender, error) {
	args, err := to.arguments(files, options)
	if err != nil {
		return nil, err
	}
	s := &Sender{ended: make(chan struct{})}
	begun := make(chan *os.Process, 1)
	go func() {
		defer close(s.ended)
		_, s.err = runTold(ctx, begun, "storescu", args...)
	}()
	select {
	case s.process = <-begun:
		return s, nil
	case <-s.ended:
		return nil, s.err
	}
}

// Signal sends the program a signal.
func (s *Sender) Signal(sig os.Signal) error { return s.process.Signal(sig) }

// Wait waits for the program's end, and gives the error of its exit code.
func (s *Sender) Wait() error {
	<-s.ended
	return s.err
}

// Dump gives the value of an attribute of a file as dcmdump prints it, without its brackets; empty if the attribute is empty or
// not there. Tag is as in 0010,0020, and stands on the top level of the dataset or in the file meta information.
func Dump(ctx context.Context, file, tag string) (string, error) {
	// Values in full, UIDs as numbers, each with the path to it.
	output, err := run(ctx, "dcmdump", "-q", "+L", "-Un", "+p", "+P", tag, file)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(output) {
		rest, ok := strings.CutPrefix(line, "("+strings.ToLower(tag)+") ")
		if !ok || len(rest) < 3 {
			continue
		}
		value := rest[3:] // after the VR
		if end := strings.LastIndex(value, " # "); end >= 0 {
			value = value[:end]
		}
		value = strings.TrimSpace(value)
		if value == "(no value available)" {
			return "", nil
		}
		return strings.TrimSuffix(strings.TrimPrefix(value, "["), "]"), nil
	}
	return "", nil
}

// startTimeout is how long StoreSCP has to answer.
const startTimeout = 10 * time.Second

// StoreSCP runs a receiver that writes to dir, until ctx ends. It returns once it answers.
func StoreSCP(ctx context.Context, dir string, options ...string) (address string, err error) {
	port, err := freePort(ctx)
	if err != nil {
		return "", err
	}
	address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	args := append([]string{"-od", dir}, options...)
	ended := make(chan error, 1)
	go func() {
		_, err := run(ctx, "storescp", append(args, strconv.Itoa(port))...)
		ended <- err
	}()
	bounded, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		var dialer net.Dialer
		if conn, err := dialer.DialContext(bounded, "tcp", address); err == nil {
			return address, conn.Close()
		}
		select {
		case err := <-ended:
			return "", fmt.Errorf("storescp ended: %w", err)
		case <-bounded.Done():
			return "", fmt.Errorf("wait for storescp: %w", bounded.Err())
		case <-poll.C:
		}
	}
}

// freePort picks a port; another process may take it in the meantime.
func freePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// run runs a program that ends with ctx and with this process. Its output is what it prints, in any case.
func run(ctx context.Context, program string, args ...string) (string, error) {
	return runTold(ctx, make(chan *os.Process, 1), program, args...)
}

// runTold is run, and gives the process once it has begun.
func runTold(ctx context.Context, begun chan<- *os.Process, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	// Pdeathsig comes when the thread that forked ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Start()
	if err == nil {
		begun <- cmd.Process
		err = cmd.Wait()
	}
	if err != nil {
		return output.String(), fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(output.String()))
	}
	return output.String(), nil
}
