package appliance

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/dicomwatch/folder"
	"github.com/medanchor/medanchor/document"
)

// Example is the shipped configuration, with a comment on each key.
//
//go:embed medanchor.yaml
var Example []byte

// Config is the appliance's configuration file. medanchor.yaml in this folder explains each key.
type Config struct {
	Data     string         `yaml:"data"`
	Vault    VaultConfig    `yaml:"vault"`
	IPFS     IPFSConfig     `yaml:"ipfs"`
	Ledger   LedgerConfig   `yaml:"ledger"`
	Patients PatientsConfig `yaml:"patients"`
	Folders  []FolderConfig `yaml:"folders"`
	DICOM    DICOMConfig    `yaml:"dicom"`
	Reserve  ReserveConfig  `yaml:"reserve"`
	Studies  StudiesConfig  `yaml:"studies"`
	Inspect  InspectConfig  `yaml:"inspect"`
	Reading  ReadingConfig  `yaml:"reading"`
	Listen   string         `yaml:"listen"`
	Log      LogConfig      `yaml:"log"`
}

// VaultConfig says where the keys are.
type VaultConfig struct {
	KeyFile           string `yaml:"key_file"`
	RecoveryRecipient string `yaml:"recovery_recipient"`
}

// IPFSConfig is the private swarm.
type IPFSConfig struct {
	Listen       string `yaml:"listen"`
	SwarmKeyFile string `yaml:"swarm_key_file"`
}

// LedgerConfig is the hospital's peer and the appliance's identity.
type LedgerConfig struct {
	Peer            string `yaml:"peer"`
	TLSCAFile       string `yaml:"tls_ca_file"`
	TLSServerName   string `yaml:"tls_server_name"`
	MSPID           string `yaml:"msp_id"`
	CertificateFile string `yaml:"certificate_file"`
	KeyFile         string `yaml:"key_file"`
	// EncryptionKeyFile opens what is sealed to the appliance.
	EncryptionKeyFile string `yaml:"encryption_key_file"`
	Channel           string `yaml:"channel"`
	Chaincode         string `yaml:"chaincode"`
}

// ReadingConfig is the service by which people read records.
type ReadingConfig struct {
	Listen          string `yaml:"listen"`
	CertificateFile string `yaml:"certificate_file"`
	KeyFile         string `yaml:"key_file"`
}

// TLS says whether the service speaks TLS.
func (c ReadingConfig) TLS() bool { return c.CertificateFile != "" }

// PatientsConfig says how patients are identified.
type PatientsConfig struct {
	Issuer       string   `yaml:"issuer"`
	NHSIssuers   []string `yaml:"nhs_issuers"`
	Placeholders []string `yaml:"placeholders"`
}

func (c PatientsConfig) rules() document.PatientRules {
	return document.PatientRules{Issuer: c.Issuer, NHSIssuers: c.NHSIssuers, Placeholders: c.Placeholders}
}

// FolderConfig is one drop folder.
type FolderConfig struct {
	Name       string            `yaml:"name"`
	Path       string            `yaml:"path"`
	Accepts    []document.Format `yaml:"accepts"`
	Afterwards folder.Disposal   `yaml:"afterwards"`
	Quiet      time.Duration     `yaml:"quiet"`
	Patience   time.Duration     `yaml:"patience"`
	Rescan     time.Duration     `yaml:"rescan"`
	Ready      bool              `yaml:"ready"`
	Kind       record.Kind       `yaml:"kind"`
	Department string            `yaml:"department"`
	// Issuer is that of identifiers in DICOM which name none; empty for the hospital's.
	Issuer  string            `yaml:"issuer"`
	Patient PatientRuleConfig `yaml:"patient"`
}

// PatientRuleConfig tells whose a file is that does not say so itself.
type PatientRuleConfig struct {
	By      PatientRule `yaml:"by"`
	Issuer  string      `yaml:"issuer"`
	Pattern string      `yaml:"pattern"`
}

// PatientRule is how it tells.
type PatientRule string

// The rules.
const (
	ByFolder  PatientRule = "folder"  // the first folder's name is the identifier
	ByPattern PatientRule = "pattern" // the pattern's group "id", matched against the path, is
	BySidecar PatientRule = "sidecar" // a small file beside it says it
)

// StudiesConfig says when no more instances of a study are expected.
type StudiesConfig struct {
	Quiet time.Duration `yaml:"quiet"`
}

// InspectConfig is the sandboxed reader of metadata.
type InspectConfig struct {
	Program string `yaml:"program"`
	Workers int    `yaml:"workers"`
}

// LogConfig is how the daemon logs.
type LogConfig struct {
	Level  slog.Level `yaml:"level"`
	Format string     `yaml:"format"`
}

