// Package fault kills a hospital's daemon with SIGKILL, over and over, while files come in, and then judges what became
// of each file: from the generator's manifest, from the other hospital's copy of the ledger, and from the plaintext that
// the vault gives back.
//
// The daemon under test is this package's own test program, started again with [daemonEnv]: package appliance as
// cmd/medanchor runs it, with a hook at each step of an item. A kill is named by the step at which it falls: the hook
// sends SIGKILL to the daemon's whole process group, the inspectors included, before the step's goroutine goes on. Others
// fall some time after a step, or at any time, the start included.
//
//	MEDANCHOR_FAULT_KILLS  how many kills, from 20 on; 20 where it is not set, 200 by make fault
//	MEDANCHOR_FAULT_SEED   which files, and which kills in which order; 1 where it is not set
//
// A failure names the seed, the round and the kill.
package fault
