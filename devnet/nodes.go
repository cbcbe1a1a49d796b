package devnet

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/medanchor/medanchor/devnet/internal/proc"
	"github.com/medanchor/medanchor/ledger/fabricca"
)

// settings are environment variables.
type settings map[string]string

// environment makes the whole environment of a node: nothing of the caller's leaks in, where a stray CORE_ variable would
// change a peer, and temporary files stay in the node's folder.
func (s settings) environment(node *Node) []string {
	all := settings{
		"PATH":                  os.Getenv("PATH"), // for the builder's scripts
		"HOME":                  node.Dir,
		"TMPDIR":                filepath.Join(node.Dir, "tmp"),
		"FABRIC_LOGGING_FORMAT": "%{time:2006-01-02T15:04:05.000Z07:00} %{level} [%{module}] %{message}", // no colours
	}
	maps.Copy(all, s)
	var env []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		env = append(env, name+"="+all[name])
	}
	return env
}

// tlsFiles are a node's TLS certificate and key.
type tlsFiles struct{ cert, key string }

// caSpec describes a certificate authority. It makes its own root key and TLS certificate at its first start.
func caSpec(program string, node *Node, title string, registrar fabricca.Enrolment) (proc.Spec, error) {
	address, port, err := net.SplitHostPort(node.Address)
	if err != nil {
		return proc.Spec{}, err
	}
	config := fmt.Sprintf(caConfig, address, port, title, address, registrar.ID, registrar.Secret)
	if err := os.WriteFile(filepath.Join(node.Dir, "fabric-ca-server-config.yaml"), []byte(config), 0o600); err != nil {
		return proc.Spec{}, err
	}
	env := settings{"FABRIC_CA_SERVER_HOME": node.Dir}
	return proc.Spec{Path: program, Args: []string{"start"}, Env: env.environment(node)}, nil
}

// caConfig is fabric-ca-server's configuration. Affiliation is empty and the subject holds the organisation only, because
// certificates stand in every block.
const caConfig = `address: %s
port: %s
tls: {enabled: true}
operations: {listenAddress: "127.0.0.1:0"}
ca: {name: ca}
csr:
  cn: ca
  keyrequest: {algo: ecdsa, size: 256}
  names: [{O: %q}]
  hosts: [%q]
  ca: {expiry: 131400h, pathlength: 0}
registry:
  maxenrollments: -1
  identities:
    - name: %q
      pass: %q
      type: client
      affiliation: ""
      attrs: {hf.Registrar.Roles: "*", hf.Registrar.Attributes: "*"}
db: {type: sqlite3, datasource: fabric-ca-server.db}
signing:
  default: {usage: [digital signature], expiry: 8760h}
  profiles:
    tls: {usage: [signing, key encipherment, key agreement, server auth, client auth], expiry: 8760h}
bccsp: {default: SW, sw: {hash: SHA2, security: 256, filekeystore: {keystore: msp/keystore}}}
`

// ordererSpec describes the Raft orderer.
func ordererSpec(programs Programs, o *Orderer, tls tlsFiles) (proc.Spec, error) {
	address, port, err := net.SplitHostPort(o.Node.Address)
	if err != nil {
		return proc.Spec{}, err
	}
	env := settings{
		"FABRIC_CFG_PATH":               programs.Config,
		"ORDERER_GENERAL_LISTENADDRESS": address,
		"ORDERER_GENERAL_LISTENPORT":    port,
		"ORDERER_GENERAL_LOCALMSPID":    o.MSPID,
		"ORDERER_GENERAL_LOCALMSPDIR":   filepath.Join(o.Node.Dir, "msp"),
		// No system channel: the orderer joins the channel through its admin interface.
		"ORDERER_GENERAL_BOOTSTRAPMETHOD":           "none",
		"ORDERER_CHANNELPARTICIPATION_ENABLED":      "true",
		"ORDERER_GENERAL_TLS_ENABLED":               "true",
		"ORDERER_GENERAL_TLS_PRIVATEKEY":            tls.key,
		"ORDERER_GENERAL_TLS_CERTIFICATE":           tls.cert,
		"ORDERER_GENERAL_TLS_ROOTCAS":               "[" + o.RootCert + "]",
		"ORDERER_GENERAL_CLUSTER_CLIENTCERTIFICATE": tls.cert,
		"ORDERER_GENERAL_CLUSTER_CLIENTPRIVATEKEY":  tls.key,
		"ORDERER_GENERAL_AUTHENTICATION_TIMEWINDOW": "2m",
		"ORDERER_ADMIN_LISTENADDRESS":               o.AdminAddress,
		"ORDERER_ADMIN_TLS_ENABLED":                 "true",
		"ORDERER_ADMIN_TLS_PRIVATEKEY":              tls.key,
		"ORDERER_ADMIN_TLS_CERTIFICATE":             tls.cert,
		"ORDERER_ADMIN_TLS_CLIENTAUTHREQUIRED":      "true",
		"ORDERER_ADMIN_TLS_CLIENTROOTCAS":           "[" + o.RootCert + "]",
		"ORDERER_OPERATIONS_LISTENADDRESS":          "127.0.0.1:0",
		"ORDERER_FILELEDGER_LOCATION":               filepath.Join(o.Node.Dir, "ledger"),
		"ORDERER_CONSENSUS_WALDIR":                  filepath.Join(o.Node.Dir, "raft", "wal"),
		"ORDERER_CONSENSUS_SNAPDIR":                 filepath.Join(o.Node.Dir, "raft", "snapshot"),
	}
	return proc.Spec{Path: programs.Orderer, Env: env.environment(o.Node)}, nil
}

