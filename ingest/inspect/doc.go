// Package inspect reads the metadata of files in small sandboxed programs, so that no parser of hostile input ever runs
// in the daemon.
//
// A Pool keeps a few children (the program medanchor-inspect). A child reads one file at a time through its parent: it
// opens nothing, asks for byte ranges, and answers with a document.Metadata. The parent believes nothing it says
// without checking it (package wire), and replaces a child that dies, hangs or lies; the file's bytes are never at
// stake. Package reader holds the parsers, package sandbox the limits, package child the child's loop: the daemon links
// none of the three.
package inspect
