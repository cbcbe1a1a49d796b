// Package reader reads the metadata of DICOM, PDF and text files. It runs in the sandboxed child only.
//
// A DICOM file is read by our header scanner (scan.go), which walks its elements (PS3.5 §7, PS3.10 §7): it finds where the
// dataset begins, whether the file is whole, where its pixels are, and the few values that matter, which it decodes by the
// character sets of the file (charset.go). It is small, bounded and never panics. The library suyashkumar/dicom then gives a
// second opinion (library.go) on whose the object is and which: where the two differ, the file is not understood, because
// the wrong patient is worse than an hour in quarantine; where the library fails, that is only noted. It has no say in text:
// it does not know the code extensions of the multi-byte character sets.
//
// PDFs are read by pdfcpu, and their words by ledongthuc/pdf, which may fail without harm.
package reader
