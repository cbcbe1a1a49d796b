package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"

	"github.com/medanchor/medanchor/chaincode/record"
)

// errOtherEntry says that the peer committed something else than it endorsed.
var errOtherEntry = errors.New("the block has another audit entry than the contract answered: the peer is not to be trusted")

// Access has attempts to open records decided, and written to the audit of their patients. It returns once the transaction
// is committed as valid, and its entries were read back from their block and say what was decided.
func (c *Client) Access(ctx context.Context, q record.Accesses) ([]record.Access, error) {
	var decided []record.Access
	acted, err := c.Act(ctx, record.AccessFunction, q, &decided)
	if err != nil {
		return nil, err
	}
	if len(decided) != len(q.Accesses) {
		return nil, fmt.Errorf("%d decisions for %d accesses: the chaincode is not of this version", len(decided), len(q.Accesses))
	}
	writes, err := c.written(ctx, acted.TxID)
	if err != nil {
		return nil, err
	}
	for i, a := range q.Accesses {
		if err := entered(writes, acted.TxID.ID(), byte(i), a, decided[i]); err != nil {
			return nil, err
		}
	}
	return decided, nil
}

// entered looks for the entry of an attempt among the writes of a transaction.
func entered(writes []Write, id record.ID, number byte, a record.AccessAttempt, decided record.Access) error {
	key := record.AuditKey(a.Patient, id, number)
	for _, w := range writes {
		if w.Key != key {
			continue
		}
		e, err := record.DecodeAuditEntry(w.Key, w.Value)
		if err != nil {
			return err
		}
		if e.Action != record.ActAccess || e.Denied == decided.Allowed || e.Subject != a.Participant || e.Record != a.Record ||
			e.About != a.Session || e.Basis != decided.Basis {
			return errOtherEntry
		}
		return nil
	}
	return errOtherEntry
}

// written gives what a transaction wrote under the chaincode's name, from the block in which the caller's peer has it. One
// that is not valid is an *InvalidError.
func (c *Client) written(ctx context.Context, id record.TxID) ([]Write, error) {
	block := &common.Block{}
	if err := c.askChain(ctx, block, "GetBlockByTxID", id.String()); err != nil {
		return nil, fmt.Errorf("read back transaction %s: %w", id, err)
	}
	codes := validationCodes(block)
	for i, wire := range block.GetData().GetData() {
		if i >= len(codes) || codes[i] != peer.TxValidationCode_VALID {
			continue
		}
		writes, err := writesOf(wire, c.options.Chaincode)
		if err != nil {
			return nil, fmt.Errorf("read back transaction %s: %w", id, err)
		}
		if len(writes) > 0 && writes[0].TxID == id {
			return writes, nil
		}
	}
	return nil, fmt.Errorf("read back transaction %s: its block does not have it as valid", id)
}
