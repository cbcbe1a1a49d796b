package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/ledger/sealed"
	"github.com/medanchor/medanchor/reading"
)

// The waits of get.
const (
	askPatience = 8 * time.Second // for each question to the ledger
	keysPoll    = 300 * time.Millisecond
)

const getHelp = `Reads a record under your own identity, wherever it is held: at this hospital, or at another that released its keys to
you. Your right is checked, and the attempt is in the patient's audit, before the first byte comes.

    medanchor get --identity DIR --patient REF --record TAG -o FOLDER
    medanchor get --identity DIR --patient REF --record TAG --document TAG -o FILE

In an emergency, as a doctor: --emergency --reason. The patient sees it, and it is reviewed. While the ledger is away, that is
the only way, and only to records of your own hospital.

    medanchor get ITEM -o FILE

reads what the appliance keeps and the ledger does not have, such as what is quarantined, by the UUID that logs have.`

// getting is what get is asked for.
type getting struct {
	name      record.RecordName
	document  record.Tag
	target    string
	appliance string
	hospital  record.ParticipantID
	wait      time.Duration
	emergency bool
	note      sealed.Note
}

func (c *cli) getCommand() *cobra.Command {
	var g getting
	var dir string
	cmd := &cobra.Command{
		Use: "get [ITEM]", Short: "Read a record, as who you are", Long: getHelp,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return &usageError{fmt.Errorf("one item at a time: see %s --help", cmd.CommandPath())}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return c.getItem(cmd.Context(), args[0], g.target)
			}
			if err := g.validate(dir); err != nil {
				return err
			}
			me, err := connect(cmd.Context(), dir)
			if err != nil {
				return err
			}
			return errors.Join(c.getRecord(cmd.Context(), me, g), me.Close())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&dir, "identity", "", "your identity: the folder that medanchor enroll made")
	textFlag(cmd, &g.name.Patient, "patient", "REF", "the patient's reference")
	textFlag(cmd, &g.name.Record, "record", "TAG", "the record")
	textFlag(cmd, &g.document, "document", "TAG", "one of its documents; none: all")
	flags.StringVarP(&g.target, "output", "o", "",
		"of one document the file to write, which must not exist, default: standard output; of a record the folder")
	flags.StringVar(&g.appliance, "appliance", os.Getenv("MEDANCHOR_APPLIANCE"),
		"URL of the hospital's reading service; default: $MEDANCHOR_APPLIANCE, else as --config says")
	textFlag(cmd, &g.hospital, "hospital", "ID", "the institution whose appliance it is; none: your own")
	flags.DurationVar(&g.wait, "wait", 10*time.Second, "how long to wait for keys that another hospital is releasing")
	flags.BoolVar(&g.emergency, "emergency", false, "read in an emergency, as a doctor")
	noteFlags(cmd, &g.note, "the institution that holds the record")
	return cmd
}

func (g *getting) validate(identity string) error {
	switch {
	case identity == "":
		return &usageError{errors.New("no identity is named: give --identity DIR, the folder that medanchor enroll made")}
	case g.emergency && g.note.Text == "":
		return &usageError{errors.New("no reason is given: say with --reason why the record is needed at once")}
	case g.document.IsZero() && g.target == "":
		return &usageError{errors.New("no folder is named for the record's documents: give -o, or one --document")}
	}
	if err := g.name.Validate(); err != nil {
		return &usageError{fmt.Errorf("%w: give --patient and --record, as record list shows them", err)}
	}
	return nil
}

// getItem reads what only the appliance has.
func (c *cli) getItem(ctx context.Context, id, target string) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	content, err := client.Get(ctx, id)
	if err != nil {
		return err
	}
	defer content.Close()
	return c.write(target, content)
}

// write writes content to a new file, or to standard output.
func (c *cli) write(target string, content io.Reader) error {
	if target == "" {
		_, err := io.Copy(c.out, content)
		return err
	}
	return writeWhole(target, content)
}

