// Package dcmtk runs the programs of dcmtk, as Debian packages it, as real peers for tests and benchmarks: senders
// (storescu, dcmsend, echoscu), a receiver to compare with (storescp), and a reader (dcmdump). It knows nothing of medanchor.
package dcmtk
