// Package hospital sets up one hospital for the demo, tests and benchmarks, as hospital IT would: a configuration, keys
// made by medanchor init, an appliance that the member's institution has enrolled, and two drop folders. It is used with
// a network of package devnet.
package hospital

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/medanchor/medanchor/appliance"
	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/dicomwatch/folder"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/test/synth"
)

// Modality is the AE title of a device that may send to a hospital, from the same machine. Its department is radiology.
const Modality = "CT1"

// Options describe a hospital.
type Options struct {
	// Dir is the hospital's folder; it is made. The appliance's data is below it, in data/.
	Dir string
	// Inspector is the program medanchor-inspect.
	Inspector string
	// Drop is the folder with dicom/ and documents/ into which files are dropped; default: drop/ in Dir.
	Drop string
	// Afterwards is what becomes of files; default: done.
	Afterwards folder.Disposal
	// Quiet is the folders' quiet period; default: 50 ms, because the files are renamed into place.
	Quiet time.Duration
	// SwarmKey, if set, is the consortium's; else the hospital makes its own.
	SwarmKey []byte
	// Machine, if set, is where the hospital's programs run; else they run beside the test.
	Machine Machine
}

// Hospital is a hospital that is ready to run.
type Hospital struct {
	Dir        string
	ConfigPath string
	Config     appliance.Config
	DICOM      string  // drop folder
	Documents  string  // drop folder: the first folder inside it is the NHS number
	Recovery   string  // the recovery identity's file
	Machine    Machine // nil: the programs run beside the test
}

// New sets up a hospital of the member.
func New(ctx context.Context, network *devnet.Network, member *devnet.Member, o Options) (*Hospital, error) {
	h := &Hospital{
		Dir: o.Dir, ConfigPath: filepath.Join(o.Dir, "medanchor.yaml"), Recovery: filepath.Join(o.Dir, "recovery.key"),
		Machine: o.Machine,
	}
	if o.Drop == "" {
		o.Drop = filepath.Join(o.Dir, "drop")
	}
	h.DICOM, h.Documents = filepath.Join(o.Drop, "dicom"), filepath.Join(o.Drop, "documents")
	for _, dir := range []string{filepath.Join(o.Dir, "keys"), h.DICOM, h.Documents} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	identity, err := enrol(ctx, network, member)
	if err != nil {
		return nil, fmt.Errorf("enrol the appliance: %w", err)
	}
	recipient, err := appliance.NewRecoveryKey(h.Recovery)
	if err != nil {
		return nil, err
	}
	if len(o.SwarmKey) > 0 {
		if err := os.WriteFile(filepath.Join(o.Dir, "keys", "swarm.key"), o.SwarmKey, 0o600); err != nil {
			return nil, err
		}
	}
	h.Config = h.config(member, o, identity, recipient)
	if err := h.WriteConfig(); err != nil {
		return nil, err
	}
	return h, appliance.Init(h.Config)
}

func (h *Hospital) config(m *devnet.Member, o Options, identity ledger.Options, recipient string) appliance.Config {
	afterwards, quiet := o.Afterwards, o.Quiet
	if afterwards == "" {
		afterwards = folder.Done
	}
	if quiet == 0 {
		quiet = 50 * time.Millisecond
	}
	keys := filepath.Join(o.Dir, "keys")
	return appliance.Config{
		Data:  filepath.Join(o.Dir, "data"),
		Vault: appliance.VaultConfig{KeyFile: filepath.Join(keys, "vault.key"), RecoveryRecipient: recipient},
		IPFS: appliance.IPFSConfig{
			Listen: "/ip4/127.0.0.1/tcp/0", SwarmKeyFile: filepath.Join(keys, "swarm.key"),
		},
		Ledger: appliance.LedgerConfig{
			Peer: identity.Peer, TLSCAFile: identity.TLSCAFile, MSPID: identity.MSPID,
			CertificateFile: identity.CertificateFile, KeyFile: identity.KeyFile,
			Channel: identity.Channel, Chaincode: identity.Chaincode,
		},
		Patients: appliance.PatientsConfig{
			Issuer: m.Name, NHSIssuers: []string{synth.OtherIssuer}, Placeholders: []string{synth.Placeholder},
		},
		Folders: []appliance.FolderConfig{
			{
				Name: "dicom", Path: h.DICOM, Afterwards: afterwards, Quiet: quiet, Patience: 10 * quiet, Rescan: time.Second,
				Kind: record.KindOther,
			},
			{
				Name: "documents", Path: h.Documents, Afterwards: afterwards, Quiet: quiet, Patience: 10 * quiet, Rescan: time.Second,
				Kind:    record.KindLetter,
				Patient: appliance.PatientRuleConfig{Issuer: synth.Issuer, Pattern: `^(?P<id>[^/]+)/`},
			},
		},
		DICOM: appliance.DICOMConfig{
			Listen: "127.0.0.1:0", AETitle: "MEDANCHOR",
			Senders: []appliance.SenderConfig{{AETitle: Modality, Addresses: []string{"127.0.0.0/8"}, Department: "radiology"}},
		},
		// Tests say themselves when the disk is full.
		Reserve: appliance.ReserveConfig{Bytes: 64 << 20, Percent: 0.01, InodesPercent: 0.01},
		Inspect: appliance.InspectConfig{Program: o.Inspector, Workers: 2},
		Reading: appliance.ReadingConfig{Listen: "127.0.0.1:0"},
		Listen:  "127.0.0.1:0",
		Log:     appliance.LogConfig{Format: "text"},
	}
}

// WriteConfig writes Config to ConfigPath, after a change, and reads it back as the appliance would.
func (h *Hospital) WriteConfig() error {
	raw, err := yaml.Marshal(h.Config)
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if err := os.WriteFile(h.ConfigPath, raw, 0o600); err != nil {
		return err
	}
	h.Config, err = appliance.LoadConfig(h.ConfigPath)
	return err
}

// Client talks to the running appliance.
func (h *Hospital) Client() *control.Client { return control.NewClient(h.Config.Data) }
