package document

import "github.com/medanchor/medanchor/chaincode/record"

// Emergency is a reading for which the ledger could not be asked: what the doctor stated and signed, and why. The texts are
// personal data.
type Emergency struct {
	record.EmergencyStatement
	Signature []byte `json:"signature"` // over EmergencyStatement.Message
	// SigningKey is the public key that signed, which the doctor may have replaced by the time that the ledger is told:
	// SubjectPublicKeyInfo, DER. The appliance fills it in.
	SigningKey []byte `json:"signing_key,omitempty"`
	Text       string `json:"text"` // the reason
	Name       string `json:"name,omitempty"`
}
