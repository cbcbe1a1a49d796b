package e2e

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ledger/wallet"
	"github.com/medanchor/medanchor/test/synth"
)

// trayed is a hospital whose people decide on what is in its trays.
type trayed struct {
	*site
	staff, clerk *someone
}

// TestTrays tells how what waits for a person is assigned, released and discarded, by whom, and that the counts reconcile at each
// point.
func TestTrays(t *testing.T) {
	n := devnettest.Network(t)
	s := newSite(t, n, 0)
	s.Config.Log.Level = -4 // debug: the most that the daemon can say
	if err := s.WriteConfig(); err != nil {
		t.Fatal(err)
	}
	from := s.height()
	s.start()
	h := &trayed{s, enrol(t, n, s.member, record.StaffRole), enrol(t, n, s.member, record.StaffRole)}
	doctor, stranger := enrol(t, n, s.member, record.DoctorRole), enrol(t, n, n.Members[1], record.StaffRole)
	h.awaitIndexed()

	const number, other = "9990002010", "9990002029"
	images := threeImages(t)
	letter := synth.Letter{Title: "Discharge of nobody", Lines: []string{"NHS number 999 000 2010"}, Pages: 2, Time: time.Now()}.Encode()

	t.Log("a letter of nobody is assigned")
	h.dropFile(h.Documents, "discharge.pdf", letter)
	item := h.waits(document.TrayUnassigned, document.ReasonNoPatient)
	shown := string(h.command("tray", "show", item.String()))
	for _, want := range []string{"discharge.pdf", "Discharge of nobody", "suggestion", number, "is for you to say", "page 1"} {
		if !strings.Contains(shown, want) {
			t.Errorf("tray show does not have %q:\n%s", want, shown)
		}
	}
	if list := string(h.command("tray", "list")); strings.Contains(list, "discharge") || !strings.Contains(list, item.String()) {
		t.Errorf("tray list shows\n%s", list)
	}
	if n := h.metric(`medanchor_tray_items{reason="no-patient",tray="unassigned"}`); n != 1 {
		t.Errorf("the metrics have %v in the tray, want 1", n)
	}
	assign := "tray assign " + item.String() + " --issuer NHS --id - --kind letter"
	hasRow(t, h.refused(doctor, assign, number), "only staff of this hospital and its institution decide")
	hasRow(t, h.refused(stranger, assign, number), "only staff of this hospital and its institution decide")
	hasRow(t, h.staff.runs(2, assign+" --config "+h.ConfigPath, "9990002011"), "not ten digits with a valid check digit")
	hasRow(t, h.staff.runs(2, assign+" --config "+h.ConfigPath, "UNKNOWN"), "a placeholder, which many people share")
	hasRow(t, h.refused(h.staff, "tray release "+item.String(), ""), "nothing says whose it is: assign it to a patient")
	h.signatures(item)
	h.reconciles(0, 1)
	hasRow(t, h.does(h.staff, assign, number), "queued as document", "of patient")
	h.anchored(from, item, letter)
	h.reconciles(1, 0)
	hasRow(t, h.refused(h.staff, assign, number), "not in quarantine")

	t.Log("an image with a placeholder is assigned, and an image that says whose it is cannot be given to another")
	placeholder := bytes.ReplaceAll(images[0].content, []byte(images[0].NHS), []byte("UNKNOWN   "))
	h.dropFile(h.DICOM, "placeholder.dcm", placeholder)
	item = h.waits(document.TrayUnassigned, document.ReasonPlaceholder)
	hasRow(t, h.does(h.clerk, "tray assign "+item.String()+" --issuer NHS --id "+other, ""), "queued as document")
	h.anchored(from, item, placeholder)
	h.reconciles(2, 0)

	t.Log("an image that ends early is released, while the ledger is away")
	broken := images[1].content[:len(images[1].content)-101]
	h.dropFile(h.DICOM, "broken.dcm", broken)
	item = h.waits(document.TrayQuarantine, document.ReasonTruncated)
	hasRow(t, string(h.command("tray", "retry", item.String())), "kept in tray quarantine: the file ends early")
	hasRow(t, h.refused(h.staff, "tray assign "+item.String()+" --issuer NHS --id "+other, ""), "says that it is somebody else's")
	h.reconciles(2, 1)
	peer := h.Config.Ledger.Peer
	h.restartWith(func() { h.Config.Ledger.Peer = "127.0.0.1:1" })
	hasRow(t, h.does(h.staff, "tray release "+item.String(), ""), "queued as document")
	if items := h.status().Items; items.Waiting != 1 {
		t.Errorf("%d wait for the ledger that is away, want 1", items.Waiting)
	}
	h.restartWith(func() { h.Config.Ledger.Peer = peer })
	h.anchored(from, item, broken)
	h.reconciles(3, 0)

	t.Log("an image with other pixels is anchored, and waits for a person")
	changed := bytes.Clone(images[2].content)
	changed[len(changed)-1] ^= 1
	h.dropFile(h.DICOM, "first.dcm", images[2].content)
	h.awaitReceived(4)
	h.dropFile(h.DICOM, "second.dcm", changed)
	item = h.waits(document.TrayConflict, document.ReasonPixelsChanged)
	h.anchored(from, item, changed)
	h.reconciles(5, 0)
	if items := h.status().Items; items.Review[document.ReasonPixelsChanged] != 1 || items.Variants != 1 {
		t.Errorf("to look at are %v, variants %d", items.Review, items.Variants)
	}
	shown = string(h.command("tray", "show", item.String()))
	hasRow(t, shown, "contradicts", "document ")
	hasRow(t, shown, "its reception", "first.dcm")
	view, err := h.Client().InTray(t.Context(), control.ItemQuery{Item: item})
	if err != nil || view.Contradicts == nil || view.Contradicts.Record != view.Record {
		t.Fatalf("two images of a study are in records %s and %+v, %v", view.Record, view.Contradicts, err)
	}
	hasRow(t, string(h.command("records")), view.Record.String())
	hasRow(t, shown, "record", view.Record.String())
	hasRow(t, shown, "its record", view.Record.String())
	hasRow(t, string(h.command("tray", "list", "--tray", "conflict")), item.String(), "pixels-changed", "dicom")
	hasRow(t, h.does(h.staff, "tray release "+item.String()+" --reason -", "the first was Mrs Example's"), "anchored as document")
	if got := h.inTrays(); len(got) != 0 {
		t.Errorf("after the look %d items are in trays", len(got))
	}
	hasRow(t, string(h.command("tray", "show", item.String())), "decided", "release", h.staff.id.String(), "the first was Mrs Example's")
	h.reconciles(5, 0)

	t.Log("the same note of nobody at two places may be two people's; once it came with its patient, each can be a duplicate of that")
	note := []byte("a note of nobody, which comes three times\n")
	h.dropFile(h.Documents, "note.txt", note)
	h.awaitReceived(6)
	h.dropFile(h.Documents, "the same note.txt", note)
	h.awaitReceived(7)
	notes := h.inTrays()
	if len(notes) != 2 {
		t.Fatalf("%d items wait, want each of the two", len(notes))
	}
	h.dropFile(h.Documents, filepath.Join(number, "note.txt"), note)
	h.awaitReceived(8)
	h.reconciles(6, 2)
	for i, item := range notes {
		hasRow(t, h.does(h.staff, "tray assign "+item.Item.String()+" --issuer NHS --id "+number, ""), "a duplicate: item")
		h.reconciles(6, int64(1-i))
		verdicts, err := h.Client().Verify(t.Context(), control.VerifyRequest{ID: item.Item.String()})
		if err != nil || len(verdicts) != 1 || verdicts[0].Finding != control.FindingOK {
			t.Errorf("verify duplicate %s: %+v, %v", item.Item, verdicts, err)
		}
	}
	view, err = h.Client().InTray(t.Context(), control.ItemQuery{Item: notes[0].Item})
	if err == nil {
		view, err = h.Client().InTray(t.Context(), control.ItemQuery{Item: view.First})
	}
	if err != nil || len(view.Also) != 2 {
		t.Errorf("it also came %d times, %v", len(view.Also), err)
	}

	t.Log("what has its patient by a folder is not released without that, and what is said then is not refused in its turn")
	h.dropFile(h.Documents, filepath.Join(number, "noise.bin"), []byte{0, 1, 2, 3, 0xff, 0xfe, 0, 0, 7, 7, 7, 0, 0, 0x80, 0x81})
	item = h.waits(document.TrayQuarantine, document.ReasonNotUnderstood)
	name := h.Config.Folders[1].Name
	h.restartWith(func() { h.Config.Folders[1].Name = "another" })
	hasRow(t, h.refused(h.staff, "tray release "+item.String(), ""), "bring the door back, or assign it")
	h.restartWith(func() { h.Config.Folders[1].Name = name })

	t.Log("to discard takes two people")
	discard := "tray discard " + item.String()
	hasRow(t, h.refused(h.clerk, discard+" --confirm", ""), "propose it first")
	hasRow(t, h.does(h.staff, discard+" --reason -", "a test of the modality of Mrs Example"), "nothing is destroyed yet")
	hasRow(t, h.refused(h.staff, discard+" --confirm", ""), "have a second person")
	hasRow(t, h.refused(doctor, discard+" --confirm", ""), "only staff")
	hasRow(t, string(h.command("tray", "list")), item.String(), "(discard proposed)")
	hasRow(t, string(h.command("tray", "show", item.String())), "decided", "propose-discard", "Mrs Example")
	h.reconciles(6, 1)
	hasRow(t, h.does(h.clerk, discard+" --confirm", ""), "discarded: its key is destroyed")
	if _, err := h.Client().Get(t.Context(), item.String()); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("get what is discarded: %v", err)
	}
	if _, err := h.stored().Get(item); err == nil {
		t.Error("what is discarded can still be opened")
	}
	hasRow(t, string(h.command("tray", "show", item.String())), "decided", "discard by", h.clerk.id.String())
	if items, n := h.status().Items, h.metric(`medanchor_items{reason="",state="discarded"}`); items.Discarded != 1 || n != 1 {
		t.Errorf("%d are discarded, in the metrics %v, want 1", items.Discarded, n)
	}
	h.reconciles(6, 0)

	t.Log("who is suspended decides no more")
	enrol(t, n, h.member, record.InstitutionRole).does("participant suspend --participant "+h.clerk.id.String(), "")
	h.awaitIndexed()
	hasRow(t, h.refused(h.clerk, discard+" --reason again", ""), "the participant is suspended")

	h.nothingPersonalInLog(number, other, images[1].NHS, images[2].NHS, "UNKNOWN", "discharge", "Discharge", "placeholder.dcm",
		"broken.dcm", "second.dcm", "noise.bin", "note.txt", "Example")
}

