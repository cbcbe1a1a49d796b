package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ledger/wallet"
)

const trayHelp = `What waits for a person is in one of three trays, with its bytes, sealed:

  unassigned  whose it is cannot be told: assign it
  conflict    it contradicts another document, or the ledger: compare; what is anchored is released, what is not discarded
  quarantine  it cannot be understood, or not be anchored as it is: retry, release, assign or discard it

These commands are run on the appliance, as its user or root. To assign, release and discard are decisions of the hospital's
staff or of the institution itself, each under their own identity, which root on the appliance could copy while it is there: use
one for the trays alone, on a medium that leaves with its owner. The ledger may be away meanwhile.`

func (c *cli) trayCommand() *cobra.Command {
	cmd := group("tray", "Look through what waits for a person, and decide on it",
		c.trayList(), c.trayShow(), c.trayRetry(), c.trayAssign(), c.trayRelease(), c.trayDiscard())
	cmd.Long = trayHelp
	return cmd
}

// trayFlags adds --tray and --reason.
func trayFlags(cmd *cobra.Command, q *control.TrayQuery) {
	cmd.Flags().StringVar((*string)(&q.Tray), "tray", "", "unassigned, conflict or quarantine; none: all")
	cmd.Flags().StringVar((*string)(&q.Reason), "reason", "", "what waits for this reason; none: all")
	before(cmd, func(context.Context) error {
		if q.Tray != "" && !slices.Contains(document.Trays(), q.Tray) {
			return &usageError{fmt.Errorf("there is no tray %q: name one of %s", q.Tray, joined(document.Trays()))}
		}
		if q.Reason != "" && !slices.Contains(document.Reasons(), q.Reason) {
			return &usageError{fmt.Errorf("there is no reason %q: name one of %s", q.Reason, joined(document.Reasons()))}
		}
		return nil
	})
}

func joined[S ~string](words []S) string {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = string(w)
	}
	return strings.Join(all, ", ")
}

func (c *cli) trayList() *cobra.Command {
	var q control.TrayQuery
	cmd := &cobra.Command{
		Use: "list", Short: "List what waits for a person, without names", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			items, err := client.InTrays(cmd.Context(), q)
			if err != nil {
				return err
			}
			return c.print(items, func() error {
				if len(items) == 0 {
					return nothingWaits(c.out, q)
				}
				return listTrays(c.out, items)
			})
		},
	}
	trayFlags(cmd, &q)
	return cmd
}

func nothingWaits(out io.Writer, q control.TrayQuery) error {
	said := "nothing waits for a person"
	if q != (control.TrayQuery{}) {
		said = "nothing that waits matches: medanchor tray list shows all"
	}
	_, err := fmt.Fprintln(out, said)
	return err
}

func listTrays(out io.Writer, items []control.TrayItem) error {
	rows := make([]string, 0, len(items))
	for _, i := range items {
		reason := string(i.Reason)
		if i.Proposed {
			reason += " (discard proposed)"
		}
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s", i.Item, i.Tray, reason, when(i.Received),
			printable(i.Door), orNothing(i.Department), i.Size, i.Format))
	}
	return table(out, "ITEM\tTRAY\tREASON\tRECEIVED\tDOOR\tDEPARTMENT\tBYTES\tFORMAT", rows)
}

// orNothing is a text that may be empty, in a cell.
func orNothing(s string) string {
	if s == "" {
		return "-"
	}
	return printable(s)
}

func (c *cli) trayShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ITEM", Short: "Show all of an item that a person needs to decide: personal data", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := itemArgument(args[0])
			if err != nil {
				return err
			}
			client, err := c.client()
			if err != nil {
				return err
			}
			v, err := client.InTray(cmd.Context(), control.ItemQuery{Item: id})
			if err != nil {
				return err
			}
			return c.print(v, func() error { return showItem(c.out, v) })
		},
	}
}

func itemArgument(text string) (document.ItemID, error) {
	id, err := document.ParseItemID(text)
	if err != nil {
		return id, &usageError{fmt.Errorf("%w: medanchor tray list shows them", err)}
	}
	return id, nil
}

