package main

import (
	"context"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/test/hospital"
)

// The work of one run: enough that what LevelDB holds back, up to 4 MiB a database, counts for little.
const (
	sizedRecords = 20_000
	sizedSingles = 1_000
)

// ledgerSize measures what a record of two documents takes on a peer's disk, in batches and alone.
func ledgerSize() comparison {
	return comparison{
		unit: "bytes/record",
		pairs: [][2]string{
			{"ledger.bytes-per-record", "ledger.bytes-per-single"},
			// LevelDB compacts when it likes, so the databases are measured over many records only.
			{"ledger.bytes-per-record.state", "ledger.bytes-per-record"},
			{"ledger.bytes-per-record.history", "ledger.bytes-per-record"},
		},
		open: func(ctx context.Context, b *bench, _ string) ([]contender, func() error, error) {
			network, err := b.fabric(ctx)
			if err != nil {
				return nil, nil, err
			}
			member := network.Members[0]
			client, err := hospital.Connect(ctx, network, member)
			if err != nil {
				return nil, nil, err
			}
			sized := func(name string, transactions, records, atOnce int) contender {
				return func(ctx context.Context, _ int) (map[string]float64, error) {
					return growth(member, name, transactions*records, func() error {
						group, ctx := errgroup.WithContext(ctx)
						group.SetLimit(atOnce)
						for range transactions {
							group.Go(func() error {
								_, err := client.Anchor(ctx, randomBatch(member.MSPID, records, documents))
								return err
							})
						}
						return group.Wait()
					})
				}
			}
			return []contender{
				sized("ledger.bytes-per-record", sizedRecords/batchRecords, batchRecords, batchesAtOnce),
				sized("ledger.bytes-per-single", sizedSingles, 1, singlesAtOnce),
			}, client.Close, nil
		},
	}
}

// growth runs the work and gives by how much the member's peer grew for each of the records: its block files, the orderers'
// write-ahead logs apart; and its databases of state and history.
func growth(member *devnet.Member, name string, records int, work func() error) (map[string]float64, error) {
	parts := map[string]string{name: "chains", name + ".state": "stateLeveldb", name + ".history": "historyLeveldb"}
	before, err := sizes(member, parts)
	if err != nil {
		return nil, err
	}
	if err := work(); err != nil {
		return nil, err
	}
	after, err := sizes(member, parts)
	if err != nil {
		return nil, err
	}
	figures := make(map[string]float64)
	for part := range parts {
		figures[part] = float64(after[part]-before[part]) / float64(records)
	}
	return figures, nil
}

// sizes are the bytes in folders of the member's peer.
func sizes(member *devnet.Member, parts map[string]string) (map[string]int64, error) {
	total := make(map[string]int64)
	for part, folder := range parts {
		root := filepath.Join(member.Peer.Dir, "ledger", "ledgersData", folder)
		err := filepath.WalkDir(root, func(_ string, entry fs.DirEntry, err error) error {
			// The index of the blocks stands beside them; LevelDB removes files as it goes.
			if err != nil || entry.IsDir() || folder == "chains" && !strings.HasPrefix(entry.Name(), "blockfile_") {
				return err
			}
			info, err := entry.Info()
			if err == nil {
				total[part] += info.Size()
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return total, nil
}
