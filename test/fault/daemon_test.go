package fault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/medanchor/medanchor/appliance"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/document"
)

// daemonEnv holds, as JSON, the order that makes this program a daemon.
const daemonEnv = "MEDANCHOR_FAULT_DAEMON"

// killedLine is what the daemon says before it kills itself, so that no other death is taken for that one.
const killedLine = "killed by its own hook"

// order is what a daemon does.
type order struct {
	Config string `json:"config"` // the configuration file
	Kill   kill   `json:"kill"`
	Gate   string `json:"gate,omitempty"`  // the name of a gate through which its disk calls go
	Clock  string `json:"clock,omitempty"` // the file that says how far its clock is moved
}

// kill says when a daemon dies: at the Nth time that an item takes the step, or After that. The zero State is for a kill
// from outside, After the start.
type kill struct {
	Step  document.Step `json:"step,omitempty"`
	Nth   int32         `json:"nth,omitempty"`
	After time.Duration `json:"after,omitempty"`
	// Cut, if set, is the folder on a disk whose power is cut at the same moment.
	Cut string `json:"cut,omitempty"`
}

func (k kill) String() string {
	if k.Step == "" {
		return fmt.Sprintf("%s after the start", k.After)
	}
	s := fmt.Sprintf("%s, number %d", k.Step, k.Nth)
	if k.After > 0 {
		s += fmt.Sprintf(", %s later", k.After)
	}
	return s
}

func TestMain(m *testing.M) {
	if text := os.Getenv(daemonEnv); text != "" {
		if err := daemon(text); err != nil {
			fmt.Fprintln(os.Stderr, "daemon:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(devnettest.Main(m))
}

// daemon is medanchor run, with the hook.
func daemon(text string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	if o.Clock != "" {
		if err := followClock(o.Clock); err != nil {
			return err
		}
	}
	if o.Gate != "" {
		if err := passThrough(o.Gate); err != nil {
			return err
		}
	}
	config, err := appliance.LoadConfig(o.Config)
	if err != nil {
		return err
	}
	app, err := appliance.New(ctx, appliance.Options{
		Config: config, Log: slog.New(slog.NewJSONHandler(os.Stdout, nil)), Version: "fault", Trace: o.Kill.hook(),
	})
	if err != nil {
		return err
	}
	return app.Run(ctx)
}

// hook counts the steps, and kills at the one.
func (k kill) hook() func(document.Step) {
	var count atomic.Int32
	return func(s document.Step) {
		if s != k.Step || count.Add(1) != k.Nth {
			return
		}
		if k.After > 0 {
			time.AfterFunc(k.After, k.now)
			return
		}
		k.now()
	}
}

// now kills the whole process group, and does not return.
func (k kill) now() {
	fmt.Println(killedLine)
	if k.Cut != "" {
		if err := powerCut(k.Cut); err != nil {
			panic(err)
		}
	}
	if err := syscall.Kill(-syscall.Getpgrp(), syscall.SIGKILL); err != nil {
		panic(errors.Join(errors.New("kill own process group"), err))
	}
	select {}
}
