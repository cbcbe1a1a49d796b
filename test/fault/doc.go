// Package fault does to a hospital's daemon what a hospital's machine room does, over and over, while files come in by both doors,
// and then judges what became of each file: from the generator's manifest, from the senders' answers, from the other hospital's
// copy of the ledger, and from the plaintext that the vault gives back. Nothing acknowledged may be lost, nothing may appear
// twice, and the daemon must say what is wrong, and recover when it ends.
//
// The daemon under test is this package's own test program, started again with [daemonEnv]: package appliance as
// cmd/medanchor runs it, with a hook at each step of an item. What happens to it:
//
//   - SIGKILL to its whole process group, at each step that package document registers, some time after it, or at any time; and
//     before any call that changes what is on disk.
//   - Errors of the disk. Each of the daemon's disk calls passes a gate, which answers one of them with ENOSPC, EIO or EROFS, or
//     all from one on: while files come in, while it starts, while it stops.
//   - A real disk that is at its reserve, full, or read-only, or whose power is cut: what was not made durable is gone then.
//   - Its clock set back and forth, more changes in its folders than the kernel keeps for it, its spool gone.
//
// What is tried, by environment variables:
//
//	MEDANCHOR_FAULT_KILLS       how many kills; two for each step where it is not set, 200 by make fault
//	MEDANCHOR_FAULT_CUTS        how many power cuts; one for each step where it is not set
//	MEDANCHOR_FAULT_EVERY_CALL  if set, each disk call fails, with one error or each; else one in each few kinds of call
//	MEDANCHOR_FAULT_SEED        which files, and which kills in which order; 1 where it is not set
//
// Disks want root, and objects are sent by dcmtk's storescu: tests that need what is not there are skipped.
//
// A failure names the seed, the round and the kill.
package fault