// peerSpec describes a member's peer. Its chaincode comes from the builder that writeBuilder wrote.
func peerSpec(programs Programs, m *Member, tls tlsFiles) proc.Spec {
	dir := m.Peer.Dir
	env := settings{
		"FABRIC_CFG_PATH":             programs.Config,
		"CORE_PEER_ID":                m.Peer.Name,
		"CORE_PEER_NETWORKID":         "devnet",
		"CORE_PEER_ADDRESS":           m.Peer.Address,
		"CORE_PEER_LISTENADDRESS":     m.Peer.Address,
		"CORE_PEER_LOCALMSPID":        m.MSPID,
		"CORE_PEER_MSPCONFIGPATH":     filepath.Join(dir, "msp"),
		"CORE_PEER_FILESYSTEMPATH":    filepath.Join(dir, "ledger"),
		"CORE_PEER_TLS_ENABLED":       "true",
		"CORE_PEER_TLS_CERT_FILE":     tls.cert,
		"CORE_PEER_TLS_KEY_FILE":      tls.key,
		"CORE_PEER_TLS_ROOTCERT_FILE": m.RootCert,
		// For chaincode that dials its peer, which ours does not: any port, for the default is the same for all peers.
		"CORE_PEER_CHAINCODELISTENADDRESS": "127.0.0.1:0",
		// A client could date a request back as far as this; Fabric's 15 minutes are far too many for rights that expire.
		"CORE_PEER_AUTHENTICATION_TIMEWINDOW": "2m",

		"CORE_PEER_GOSSIP_BOOTSTRAP":        m.Peer.Address,
		"CORE_PEER_GOSSIP_EXTERNALENDPOINT": m.Peer.Address, // else other organisations never see this peer
		// When the first handshake fails, because the other peer has not joined the channel yet, the peers meet at the next
		// attempt, or at the next sign of life that one of them gives: by default after 25 s and 5 s.
		"CORE_PEER_GOSSIP_RECONNECTINTERVAL": "500ms",
		"CORE_PEER_GOSSIP_ALIVETIMEINTERVAL": "1s",
		// Peers tell each other how far they are this often, not every 4 s: until then a majority cannot endorse.
		"CORE_PEER_GOSSIP_PUBLISHSTATEINFOINTERVAL": "1s",
		"CORE_PEER_GOSSIP_REQUESTSTATEINFOINTERVAL": "1s",
		// One invalid private write would else stall this peer for a minute a block, looking for its data.
		"CORE_PEER_GOSSIP_PVTDATA_SKIPPULLINGINVALIDTRANSACTIONSDURINGCOMMIT": "true",
		"CORE_PEER_GOSSIP_PVTDATA_PULLRETRYTHRESHOLD":                         "2s",
		// A gateway asks another peer when one has not endorsed by then: its 30 s are as long as clients wait.
		"CORE_PEER_GATEWAY_ENDORSEMENTTIMEOUT": "4s",
		// A peer looks for a lost orderer at least this often; the pause would else grow with the length of the outage.
		"CORE_PEER_DELIVERYCLIENT_RECONNECTBACKOFFTHRESHOLD": "2s",

		"CORE_LEDGER_SNAPSHOTS_ROOTDIR": filepath.Join(dir, "snapshots"),
		// The log would name what was purged, and purged data would stay for a hundred blocks.
		"CORE_LEDGER_PVTDATASTORE_PURGEDKEYAUDITLOGGING": "false",
		"CORE_LEDGER_PVTDATASTORE_PURGEINTERVAL":         "1",

		"CORE_OPERATIONS_LISTENADDRESS": "127.0.0.1:0",
		// No Docker: chaincode is a service, which the external builder names.
		"CORE_VM_ENDPOINT":                "",
		"CORE_CHAINCODE_EXTERNALBUILDERS": fmt.Sprintf("[{name: ccaas, path: %q}]", builderDir(m)),
	}
	return proc.Spec{Path: programs.Peer, Args: []string{"node", "start"}, Env: env.environment(m.Peer)}
}

// chaincodeSpec describes a member's chaincode server. Its client is the member's peer, whom it knows by mutual TLS.
func chaincodeSpec(program string, m *Member, packageID string, tls tlsFiles) proc.Spec {
	env := settings{
		"CHAINCODE_ID":             packageID,
		"CHAINCODE_SERVER_ADDRESS": m.Chaincode.Address,
		"CHAINCODE_TLS_KEY":        tls.key,
		"CHAINCODE_TLS_CERT":       tls.cert,
		"CHAINCODE_CLIENT_CA_CERT": m.RootCert,
	}
	return proc.Spec{Path: program, Env: env.environment(m.Chaincode)}
}

// writeMSP writes the folder that says who a node is (its identity) and whom it believes (the organisation's root).
func writeMSP(dir string, identity Identity, rootCert string) error {
	for _, file := range []struct{ from, to string }{
		{identity.Cert, "signcerts/cert.pem"},
		{identity.Key, "keystore/key.pem"},
		{rootCert, "cacerts/ca.pem"},
		{rootCert, "tlscacerts/ca.pem"},
	} {
		if err := copyFile(file.from, filepath.Join(dir, file.to)); err != nil {
			return fmt.Errorf("write MSP: %w", err)
		}
	}
	var config strings.Builder
	config.WriteString("NodeOUs:\n  Enable: true\n")
	for _, kind := range []string{fabricca.ClientType, fabricca.PeerType, fabricca.AdminType, fabricca.OrdererType} {
		fmt.Fprintf(&config, "  %sOUIdentifier: {Certificate: cacerts/ca.pem, OrganizationalUnitIdentifier: %s}\n",
			strings.ToUpper(kind[:1])+kind[1:], kind)
	}
	return os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(config.String()), 0o600)
}

// copyFile copies a small file, and makes the folder it goes to.
func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(filepath.Dir(to), 0o700), os.WriteFile(to, text, 0o600))
}
