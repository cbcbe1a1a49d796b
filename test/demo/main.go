// Command demo runs the main job end to end with real parts: a Fabric network of two hospitals, an appliance in each, and
// a set of synthetic files dropped in both. It ends with the counts, which must reconcile.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	var d demo
	flag.StringVar(&d.dir, "dir", ".cache/demo", "folder to work in; an earlier demo's is replaced")
	flag.StringVar(&d.bin, "bin", ".cache/bin", "folder of medanchor and medanchor-inspect")
	flag.Uint64Var(&d.seed, "seed", 1, "seed of the generated files")
	flag.BoolVar(&d.once, "once", false, "end instead of staying up")
	flag.Parse()
	os.Exit(run(&d))
}

func run(d *demo) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := d.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}
	return 0
}
