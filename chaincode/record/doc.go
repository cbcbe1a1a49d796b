// Package record is the ledger's schema: what the chaincode stores and what its clients send, shared by both and
// built on the standard library only.
//
// A Document is one file's content in one patient's history, named by a Tag that only the holders of the patient's
// secret can compute. A record is what a patient or doctor would call one entry of the history (an imaging study, a
// prescription); it groups documents and grows by explicit, immutable Versions, each of which adds documents and is named
// by the first of them. None is ever rewritten; only of an erased document its value gives way to a Tombstone. An
// Anchoring says which transaction brought a document or version, from which member, and when.
package record
