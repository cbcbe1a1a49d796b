// Package vault keeps the hospital's files: seal encrypts them and holds the key hierarchy, ipfs stores and pins what
// comes out of it in the embedded Kubo node. The two know nothing of each other: a sealed payload is a stream of bytes
// to ipfs, and the header that opens it never goes near it.
//
// What they leave on disk is written down in docs/vault-format.md.
package vault
