package appliance

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/index"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/ledger/sealed"
	"github.com/medanchor/medanchor/pause"
)

// The pauses between attempts to fetch what was sealed to this appliance: a peer gets private data after its block.
const (
	secretsFirst = 500 * time.Millisecond
	secretsLast  = 30 * time.Second
)

// receiveSecrets keeps the secrets of linked patients that others hand over to this appliance, until ctx ends. It looks at
// the start, and after each block that hands one over.
func (a *App) receiveSecrets(ctx context.Context) error {
	retries := pause.Growing{First: secretsFirst, Last: secretsLast}
	for {
		left, err := a.receiveAll(ctx)
		if err != nil {
			return err
		}
		var retry <-chan time.Time
		if left {
			retry = time.After(retries.Next())
		} else {
			retries.Reset()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-retry:
		case <-a.handed:
		}
	}
}

// handsOver says whether a block hands a secret over to this appliance.
func (a *App) handsOver(block ledger.Block) bool {
	for _, w := range block.Writes {
		if _, is := a.handedOver(w.Key, w.Value); is {
			return true
		}
	}
	return false
}

// handedOver reads an audit entry by which a secret was handed over to this appliance.
func (a *App) handedOver(key string, value []byte) (e record.AuditEntry, is bool) {
	if !record.IsAuditKey(key) {
		return e, false
	}
	e, err := record.DecodeAuditEntry(key, value)
	return e, err == nil && e.Action == record.ActHandOver && !e.Denied && e.Subject == a.participant
}

// received is a secret that waits to be fetched.
type received struct {
	own   record.Reference
	key   string // of the audit entry
	entry record.AuditEntry
}

// receiveAll fetches what was handed over and is not here yet. Left says whether anything could not be had.
func (a *App) receiveAll(ctx context.Context) (left bool, err error) {
	waiting, err := a.secretsWaiting()
	if err != nil {
		return false, err
	}
	for _, w := range waiting {
		known, err := a.state.HasHanded(w.own, w.key)
		if err != nil {
			return false, err
		}
		if known {
			continue
		}
		secret, err := a.openSecret(ctx, w.entry)
		if err != nil {
			a.log.Debug("a patient secret that was handed over cannot be had yet", "err", err)
			left = true
			continue
		}
		if err := a.state.AddLinked(w.own, document.Linked{Reference: w.entry.Patient, Secret: secret}, w.key); err != nil {
			return false, err
		}
		a.log.Info("patient secret received from an institution with a link")
	}
	return left, nil
}

// secretsWaiting looks through the audits of the references to which this institution's patients are linked.
func (a *App) secretsWaiting() (waiting []received, err error) {
	type link struct{ own, to record.Reference }
	var links []link
	var failed error
	start, end := record.PatientsRange(a.institution())
	err = a.index.Range(start, end, func(c index.Change) bool {
		var p record.Patient
		if p, failed = decodeIndexed[record.Patient](c.Value); failed != nil {
			return false
		}
		for _, l := range p.Links {
			if l.To.Institution() != a.institution() {
				links = append(links, link{p.Reference, l.To})
			}
		}
		return true
	})
	if err := errors.Join(err, failed); err != nil {
		return nil, err
	}
	for _, l := range links {
		start, end := record.AuditRange(l.to)
		err := a.index.Range(start, end, func(c index.Change) bool {
			if e, is := a.handedOver(c.Key, c.Value); is {
				waiting = append(waiting, received{l.own, c.Key, e})
			}
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	return waiting, nil
}

func (a *App) openSecret(ctx context.Context, e record.AuditEntry) (secret [32]byte, err error) {
	note, err := a.ledger.SealedNote(ctx, e.ID, a.participant)
	if err != nil {
		return secret, err
	}
	opened, err := sealed.Open(sealed.Context{
		Purpose: sealed.PatientSecret, Channel: a.config.Ledger.Channel, Patient: e.Patient, Sender: e.Actor,
		Recipient: a.participant,
	}, a.encryption, note.Ciphertext)
	if err != nil {
		return secret, err
	}
	raw, err := base64.StdEncoding.DecodeString(opened.Text)
	if err != nil || copy(secret[:], raw) != len(secret) || len(raw) != len(secret) {
		return secret, fmt.Errorf("read patient secret: it has %d bytes", len(raw))
	}
	return secret, nil
}
