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
	batchRecords  = 500    // of the batches whose records have other numbers of documents
	batchesAtOnce = 8      // by 500; smaller batches go in greater numbers
	inBatches     = 10_000 // records of a run of batches; smaller batches take fewer
	singles       = 2_500
	singlesAtOnce = 450 // 300 to 450 beat 100 by about a third; a gateway takes 500
	documents     = 2   // of each record
)

// anchoring compares batches with one transaction for each record, which is how most systems of this kind write.
func anchoring() comparison {
	const baseline = "ledger.single"
	return comparison{
		unit: "records/s",
		pairs: [][2]string{
			{"ledger.batch.1", baseline},
			{"ledger.batch.10", baseline},
			{"ledger.batch.100", baseline},
			{"ledger.batch.500", baseline},
			{"ledger.batch.1000", baseline},
			{"ledger.batch.500.documents-1", baseline},
			{"ledger.batch.10.documents-500", baseline},
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
			run := func(name string, transactions, records, documents, atOnce int) contender {
				return anchorer(client, member.MSPID, work{name, transactions, records, documents, atOnce})
			}
			return []contender{
				run(baseline, singles, 1, documents, singlesAtOnce),
				run("ledger.batch.1", singles, 1, documents, batchesAtOnce*8),
				run("ledger.batch.10", inBatches/20, 10, documents, batchesAtOnce*8),
				run("ledger.batch.100", inBatches/100, 100, documents, batchesAtOnce*4),
				run("ledger.batch.500", inBatches/500, 500, documents, batchesAtOnce),
				run("ledger.batch.1000", inBatches/1000, 1000, documents, batchesAtOnce/2),
				run("ledger.batch.500.documents-1", inBatches/batchRecords, batchRecords, 1, batchesAtOnce),
				run("ledger.batch.10.documents-500", 10, 10, 500, batchesAtOnce/2),
			}, client.Close, nil
		},
	}
}

// work is what a contender does in one run.
type work struct {
	name                                     string
	transactions, records, documents, atOnce int // records of each transaction, documents of each record
}

// anchorer anchors records of the member's patients.
func anchorer(client *ledger.Client, mspID string, w work) contender {
	return func(ctx context.Context, _ int) (map[string]float64, error) {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(w.atOnce)
		began := time.Now()
		for range w.transactions {
			group.Go(func() error {
				_, err := client.Anchor(ctx, randomBatch(mspID, w.records, w.documents))
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		return map[string]float64{w.name: float64(w.transactions*w.records) / time.Since(began).Seconds()}, nil
	}
}

// randomBatch is a batch of new records: tags and CIDs of real documents look as random.
func randomBatch(mspID string, records, documents int) record.Batch {
	var b record.Batch
	for range records {
		var random [10]byte
		rand.Read(random[:]) // never fails (crypto/rand)
		v := record.Version{Patient: record.NewReference(mspID, random), Kind: record.KindLabResult}
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
