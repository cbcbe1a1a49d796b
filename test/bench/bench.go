package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/medanchor/medanchor/devnet"
)

// Result is one comparison: two medians of the same unit, measured side by side.
type Result struct {
	Name          string  `json:"name"`
	Value         float64 `json:"value"`
	Unit          string  `json:"unit"`
	Baseline      string  `json:"baseline"`
	BaselineValue float64 `json:"baseline_value"`
	Ratio         float64 `json:"ratio"` // Value over BaselineValue
	Commit        string  `json:"commit"`
	Machine       string  `json:"machine"`
}

// comparison is a set of contenders that do the same work, and which of their figures are compared.
type comparison struct {
	unit string
	// pairs are figures: what is measured, and its baseline.
	pairs [][2]string
	// open sets the contenders up, with a folder of their own. Each call of a contender is one run, and gives its figures
	// by name. stop ends what open began.
	open func(ctx context.Context, b *bench, dir string) (contenders []contender, stop func() error, err error)
}

// contender does the work once. round tells runs apart: no two may do work on the same bytes.
type contender func(ctx context.Context, round int) (map[string]float64, error)

// bench is one run of the program.
type bench struct {
	prefix   string
	rounds   int
	bin, dir string
	network  *devnet.Network // started at its first use
}

func comparisons() []comparison {
	return []comparison{folder(), cstore(), anchoring(), ledgerSize(), remoteReading(), firstByte(), releasing()}
}

// run measures, prints and writes the results to path.
func (b *bench) run(ctx context.Context, path string) (err error) {
	for _, dir := range []*string{&b.dir, &b.bin} {
		if *dir, err = filepath.Abs(*dir); err != nil {
			return err
		}
	}
	defer func() {
		if b.network != nil {
			err = errors.Join(err, b.network.Close())
		}
	}()
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return err
	}
	commit, machine := commit(ctx), machine(b.dir)
	fmt.Println(machine)
	var results []Result
	for _, c := range comparisons() {
		if !c.wanted(b.prefix) {
			continue
		}
		figures, err := b.measure(ctx, c)
		if err != nil {
			return err
		}
		for _, pair := range c.pairs {
			if !strings.HasPrefix(pair[0], b.prefix) {
				continue
			}
			r := Result{
				Name: pair[0], Value: median(figures[pair[0]]), Unit: c.unit,
				Baseline: pair[1], BaselineValue: median(figures[pair[1]]), Commit: commit, Machine: machine,
			}
			r.Ratio = r.Value / r.BaselineValue
			fmt.Printf("%-32s %10.1f %s   %-32s %10.1f   ratio %.2f\n", r.Name, r.Value, r.Unit, r.Baseline, r.BaselineValue, r.Ratio)
			results = append(results, r)
		}
	}
	if len(results) == 0 {
		return fmt.Errorf("no comparison has a result that starts with %q", b.prefix)
	}
	return write(path, results)
}

func (c comparison) wanted(prefix string) bool {
	return slices.ContainsFunc(c.pairs, func(pair [2]string) bool { return strings.HasPrefix(pair[0], prefix) })
}

// measure runs the contenders of a comparison in turn, and collects their figures by name.
func (b *bench) measure(ctx context.Context, c comparison) (figures map[string][]float64, err error) {
	dir := filepath.Join(b.dir, "work")
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	contenders, stop, err := c.open(ctx, b, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	figures = make(map[string][]float64)
	for round := range b.rounds {
		for _, contend := range contenders {
			got, err := contend(ctx, round)
			if err != nil {
				return nil, err
			}
			for name, value := range got {
				fmt.Printf("  round %d  %-32s %10.1f %s\n", round+1, name, value, c.unit)
				figures[name] = append(figures[name], value)
			}
		}
	}
	return figures, nil
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func write(path string, results []Result) error {
	raw, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o600)
}

// fabric is the network that all comparisons of this run share.
func (b *bench) fabric(ctx context.Context) (*devnet.Network, error) {
	if b.network != nil {
		return b.network, nil
	}
	network, err := devnet.Start(ctx, devnet.Options{Log: os.Stdout})
	b.network = network
	return network, err
}
