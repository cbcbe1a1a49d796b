package contract

import (
	"fmt"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Participants is the contract of who takes part: institutions, their professionals, patients, representatives and
// appliances, each bound to a member's public key.
type Participants struct {
	contractapi.Contract
}

func newParticipants() *Participants {
	p := &Participants{}
	p.Name = "participants"
	p.Info.Title = "Institutions, professionals, patients and their keys"
	return p
}

// GetEvaluateTransactions tells contractapi which functions only read.
func (p *Participants) GetEvaluateTransactions() []string {
	return []string{"Participant", "List", "Team", "WhoAmI"}
}

// RegisterInstitution makes the caller the institution of their member (record.InstitutionRegistration).
func (p *Participants) RegisterInstitution(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActRegisterInstitution, request, registerInstitution)
}

// UpdateInstitution replaces what the caller's institution says of itself (record.InstitutionUpdate).
func (p *Participants) UpdateInstitution(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActUpdateInstitution, request, updateInstitution)
}

// Invite makes a participant of the caller's institution, who may then join (record.Invite).
func (p *Participants) Invite(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActInvite, request, invite)
}

// Join binds the caller's key to the participant whom their certificate names (record.Join).
func (p *Participants) Join(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActJoin, request, join)
}

// Rotate binds the caller's participant to a new key (record.Rotation).
func (p *Participants) Rotate(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActRotate, request, rotate)
}

// Suspend takes all rights from a participant of the caller's institution (record.Suspension).
func (p *Participants) Suspend(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActSuspend, request, suspend)
}

// Reinstate gives a suspended participant their rights back (record.Suspension).
func (p *Participants) Reinstate(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActReinstate, request, reinstate)
}

// SetTeam makes or replaces a team of the caller's institution (record.Team).
func (p *Participants) SetTeam(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActSetTeam, request, setTeam)
}

// Participant gives a record.Participant by ID; an institution also by its prefix.
func (p *Participants) Participant(ctx contractapi.TransactionContextInterface, id string) (string, error) {
	return answer(participantByText(ctx.GetStub(), id))
}

// WhoAmI gives the caller's record.Participant.
func (p *Participants) WhoAmI(ctx contractapi.TransactionContextInterface) (string, error) {
	return answer(whoAmI(ctx.GetStub()))
}

// Team gives a record.Team by ID.
func (p *Participants) Team(ctx contractapi.TransactionContextInterface, id string) (string, error) {
	return answer(teamByText(ctx.GetStub(), id))
}

// List gives a page of an institution's participants, as a record.ParticipantPage. Bookmark is empty for the first page.
func (p *Participants) List(ctx contractapi.TransactionContextInterface, institution string, pageSize int32,
	bookmark string,
) (string, error) {
	return answer(listParticipants(ctx.GetStub(), institution, pageSize, bookmark))
}

func registerInstitution(tx *transaction, q record.InstitutionRegistration) (any, error) {
	c := &tx.caller
	if !c.participant.ID.IsZero() {
		return nil, record.Errorf(record.Forbidden, "the caller's key is bound to a participant already: use another")
	}
	if c.claimedRole != record.InstitutionRole || c.claimedParticipant != c.institution {
		return nil, record.Errorf(record.Forbidden, "the caller's certificate must claim the role %s and the participant %s: "+
			"have the CA's administrator register such an identity", record.InstitutionRole, c.institution)
	}
	_, found, err := load[record.Participant](tx, record.ParticipantKey(c.institution))
	if err != nil {
		return nil, err
	}
	if found {
		return nil, record.Errorf(record.Exists, "the member has its institution already")
	}
	if err := tx.claimPrefix(c.institution); err != nil {
		return nil, err
	}
	institution := q.Institution
	p := record.Participant{
		ID: c.institution, Role: record.InstitutionRole, MSPID: c.mspID, Institution: &institution,
	}
	c.participant = p
	tx.auditHere(record.AuditEntry{Basis: record.BasisParticipant, Subject: p.ID})
	return nil, tx.bind(p, c.key, c.signingKey, q.EncryptionKey, q.Signature)
}