// LoadConfig reads and checks the file at path. The error shows the line that is wrong.
func LoadConfig(path string) (Config, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return Config{}, fmt.Errorf("configuration %s does not exist: write it (medanchor config example shows one), "+
			"or name another with --config", path)
	}
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	c, err := ParseConfig(raw)
	if err != nil {
		return Config{}, fmt.Errorf("configuration %s: %w", path, err)
	}
	return c, nil
}

// ParseConfig reads and checks a configuration.
func ParseConfig(raw []byte) (Config, error) {
	c := Config{Reserve: defaultReserve()}
	if err := yaml.NewDecoder(bytes.NewReader(raw), yaml.Strict()).Decode(&c); err != nil {
		return Config{}, errors.New(yaml.FormatError(err, false, true))
	}
	c.setDefaults()
	if err := c.validate(); err != nil {
		return Config{}, err
	}
	return c, nil
}

func (c *Config) setDefaults() {
	orString(&c.IPFS.Listen, "/ip4/0.0.0.0/tcp/4001")
	orString(&c.Ledger.Channel, "medanchor")
	orString(&c.Ledger.Chaincode, "medanchor")
	orString(&c.Listen, "127.0.0.1:9464")
	orString(&c.Reading.Listen, "127.0.0.1:9465")
	if c.Ledger.KeyFile != "" {
		orString(&c.Ledger.EncryptionKeyFile, filepath.Join(filepath.Dir(c.Ledger.KeyFile), "encryption.key"))
	}
	orString(&c.Log.Format, "text")
	orDuration(&c.Studies.Quiet, 5*time.Minute)
	c.DICOM.setDefaults()
	if c.Inspect.Workers == 0 {
		c.Inspect.Workers = 2
	}
	if c.Inspect.Program == "" {
		if self, err := os.Executable(); err == nil {
			c.Inspect.Program = filepath.Join(filepath.Dir(self), "medanchor-inspect")
		}
	}
	for i := range c.Folders {
		f := &c.Folders[i]
		if f.Afterwards == "" {
			f.Afterwards = folder.Done
		}
		orDuration(&f.Quiet, 2*time.Second)
		orDuration(&f.Patience, max(folder.DefaultPatience, 10*f.Quiet))
		orDuration(&f.Rescan, 10*time.Second)
		if f.Patient.By == "" && f.Patient.Pattern != "" {
			f.Patient.By = ByPattern
		}
		if f.Kind == 0 {
			f.Kind = record.KindOther
		}
		orString(&f.Patient.Issuer, c.Patients.Issuer)
	}
}

func orDuration(d *time.Duration, def time.Duration) {
	if *d == 0 {
		*d = def
	}
}

func orString(s *string, def string) {
	if *s == "" {
		*s = def
	}
}

// validate returns every fault at once.
func (c *Config) validate() error {
	errs := []error{
		absolute("data", c.Data),
		absolute("vault.key_file", c.Vault.KeyFile),
		required("vault.recovery_recipient", c.Vault.RecoveryRecipient),
		absolute("ipfs.swarm_key_file", c.IPFS.SwarmKeyFile),
		required("ledger.peer", c.Ledger.Peer),
		absolute("ledger.tls_ca_file", c.Ledger.TLSCAFile),
		required("ledger.msp_id", c.Ledger.MSPID),
		absolute("ledger.certificate_file", c.Ledger.CertificateFile),
		absolute("ledger.key_file", c.Ledger.KeyFile),
		required("patients.issuer", c.Patients.Issuer),
		noneBlank("patients.nhs_issuers", c.Patients.NHSIssuers),
		noneBlank("patients.placeholders", c.Patients.Placeholders),
		oneOf("log.format", c.Log.Format, "text", "json"),
		loopback("listen", c.Listen),
		c.Reading.validate(),
		c.DICOM.validate(),
		c.Reserve.validate(),
		notNegative("studies.quiet", c.Studies.Quiet),
	}
	if filepath.IsAbs(c.Ledger.KeyFile) { // else the default is not either
		errs = append(errs, absolute("ledger.encryption_key_file", c.Ledger.EncryptionKeyFile))
	}
	if c.Inspect.Workers < 1 || c.Inspect.Workers > 64 {
		errs = append(errs, fmt.Errorf("inspect.workers: %d is not from 1 to 64", c.Inspect.Workers))
	}
	return errors.Join(append(errs, c.validateFolders()...)...)
}

