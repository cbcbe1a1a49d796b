package main

import (
	"context"
	"crypto/rand"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/test/hospital"
)

// The work of one run, for each contender enough of it to take seconds.
const (
	batchRecords  = 500
	batches       = 20
	batchesAtOnce = 8
	singles       = 2_500
	singlesAtOnce = 450 // 300 to 450 beat 100 by about a third; a gateway takes 500
	documents     = 2   // of each record
)

// anchoring compares batches with one transaction for each record, which is how most systems of this kind write.
func anchoring() comparison {
	return comparison{
		unit:  "records/s",
		pairs: [][2]string{{"ledger.batch", "ledger.single"}},
		open: func(ctx context.Context, b *bench, _ string) ([]contender, func() error, error) {
			network, err := b.fabric(ctx)
			if err != nil {
				return nil, nil, err
			}
			client, err := hospital.Connect(ctx, network, network.Members[0])
			if err != nil {
				return nil, nil, err
			}
			return []contender{
				anchorer(client, "ledger.batch", batches, batchRecords, batchesAtOnce),
				anchorer(client, "ledger.single", singles, 1, singlesAtOnce),
			}, client.Close, nil
		},
	}
}

// anchorer anchors transactions of so many records each, so many at once.
func anchorer(client *ledger.Client, name string, transactions, records, atOnce int) contender {
	return func(ctx context.Context, _ int) (map[string]float64, error) {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(atOnce)
		began := time.Now()
		for range transactions {
			group.Go(func() error {
				_, err := client.Anchor(ctx, randomBatch(records))
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		return map[string]float64{name: float64(transactions*records) / time.Since(began).Seconds()}, nil
	}
}

// randomBatch is a batch of new records: tags and CIDs of real documents look as random.
func randomBatch(records int) record.Batch {
	var b record.Batch
	for range records {
		v := record.Version{Number: 1, Kind: record.KindLabResult}
		rand.Read(v.Patient[:]) // never fails (crypto/rand)
		rand.Read(v.Record[:])
		for range documents {
			d := record.Document{CID: record.CID{0x55}}
			rand.Read(d.Tag[:])
			rand.Read(d.CID[1:])
			v.Documents = append(v.Documents, d)
		}
		b.Versions = append(b.Versions, v)
	}
	return b
}
