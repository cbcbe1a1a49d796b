// Package ledger is the client of the Fabric channel, through the gateway of the hospital's own peer.
//
// A batch is anchored in phases (those of fabric-gateway): Prepare has the members' peers endorse it, after which its
// transaction ID and its outcomes are known; Submit sends it to the orderer and waits until the peer has committed it.
// Between the two the caller can journal the ID. After a failed Submit it may be unknown whether the transaction was
// committed: submitting the same documents again is always safe, for the contract leaves alone what is there.
//
// Blocks streams what the chaincode wrote, block by block. No call outlasts Options.Timeout by itself; a stream that has
// fallen silent because the peer froze ends after at most 70 seconds.
package ledger
