package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/test/hospital"
)

// report prints the table, and fails where a count does not reconcile: received comes from the generator's manifest,
// anchored from the other hospital's peer.
func report(ctx context.Context, network *devnet.Network, sites []*site) error {
	say("5. What became of them. Received is the generator's count, anchored that of the other hospital's peer.")
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "hospital\treceived\tanchored\tduplicates\twaiting\tquarantined\tfiles/s\tMB/s\tledger height\t")
	var errs []error
	reasons := make(map[*site]map[document.Reason]int64)
	for i, s := range sites {
		status, err := s.Client().Status(ctx)
		if err != nil {
			return err
		}
		other := sites[(i+1)%len(sites)]
		anchored, height, err := anchoredBy(ctx, network, other.member, s.member.MSPID)
		if err != nil {
			return err
		}
		reasons[s] = status.Items.Quarantined
		quarantined := total(status.Items.Quarantined)
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%.0f\t%.1f\t%d\t\n", s.member.Name, s.want.Files, anchored,
			status.Items.Duplicates, status.Items.Waiting, quarantined, float64(s.want.Files)/s.took.Seconds(),
			float64(s.want.Bytes)/1e6/s.took.Seconds(), height)
		errs = append(errs, reconcile(s, status, anchored))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, s := range sites {
		for _, reason := range slices.Sorted(maps.Keys(reasons[s])) {
			fmt.Printf("%s: %d quarantined: %s\n", s.member.Name, reasons[s][reason], reason.Explain())
		}
	}
	return errors.Join(errs...)
}

func total(quarantined map[document.Reason]int64) (n int64) {
	for _, count := range quarantined {
		n += count
	}
	return n
}

// reconcile compares what the appliance and the ledger say with what the generator made.
func reconcile(s *site, status control.Status, anchored int) error {
	items := status.Items
	var errs []error
	same := func(what string, got, want int64) {
		if got != want {
			errs = append(errs, fmt.Errorf("%s: %d %s, the generator made %d", s.member.Name, got, what, want))
		}
	}
	same("received", items.Received, int64(s.want.Files))
	same("anchored by the other hospital's peer", int64(anchored), int64(s.want.Anchored))
	same("anchored", items.Anchored, int64(s.want.Anchored))
	same("duplicates", items.Duplicates, int64(s.want.Duplicates))
	same("variants", items.Variants, int64(s.want.Variants))
	same("waiting", items.Waiting, 0)
	for reason, want := range s.want.Quarantined {
		same("quarantined as "+string(reason), items.Quarantined[reason], int64(want))
	}
	same("sum of all", items.Anchored+items.Duplicates+items.Waiting+total(items.Quarantined), int64(s.want.Files))
	return errors.Join(errs...)
}

// anchoredBy reads the whole channel from the asker's peer, as one of its appliances, and counts the documents that a
// member anchored.
func anchoredBy(ctx context.Context, network *devnet.Network, asker *devnet.Member, mspID string) (n int, height uint64, err error) {
	client, err := hospital.Connect(ctx, network, asker)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	if height, err = client.Height(ctx); err != nil {
		return 0, 0, err
	}
	members := make(map[record.AnchoringID]string)
	for block, err := range client.Blocks(ctx, 0) {
		if err != nil {
			return n, height, err
		}
		nouns, err := hospital.NounsOf(block)
		if err != nil {
			return n, height, err
		}
		for _, a := range nouns.Anchorings {
			members[a.ID] = a.MSPID
		}
		for _, d := range nouns.Documents {
			if members[d.Anchoring] == mspID {
				n++
			}
		}
		if block.Number+1 >= height {
			break
		}
	}
	return n, height, nil
}

// medanchor runs one command and shows what it prints. err is set only where it could not be run.
func (d *demo) medanchor(ctx context.Context, args ...string) (code int, err error) {
	fmt.Println("$ medanchor", args[0], args[1])
	cmd := exec.CommandContext(ctx, filepath.Join(d.bin, "medanchor"), args...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = os.Stdout, os.Stderr, time.Second
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), nil
	}
	return 0, err
}
