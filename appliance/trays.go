package appliance

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/dicomwatch/folder"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest"
	"github.com/medanchor/medanchor/reading"
	"github.com/medanchor/medanchor/state"
)

// InTrays implements control.Trays.
func (a *App) InTrays(_ context.Context, q control.TrayQuery) (items []control.TrayItem, err error) {
	err = a.state.InTrays(func(item document.Item) bool {
		if (q.Tray == "" || q.Tray == item.Tray()) && (q.Reason == "" || q.Reason == item.Waits()) {
			items = append(items, trayItem(&item))
		}
		return true
	})
	return items, err
}

// trayItem is an item without what is personal in it.
func trayItem(item *document.Item) control.TrayItem {
	_, proposed := item.Proposed()
	t := control.TrayItem{
		Item: item.ID, Tray: item.Tray(), Reason: item.Waits(), State: item.State, Received: item.Received, Door: item.Door,
		Department: item.Department, Size: item.Size, Format: item.Metadata.Format, Proposed: proposed, First: item.First,
	}
	if item.State != document.Quarantined {
		t.Document, t.Record, t.Patient = item.Tag, item.Record, item.Patient
	}
	return t
}

// InTray implements control.Trays.
func (a *App) InTray(_ context.Context, q control.ItemQuery) (v control.TrayView, err error) {
	item, err := a.item(q.Item)
	if err != nil {
		return v, err
	}
	v = control.TrayView{
		TrayItem: trayItem(&item), Path: item.Path, From: item.From, Metadata: item.Metadata, Variant: item.Variant,
		Decisions: item.Decisions,
	}
	if reason := item.Waits(); reason != "" {
		v.Explanation = reason.Explain()
	}
	if v.Contradicts, err = a.contradicted(&item); err != nil {
		return v, err
	}
	err = a.state.Repeats(item.ID, func(other document.Item) bool {
		v.Also = append(v.Also, delivered(&other))
		return true
	})
	return v, err
}

// item is the very item, also where it is a duplicate.
func (a *App) item(id document.ItemID) (document.Item, error) {
	item, err := a.state.Item(id)
	if errors.Is(err, state.ErrNotFound) {
		err = fmt.Errorf("item %s: %w in this hospital: see medanchor tray list", id, control.ErrNotFound)
	}
	return item, err
}

// contradicted is the document that an item in the conflict tray contradicts; nil if it is none's.
func (a *App) contradicted(item *document.Item) (*control.Contradicted, error) {
	tag := item.VariantOf
	if item.Waits() == document.ReasonLedgerConflict {
		tag = item.Tag
	}
	if tag.IsZero() {
		return nil, nil //nolint:nilnil // most contradict nothing
	}
	c := &control.Contradicted{Document: tag}
	first, found, err := a.state.Carrier(tag)
	if err != nil || !found || first.ID == item.ID {
		return c, err
	}
	c.Record, c.Delivered, c.Metadata = first.Record, delivered(&first), first.Metadata
	return c, nil
}

func delivered(item *document.Item) control.Delivered {
	return control.Delivered{Item: item.ID, Received: item.Received, Door: item.Door, Path: item.Path}
}

// Retry implements control.Trays.
func (a *App) Retry(ctx context.Context, q control.ItemQuery) (control.TrayItem, error) {
	a.trays.Lock()
	defer a.trays.Unlock()
	item, err := a.item(q.Item)
	if err != nil {
		return control.TrayItem{}, err
	}
	rule, known := a.rule(&item)
	if !known {
		return control.TrayItem{}, doorGone(&item)
	}
	item, err = a.reconsider(ctx, ingest.Reconsideration{Item: item, Rule: rule})
	if err != nil {
		return control.TrayItem{}, err
	}
	a.log.Info("an item in a tray was retried", "item", item.ID, "state", item.State, "reason", item.Reason)
	return trayItem(&item), nil
}

// doorGone says what can be done with an item of which no door says how to take it. What was filed anew never had one.
func doorGone(item *document.Item) error {
	if item.State != document.Quarantined {
		return refusal(document.ErrNotQuarantined)
	}
	remedy := "bring the door back, or assign it"
	switch err := mayAnchor(item); {
	case item.Reason == document.ReasonUnlinked:
		remedy = "bring the door back, and retry it"
	case err != nil:
		return err
	}
	return fmt.Errorf("%w: its door is not in the configuration any more, so nothing says how to take it: %s", control.ErrRefused, remedy)
}

