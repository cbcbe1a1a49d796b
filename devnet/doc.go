// Package devnet runs a real Hyperledger Fabric network on this machine, for the demo, the tests and the benchmarks.
//
// A network is a consortium of hospitals on loopback. Each hospital is a [Member]: an organisation with a certificate
// authority (Fabric CA), a peer, and the project's chaincode as a service of its own. One more organisation, which no
// hospital owns, runs the [Orderer] (Raft). All of them are Fabric's own programs, pinned in devnet/tools and built by
// [Build]; nothing is simulated: identities are enrolled from the CAs, everything speaks TLS, and the chaincode is
// installed, approved by each member and committed under the majority policy.
//
// [Start] makes a network that lives as long as its owner: it ends with [Network.Close], and also when the owner dies by
// SIGKILL. [Attach] gives another process the same network, whose nodes it may stop, freeze and start as well. Everything
// stands in one folder, and nothing is written outside it; docs/devnet.md shows its layout, and the reason of every setting
// that differs from Fabric's own.
//
// The words are Fabric's: organisation, MSP, peer, orderer, channel, chaincode, enrolment. A *node* is one process.
package devnet
