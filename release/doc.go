// Package release gives the keys of this hospital's documents to whom the ledger entitles to them, and takes them back.
//
// A hospital's appliance is the custodian of what it holds. Once a grant, referral or use of break-glass is committed on the
// channel, the custodian seals the file keys and metadata of the documents in its scope to the reader's registered key,
// and puts them into the members' private collection. Documents that join the scope later are released too. When the right
// ends (revoked, withdrawn, expired, the reader suspended, their key replaced) the release is ended: taken from the ledger,
// and purged.
//
// The Releaser compares what should be with what is, for one patient at a time, and acts on the difference. Both stand on the
// ledger: a crash, a duplicate or a lost answer changes nothing but the time. It trusts its index to find what to look
// at; whether somebody has a right is asked of the contract, which decides again when the release is endorsed.
package release