// Decide implements control.Trays. The ledger may be away: who may decide is known by the index.
func (a *App) Decide(ctx context.Context, d control.TrayDecision) (control.TrayItem, error) {
	item, err := a.decide(ctx, d)
	if err != nil {
		a.log.Warn("a decision on an item in a tray was not carried out", "item", d.Item, "by", d.By, "action", d.Action)
		return control.TrayItem{}, err
	}
	a.log.Info("a person decided on an item in a tray", "item", item.ID, "by", d.By, "action", d.Action, "state", item.State)
	return trayItem(&item), nil
}

func (a *App) decide(ctx context.Context, d control.TrayDecision) (item document.Item, err error) {
	if err := d.Validate(); err != nil {
		return item, fmt.Errorf("%w: %w", control.ErrBadRequest, err)
	}
	if err := a.mayDecide(d, time.Now()); err != nil {
		return item, err
	}
	a.trays.Lock()
	defer a.trays.Unlock()
	if item, err = a.item(d.Item); err != nil {
		return item, err
	}
	decision := document.Decision{By: d.By, Action: d.Action, Words: d.Words, At: d.At.UTC()}
	switch d.Action {
	case document.ActionAssign:
		return a.assign(ctx, item, d, decision)
	case document.ActionRelease:
		return a.releaseKept(ctx, item, decision)
	case document.ActionPropose:
		err = a.state.ProposeDiscard(item.ID, decision)
	case document.ActionDiscard:
		err = a.pipeline.GiveUp(item.ID, func() error { return a.state.Discard(item.ID, decision) })
	}
	if err != nil {
		return item, refusal(err)
	}
	return a.item(item.ID)
}

// mayDecide is nil for staff of this hospital, and for the institution itself: whose a file is is a matter of the office.
func (a *App) mayDecide(d control.TrayDecision, now time.Time) error {
	who, found, err := history{a.index}.Participant(d.By)
	if err != nil {
		return err
	}
	why := ""
	switch {
	case !found:
		why = "this hospital has not seen the participant on the ledger: join it, or wait until it has"
	case who.MSPID != a.config.Ledger.MSPID || who.Role != record.StaffRole && who.Role != record.InstitutionRole:
		why = "only staff of this hospital and its institution decide on what is in its trays: ask the office"
	case who.Status != record.Active:
		why = fmt.Sprintf("the participant is %s: ask the institution", who.Status)
	case now.Sub(d.At).Abs() > control.DecisionTime:
		why = "the decision is old, or the clock is wrong where it was made: set it, and try again"
	case !reading.Signed(who, d.Message(a.config.Ledger.Channel, a.participant), d.Signature):
		why = "it is not signed with the key that the ledger binds to the participant: was the key replaced?"
	default:
		return nil
	}
	return fmt.Errorf("%w: %s", control.ErrRefused, why)
}

// assign anchors an item for a patient by the word of a person, whatever else is wrong with it.
func (a *App) assign(ctx context.Context, item document.Item, d control.TrayDecision, decision document.Decision,
) (document.Item, error) {
	patient, reason := a.config.Patients.rules().Check(d.Patient)
	if reason != "" {
		return item, fmt.Errorf("%w: %s", control.ErrBadRequest, nobody(reason))
	}
	if err := mayAnchor(&item); err != nil {
		return item, err
	}
	if err := item.Decide(decision); err != nil {
		return item, refusal(err)
	}
	rule, _ := a.rule(&item)
	return a.reconsider(ctx, ingest.Reconsideration{Item: item, Rule: rule, Patient: patient, Kind: d.Kind, Release: true})
}

// releaseKept anchors an item whose patient is known as it is; of one that is anchored it notes that a person has looked.
func (a *App) releaseKept(ctx context.Context, item document.Item, decision document.Decision) (document.Item, error) {
	if item.State != document.Quarantined {
		if err := a.state.Reviewed(item.ID, decision); err != nil {
			return item, refusal(err)
		}
		return a.item(item.ID)
	}
	if err := mayAnchor(&item); err != nil {
		return item, err
	}
	if err := item.Decide(decision); err != nil {
		return item, refusal(err)
	}
	rule, known := a.rule(&item)
	released, err := a.reconsider(ctx, ingest.Reconsideration{Item: item, Rule: rule, Release: true})
	if !known && errors.Is(err, ingest.ErrOther) { // to retry it would be refused
		err = doorGone(&item)
	}
	return released, err
}

