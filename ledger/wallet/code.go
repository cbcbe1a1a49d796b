package wallet

import (
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger/fabricca"
)

// codePrefix begins every enrolment code, and names its version.
const codePrefix = "medanchor1-"

// ErrCode says that a text is no enrolment code, or not all of one.
var ErrCode = errors.New("the enrolment code is damaged: copy all of it, from " + codePrefix + " to its end")

// Code is what an institution gives to somebody so that they can enrol, once: who they become, a secret for the
// institution's CA, and where CA and peer are. Whoever has the code first becomes that participant: hand it over in person.
type Code struct {
	Identity
	Secret string `json:"secret"` // of the CA, good for one enrolment
	// TLSRoots are the certificates below which peer and CA have theirs: DER, one after the other.
	TLSRoots []byte `json:"-"`
}

// String gives the code's text: in armour, the length of a JSON text (2 bytes, big-endian), the text, and the TLS
// certificates.
func (c Code) String() string {
	text, err := json.Marshal(c) //nolint:gosec // the secret is what the code is for
	if err != nil {
		panic("medanchor: an enrolment code holds only text: " + err.Error())
	}
	body := binary.BigEndian.AppendUint16(nil, uint16(len(text))) //nolint:gosec // a few hundred bytes
	return armour(codePrefix, append(append(body, text...), c.TLSRoots...))
}

// ParseCode reads what Code.String gives.
func ParseCode(text string) (Code, error) {
	body, ok := dearmour(codePrefix, text)
	if !ok || len(body) < 2 {
		return Code{}, ErrCode
	}
	length := int(binary.BigEndian.Uint16(body))
	if len(body) < 2+length {
		return Code{}, ErrCode
	}
	var c Code
	if err := json.Unmarshal(body[2:2+length], &c); err != nil {
		return Code{}, fmt.Errorf("%w (%w)", ErrCode, err)
	}
	c.TLSRoots = body[2+length:]
	if c.Participant.IsZero() || !c.Role.Valid() || c.Secret == "" || len(c.TLSRoots) == 0 {
		return Code{}, ErrCode
	}
	return c, nil
}

// ca reaches the institution's CA.
func (c Code) ca() (*fabricca.Client, error) {
	roots, err := parseRoots(c.TLSRoots)
	if err != nil {
		return nil, fmt.Errorf("read the TLS certificates in the code: %w", err)
	}
	pool := x509.NewCertPool()
	for _, root := range roots {
		pool.AddCert(root)
	}
	return fabricca.New(c.CA, pool), nil
}

// tlsRootsPEM gives TLSRoots in PEM. ca has read them.
func (c Code) tlsRootsPEM() (text []byte) {
	roots, _ := parseRoots(c.TLSRoots)
	for _, root := range roots {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: root.Raw})...)
	}
	return text
}

// InstitutionCode is the code with which a member's institution enrols: its participant ID follows from the MSP ID.
func InstitutionCode(c Code) Code {
	c.Participant, c.Role = record.InstitutionID(c.MSPID), record.InstitutionRole
	return c
}
