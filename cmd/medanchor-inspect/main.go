// Command medanchor-inspect reads the metadata of one file at a time for the medanchor daemon, which starts it and talks
// to it over stdin and stdout. It confines itself before it reads anything and is of no use by hand.
package main

import (
	"fmt"
	"os"

	"github.com/medanchor/medanchor/ingest/inspect/child"
)

func main() {
	if err := child.Run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "medanchor-inspect:", err)
		os.Exit(1)
	}
}
