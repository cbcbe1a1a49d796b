package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

// ErrRecovery says that the configured recovery recipient cannot be used, or is not the vault's.
var ErrRecovery = errors.New("recovery recipient refused")

// Sealer encrypts files to the vault identity and the recovery recipient, and opens them with the vault identity. It is
// safe for concurrent use.
type Sealer struct {
	identity *age.HybridIdentity
	recovery *age.HybridRecipient
}

// Seal encrypts src. The header is complete at once; the payload is encrypted as it is read, in chunks of 64 KiB, and
// holds no more than a chunk in memory. An error of src comes out of payload unchanged.
func (s Sealer) Seal(src io.Reader) (header []byte, payload io.Reader, err error) {
	file, err := age.EncryptReader(src, s.identity.Recipient(), s.recovery)
	if err != nil {
		return nil, nil, fmt.Errorf("seal file: %w", err)
	}
	return split(file)
}

// split cuts an age file after its header. The parser reads ahead, so what it took beyond the header is put back in
// front of the payload.
func split(file io.Reader) (header []byte, payload io.Reader, err error) {
	var taken bytes.Buffer
	header, err = age.ExtractHeader(io.TeeReader(file, &taken))
	if err != nil {
		return nil, nil, fmt.Errorf("detach header: %w", err)
	}
	ahead := taken.Next(len(header))
	if !bytes.Equal(ahead, header) {
		return nil, nil, errors.New("detach header: not in canonical form")
	}
	return header, io.MultiReader(&taken, file), nil
}

// Open decrypts a payload with its header. A payload that was changed, cut short or belongs to another header fails
// while it is read; what came before the damage has been verified.
func (s Sealer) Open(header []byte, payload io.Reader) (io.Reader, error) {
	plain, err := age.Decrypt(io.MultiReader(bytes.NewReader(header), payload), s.identity)
	if err != nil {
		return nil, fmt.Errorf("open sealed file: %w", err)
	}
	return plain, nil
}

// parseRecovery reads the configured recovery recipient. Its errors do not quote the input: it could be the recovery
// identity itself, pasted by mistake.
func parseRecovery(s string) (*age.HybridRecipient, error) {
	r, err := age.ParseHybridRecipient(s)
	if err != nil {
		return nil, fmt.Errorf("%w: not a post-quantum recipient; make an identity away from this machine with "+
			"'age-keygen -pq' (age 1.3 or later) and configure its public key, age1pq1…", ErrRecovery)
	}
	return r, nil
}
