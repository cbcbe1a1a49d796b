// Package contract holds the rules of the ledger, as a Hyperledger Fabric chaincode. There is one contract for each
// noun, in a file of its own; the schema that it shares with its clients is package record.
//
// All of it must be deterministic, for every endorsing peer has to compute the same writes: time is the transaction's
// timestamp, there is no randomness, no goroutine, and no walk over a map. Transactions that write read single keys
// only, never ranges, so that concurrent ones conflict only over the same keys.
package contract
