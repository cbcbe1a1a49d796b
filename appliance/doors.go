package appliance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"time"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/appliance/disk"
	"github.com/medanchor/medanchor/dicomwatch/folder"
	"github.com/medanchor/medanchor/dicomwatch/scp"
	"github.com/medanchor/medanchor/dicomwatch/spool"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/vault/seal"
)

// networkDoor is the door of what comes by C-STORE.
const networkDoor = "c-store"

// databaseGrowth is what the databases may take at any time, in bytes: bbolt makes a file longer by 16 MiB at once, twice in one
// transaction that copies what it changes.
const databaseGrowth = 64 << 20

// openGuard makes what watches the reserve of the disk.
func (a *App) openGuard() {
	c := a.config.Reserve
	a.guard = disk.New(disk.Options{
		Path: a.config.Data, ReserveBytes: int64(c.Bytes), ReservePercent: c.Percent, InodePercent: c.InodesPercent,
		Growth: func() int64 { return databaseGrowth }, Pending: a.spooled, Log: a.log,
	})
}

// spooled is what waits in the spool, in bytes.
func (a *App) spooled() int64 {
	if a.spool == nil {
		return 0
	}
	_, bytes := a.spool.Waiting()
	return bytes
}

// openDoors opens the drop folders, the spool and, where one is configured, the DICOM receiver. The spool is opened without a
// receiver too: something may wait in it.
func (a *App) openDoors(trace func(document.Step)) (err error) {
	a.openGuard()
	for _, f := range a.config.Folders {
		if err := a.openFolder(f, trace); err != nil {
			return err
		}
	}
	a.spool, err = spool.New(spool.Options{
		Name: networkDoor, Path: filepath.Join(a.config.Data, spoolDir), Sealer: a.vault, Cipher: cipher{}, Log: a.log,
		Room: a.guard.Room, Trace: trace,
	}, a.pipeline)
	if err != nil {
		return err
	}
	a.open.push(spoolDir, a.spool.Close)
	if !a.config.DICOM.On() {
		return nil
	}
	options, err := receiverOptions(a.config.DICOM)
	if err != nil {
		return err
	}
	if options.TLS, err = a.certificates.readDICOM(a.config.DICOM.TLS); err != nil {
		return err
	}
	if err := a.certificates.dicomTrouble(time.Now()); err != nil {
		a.log.Error("no device gets through with TLS", "err", err) // other doors are open
	}
	options.Spool, options.Log, options.Trace = a.spool, a.log, trace
	a.receiver, err = scp.New(options)
	return err
}

func (a *App) openFolder(c FolderConfig, trace func(document.Step)) error {
	options := folder.Options{
		Name: c.Name, Path: c.Path, Disposal: c.Afterwards, Quiet: c.Quiet, Patience: c.Patience, Rescan: c.Rescan,
		Ready: c.Ready, Accepts: c.Accepts, Kind: c.Kind, Department: c.Department, Patient: c.Patient.rule().IssuedBy(c.Patient.Issuer),
		Issuer: c.Issuer, Room: func() error { return a.guard.Room(0) }, Trace: trace, Log: a.log,
	}
	f, err := folder.New(options, a.pipeline)
	if err != nil {
		return err
	}
	a.folders = append(a.folders, f)
	a.open.push("folder "+c.Name, f.Close)
	return nil
}

// rule is how a folder tells whose its files are. The configuration was checked.
func (c PatientRuleConfig) rule() folder.PatientRule {
	switch c.By {
	case ByFolder:
		return folder.ByFolder()
	case ByPattern:
		return folder.ByPattern(regexp.MustCompile(c.Pattern))
	case BySidecar:
		return folder.BySidecar()
	default:
		return folder.PatientRule{}
	}
}

