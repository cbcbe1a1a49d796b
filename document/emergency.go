package document

import "github.com/medanchor/medanchor/chaincode/record"

// Emergency is a reading for which the ledger could not be asked: what the doctor stated and signed, and why. The texts are
// personal data.
type Emergency struct {
	record.EmergencyStatement
	Signature []byte `json:"signature"` // over EmergencyStatement.Message
	Text      string `json:"text"`      // the reason
	Name      string `json:"name,omitempty"`
}
