// Package synth makes the files of made-up hospitals, for the demo, tests and benchmarks. Nobody in them exists: names
// are put together from syllables, NHS numbers are from the 999 range (kept for tests, never issued), UIDs are under
// 2.25, pixels are noise. What it makes is under the project's own licence, Apache-2.0.
//
// The same Options give the same bytes. Generate writes a tree for each hospital,
//
//	<dir>/<hospital>/dicom/<study>/<instance>.dcm
//	<dir>/<hospital>/documents/<NHS number>/letter-3.pdf
//
// and returns a Manifest: what each file is, what must become of it (Outcome), and every personal value that was used,
// so that a test can search for them where they must not be.
package synth
