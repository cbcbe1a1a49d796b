// Package contract holds tests of the contract on a real Fabric network, with people who enrolled at two or three
// hospitals' CAs. The rules themselves are tested beside them, in chaincode/contract, against a stub of the ledger. What a
// stub cannot show is shown here:
//
//   - each flow works with real certificates, endorsed by all hospitals' peers;
//   - a hospital whose CA, peer and staff help it cannot give itself another's records (Hospital B helps itself);
//   - every function computes the same writes on each peer (determinism);
//   - many clients at once come to the state that they should (concurrency);
//   - with three hospitals one may fail, or be hostile, and transactions go on.
//
// That no personal data is on any node's disk is shown by test/e2e.
//
// The tests sign by hand what the product's client would not send: see wire_test.go.
package contract