// claimPrefix keeps two members apart whose IDs begin alike: whose patient a reference is, is told by that.
func (tx *transaction) claimPrefix(institution record.ParticipantID) error {
	key := record.PrefixKey(institution.Institution())
	_, taken, err := load[record.PrefixHolder](tx, key)
	if err != nil {
		return err
	}
	if taken {
		return record.Errorf(record.Exists, "another member's institution has an ID that begins alike: the member needs "+
			"another MSP ID")
	}
	return tx.put(key, record.PrefixHolder{V: record.SchemaVersion, Institution: institution})
}

// bind makes p active with a signing key, and an encryption key that it vouches for.
func (tx *transaction) bind(p record.Participant, key record.Fingerprint, signingKey, encryptionKey, signature []byte) error {
	parsed, err := parseKey(signingKey)
	if err != nil {
		return err
	}
	if !verify(parsed, record.EncryptionKeyMessage(p.ID, encryptionKey), signature) {
		return record.Errorf(record.BadRequest, "the encryption key's signature is not of the participant's signing key")
	}
	_, known, err := load[record.Binding](tx, record.BindingKey(key))
	if err != nil {
		return err
	}
	if known {
		return record.Errorf(record.Exists, "the key is, or was, bound to a participant: make a new one")
	}
	p.V, p.Key, p.SigningKey = record.SchemaVersion, key, signingKey
	p.EncryptionKey, p.Signature = encryptionKey, signature
	p.Status, p.Since = record.Active, tx.now
	binding := record.Binding{V: record.SchemaVersion, Participant: p.ID}
	if err := tx.put(record.BindingKey(key), binding); err != nil {
		return err
	}
	return tx.put(record.ParticipantKey(p.ID), p)
}

// retire ends the binding of a key, for ever.
func (tx *transaction) retire(p record.Participant) error {
	if p.Key.IsZero() {
		return nil
	}
	binding := record.Binding{V: record.SchemaVersion, Participant: p.ID, Retired: true}
	return tx.put(record.BindingKey(p.Key), binding)
}

func updateInstitution(tx *transaction, q record.InstitutionUpdate) (any, error) {
	if err := tx.caller.require(record.InstitutionRole); err != nil {
		return nil, err
	}
	p := tx.caller.participant
	institution := q.Institution
	p.Institution = &institution
	tx.auditHere(record.AuditEntry{Basis: record.BasisInstitution, Subject: p.ID})
	return nil, tx.put(record.ParticipantKey(p.ID), p)
}

func invite(tx *transaction, q record.Invite) (any, error) {
	roles := []record.Role{record.InstitutionRole}
	if q.Role == record.PatientRole || q.Role == record.RepresentativeRole {
		roles = append(roles, record.StaffRole)
	}
	if err := tx.caller.requireOf(q.Participant.Institution(), roles...); err != nil {
		return nil, err
	}
	_, found, err := load[record.Participant](tx, record.ParticipantKey(q.Participant))
	if err != nil {
		return nil, err
	}
	if found {
		return nil, record.Errorf(record.Exists, "there is such a participant already")
	}
	tx.auditHere(record.AuditEntry{Basis: record.BasisInstitution, Subject: q.Participant})
	return nil, tx.put(record.ParticipantKey(q.Participant), record.Participant{
		V: record.SchemaVersion, ID: q.Participant, Role: q.Role, MSPID: tx.caller.mspID, Status: record.Invited,
		Since: tx.now,
	})
}

