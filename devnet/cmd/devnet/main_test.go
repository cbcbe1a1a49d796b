package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/medanchor/medanchor/devnet/internal/proctest"
)

// mainEnv makes this test binary the devnet command.
const mainEnv = "DEVNET_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(mainEnv) != "" {
		main()
	}
	os.Exit(m.Run())
}

func TestExitCodeOfUsage(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want int
	}{
		{"help", []string{"--help"}, 0},
		{"an unknown command", []string{"dwon"}, exitUsage},
		{"an unknown flag", []string{"up", "--hospital", "3"}, exitUsage},
		{"a needless argument", []string{"up", "now"}, exitUsage},
		{"exec of nothing", []string{"exec", "--"}, exitUsage},
		{"exec of no such command", []string{"exec", "--", "/no/such/command"}, exitError},
		{"no command", nil, exitUsage},
		{"too many hospitals", []string{"up", "--hospitals", "99"}, exitError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cmd := devnetCommand(t.Context(), tt.args...)
			output, _ := cmd.CombinedOutput() // the exit code says it all
			if got := cmd.ProcessState.ExitCode(); got != tt.want {
				t.Errorf("exit code %d, want %d; it printed:\n%s", got, tt.want, output)
			}
		})
	}
}

func TestExec(t *testing.T) {
	needNetwork(t)
	dir := filepath.Join(t.TempDir(), "net")
	script := `test -S "$MEDANCHOR_DEVNET/control.sock" && exit 7`
	cmd := devnetCommand(t.Context(), "exec", "--hospitals", "1", "--dir", dir, "--", "sh", "-c", script)
	output, _ := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != 7 {
		t.Errorf("exit code %d, want the command's 7; it printed:\n%s", got, output)
	}
	proctest.AwaitNone(t, dir)
}

func TestExitCodeOfACommandThatASignalEnds(t *testing.T) {
	err := exec.CommandContext(t.Context(), "sh", "-c", "kill -KILL $$").Run()
	ended, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		t.Fatal(err)
	}
	if got, want := exitCode(ended), 128+int(syscall.SIGKILL); got != want {
		t.Errorf("exit code %d, want %d", got, want)
	}
}

// What ends devnet up ends all that it runs.
func TestUpEnds(t *testing.T) {
	needNetwork(t)
	tests := []struct {
		name     string
		signal   syscall.Signal
		toParent bool // to the shell that started devnet
		frozen   bool // while a node is frozen
	}{
		{name: "on Ctrl-C", signal: syscall.SIGINT},
		{name: "on SIGTERM while its nodes are frozen", signal: syscall.SIGTERM, frozen: true},
		{name: "when it is killed", signal: syscall.SIGKILL},
		{name: "when its parent is killed", signal: syscall.SIGKILL, toParent: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "net")
			pid, parent := startUp(t, dir)
			nodes := proctest.Below(dir)
			if len(nodes) == 0 {
				t.Fatal("no network runs")
			}
			if tt.frozen {
				for _, node := range nodes {
					must(t, syscall.Kill(node, syscall.SIGSTOP))
				}
			}
			target := pid
			if tt.toParent {
				target = parent
			}
			must(t, syscall.Kill(target, tt.signal))
			proctest.AwaitNone(t, dir)
		})
	}
}

// startUp starts devnet up under a shell, and waits until the network is ready.
func startUp(t *testing.T, dir string) (pid, parent int) {
	t.Helper()
	// Under nohup, devnet would not end with its parent: whoever is notified passes no ignored signal on.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(hangups) })
	shell := exec.CommandContext(t.Context(), "sh", "-c", `"$0" up --hospitals 1 --dir "$1" & echo $!; wait`, os.Args[0], dir)
	shell.Env = append(os.Environ(), mainEnv+"=1")
	shell.Stderr = t.Output()
	output, err := shell.StdoutPipe()
	must(t, err)
	must(t, shell.Start())
	t.Cleanup(func() {
		if pid != 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it has ended, if the test has passed
		}
		_ = shell.Process.Kill()
		_ = shell.Wait()
	})
	lines := bufio.NewScanner(output)
	if !lines.Scan() {
		t.Fatal("the shell printed no process ID")
	}
	pid, err = strconv.Atoi(lines.Text())
	must(t, err)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "Ctrl-C ends") {
			go func() { _, _ = io.Copy(io.Discard, output) }()
			return pid, shell.Process.Pid
		}
	}
	t.Fatal("the network did not get ready")
	return 0, 0
}

func needNetwork(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a Fabric network: run without -short")
	}
}

// devnetCommand is the command, run by this test binary.
func devnetCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), mainEnv+"=1")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
