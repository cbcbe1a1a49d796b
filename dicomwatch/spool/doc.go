// Package spool is where what comes in over the network waits, sealed, for the pipeline: a C-STORE is answered with success
// once its object is durable here, so that no sender waits for inspection, IPFS or the ledger.
//
// An object is one file in one directory. Its name, a UUIDv7, says when it came, and nothing else; in it stand what is known of
// the object and the file key, sealed under the vault's value key and bound to the name, then the object itself as the payload
// of an age file, then a mark that it was written to its end. A file is made under its own name, written, fsynced, and its
// directory fsynced: then it counts. Whether it is whole shows from the payload itself, of which the last chunk cannot be
// forged.
//
// What a stop cut short is removed at the next start: its sender has no success, and keeps its copy. What was whole once and does
// not open now (another key, a damaged disk) is never removed, but said. The layout is in layout.go.
//
// For the pipeline the spool is a document.Door like a drop folder: objects are offered one by one in the order of their
// arrival, and removed once they are durable in the vault. A failed fsync is fatal: nothing more is acknowledged, Run returns,
// and the process starts afresh with what is on the disk.
package spool