func join(tx *transaction, q record.Join) (any, error) {
	c := &tx.caller
	if !c.participant.ID.IsZero() {
		return nil, record.Errorf(record.Exists, "the caller's key is bound to a participant already")
	}
	p, found, err := load[record.Participant](tx, record.ParticipantKey(c.claimedParticipant))
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, record.Errorf(record.Forbidden, "the caller's certificate names no participant who was invited: ask "+
			"the institution for a new enrolment code")
	case p.MSPID != c.mspID || p.Role != c.claimedRole:
		return nil, record.Errorf(record.Forbidden, "the caller's certificate claims another role or institution than was "+
			"invited: ask the institution for a new enrolment code")
	case p.Status != record.Invited:
		return nil, record.Errorf(record.Forbidden, "the participant has a key already: a lost one is replaced by a "+
			"decision of two people at the institution")
	}
	c.participant = p
	tx.auditHere(record.AuditEntry{Basis: record.BasisParticipant, Subject: p.ID})
	return nil, tx.bind(p, c.key, c.signingKey, q.EncryptionKey, q.Signature)
}

func rotate(tx *transaction, q record.Rotation) (any, error) {
	c := &tx.caller
	if c.refused != nil {
		return nil, c.refused
	}
	p := c.participant
	if err := tx.rebind(p, q); err != nil {
		return nil, err
	}
	tx.auditHere(record.AuditEntry{Basis: record.BasisParticipant, Subject: p.ID})
	return nil, nil
}

// rebind replaces a participant's keys.
func (tx *transaction) rebind(p record.Participant, q record.Rotation) error {
	key, err := parseKey(q.NewKey)
	if err != nil {
		return err
	}
	if !verify(key, record.RotationMessage(p.ID, q.NewKey), q.Proof) {
		return record.Errorf(record.BadRequest, "the new key's proof is not by the new key")
	}
	if err := tx.retire(p); err != nil {
		return err
	}
	return tx.bind(p, record.FingerprintOf(p.MSPID, q.NewKey), q.NewKey, q.EncryptionKey, q.Signature)
}

func suspend(tx *transaction, q record.Suspension) (any, error) {
	return tx.setStatus(q.Participant, record.Suspended)
}

func reinstate(tx *transaction, q record.Suspension) (any, error) {
	return tx.setStatus(q.Participant, record.Active)
}

// setStatus suspends an active participant of the caller's institution, or the reverse.
func (tx *transaction) setStatus(id record.ParticipantID, status record.Status) (any, error) {
	if err := tx.caller.requireOf(id.Institution(), record.InstitutionRole); err != nil {
		return nil, err
	}
	p, found, err := load[record.Participant](tx, record.ParticipantKey(id))
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, record.Errorf(record.NotFound, "no such participant: check the ID")
	case p.Role == record.InstitutionRole:
		return nil, record.Errorf(record.BadRequest, "an institution cannot suspend itself: rotate its key instead")
	case p.Status == status:
		return nil, record.Errorf(record.Exists, "the participant is %s already", status)
	case p.Key.IsZero() && status == record.Active:
		return nil, record.Errorf(record.WrongState, "the participant has not joined yet: there is nothing to reinstate")
	}
	p.Status, p.Since = status, tx.now
	tx.auditHere(record.AuditEntry{Basis: record.BasisInstitution, Subject: p.ID})
	return nil, tx.put(record.ParticipantKey(id), p)
}

func setTeam(tx *transaction, q record.Team) (any, error) {
	if err := tx.caller.requireOffice(q.ID.Institution()); err != nil {
		return nil, err
	}
	for _, m := range q.Members {
		if m.Participant.Institution() != q.ID.Institution() {
			return nil, record.Errorf(record.BadRequest, "a member of the team is of another institution: take your own")
		}
		if _, err := tx.professional(m.Participant); err != nil {
			return nil, err
		}
	}
	q.V = record.SchemaVersion
	tx.auditHere(record.AuditEntry{Basis: record.BasisInstitution, Subject: q.ID})
	return nil, tx.put(record.TeamKey(q.ID), q)
}

// professional gives a participant who treats: a doctor. NotFound, or BadRequest if they are something else.
func (tx *transaction) professional(id record.ParticipantID) (record.Participant, error) {
	return tx.participantOf(id, record.DoctorRole)
}