func (c *Config) validateFolders() (errs []error) {
	names := make(map[string]bool)
	for i, f := range c.Folders {
		key := fmt.Sprintf("folders[%d]", i)
		errs = append(errs,
			required(key+".name", f.Name),
			absolute(key+".path", f.Path),
			oneOf(key+".afterwards", string(f.Afterwards), string(folder.Done), string(folder.Keep), string(folder.Delete)),
			f.Patient.validate(key+".patient"),
			f.validateAfterwards(key),
			f.validateDurations(key),
		)
		for j, format := range f.Accepts {
			errs = append(errs, oneOf(fmt.Sprintf("%s.accepts[%d]", key, j), string(format), string(document.FormatDICOM),
				string(document.FormatPDF), string(document.FormatText)))
		}
		if f.Name == networkDoor || f.Name == refileDoor {
			errs = append(errs, fmt.Errorf("%s.name: %q is a door's of medanchor itself: choose another", key, f.Name))
		}
		if names[f.Name] {
			errs = append(errs, fmt.Errorf("%s.name: %q stands twice", key, f.Name))
		}
		names[f.Name] = true
		if inside(f.Path, c.Data) || inside(c.Data, f.Path) {
			errs = append(errs, fmt.Errorf("%s.path: %s and the data folder %s may not be inside each other", key, f.Path, c.Data))
		}
		for _, other := range c.Folders[:i] {
			if inside(f.Path, other.Path) || inside(other.Path, f.Path) {
				errs = append(errs, fmt.Errorf("%s.path: %s and %s are the same or inside each other: its files would be taken "+
					"twice, by the rules of both", key, f.Path, other.Path))
			}
		}
	}
	return errs
}

// validateAfterwards has no sidecar file stay: it would name the patient of the next file of its name.
func (f FolderConfig) validateAfterwards(key string) error {
	if f.Afterwards == folder.Keep && f.Patient.By == BySidecar {
		return fmt.Errorf("%s.afterwards: keep leaves sidecar files, and one that is left names the patient of the next file of "+
			"its name: choose done or delete", key)
	}
	return nil
}

func (f FolderConfig) validateDurations(key string) error {
	err := errors.Join(
		notNegative(key+".quiet", f.Quiet),
		notNegative(key+".patience", f.Patience),
		notNegative(key+".rescan", f.Rescan),
	)
	if err == nil && f.Patience <= f.Quiet {
		return fmt.Errorf("%s.patience: %s is not longer than quiet, %s", key, f.Patience, f.Quiet)
	}
	return err
}

// validate wants TLS wherever others can listen: plaintext documents go over it.
func (c ReadingConfig) validate() error {
	if (c.CertificateFile == "") != (c.KeyFile == "") {
		return errors.New("reading: certificate_file and key_file go together: give both or none")
	}
	if !c.TLS() {
		if err := loopback("reading.listen", c.Listen); err != nil {
			return fmt.Errorf("%w; or give reading.certificate_file and reading.key_file", err)
		}
		return nil
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return fmt.Errorf("reading.listen: %w", err)
	}
	return errors.Join(absolute("reading.certificate_file", c.CertificateFile), absolute("reading.key_file", c.KeyFile))
}

// inside says whether path is dir or below it. Links are followed where they are there.
func inside(path, dir string) bool {
	rel, err := filepath.Rel(resolved(dir), resolved(path))
	return err == nil && filepath.IsLocal(rel)
}

func resolved(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		return target
	}
	return filepath.Clean(path)
}

func required(key, value string) error {
	if value == "" {
		return fmt.Errorf("%s: missing", key)
	}
	return nil
}

func noneBlank(key string, values []string) error {
	for i, value := range values {
		if strings.TrimSpace(value) == "" {
			return fmt.Errorf("%s[%d]: missing", key, i)
		}
	}
	return nil
}

func absolute(key, path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%s: want an absolute path, have %q", key, path)
	}
	return nil
}

func notNegative(key string, d time.Duration) error {
	if d < 0 {
		return fmt.Errorf("%s: %s is negative: write it as 2s or 5m", key, d)
	}
	return nil
}

func oneOf(key, value string, allowed ...string) error {
	if !slices.Contains(allowed, value) {
		return fmt.Errorf("%s: %q is none of %q", key, value, allowed)
	}
	return nil
}

func (c PatientRuleConfig) validate(key string) error {
	switch {
	case c.By == ByPattern:
		return patientPattern(key+".pattern", c.Pattern)
	case c.Pattern != "":
		return fmt.Errorf("%s: a pattern goes with by: %s", key, ByPattern)
	case c.By == "":
		return nil
	default:
		return oneOf(key+".by", string(c.By), string(ByFolder), string(ByPattern), string(BySidecar))
	}
}

func patientPattern(key, pattern string) error {
	compiled, err := regexp.Compile(pattern)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	if compiled.SubexpIndex("id") < 0 {
		return fmt.Errorf(`%s: %q has no group "id": write (?P<id>…) around the identifier`, key, pattern)
	}
	return nil
}

// loopback refuses addresses that other machines reach: metrics and health carry no authentication.
func loopback(key, address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%s: %s is not a loopback address: use 127.0.0.1, and a reverse proxy for others", key, host)
	}
	return nil
}
