package seal

import (
	"fmt"

	"filippo.io/age"
)

// NewRecoveryIdentity makes a recovery identity: the content of its file, in the form that age reads with -i, and its
// recipient, for the configuration. To be made away from the appliance.
func NewRecoveryIdentity() (file []byte, recipient string, err error) {
	identity, err := age.GenerateHybridIdentity()
	if err != nil {
		return nil, "", fmt.Errorf("make recovery identity: %w", err)
	}
	recipient = identity.Recipient().String()
	file = fmt.Appendf(nil, "# medanchor recovery identity: opens every document of the hospital. Keep it offline, in two places.\n"+
		"# public key: %s\n%s\n", recipient, identity)
	return file, recipient, nil
}
