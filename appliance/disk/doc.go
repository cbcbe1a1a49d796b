// Package disk keeps a reserve of free space on the file system of the data folder. Below it intake takes nothing more, so
// that what was acknowledged can always be stored and anchored, and the operating system has room to work in; it resumes by
// itself once there is some more room than the reserve.
//
// Counted as taken is also what is owed to the disk: what state.db may grow by, and what waits in the spool and is to be
// written once more, into the vault.
package disk
