// Package reading serves records to their entitled readers, over HTTP.
//
// A reader is a participant on the ledger. They log in by signing a challenge with the key that is bound to them there; the
// key stays in their own process. To open a record is to begin a reading: the contract decides, the attempt is committed to
// the patient's audit, and is read back from its block, all before the first byte is served. A reading is one record in one
// session, so that a viewer's many requests cost one entry; while it lasts, the right is checked again and again.
//
// What this hospital holds is opened with its vault. What another holds is fetched from it over the private swarm, and
// opened with the file keys that the custodian released: they are sealed to the reader, whose process opens the release and
// hands the keys over for this one reading. They stay in memory, and nothing of the content is stored.
//
// While the ledger is away nothing is decided, so nothing is read; but for an emergency: a record of this hospital opens
// for a doctor of this hospital who signs a statement and gives a reason. Both are durable before the first byte is served,
// and are recorded on the ledger once it is back.
package reading
