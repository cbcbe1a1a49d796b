package appliance

import (
	"context"
	"crypto/hpke"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/medanchor/medanchor/dicomwatch/folder"
	"github.com/medanchor/medanchor/ingest/inspect"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/ledger/wallet"
	"github.com/medanchor/medanchor/vault/seal"
)

// checkTimeout bounds the question to the peer.
const checkTimeout = 10 * time.Second

// Check tries what the configuration names, and returns every fault at once. It changes nothing, and may be run beside
// the appliance.
func Check(ctx context.Context, c Config) error {
	errs := []error{checkVault(c), checkSwarmKey(c), checkInspector(ctx, c), checkLedger(ctx, c), checkReading(c), checkReceiver(c.DICOM)}
	for _, f := range c.Folders {
		errs = append(errs, folder.Options{Name: f.Name, Path: f.Path, Disposal: f.Afterwards}.Check())
	}
	return errors.Join(errs...)
}

func checkVault(c Config) error {
	if err := checkData(c.Data); err != nil {
		return err
	}
	_, err := seal.Load(c.Vault.KeyFile, c.Data, c.Vault.RecoveryRecipient)
	return err
}

func checkSwarmKey(c Config) error {
	if _, err := os.ReadFile(c.IPFS.SwarmKeyFile); err != nil {
		return fmt.Errorf("read swarm key: %w: copy the consortium's, the same file at every hospital", err)
	}
	return nil
}

func checkInspector(ctx context.Context, c Config) error {
	pool, err := inspect.New(ctx, inspect.Options{Program: c.Inspect.Program, Children: 1})
	if err != nil {
		return err
	}
	return pool.Close()
}

// checkReading looks at the certificate of the reading service, and at the key that opens what is sealed to the appliance.
func checkReading(c Config) error {
	var read certificates
	_, err := read.readReading(c.Reading)
	_, keyErr := readEncryptionKey(c)
	return errors.Join(err, read.readingTrouble(time.Now()), keyErr)
}

// readEncryptionKey reads the key that opens what is sealed to the appliance.
func readEncryptionKey(c Config) (hpke.PrivateKey, error) {
	key, err := wallet.ReadEncryptionKey(c.Ledger.EncryptionKeyFile)
	if err != nil {
		return nil, fmt.Errorf("read the appliance's encryption key: %w: medanchor enroll made it beside the certificate", err)
	}
	return key, nil
}

func checkLedger(ctx context.Context, c Config) error {
	var read certificates
	if err := read.readOwn(c.Ledger); err != nil {
		return err
	}
	if err := read.ledgerTrouble(time.Now()); err != nil {
		return err
	}
	client, err := ledger.Connect(ctx, ledgerOptions(c.Ledger))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if _, err := client.Height(ctx); err != nil {
		err = fmt.Errorf("ask peer %s for channel %s: %w: see that the peer runs and has joined the channel, and that ledger.peer "+
			"and ledger.tls_ca_file are its own", c.Ledger.Peer, c.Ledger.Channel, err)
		return errors.Join(err, client.Close())
	}
	return client.Close()
}
