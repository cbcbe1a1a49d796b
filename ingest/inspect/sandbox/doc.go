// Package sandbox confines the calling process: resource limits, no new privileges, and an allow-list of system calls
// that leaves reading and writing open files, memory, threads and time. A confined process opens no file or socket,
// starts no program, and sends no signal to another process.
package sandbox