// threeImages are sound images of several studies.
func threeImages(t *testing.T) (images []struct {
	synth.File
	content []byte
},
) {
	t.Helper()
	m, dir := generate(t, 41)
	variants := make(map[string]bool)
	for _, f := range m.Files {
		variants[f.VariantOf], variants[f.Path] = true, variants[f.Path] || f.VariantOf != ""
	}
	for _, f := range m.Files {
		if f.Format != document.FormatDICOM || f.Outcome != synth.Anchored || variants[f.Path] || len(images) == 3 {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(f.Path)))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Count(content, []byte(f.NHS)) == 1 {
			images = append(images, struct {
				synth.File
				content []byte
			}{f, content})
		}
	}
	if len(images) != 3 {
		t.Fatalf("%d sound images, want 3", len(images))
	}
	return images
}

// does has a person decide at this hospital's appliance.
func (h *trayed) does(who *someone, command, input string) string {
	h.t.Helper()
	return who.runs(exitOK, command+" --config "+h.ConfigPath, input)
}

// refused has a person try to.
func (h *trayed) refused(who *someone, command, input string) string {
	h.t.Helper()
	return who.runs(exitRefused, command+" --config "+h.ConfigPath, input)
}

func (h *trayed) inTrays() []control.TrayItem {
	h.t.Helper()
	items, err := h.Client().InTrays(h.t.Context(), control.TrayQuery{})
	if err != nil {
		h.t.Fatal(err)
	}
	return items
}