// writeWhole writes a new file, or none if the content ends in an error.
func writeWhole(path string, content io.Reader) error {
	f, err := os.OpenFile(filepath.Clean(path), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// got is a document that was read.
type got struct {
	Document record.Tag `json:"document"`
	File     string     `json:"file"`
	Bytes    int64      `json:"bytes"`
}

// getRecord reads a record, or one of its documents.
func (c *cli) getRecord(ctx context.Context, me *person, g getting) error {
	q := reading.OpenRequest{RecordName: g.name}
	if g.emergency {
		var err error
		if q.Emergency, err = me.breakGlass(ctx, g); err != nil {
			return err
		}
	}
	client, err := c.dial(ctx, me, g)
	if err != nil {
		return err
	}
	defer client.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the session ends by itself as well
	opened, err := me.open(ctx, client, q, g)
	if err != nil {
		return err
	}
	if opened.Missing > 0 {
		fmt.Fprintf(c.errOut, "%d more documents of the record cannot be opened: their keys may be on their way, try again\n",
			opened.Missing)
	}
	if !g.document.IsZero() {
		return c.getDocument(ctx, client, g, opened)
	}
	if err := os.MkdirAll(g.target, 0o700); err != nil {
		return err
	}
	var files []got
	for _, d := range opened.Documents {
		file := filepath.Join(g.target, d.Tag.String()+extension(d.Metadata.Format))
		if err := c.fetch(ctx, client, g.name, d, file); err != nil {
			return err
		}
		files = append(files, got{d.Tag, file, d.Size})
	}
	return c.print(files, func() error {
		rows := make([]string, 0, len(files))
		for _, f := range files {
			rows = append(rows, fmt.Sprintf("%s\t%d\t%s", f.Document, f.Bytes, f.File))
		}
		return table(c.out, "DOCUMENT\tBYTES\tFILE", rows)
	})
}

func (c *cli) getDocument(ctx context.Context, client *reading.Client, g getting, opened reading.Opened) error {
	for _, d := range opened.Documents {
		if d.Tag == g.document {
			return c.fetch(ctx, client, g.name, d, g.target)
		}
	}
	return fmt.Errorf("%w: the record has no such document for you: see medanchor record list", reading.ErrNotFound)
}

// fetch reads one document, and checks that it is what its custodian describes.
func (c *cli) fetch(ctx context.Context, client *reading.Client, name record.RecordName, d reading.DocumentInfo, target string,
) error {
	content, err := client.Document(ctx, name, d.Tag, 0)
	if err != nil {
		return err
	}
	defer content.Close()
	return c.write(target, &described{content: content, of: d.Description, hash: sha256.New()})
}

// described reads a document, and fails at its end if it is not the one that is described: the digest counts from the
// dataset on.
type described struct {
	content io.Reader
	of      document.Description
	hash    hash.Hash
	read    int64
}

var errOther = errors.New("what was read is not the document: its digest is another")

// Read implements io.Reader.
func (d *described) Read(p []byte) (int, error) {
	n, err := d.content.Read(p)
	d.hash.Write(p[min(max(d.of.Metadata.DatasetOffset-d.read, 0), int64(n)):n])
	d.read += int64(n)
	if errors.Is(err, io.EOF) && (d.read != d.of.Size || document.Digest(d.hash.Sum(nil)) != d.of.Digest) {
		return n, errOther
	}
	return n, err
}

// extension is what a file of a format is usually called.
func extension(f document.Format) string {
	switch f {
	case document.FormatDICOM:
		return ".dcm"
	case document.FormatPDF:
		return ".pdf"
	case document.FormatText:
		return ".txt"
	case document.FormatUnknown:
	}
	return ".bin"
}

// dial logs in at the appliance.
func (c *cli) dial(ctx context.Context, me *person, g getting) (*reading.Client, error) {
	url := g.appliance
	if url == "" {
		config, err := c.config()
		if err != nil {
			return nil, &usageError{fmt.Errorf("%w; or give --appliance URL", err)}
		}
		url = "http://" + config.Reading.Listen
		if config.Reading.TLS() {
			url = "https://" + config.Reading.Listen
		}
	}
	roots, err := me.roots()
	if err != nil {
		return nil, err
	}
	hospital := g.hospital
	if hospital.IsZero() {
		hospital = me.wallet.Participant
	}
	client, err := reading.Dial(ctx, reading.DialOptions{
		URL: url, Roots: roots, Institution: hospital.Institution(), Channel: me.wallet.Channel, ID: me.wallet.Participant,
		Reader: me.wallet,
	})
	if failed, ok := errors.AsType[*net.OpError](err); ok && failed.Op == "dial" {
		err = fmt.Errorf("%w (%w)", control.ErrNotRunning, err)
	}
	return client, err
}

// roots are the certificates that this machine trusts, and those that the hospital gave with the enrolment.
func (me *person) roots() (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	der, err := me.wallet.TLSRoots()
	if err != nil {
		return nil, err
	}
	certificates, err := x509.ParseCertificates(der)
	if err != nil {
		return nil, err
	}
	for _, certificate := range certificates {
		pool.AddCert(certificate)
	}
	return pool, nil
}

// open opens a record, with the keys that were released to the reader. It waits for keys that are on their way.
func (me *person) open(ctx context.Context, client *reading.Client, q reading.OpenRequest, g getting) (reading.Opened, error) {
	deadline := time.Now().Add(g.wait)
	for {
		var err error
		if q.Keys, err = me.released(ctx, g.name); err != nil {
			return reading.Opened{}, err
		}
		opened, err := client.Open(ctx, q)
		if !errors.Is(err, reading.ErrUnavailable) || time.Now().After(deadline) {
			return opened, err
		}
		select {
		case <-ctx.Done():
			return opened, ctx.Err()
		case <-time.After(keysPoll):
		}
	}
}

// released opens what custodians released to the reader of a record. None if the ledger is away: the appliance says what
// that means.
func (me *person) released(ctx context.Context, name record.RecordName) (keys []reading.ReleasedKey, err error) {
	bounded, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	found, err := me.wallet.Released(bounded, me.Client, name)
	if ledger.Retryable(err) {
		return nil, nil
	}
	for _, k := range found {
		keys = append(keys, reading.NewReleasedKey(k.Institution, k.Tag, k.CID, k.FileKey, k.Metadata))
	}
	return keys, err
}

// breakGlass breaks the glass on the ledger; where that is away, it gives the statement by which the appliance opens a
// record of this hospital.
func (me *person) breakGlass(ctx context.Context, g getting) (*document.Emergency, error) {
	bounded, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	notes, err := me.emergencyNotes(bounded, g.name.Patient, g.note)
	if err == nil {
		q := record.Emergency{Patient: g.name.Patient, Scope: record.Scope{Records: []record.Tag{g.name.Record}}}
		_, err = me.Act(bounded, record.BreakGlassFunction, q, nil, notes...)
	}
	refused, isRefusal := errors.AsType[*record.Error](err)
	switch {
	case err == nil, isRefusal && refused.Code == record.Exists:
		return nil, nil
	case !ledger.Retryable(err):
		return nil, err
	}
	return me.stateEmergency(g)
}

// stateEmergency signs what the ledger will be told once it is back.
func (me *person) stateEmergency(g getting) (*document.Emergency, error) {
	reason := sha256.Sum256([]byte(g.note.Text))
	var id record.ID
	rand.Read(id[:]) // never fails (crypto/rand)
	e := &document.Emergency{
		EmergencyStatement: record.EmergencyStatement{
			Patient: g.name.Patient, Participant: me.wallet.Participant, Record: g.name.Record, ID: id,
			Time: time.Now().UTC().Truncate(time.Second), Reason: reason[:],
		},
		Text: g.note.Text, Name: g.note.Name,
	}
	var err error
	e.Signature, err = me.wallet.Sign(e.Message())
	return e, err
}
