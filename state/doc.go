// Package state keeps state.db: everything that must be true together about the items of this hospital, in one bbolt
// file, one transaction a commit. An item, its sealed key header, its document's tag, its source claim and its place in
// the outbox appear in the same transaction; so do a receipt and the outbox entry that it settles.
//
// Nothing readable stands in the file. Values are sealed (Sealer); keys are random (item IDs, sequence numbers),
// public on the ledger (tags, CIDs) or keyed hashes (claims, patients, contents, instances).
package state
