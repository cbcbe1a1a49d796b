// Package e2e holds tests of the whole: real daemons of two hospitals, on a real Fabric network, judged by what the
// generator of their files says, what the other hospital's peer says, and the bytes that are read back.
package e2e