// showItem shows an item as a list of properties. What files say is another's text.
func showItem(out io.Writer, v control.TrayView) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	show := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, printable(value))
		}
	}
	show("item", v.Item.String())
	show("outcome", outcome(v.TrayItem))
	show("record", tagOrNothing(v.Record))
	show("reason", string(v.Reason))
	show("why", v.Explanation)
	show("detail", v.Metadata.Detail)
	show("received", v.Received.Local().Format(time.DateTime))
	show("door", v.Door)
	show("path", v.Path)
	show("sender", v.From)
	show("department", v.Department)
	show("size", fmt.Sprintf("%d bytes", v.Size))
	showMetadata(show, v.Metadata)
	show("variant", string(v.Variant))
	if v.Contradicts != nil {
		showContradicted(show, v.Contradicts)
	}
	for _, d := range v.Also {
		show("also came", fmt.Sprintf("%s, %s, at %s, as %s", d.Item, when(d.Received), d.Door, d.Path))
	}
	for _, d := range v.Decisions {
		show("decided", decided(d))
	}
	if v.Proposed {
		show("proposed", "to discard it: a second person confirms with medanchor tray discard ITEM --confirm")
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if v.Metadata.Text != "" {
		fmt.Fprintln(out, "\nits text begins:")
	}
	for line := range strings.Lines(v.Metadata.Text) {
		fmt.Fprintf(out, "  | %s\n", printable(strings.TrimRight(line, "\r\n")))
	}
	return nil
}

// tagOrNothing is a tag in words, empty for none.
func tagOrNothing(t record.Tag) string {
	if t.IsZero() {
		return ""
	}
	return t.String()
}

func decided(d document.Decision) string {
	said := fmt.Sprintf("%s: %s by %s, about %s", d.At.Local().Format(time.DateTime), d.Action, d.By, d.About)
	if d.Words != "" {
		said += ": " + d.Words
	}
	return said
}

func showMetadata(show func(name, value string), m document.Metadata) {
	show("format", string(m.Format))
	if m.Patient.Identifier != "" {
		show("patient", m.Patient.Identifier+" of "+m.Patient.Issuer)
	}
	show("name", m.PatientName)
	show("born", m.BirthDate)
	show("description", m.Description)
	show("modality", m.Modality)
	if !m.Time.IsZero() {
		show("time", m.Time.Format(time.RFC3339))
	}
	if m.Pages > 0 {
		show("pages", fmt.Sprint(m.Pages))
	}
	show("study", m.StudyUID)
	show("series", m.SeriesUID)
	show("instance", m.InstanceUID)
	show("transfer syntax", m.TransferSyntaxUID)
	for _, number := range m.Numbers {
		show("suggestion", "the text has the NHS number "+number+": whose it is, and whether the file is about them, is for you to say")
	}
}

func showContradicted(show func(name, value string), c *control.Contradicted) {
	show("contradicts", "document "+c.Document.String())
	show("its record", tagOrNothing(c.Record))
	if c.Item == (document.ItemID{}) {
		show("its item", "none here: the ledger has other sealed bytes")
		return
	}
	show("its item", c.Item.String())
	show("its reception", fmt.Sprintf("%s, at %s, as %s", when(c.Received), c.Door, c.Path))
	show("its name", c.Metadata.PatientName)
	show("its description", c.Metadata.Description)
	show("its transfer syntax", c.Metadata.TransferSyntaxUID)
}

// outcome says in words what became of an item.
func outcome(i control.TrayItem) string {
	said := ""
	switch i.State {
	case document.Quarantined:
		return fmt.Sprintf("kept in tray %s: %s", i.Tray, i.Reason.Explain())
	case document.Duplicate:
		return fmt.Sprintf("a duplicate: item %s has the same content", i.First)
	case document.Discarded:
		return "discarded: its key is destroyed"
	case document.Anchored:
		said = fmt.Sprintf("anchored as document %s of patient %s", i.Document, i.Patient)
	default:
		said = fmt.Sprintf("queued as document %s of patient %s: anchored once the ledger takes it", i.Document, i.Patient)
	}
	if i.Tray != "" {
		said += fmt.Sprintf("; in tray %s: %s", i.Tray, i.Reason.Explain())
	}
	return said
}

