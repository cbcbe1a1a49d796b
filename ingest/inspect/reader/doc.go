// Package reader reads the metadata of DICOM, PDF and text files. It runs in the sandboxed child only.
//
// A DICOM file is read twice. Our header scanner (scan.go) walks its elements (PS3.5 §7, PS3.10 §7): it finds where the
// dataset begins, whether the file is whole, and the few values that matter; it is small, bounded and never panics. The
// library suyashkumar/dicom then reads the same values by its own understanding. Where the library fails, the scanner's
// values stand; where the two differ on who the patient is or which object it is, the file is not understood: the wrong
// patient is worse than an hour in quarantine. PDFs are read by pdfcpu.
package reader