// waits waits until one item is in a tray for a reason, both empty for any, and nothing else is in one.
func (h *trayed) waits(tray document.Tray, reason document.Reason) document.ItemID {
	h.t.Helper()
	var items []control.TrayItem
	poll(h.t, "an item is in tray "+string(tray), func() bool {
		items = h.inTrays()
		return len(items) > 0
	}, func() string { return string(tail(h.Log())) })
	i := items[0]
	if len(items) != 1 || tray != "" && i.Tray != tray || reason != "" && i.Reason != reason {
		h.t.Fatalf("in trays are %+v, want one item in %s: %s", items, tray, reason)
	}
	return i.Item
}

// anchored waits until an item is on the ledger, as the other hospital's peer has it, and reads it back.
func (h *trayed) anchored(from uint64, id document.ItemID, content []byte) {
	h.t.Helper()
	h.await("nothing waits for the ledger", func(c control.Status) bool { return c.Items.Waiting == 0 })
	v, err := h.Client().InTray(h.t.Context(), control.ItemQuery{Item: id})
	if err != nil || v.State != document.Anchored {
		h.t.Fatalf("item %s is %s (%s), %v", id, v.State, v.Reason, err)
	}
	h.awaitIndexed()
	if _, found := h.chainSince(from).documents[v.Document]; !found {
		h.t.Errorf("the ledger does not have document %s of item %s", v.Document, id)
	}
	if back := h.get(h.stored(), id); !bytes.Equal(back, content) {
		h.t.Errorf("item %s reads back as %d other bytes", id, len(back))
	}
	verdicts, err := h.Client().Verify(h.t.Context(), control.VerifyRequest{ID: v.Document.String()})
	if err != nil || len(verdicts) != 1 || verdicts[0].Finding != control.FindingOK {
		h.t.Errorf("verify %s: %+v, %v", v.Document, verdicts, err)
	}
}

