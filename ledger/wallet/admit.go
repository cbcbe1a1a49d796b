package wallet

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/ledger/fabricca"
)

// Join binds the wallet's keys to its participant on the ledger. To repeat it does no harm.
func Join(ctx context.Context, w *Wallet, client *ledger.Client) error {
	key, signature, err := w.Vouch()
	if err != nil {
		return err
	}
	_, err = client.Act(ctx, record.JoinFunction, record.Join{EncryptionKey: key, Signature: signature}, nil)
	return joined(ctx, w, client, err)
}

// Register makes the wallet's owner the institution of their member. To repeat it does no harm, and changes nothing.
func Register(ctx context.Context, w *Wallet, client *ledger.Client, institution record.Institution) error {
	key, signature, err := w.Vouch()
	if err != nil {
		return err
	}
	_, err = client.Act(ctx, record.RegisterInstitutionFunction, record.InstitutionRegistration{
		Institution: institution, EncryptionKey: key, Signature: signature,
	}, nil)
	return joined(ctx, w, client, err)
}

// joined drops the refusal of what was done before: the wallet's key is bound to its participant.
func joined(ctx context.Context, w *Wallet, client *ledger.Client, err error) error {
	if err == nil {
		return nil
	}
	if me, asked := client.WhoAmI(ctx); asked == nil && me.ID == w.Participant {
		return nil
	}
	return err
}

// Admit registers a new participant of an institution at its CA, and invites them to the ledger. The code that it gives
// is for them alone. Who is not invited in the end has an identity without rights, and no code.
func Admit(ctx context.Context, institution *Wallet, client *ledger.Client, role record.Role) (Code, error) {
	var random [10]byte
	rand.Read(random[:]) // never fails (crypto/rand)
	invite := record.Invite{Participant: record.NewParticipantID(institution.MSPID, random), Role: role}
	if err := invite.Validate(); err != nil {
		return Code{}, err
	}
	roots, err := institution.TLSRoots()
	if err != nil {
		return Code{}, err
	}
	authority, err := institution.Authority()
	if err != nil {
		return Code{}, err
	}
	c := Code{Identity: institution.Identity, TLSRoots: roots}
	c.Participant, c.Role = invite.Participant, invite.Role
	if c.Secret, err = RegisterAtCA(ctx, authority, c); err != nil {
		return Code{}, err
	}
	if _, err := client.Act(ctx, record.InviteFunction, invite, nil); err != nil {
		return Code{}, fmt.Errorf("invite: %w", err)
	}
	return c, nil
}

// RegisterAtCA registers whom a code is for, in the name of a registrar, and gives the secret for one enrolment. An
// institution may register clients of its own.
func RegisterAtCA(ctx context.Context, registrar fabricca.KeyPair, c Code) (secret string, err error) {
	ca, err := c.ca()
	if err != nil {
		return "", err
	}
	registration := fabricca.Registration{
		ID: c.Participant.String(), Type: fabricca.ClientType, MaxEnrolments: 1,
		Attributes: map[string]string{
			record.RoleAttribute: string(c.Role), record.ParticipantAttribute: c.Participant.String(),
		},
	}
	if c.Role == record.InstitutionRole {
		registration.Rights = fabricca.RegistrarOf(fabricca.ClientType, record.RoleAttribute, record.ParticipantAttribute)
	}
	secret, err = ca.Register(ctx, registrar, registration)
	return secret, explainRefusal(err)
}

// Renew gives a participant of an institution, who lost their key or their code, a new code. Who has a key on the
// ledger takes the new one in its place by a decision of two people: see [Wallet.Request].
func Renew(ctx context.Context, institution *Wallet, client *ledger.Client, id record.ParticipantID) (Code, error) {
	p, err := client.Participant(ctx, id)
	if err != nil {
		return Code{}, err
	}
	if p.MSPID != institution.MSPID {
		return Code{}, record.Errorf(record.Forbidden, "the participant is of another institution: ask it")
	}
	roots, err := institution.TLSRoots()
	if err != nil {
		return Code{}, err
	}
	authority, err := institution.Authority()
	if err != nil {
		return Code{}, err
	}
	c := Code{Identity: institution.Identity, TLSRoots: roots}
	c.Participant, c.Role = p.ID, p.Role
	c.Secret, err = RenewAtCA(ctx, authority, c)
	return c, err
}

// RenewAtCA gives whom a code is for a new secret at the CA, in the name of a registrar.
func RenewAtCA(ctx context.Context, registrar fabricca.KeyPair, c Code) (secret string, err error) {
	ca, err := c.ca()
	if err != nil {
		return "", err
	}
	secret, err = ca.Renew(ctx, registrar, c.Participant.String())
	return secret, explainRefusal(err)
}

// explainRefusal says what to do where the CA does not take the registrar.
func explainRefusal(err error) error {
	if errors.Is(err, fabricca.ErrForbidden) || errors.Is(err, fabricca.ErrUnauthorized) {
		return fmt.Errorf("%w: take one that may, such as the institution's own, and whose certificate is valid", err)
	}
	return err
}
