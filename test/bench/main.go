// Command bench measures medanchor beside its peers and the machine's limits. Each comparison runs its contenders in
// turn, several rounds, and compares medians: on a shared machine only what ran side by side can be compared. The results
// are a list of Result in .cache/bench/results.json. docs/benchmarks.md explains each.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	var b bench
	flag.StringVar(&b.prefix, "bench", "", "run the comparisons with a result whose name starts so")
	flag.IntVar(&b.rounds, "rounds", 3, "how often each contender runs")
	flag.StringVar(&b.bin, "bin", ".cache/bin", "folder of medanchor and medanchor-inspect")
	flag.StringVar(&b.dir, "dir", ".cache/bench", "folder to work in, on the disk to measure")
	flag.Parse()
	os.Exit(run(&b))
}

func run(b *bench) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := b.run(ctx, filepath.Join(b.dir, "results.json")); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}
