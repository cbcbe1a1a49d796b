package contract

import (
	"testing"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/test/consortium"
)

// auditOf gives the audit of a patient of the hospital's, as somebody sees it.
func auditOf(t *testing.T, viewer *consortium.Person, patient record.Reference) (entries []record.AuditLine) {
	t.Helper()
	bookmark := ""
	for more := true; more; more = bookmark != "" {
		page, err := viewer.Audit(t.Context(), patient, 7, bookmark)
		if err != nil {
			t.Fatal(err)
		}
		entries, bookmark = append(entries, page.Entries...), page.Bookmark
	}
	return entries
}

// auditOfInstitution gives the audit of the hospital and all its patients, as the hospital sees it.
func (h *house) auditOfInstitution(t *testing.T) (entries []record.AuditLine) {
	t.Helper()
	bookmark := ""
	for more := true; more; more = bookmark != "" {
		page, err := h.InstitutionAudit(t.Context(), h.ID, record.MaxPageSize, bookmark)
		if err != nil {
			t.Fatal(err)
		}
		entries, bookmark = append(entries, page.Entries...), page.Bookmark
	}
	return entries
}

// auditHas checks how many entries the hospital's audit has that are as wanted, about a patient.
func auditHas(t *testing.T, h *house, about record.Reference, want int, like record.AuditEntry) {
	t.Helper()
	got := 0
	for _, e := range h.auditOfInstitution(t) {
		if e.Patient == about && isLike(e.AuditEntry, like) {
			got++
		}
	}
	if got != want {
		t.Errorf("%d entries of the audit are like %+v, want %d", got, like, want)
	}
}

// isLike compares what the wanted entry names.
func isLike(e, like record.AuditEntry) bool {
	return e.Action == like.Action && e.Denied == like.Denied && e.Basis == like.Basis &&
		(like.Actor.IsZero() || e.Actor == like.Actor) && (like.Subject.IsZero() || e.Subject == like.Subject) &&
		(like.Record.IsZero() || e.Record == like.Record) && (like.About.IsZero() || e.About == like.About)
}