// receiverOptions are what the configuration says of the receiver.
func receiverOptions(c DICOMConfig) (o scp.Options, err error) {
	o = scp.Options{AETitle: c.AETitle, Open: c.Open, Limits: c.limits()}
	for _, s := range c.Senders {
		networks, err := s.networks()
		if err != nil {
			return o, err
		}
		o.Senders = append(o.Senders, scp.Sender{
			AETitle: s.AETitle, Networks: networks, Called: s.Called, Department: s.Department, Issuer: s.Issuer,
		})
	}
	return o, nil
}

// association is a listener of the DICOM receiver, and what serves it.
type association struct {
	net.Listener
	serve func(context.Context, net.Listener) error
}

// listenForSenders opens the listeners of the DICOM receiver, if there is one.
func (a *App) listenForSenders(ctx context.Context) (listeners []association, err error) {
	if a.receiver == nil {
		return nil, nil
	}
	c := a.config.DICOM
	for _, l := range []struct {
		key, address string
		at           *string
		serve        func(context.Context, net.Listener) error
	}{
		{"dicom.listen", c.Listen, &a.receivesAt, a.receiver.Serve},
		{"dicom.tls.listen", c.TLS.Listen, &a.receivesTLSAt, a.receiver.ServeTLS},
	} {
		if l.address == "" {
			continue
		}
		var config net.ListenConfig
		listener, err := config.Listen(ctx, "tcp", l.address)
		if err != nil {
			for _, opened := range listeners {
				err = errors.Join(err, opened.Close())
			}
			return nil, fmt.Errorf("listen for DICOM: %w: change %s in the configuration", err, l.key)
		}
		*l.at = listener.Addr().String()
		listeners = append(listeners, association{listener, l.serve})
	}
	a.log.Info("DICOM receiver", "ae_title", c.AETitle, "address", a.receivesAt, "tls_address", a.receivesTLSAt)
	if c.Open {
		a.log.Warn("the DICOM receiver is open: whoever reaches it may send")
	}
	return listeners, nil
}

// cipher encrypts for the spool.
type cipher struct{}

// NewFile implements spool.Cipher.
func (cipher) NewFile(dst io.Writer) (key [16]byte, file io.WriteCloser, err error) {
	return seal.NewFile(dst)
}

// OpenAt implements spool.Cipher.
func (cipher) OpenAt(key [16]byte, payload io.ReaderAt, size int64) (io.ReaderAt, int64, error) {
	return seal.OpenAt(key, payload, size)
}

// checkReceiver reads what the receiver needs.
func checkReceiver(c DICOMConfig) error {
	if !c.On() {
		return nil
	}
	_, err := receiverOptions(c)
	var read certificates
	_, errTLS := read.readDICOM(c.TLS)
	return errors.Join(err, errTLS, read.dicomTrouble(time.Now()))
}

// folderTrouble is why all files of a drop folder wait, by its name; folders that are well are not in it.
func (a *App) folderTrouble() map[string]string {
	trouble := make(map[string]string)
	for _, f := range a.folders {
		if err := f.Err(); err != nil {
			trouble[f.Name] = err.Error()
		}
	}
	return trouble
}

// networkTrouble is what keeps objects from the network from being taken in.
func (a *App) networkTrouble() error {
	return errors.Join(a.spool.Err(), a.certificates.dicomTrouble(time.Now()))
}

// dicomStatus is the receiver at a glance.
func (a *App) dicomStatus() (s control.DICOM) {
	s.Spooled, s.SpooledBytes = a.spool.Waiting()
	if err := a.spool.Err(); err != nil {
		s.Trouble = err.Error()
	}
	if a.receiver == nil {
		return s
	}
	stats := a.receiver.Stats()
	s.Address, s.TLSAddress, s.AETitle = a.receivesAt, a.receivesTLSAt, a.config.DICOM.AETitle
	s.Certificate = certificateStatus(a.certificates.dicom, a.certificates.dicomTrouble(time.Now()))
	s.Associations, s.Stored = stats.Associations, stats.Stored
	for _, n := range stats.Refused {
		s.Refused += n
	}
	for _, n := range stats.Rejected {
		s.Rejected += n
	}
	return s
}