func (c *cli) trayRetry() *cobra.Command {
	var q control.TrayQuery
	cmd := &cobra.Command{
		Use: "retry [ITEM...]", Short: "Have items inspected again, by today's program and rules",
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			ids, err := chosen(cmd.Context(), client, args, q)
			if err != nil {
				return err
			}
			return c.retry(cmd.Context(), client, ids)
		},
	}
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if (len(args) > 0) == (q != control.TrayQuery{}) {
			return &usageError{errors.New("say what to retry: items by their IDs, or --reason, or --tray")}
		}
		return nil
	}
	trayFlags(cmd, &q)
	return cmd
}

// chosen are the items that are named, or else those in trays that can be retried.
func chosen(ctx context.Context, client *control.Client, named []string, q control.TrayQuery) (ids []document.ItemID, err error) {
	for _, name := range named {
		id, err := itemArgument(name)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	if len(named) > 0 {
		return ids, nil
	}
	items, err := client.InTrays(ctx, q)
	for _, i := range items {
		if i.State == document.Quarantined { // what is anchored has nothing to retry
			ids = append(ids, i.Item)
		}
	}
	return ids, err
}

// retried is what became of an item.
type retried struct {
	control.TrayItem
	Error string `json:"error,omitempty"`
}

// retry goes on where one item is refused: the last error stands for all.
func (c *cli) retry(ctx context.Context, client *control.Client, ids []document.ItemID) error {
	var left error
	all, failed := make([]retried, 0, len(ids)), 0
	for _, id := range ids {
		item, err := client.Retry(ctx, control.ItemQuery{Item: id})
		r := retried{TrayItem: item}
		if err != nil {
			r = retried{control.TrayItem{Item: id}, err.Error()}
			left = err
			failed++
		}
		all = append(all, r)
		if errors.Is(err, control.ErrNotRunning) || ctx.Err() != nil {
			break
		}
	}
	err := c.print(all, func() error {
		if len(all) == 0 {
			_, err := fmt.Fprintln(c.out, "nothing that can be retried matches: see medanchor tray list")
			return err
		}
		rows := make([]string, 0, len(all))
		for _, r := range all {
			said := r.Error
			if said == "" {
				said = outcome(r.TrayItem)
			}
			rows = append(rows, fmt.Sprintf("%s\t%s", r.Item, said))
		}
		return table(c.out, "ITEM\tOUTCOME", rows)
	})
	if failed > 0 {
		err = errors.Join(err, fmt.Errorf("%d of %d items were not retried: %w", failed, len(ids), left))
	}
	return err
}

// decides makes a command by which a person decides on an item, under their identity.
func (c *cli) decides(use, short string, d *control.TrayDecision, after func(control.TrayItem) string) *cobra.Command {
	var dir string
	cmd := &cobra.Command{Use: use + " ITEM", Short: short, Args: exactly(1)}
	identityFlag(cmd, &dir)
	cmd.Flags().StringVar(&d.Words, "reason", "", "why, in your words, which are kept sealed; - reads standard input")
	before(cmd, func(context.Context) error {
		if d.Words == "-" && d.Patient.Identifier == "-" {
			return &usageError{errors.New("only one of --id and --reason can be read from standard input")}
		}
		return standardInput(cmd, &d.Words)
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if d.Item, err = itemArgument(args[0]); err != nil {
			return err
		}
		if err := d.Validate(); err != nil {
			return &usageError{err}
		}
		item, err := c.decideItem(cmd.Context(), dir, *d)
		if err != nil {
			return err
		}
		return c.print(item, func() error {
			_, err := fmt.Fprintf(c.out, "item %s is %s\n", item.Item, after(item))
			return err
		})
	}
	return cmd
}

// decideItem signs a decision for the appliance, and hands it over.
func (c *cli) decideItem(ctx context.Context, identity string, d control.TrayDecision) (item control.TrayItem, err error) {
	me, err := wallet.Open(identity)
	if err != nil {
		return item, err
	}
	client, err := c.client()
	if err != nil {
		return item, err
	}
	status, err := client.Status(ctx)
	if err != nil {
		return item, err
	}
	d.By, d.At = me.Participant, time.Now().UTC()
	if d.Signature, err = me.Sign(d.Message(me.Channel, status.Participant)); err != nil {
		return item, err
	}
	return client.Decide(ctx, d)
}

func (c *cli) trayAssign() *cobra.Command {
	d := control.TrayDecision{Action: document.ActionAssign}
	cmd := c.decides("assign", "Say whose it is, and have it anchored", &d, outcome)
	cmd.Long = "For what nothing else says whose it is: where the file or its door does, that stands. It is anchored even if it could\n" +
		"not be understood."
	cmd.Flags().StringVar(&d.Patient.Issuer, "issuer", "", "who issued --id, such as NHS")
	cmd.Flags().StringVar(&d.Patient.Identifier, "id", "", "the patient's identifier; - reads it from standard input")
	textFlag(cmd, &d.Kind, "kind", "KIND", "imaging, prescription, lab-result, treatment-list, letter, other; none: as its door says")
	before(cmd, func(context.Context) error { return standardInput(cmd, &d.Patient.Identifier) })
	return cmd
}

func (c *cli) trayRelease() *cobra.Command {
	d := control.TrayDecision{Action: document.ActionRelease}
	cmd := c.decides("release", "Have it anchored as it is, or say that you have looked at it", &d, outcome)
	cmd.Long = "What is kept back though its patient is known is anchored as it is. What is in conflict and anchored already leaves its\n" +
		"tray."
	return cmd
}

const discardHelp = `Takes two people of the institution. The first proposes it and says why; the second runs it again with --confirm.

Then the key of the item is destroyed: its bytes are not opened again, by the hospital either. They stay on the disk, sealed, until
the group that they were stored with is erased. Backups from before still have the key, and pages of state.db that are free now
may have it until they are used again. The item stays in the counts as discarded, with its path, who decided so and why; what was
read of its content is forgotten. Other deliveries of the same content, which were taken for duplicates, are given up with it.`

func (c *cli) trayDiscard() *cobra.Command {
	d := control.TrayDecision{Action: document.ActionPropose}
	confirm := false
	cmd := c.decides("discard", "Give it up for good: proposed by one person, confirmed by a second", &d,
		func(i control.TrayItem) string {
			if i.State == document.Discarded {
				return outcome(i)
			}
			return fmt.Sprintf("to be discarded once a second person says so: nothing is destroyed yet\nthey look at it (medanchor tray "+
				"show %[1]s), then\n  medanchor tray discard %[1]s --confirm --identity THEIRS\ndestroys its key: its bytes are not opened "+
				"again, by the hospital either", i.Item)
		})
	cmd.Long = discardHelp
	cmd.Flags().BoolVar(&confirm, "confirm", false, "as the second person, carry out what another proposed")
	before(cmd, func(context.Context) error {
		if confirm {
			d.Action = document.ActionDiscard
		}
		return nil
	})
	return cmd
}

// showTrays adds to a status what waits for a person: a line for each tray, and for each reason in it.
func showTrays(w io.Writer, items control.Items) {
	trays := items.Trays()
	for _, tray := range document.Trays() {
		total := int64(0)
		for _, n := range trays[tray] {
			total += n
		}
		fmt.Fprintf(w, "%s\t%d\n", tray, total)
		for _, reason := range slices.Sorted(maps.Keys(trays[tray])) {
			fmt.Fprintf(w, "\t%d %s: %s\n", trays[tray][reason], reason, reason.Explain())
		}
	}
	fmt.Fprintf(w, "discarded\t%d\n", items.Discarded)
}
