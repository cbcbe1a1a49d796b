// Package state keeps state.db: everything that must be true together about the items of this hospital, in one bbolt
// file, one transaction a commit. An item, its sealed key header, its document's tag, its source claim and its place in
// the outbox appear in the same transaction; so do a receipt and the outbox entry that it settles.
//
// Nothing personal stands in the file in clear. Items, patients, headers and secrets are sealed (Sealer); what is in clear is counts,
// states and names without meaning (docs/vault-format.md, "What is in clear"). Keys are item IDs and sequence numbers, public on
// the ledger (tags, CIDs) or keyed hashes (claims, patients, contents, instances).
package state