func (h *trayed) awaitReceived(n int64) {
	h.t.Helper()
	h.await("files are received and settled", func(c control.Status) bool { return c.Items.Received == n && c.Items.Waiting == 0 })
}

// reconciles checks that as many items are anchored and quarantined as is said, and that all others are accounted for.
func (h *trayed) reconciles(anchored, quarantined int64) {
	h.t.Helper()
	i := h.status().Items
	kept := int64(0)
	for _, n := range i.Quarantined {
		kept += n
	}
	if i.Anchored != anchored || kept != quarantined || i.Received != i.Anchored+i.Duplicates+i.Waiting+i.Discarded+kept {
		h.t.Errorf("%d anchored, %d quarantined, want %d, %d: %+v", i.Anchored, kept, anchored, quarantined, i)
	}
}

// restartWith has the daemon run by another configuration. 127.0.0.1:1 is no peer.
func (h *trayed) restartWith(change func()) {
	h.t.Helper()
	h.stop()
	change()
	if err := h.WriteConfig(); err != nil {
		h.t.Fatal(err)
	}
	h.start()
}

// signatures tries decisions that are signed, but not for this.
func (h *trayed) signatures(item document.ItemID) {
	h.t.Helper()
	me, err := wallet.Open(h.staff.identity)
	if err != nil {
		h.t.Fatal(err)
	}
	appliance := h.status().Participant
	for name, try := range map[string]struct {
		change, after func(*control.TrayDecision) // before and after it is signed
		channel       string
		says          string
	}{
		"for another patient": {nil, func(d *control.TrayDecision) { d.Patient.Identifier = "9990002029" }, me.Channel, "not signed"},
		"for another item":    {func(d *control.TrayDecision) { d.Item[0]++ }, func(d *control.TrayDecision) { d.Item = item }, me.Channel, "not signed"},
		"by another":          {nil, func(d *control.TrayDecision) { d.By = h.clerk.id }, me.Channel, "not signed"},
		"on another channel":  {nil, nil, me.Channel + "2", "not signed"},
		"an old one":          {func(d *control.TrayDecision) { d.At = d.At.Add(-3 * time.Minute) }, nil, me.Channel, "the decision is old"},
		"a future one":        {func(d *control.TrayDecision) { d.At = d.At.Add(3 * time.Minute) }, nil, me.Channel, "the clock is wrong"},
		"by who never joined": {func(d *control.TrayDecision) { d.By = record.ParticipantID{7} }, nil, me.Channel, "has not seen"},
	} {
		d := control.TrayDecision{
			Item: item, Action: document.ActionAssign, By: me.Participant, At: time.Now().UTC(),
			Patient: document.PatientID{Issuer: document.NHS, Identifier: "9990002010"},
		}
		if try.change != nil {
			try.change(&d)
		}
		if d.Signature, err = me.Sign(d.Message(try.channel, appliance)); err != nil {
			h.t.Fatal(err)
		}
		if try.after != nil {
			try.after(&d)
		}
		if _, err := h.Client().Decide(h.t.Context(), d); err == nil || !strings.Contains(err.Error(), try.says) {
			h.t.Errorf("%s: %v, want one that says %q", name, err, try.says)
		}
	}
}

// nothingPersonalInLog searches all that the daemon logged.
func (h *trayed) nothingPersonalInLog(values ...string) {
	h.t.Helper()
	log := h.log()
	for _, v := range values {
		if i := bytes.Index(log, []byte(v)); i >= 0 {
			h.t.Errorf("the log has %q: %s", v, log[max(0, i-200):min(len(log), i+200)])
		}
	}
	if !bytes.Contains(log, []byte("a person decided on an item in a tray")) || !bytes.Contains(log, []byte(h.clerk.id.String())) {
		t := slices.Collect(strings.Lines(string(log)))
		h.t.Errorf("the log does not say who decided: %d lines", len(t))
	}
}