// mayAnchor is nil if a person's word is enough to anchor what is kept back.
func mayAnchor(item *document.Item) error {
	why := ""
	switch item.Waits() {
	case document.ReasonMediaDirectory:
		why = "it is the directory of a medium, and no document of a patient: take in the files that it lists, and discard it"
	case document.ReasonLedgerConflict:
		why = "the ledger has this document with other sealed bytes, and no word changes that: restore the state.db which knows " +
			"them, or discard it"
	case document.ReasonErased:
		why = "it was erased by a decision on the ledger, which is not overturned here: discard it"
	case document.ReasonUnlinked:
		why = "it was a copy under a link that has ended: retry it, and it is anchored for this hospital's own patient"
	default:
		return nil
	}
	return fmt.Errorf("%w: %s", control.ErrRefused, why)
}

// reconsider has the pipeline look at an item again.
func (a *App) reconsider(ctx context.Context, r ingest.Reconsideration) (document.Item, error) {
	if r.Item.State != document.Quarantined {
		return r.Item, refusal(document.ErrNotQuarantined)
	}
	h := holdings{a}
	key, err := h.fileKey(r.Item)
	if err != nil {
		return r.Item, err
	}
	content, err := h.open(ctx, r.Item, key)
	if err != nil {
		return r.Item, err
	}
	defer content.Close()
	r.Content = content
	item, err := a.pipeline.Reconsider(ctx, r)
	return item, refusal(err)
}

// refusal gives an error the meaning that it has for who asked, and the words that say what they can do.
func refusal(err error) error {
	for _, of := range []struct {
		err, kind error
		remedy    string
	}{
		{ingest.ErrInFlight, control.ErrBusy, ""},
		{ingest.ErrNobody, control.ErrRefused, ""},
		{ingest.ErrNamed, control.ErrRefused, ": retry or release it; if they are wrong, correct them at the source, or refile " +
			"the record once it is anchored"},
		{ingest.ErrOther, control.ErrRefused, ""},
		{ingest.ErrKind, control.ErrRefused, ": assign it without one"},
		{document.ErrNotQuarantined, control.ErrRefused, ": see medanchor tray show; what is anchored stays: tray release says that " +
			"somebody has looked at it, its source sends what is right, and medanchor refile files its record under the right patient"},
		{document.ErrNotProposed, control.ErrRefused, ""},
		{document.ErrSamePerson, control.ErrRefused, ""},
		{document.ErrDecided, control.ErrRefused, ""},
	} {
		if errors.Is(err, of.err) {
			return fmt.Errorf("%w: %w%s", of.kind, of.err, of.remedy)
		}
	}
	return err
}

// rule is what an item's door says of it: a folder by its rules of today, for these may have been mended; a sender as it did when
// the item came, for which of today's it was cannot be told for certain. known is false if the folder is not there any more. What
// was filed anew came by no door: what its file says of the patient was wrong.
func (a *App) rule(item *document.Item) (rule document.Delivery, known bool) {
	for i, f := range a.folders { // they stand as in the configuration
		if f.Name == item.Door {
			return folderRule(f.Options, a.config.Folders[i].Patient.By, item), true
		}
	}
	return document.Delivery{Issuer: item.Issuer}, item.Door == networkDoor
}

// folderRule is what a folder says of an item that it brought, as when it offered it.
func folderRule(o folder.Options, by PatientRule, item *document.Item) document.Delivery {
	rule := document.Delivery{Accepts: o.Accepts, Kind: o.Kind, Issuer: o.Issuer}
	switch inside, err := filepath.Rel(o.Path, item.Path); {
	case by == BySidecar && item.Metadata.Format != document.FormatDICOM:
		rule.Patient = item.Metadata.Patient // its sidecar went where its file went
	case err == nil:
		rule.Patient = o.PatientAt(filepath.ToSlash(inside))
	}
	return rule
}
