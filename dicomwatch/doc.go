// Package dicomwatch holds the doors through which files come in: folder, the watched drop folders, and scp, the DICOM network
// receiver, whose objects wait in spool. Doors know nothing of what happens behind them; they hand over deliveries and hear of
// each by an acknowledgement or a release.
package dicomwatch

import (
	"context"
	"io"
)

// Object is what is known of an object that comes over the network, before its dataset.
type Object struct {
	Calling string // AE title of the sender
	Called  string // AE title that it asked for
	Address string // the sender's IP address

	SOPClassUID       string // affected SOP class of the C-STORE request
	InstanceUID       string // affected SOP instance
	TransferSyntaxUID string // of the presentation context: how the dataset is encoded

	Department string // of the sender, by the configuration
	Issuer     string // of identifiers that name none, by the configuration
}

// Incoming is an object on its way in: its bytes are written as a file of PS3.10, from the preamble on, once.
type Incoming interface {
	io.Writer
	// Commit makes it durable: its sender may be told so. document.ErrNoRoom if the disk is at its reserve.
	Commit(ctx context.Context) error
	// Discard gives it up; after Commit it does nothing.
	Discard() error
}
