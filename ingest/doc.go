// Package ingest takes one item through the pipeline: from a delivery at a door to a record on the ledger.
//
//	received → inspected → sealed → stored → queued → submitted → anchored
//
// A Pipeline does the first half, up to queued. Its workers read each file once, in which it is digested, encrypted and
// chunked. A group commit then makes many files durable together: their blocks, the pin that holds them, and one
// transaction of state.db. Only then is the source acknowledged. Up to two groups store their blocks at once; they are
// committed in order, so that a duplicate is never acknowledged before the first of its kind.
//
// An Anchorer does the second half: it takes the outbox in order, a batch at a time, to the ledger, for as long as it
// takes. It runs apart from the Pipeline, so that intake goes on while the ledger is away.
//
// A crash at any point loses nothing and repeats nothing: before queued the source still holds the bytes and what was
// stored is swept as an orphan; after it the outbox holds the item until a receipt settles it; a batch that is sent
// twice is deduplicated by tag on the ledger.
package ingest