// participantOf gives a participant who is of the role. NotFound, or BadRequest if they are something else.
func (tx *transaction) participantOf(id record.ParticipantID, role record.Role) (record.Participant, error) {
	p, found, err := load[record.Participant](tx, record.ParticipantKey(id))
	switch {
	case err != nil:
		return p, err
	case !found:
		return p, record.Errorf(record.NotFound, "no such participant: check the ID")
	case p.Role != role:
		return p, record.Errorf(record.BadRequest, "the participant is enrolled as %s: this needs a %s", p.Role, role)
	}
	return p, nil
}

func participantByText(stub shim.ChaincodeStubInterface, text string) (record.Participant, error) {
	id, err := participantNamed(stub, text)
	if err != nil {
		return record.Participant{}, err
	}
	p, found, err := loadState[record.Participant](stub, record.ParticipantKey(id))
	if err == nil && !found {
		err = record.Errorf(record.NotFound, "no such participant: check the ID")
	}
	return p, err
}

// participantNamed reads a participant ID; or an institution's prefix, which is that institution's. It is zero if no
// institution has the prefix.
func participantNamed(stub shim.ChaincodeStubInterface, text string) (record.ParticipantID, error) {
	if prefix, err := record.ParseInstitutionPrefix(text); err == nil {
		holder, _, err := loadState[record.PrefixHolder](stub, record.PrefixKey(prefix))
		return holder.Institution, err
	}
	id, err := record.ParseParticipantID(text)
	if err != nil {
		return id, badArgument(err)
	}
	return id, nil
}

func whoAmI(stub shim.ChaincodeStubInterface) (record.Participant, error) {
	who, err := identify(stub)
	if err == nil {
		err = who.refused
	}
	return who.participant, err
}

func teamByText(stub shim.ChaincodeStubInterface, text string) (record.Team, error) {
	id, err := record.ParseParticipantID(text)
	if err != nil {
		return record.Team{}, badArgument(err)
	}
	team, found, err := loadState[record.Team](stub, record.TeamKey(id))
	if err == nil && !found {
		err = record.Errorf(record.NotFound, "no such team: check the ID")
	}
	return team, err
}

func listParticipants(stub shim.ChaincodeStubInterface, institution string, pageSize int32, bookmark string,
) (record.ParticipantPage, error) {
	id, err := record.ParseParticipantID(institution)
	if err != nil {
		return record.ParticipantPage{}, badArgument(err)
	}
	start, end := record.ParticipantRange(id.Institution())
	page := record.ParticipantPage{Participants: []record.Participant{}}
	page.Bookmark, err = eachOfPage(stub, start, end, pageSize, bookmark, func(_ string, value []byte) error {
		p, _, err := decodeState[record.Participant](value)
		page.Participants = append(page.Participants, p)
		return err
	})
	return page, err
}

// eachOfPage calls f for each key of a page of a range, and gives the next page's bookmark.
func eachOfPage(stub shim.ChaincodeStubInterface, start, end string, pageSize int32, bookmark string,
	f func(key string, value []byte) error,
) (next string, err error) {
	if pageSize < 1 || pageSize > record.MaxPageSize {
		return "", record.Errorf(record.BadRequest, "page size %d: ask for 1 to %d", pageSize, record.MaxPageSize)
	}
	if bookmark != "" && (bookmark < start || bookmark >= end) {
		return "", record.Errorf(record.BadRequest, "the bookmark is not of this list: begin again without one")
	}
	found, meta, err := stub.GetStateByRangeWithPagination(start, end, pageSize, bookmark)
	if err != nil {
		return "", fmt.Errorf("read page: %w", err)
	}
	defer found.Close() //nolint:errcheck // it was only read
	for found.HasNext() {
		kv, err := found.Next()
		if err != nil {
			return "", fmt.Errorf("read page: %w", err)
		}
		if err := f(kv.GetKey(), kv.GetValue()); err != nil {
			return "", err
		}
	}
	return meta.GetBookmark(), nil
}
