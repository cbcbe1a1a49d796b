package contract

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"

	"github.com/hyperledger/fabric-chaincode-go/v2/pkg/cid"
	"github.com/hyperledger/fabric-chaincode-go/v2/shim"

	"github.com/medanchor/medanchor/chaincode/record"
)

// caller is who signed the transaction: what their certificate claims, and whom the ledger knows by their key.
//
// The certificate alone gives no right: any member's CA can mint one with any attribute. The key does, by its binding; and the
// certificate must claim the same role and participant, so that neither CA nor ledger is enough alone.
type caller struct {
	mspID       string
	institution record.ParticipantID // of the member
	key         record.Fingerprint
	signingKey  []byte // SubjectPublicKeyInfo, DER
	publicKey   *ecdsa.PublicKey

	claimedRole        record.Role
	claimedParticipant record.ParticipantID // zero if there is no such attribute, or it is malformed

	participant record.Participant // zero if the ledger does not know the key
	refused     error              // why the caller has no rights; nil for an active participant
}

// identify finds out who calls.
func identify(stub shim.ChaincodeStubInterface) (caller, error) {
	identity, err := cid.New(stub)
	if err != nil {
		return caller{}, record.Errorf(record.Forbidden, "the caller has no readable X.509 certificate: enrol again")
	}
	mspID, err := identity.GetMSPID()
	if err != nil {
		return caller{}, fmt.Errorf("read caller's MSP ID: %w", err)
	}
	certificate, err := identity.GetX509Certificate()
	if err != nil || certificate == nil {
		return caller{}, record.Errorf(record.Forbidden, "the caller has no readable X.509 certificate: enrol again")
	}
	c := caller{
		mspID:       mspID,
		institution: record.InstitutionID(mspID),
		key:         record.FingerprintOf(mspID, certificate.RawSubjectPublicKeyInfo),
		signingKey:  certificate.RawSubjectPublicKeyInfo,
	}
	c.publicKey, _ = certificate.PublicKey.(*ecdsa.PublicKey)
	role, _, err := identity.GetAttributeValue(record.RoleAttribute)
	if err != nil {
		return caller{}, record.Errorf(record.Forbidden, "the caller's certificate has unreadable attributes: enrol again")
	}
	c.claimedRole = record.Role(role)
	if claimed, found, _ := identity.GetAttributeValue(record.ParticipantAttribute); found {
		c.claimedParticipant, _ = record.ParseParticipantID(claimed)
	}
	return c, c.resolve(stub)
}

// resolve finds the participant to whom the caller's key is bound, and whether they may act.
func (c *caller) resolve(stub shim.ChaincodeStubInterface) error {
	bound, found, err := loadState[record.Binding](stub, record.BindingKey(c.key))
	if err != nil {
		return err
	}
	if !found || bound.Retired {
		c.refused = record.Errorf(record.Forbidden,
			"the caller's key is bound to no participant: register the institution, or join with an enrolment code")
		return nil
	}
	p, found, err := loadState[record.Participant](stub, record.ParticipantKey(bound.Participant))
	if err != nil {
		return err
	}
	switch {
	case !found || p.MSPID != c.mspID || p.Key != c.key:
		return fmt.Errorf("the binding of a key and its participant differ")
	case p.Status != record.Active:
		c.refused = record.Errorf(record.Forbidden, "the participant is %s: ask their institution", p.Status)
	case c.claimedRole == "":
		c.refused = record.Errorf(record.Forbidden, "the caller's certificate carries no attribute %s: enrol again, "+
			"and request the attribute", record.RoleAttribute)
	case c.claimedRole != p.Role || c.claimedParticipant != p.ID:
		c.refused = record.Errorf(record.Forbidden, "the caller's certificate claims another role or participant than its "+
			"key is bound to: enrol again")
	}
	c.participant = p
	return nil
}

// require refuses callers who are not an active participant of one of the roles.
func (c *caller) require(roles ...record.Role) error {
	if c.refused != nil {
		return c.refused
	}
	if !slices.Contains(roles, c.participant.Role) {
		return record.Errorf(record.Forbidden, "the caller is enrolled as %s: this needs %v", c.participant.Role, roles)
	}
	return nil
}

// requireOf is require, at the institution whose prefix it is.
func (c *caller) requireOf(institution record.InstitutionPrefix, roles ...record.Role) error {
	if err := c.require(roles...); err != nil {
		return err
	}
	if c.institution.Institution() != institution {
		return record.Errorf(record.Forbidden, "this is another institution's to do: ask it")
	}
	return nil
}

// requireOffice refuses who does not act for the institution whose prefix it is: its administrator or staff.
func (c *caller) requireOffice(institution record.InstitutionPrefix) error {
	return c.requireOf(institution, record.InstitutionRole, record.StaffRole)
}

// verify checks a signature of an ECDSA key over a message's SHA-256, in ASN.1.
func verify(key *ecdsa.PublicKey, message, signature []byte) bool {
	digest := sha256.Sum256(message)
	return key != nil && ecdsa.VerifyASN1(key, digest[:], signature)
}

// parseKey reads an ECDSA key from SubjectPublicKeyInfo in DER.
func parseKey(der []byte) (*ecdsa.PublicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, record.Errorf(record.BadRequest, "the new key is no SubjectPublicKeyInfo in DER")
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok {
		return nil, record.Errorf(record.BadRequest, "the new key is not of ECDSA")
	}
	return key, nil
}
