package wallet

import (
	"context"
	"crypto/hpke"
	"errors"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/ledger/sealed"
)

// releasesPage is how many releases are asked for at once.
const releasesPage = 200

// Released is a document's file key that a custodian released to the wallet's owner.
type Released struct {
	Institution record.InstitutionPrefix // the custodian
	sealed.DocumentKey
}

// Released opens what was released to the wallet's owner of a record. A release that does not open gives nothing: it is not
// honest, or sealed to a key that the owner lost.
func (w *Wallet) Released(ctx context.Context, client *ledger.Client, name record.RecordName) (keys []Released, err error) {
	for bookmark := ""; ; {
		page, err := client.Releases(ctx, name.Patient, w.Participant, releasesPage, bookmark)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Releases {
			opened, err := w.openRelease(ctx, client, r)
			if err != nil {
				return nil, err
			}
			for _, k := range opened {
				if k.Record == name.Record {
					keys = append(keys, Released{r.Institution.Institution(), k})
				}
			}
		}
		if bookmark = page.Bookmark; bookmark == "" {
			return keys, nil
		}
	}
}

func (w *Wallet) openRelease(ctx context.Context, client *ledger.Client, r record.ListedRelease,
) ([]sealed.DocumentKey, error) {
	found, err := client.SealedRelease(ctx, r.Patient, r.Recipient, r.ID)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil // ended just now, or this peer does not have it yet
	}
	if err != nil {
		return nil, err
	}
	for _, key := range append([]hpke.PrivateKey{w.encryption}, w.old...) {
		if record.KeyIDOf(key.PublicKey().Bytes()) != r.Key {
			continue
		}
		if keys, err := sealed.OpenRelease(sealed.ContextOf(w.Channel, r), key, found); err == nil {
			return keys, nil
		}
	}
	return nil, nil
}
