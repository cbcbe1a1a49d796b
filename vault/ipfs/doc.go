// Package ipfs stores and pins payloads in an embedded Kubo node that belongs to a private swarm. It is the only
// package that sees Kubo.
//
// A payload is an opaque, unique stream of bytes (a sealed file): of up to 1 MiB it is one raw block, a larger one is a
// balanced UnixFS file of raw 1 MiB leaves with at most 174 links a node. Its CID is the one that
// "ipfs add --cid-version=1 --raw-leaves --chunker=size-1048576" gives. Payloads are imported one by one, then stored
// in groups: a group's root is a dag-pb node that links its payloads, and carries the group's one recursive pin, so
// that "ipfs repo gc" on the repository deletes nothing that is stored.
//
// Get reads a payload that is stored here. Fetch reads one that another hospital holds, through bitswap and past the
// repository, and Repair replaces damaged blocks by another hospital's: both are told by the ledger which sources there
// may be. A source is trusted with nothing: its blocks are checked against their CIDs, and it is left when it keeps one
// waiting. A courier does that for one reader, a supplier is a source's peer as the courier sees it, and a tap tells
// couriers what bitswap hears.
//
// The blocks are files (flatfs, synced), everything else is in leveldb. Blocks hold ciphertext only; which patient or
// file they belong to is known elsewhere.
package ipfs
