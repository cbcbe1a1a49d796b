// Package seal encrypts what medanchor keeps, and holds the keys.
//
// A file is sealed in the age v1 format (https://age-encryption.org/v1) to two recipients: the vault identity, which
// the appliance holds, and the recovery identity, which is made and kept away from it. Both are post-quantum hybrids
// (ML-KEM-768 + X25519). The sealed file is kept in two parts: the header, which wraps the file key, and the payload
// (nonce and STREAM chunks), which goes to IPFS. The header followed by the payload is an ordinary age file.
//
// A root secret gives, by HKDF, the keys of everything else: values at rest are sealed under the value key, and
// identifiers that must be searchable are stored as keyed hashes (blind indexes). Headers are sealed under shard keys,
// which are random and live in a file of their own, wrapped under the root secret: destroying a shard key makes old
// copies of a header unreadable wherever they linger (free pages of a database, backups of it).
//
// The root secret and the vault identity stand in one key file, kept away from the data disk and escrowed to the
// recovery identity. The derivation labels and file layouts are a disk format: docs/vault-format.md.
package seal
