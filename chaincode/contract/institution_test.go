package contract_test

import (
	"testing"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Whose patient a reference is, and where to seal a reason to, is found by the reference alone.
func TestAnInstitutionIsFoundByItsPrefix(t *testing.T) {
	w := newWorld(t)
	got, refused := ask[record.Participant](w, w.b.doctor, record.ParticipantFunction, w.reference.Institution().String())
	if refused != nil || got.ID != w.a.institution.id || got.Role != record.InstitutionRole {
		t.Errorf("%+v, %v", got, refused)
	}
	nobody := record.InstitutionID("NobodyMSP").Institution().String()
	for text, code := range map[string]record.Code{nobody: record.NotFound, "short": record.BadRequest} {
		if _, refused := ask[record.Participant](w, w.b.doctor, record.ParticipantFunction, text); refused == nil ||
			refused.Code != code {
			t.Errorf("%s: %v, want %s", text, refused, code)
		}
	}
}
