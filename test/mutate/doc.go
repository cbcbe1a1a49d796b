// Package mutate breaks DICOM and PDF files on purpose, to see what reads them survive it: bytes changed at random, files
// that end anywhere in their header, sequences in sequences, lengths that cannot be, and small files that become large ones
// when they are unpacked. The files are made here, of nobody, and the same seed gives the same files.
package mutate
