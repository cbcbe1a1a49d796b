package devnet_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hyperledger/fabric-admin-sdk/pkg/chaincode"
	adminsdk "github.com/hyperledger/fabric-admin-sdk/pkg/identity"
	"github.com/hyperledger/fabric-gateway/pkg/client"
	"github.com/hyperledger/fabric-gateway/pkg/identity"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/devnet/internal/proc"
	"github.com/medanchor/medanchor/devnet/internal/proctest"
	"github.com/medanchor/medanchor/ledger/fabricca"
)

// ownerEnv makes this test binary start a network in the folder that it names, and wait to be killed.
const ownerEnv = "DEVNET_TEST_OWNER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(ownerEnv); dir != "" {
		playOwner(dir)
	}
	os.Exit(devnettest.Main(m))
}

func TestEnroll(t *testing.T) {
	network := devnettest.Network(t)
	member := network.Members[1]
	identity, err := member.Enroll(t.Context(), "appliance")
	must(t, err)

	cert, err := tls.LoadX509KeyPair(identity.Cert, identity.Key) // also: the key is the certificate's
	must(t, err)
	if identity.MSPID != member.MSPID || identity.Role != "appliance" {
		t.Errorf("identity %+v: not an appliance of %s", identity, member.MSPID)
	}
	subject := cert.Leaf.Subject
	if subject.CommonName != identity.ParticipantID || len(identity.ParticipantID) != 22 {
		t.Errorf("common name %q, participant %q: want one random ID of 22 characters", subject.CommonName, identity.ParticipantID)
	}
	if want := []string{"client"}; !slices.Equal(subject.OrganizationalUnit, want) {
		t.Errorf("organisational units %q, want %q: no affiliation", subject.OrganizationalUnit, want)
	}
	want := map[string]string{
		devnet.RoleAttribute:        "appliance",
		devnet.ParticipantAttribute: identity.ParticipantID,
		"hf.EnrollmentID":           identity.ParticipantID,
		"hf.Type":                   "client",
		"hf.Affiliation":            "",
	}
	got := attributes(t, cert.Leaf)
	for name, value := range want {
		if got[name] != value {
			t.Errorf("attribute %s is %q, want %q", name, got[name], value)
		}
	}
	if len(got) != len(want) {
		t.Errorf("attributes %q: more than %q", got, want)
	}

	other, err := member.Enroll(t.Context(), "appliance")
	must(t, err)
	if other.ParticipantID == identity.ParticipantID || other.Cert == identity.Cert {
		t.Error("two enrolments gave one identity")
	}
	if _, err := member.Enroll(t.Context(), ""); err == nil {
		t.Error("an empty role was accepted")
	}
	named, err := member.EnrollAs(t.Context(), rand.Text()[:22], "patient")
	must(t, err)
	cert, err = tls.LoadX509KeyPair(named.Cert, named.Key)
	must(t, err)
	if cert.Leaf.Subject.CommonName != named.ParticipantID {
		t.Errorf("common name %q, want the ID that was asked for", cert.Leaf.Subject.CommonName)
	}
}

// An institution registers participants at its CA by itself, with nothing but what a participant needs, and as no other
// member's.
func TestInstitutionIsRegistrar(t *testing.T) {
	network := devnettest.Network(t)
	member := network.Members[0]
	institution, err := member.EnrollAs(t.Context(), rand.Text()[:22], "institution")
	must(t, err)
	cert, err := tls.LoadX509KeyPair(institution.Cert, institution.Key)
	must(t, err)
	if got := attributes(t, cert.Leaf); got[devnet.RoleAttribute] != "institution" || len(got) != 5 {
		t.Errorf("attributes %q: what it may do at the CA is for the CA alone", got)
	}
	who, err := fabricca.ReadKeyPair(institution.Cert, institution.Key)
	must(t, err)
	doctor := map[string]string{devnet.RoleAttribute: "doctor", devnet.ParticipantAttribute: "somebody"}
	tests := []struct {
		name         string
		at           *devnet.Member
		registration fabricca.Registration
		want         error
	}{
		{"a participant", member, fabricca.Registration{Type: fabricca.ClientType, Attributes: doctor, MaxEnrolments: 1}, nil},
		{"an administrator", member, fabricca.Registration{Type: fabricca.AdminType, Attributes: doctor}, fabricca.ErrForbidden},
		{
			"another registrar", member,
			fabricca.Registration{Type: fabricca.ClientType, Rights: fabricca.RegistrarOf(fabricca.ClientType)},
			fabricca.ErrForbidden,
		},
		{
			"another member's", network.Members[1],
			fabricca.Registration{Type: fabricca.ClientType, Attributes: doctor},
			fabricca.ErrUnauthorized,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ca := fabricca.New(tt.at.CA.Address, pool(t, tt.at.RootCert))
			tt.registration.ID = rand.Text()
			secret, err := ca.Register(t.Context(), who, tt.registration)
			if !errors.Is(err, tt.want) {
				t.Fatalf("register: %v, want %v", err, tt.want)
			}
			if tt.want != nil {
				return
			}
			enrolment := fabricca.Enrolment{ID: tt.registration.ID, Secret: secret}
			_, err = ca.Enrol(t.Context(), enrolment)
			must(t, err)
			if _, err := ca.Enrol(t.Context(), enrolment); !errors.Is(err, fabricca.ErrUnauthorized) {
				t.Errorf("a second enrolment with one secret: %v", err)
			}
		})
	}
}

// What people write to each other reaches every member's peer, and no one else.
func TestMembersCollection(t *testing.T) {
	checkCollection(t, devnettest.Network(t))
}

// checkCollection reads the definition that the members agreed on.
func checkCollection(t *testing.T, network *devnet.Network) {
	t.Helper()
	m := network.Members[0]
	cert, err := adminsdk.ReadCertificate(m.Admin.Cert)
	must(t, err)
	key, err := adminsdk.ReadPrivateKey(m.Admin.Key)
	must(t, err)
	admin, err := adminsdk.NewPrivateKeySigningIdentity(m.MSPID, cert, key)
	must(t, err)
	conn, err := dial(m)
	must(t, err)
	defer conn.Close()
	committed, err := chaincode.NewGateway(conn, admin).QueryCommittedWithName(t.Context(), network.Channel, network.Chaincode)
	must(t, err)
	configs := committed.GetCollections().GetConfig()
	if len(configs) != 1 {
		t.Fatalf("%d collections, want one", len(configs))
	}
	got := configs[0].GetStaticCollectionConfig()
	if got.GetName() != "members" || !got.GetMemberOnlyRead() || !got.GetMemberOnlyWrite() || got.GetBlockToLive() != 0 ||
		got.GetRequiredPeerCount() != 0 || int(got.GetMaximumPeerCount()) != len(network.Members)-1 {
		t.Errorf("collection %v", got)
	}
	policy := got.GetMemberOrgsPolicy().GetSignaturePolicy()
	if n := policy.GetRule().GetNOutOf(); n.GetN() != 1 || len(n.GetRules()) != len(network.Members) {
		t.Errorf("policy %v: want any one member", policy.GetRule())
	}
	for i, member := range network.Members {
		if id := policy.GetIdentities()[i]; !bytes.Contains(id.GetPrincipal(), []byte(member.MSPID)) {
			t.Errorf("identity %d is %v, want %s", i, id, member.MSPID)
		}
	}
}

func TestTransactionIsCommittedByAMajority(t *testing.T) {
	network := devnettest.Network(t)
	for _, m := range network.Members {
		identity, err := m.Enroll(t.Context(), "appliance")
		must(t, err)
		must(t, submit(t.Context(), network, m, identity))
	}
}

func TestForeignIdentityIsRefused(t *testing.T) {
	network := devnettest.Network(t)
	identity, err := network.Members[0].Enroll(t.Context(), "appliance")
	must(t, err)
	identity.MSPID = network.Members[1].MSPID // which did not certify it
	if err := submit(t.Context(), network, network.Members[1], identity); err == nil {
		t.Error("the peer took a certificate of another member's CA for its own member's")
	}
}

// Whoever reaches the chaincode server could else ask it for anything in the peer's name.
func TestChaincodeServerKnowsItsPeer(t *testing.T) {
	network := devnettest.Network(t)
	m := network.Members[0]
	stranger, err := network.Members[1].Enroll(t.Context(), "appliance")
	must(t, err)
	strange, err := tls.LoadX509KeyPair(stranger.Cert, stranger.Key)
	must(t, err)
	own, err := tls.LoadX509KeyPair(filepath.Join(m.Peer.Dir, "tls/cert.pem"), filepath.Join(m.Peer.Dir, "tls/key.pem"))
	must(t, err)
	tests := []struct {
		name         string
		certificates []tls.Certificate
		welcome      bool
	}{
		{"nobody", nil, false},
		{"another hospital's", []tls.Certificate{strange}, false},
		{"its own peer", []tls.Certificate{own}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dialer := tls.Dialer{Config: &tls.Config{
				RootCAs:      pool(t, m.RootCert),
				Certificates: tt.certificates,
				MinVersion:   tls.VersionTLS12,
				NextProtos:   []string{"h2"},
			}}
			conn, err := dialer.DialContext(t.Context(), "tcp", m.Chaincode.Address)
			if err == nil {
				// Under TLS 1.3 the client hears of a refusal with the first byte it reads.
				_, err = io.ReadFull(conn, make([]byte, 1))
				conn.Close()
			}
			if (err == nil) != tt.welcome {
				t.Errorf("error %v, want welcome: %v", err, tt.welcome)
			}
		})
	}
}

func TestEverythingSpeaksTLS(t *testing.T) {
	network := devnettest.Network(t)
	roots := map[string]string{network.Orderer.CA.Name: network.Orderer.RootCert, network.Orderer.Node.Name: network.Orderer.RootCert}
	for _, m := range network.Members {
		roots[m.CA.Name], roots[m.Peer.Name], roots[m.Chaincode.Name] = m.RootCert, m.RootCert, m.RootCert
	}
	for _, node := range network.Nodes() {
		dialer := tls.Dialer{Config: &tls.Config{RootCAs: pool(t, roots[node.Name]), MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}}}
		conn, err := dialer.DialContext(t.Context(), "tcp", node.Address)
		if err != nil {
			t.Errorf("%s: %v", node.Name, err)
			continue
		}
		conn.Close()
	}
}

func TestNothingIsWrittenOutsideTheFolder(t *testing.T) {
	network := devnettest.Network(t)
	pids := proctest.Below(network.Dir)
	if len(pids) != len(network.Nodes()) {
		t.Fatalf("%d processes work in the network's folder, want %d", len(pids), len(network.Nodes()))
	}
	for _, pid := range pids {
		written := openForWriting(t, pid)
		if len(written) == 0 {
			t.Errorf("process %d writes nothing, not even a log: this test sees nothing", pid)
		}
		for _, path := range written {
			if !strings.HasPrefix(path, network.Dir+"/") {
				t.Errorf("process %d writes %s", pid, path)
			}
		}
	}
}

// With two members, a majority is both.
func TestNodesGoAndComeBack(t *testing.T) {
	network := devnettest.Exclusive(t)
	first, second := network.Members[0], network.Members[1]
	appliance, err := first.Enroll(t.Context(), "appliance")
	must(t, err)

	type act = func(context.Context) error
	tests := []struct {
		name      string
		out, back act
	}{
		{"peer stopped", second.Peer.Stop, second.Peer.Start},
		{"peer killed", second.Peer.Kill, second.Peer.Start},
		{"peer frozen", second.Peer.Freeze, second.Peer.Thaw},
		{"chaincode stopped", second.Chaincode.Stop, second.Chaincode.Start},
		{"chaincode frozen", second.Chaincode.Freeze, second.Chaincode.Thaw},
		{"orderer stopped", network.Orderer.Node.Stop, network.Orderer.Node.Start},
		{"orderer killed", network.Orderer.Node.Kill, network.Orderer.Node.Start},
		{"orderer frozen", network.Orderer.Node.Freeze, network.Orderer.Node.Thaw},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			must(t, tt.out(t.Context()))
			short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			if err := submit(short, network, first, appliance); err == nil {
				t.Error("a transaction was committed")
			}
			must(t, tt.back(t.Context()))
			start := time.Now()
			must(t, network.WaitReady(t.Context()))
			// A peer's gateway pauses before it looks for a lost orderer again (gRPC's backoff): clients try again.
			bounded, end := context.WithTimeout(t.Context(), 20*time.Second)
			defer end()
			must(t, proc.Poll(bounded, func(ctx context.Context) error { return submit(ctx, network, first, appliance) }))
			t.Logf("in service %.1f s after its return", time.Since(start).Seconds())
		})
	}
}

func TestActionsMayBeRepeated(t *testing.T) {
	network := devnettest.Exclusive(t)
	chaincode := network.Members[0].Chaincode
	for _, do := range []func(context.Context) error{
		chaincode.Start, chaincode.Stop, chaincode.Stop, chaincode.Kill, chaincode.Start, chaincode.Thaw,
	} {
		must(t, do(t.Context()))
	}
	must(t, chaincode.Stop(t.Context()))
	if err := chaincode.Freeze(t.Context()); err == nil || !strings.Contains(err.Error(), "not running") {
		t.Errorf("freezing what does not run: %v", err)
	}
}

func TestAttach(t *testing.T) {
	owner := devnettest.Exclusive(t)
	attached, err := devnet.Attach(owner.Dir)
	must(t, err)
	if got, want := describe(t, attached), describe(t, owner); got != want {
		t.Errorf("attached to\n%s\nwant\n%s", got, want)
	}

	m := attached.Members[1]
	must(t, m.Peer.Freeze(t.Context()))
	short, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := owner.WaitReady(short); err == nil {
		t.Error("the peer that was frozen over the control socket answers")
	}
	must(t, attached.Restore(t.Context()))
	_, err = m.Enroll(t.Context(), "doctor")
	must(t, err)

	must(t, attached.Close())
	if len(proctest.Below(owner.Dir)) != len(owner.Nodes()) {
		t.Error("closing an attached network has ended nodes")
	}
}

func TestAttachToNothing(t *testing.T) {
	if _, err := devnet.Attach(t.TempDir()); err == nil || !strings.Contains(err.Error(), "devnet up") {
		t.Errorf("error %v: want one that says what to do", err)
	}
}

func TestStartRefuses(t *testing.T) {
	full := t.TempDir()
	must(t, os.WriteFile(filepath.Join(full, "precious"), nil, 0o600))
	tests := []struct {
		name, want string
		opts       devnet.Options
	}{
		{"too many hospitals", "choose 1 to 8", devnet.Options{Hospitals: 9}},
		{"fewer than none", "choose 1 to 8", devnet.Options{Hospitals: -1}},
		{"a folder in use", "not empty", devnet.Options{Dir: full}},
		{"a comma in the path", "without", devnet.Options{Dir: full + "/a,b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if testing.Short() && tt.opts.Dir != "" {
				t.Skip("builds Fabric")
			}
			_, err := devnet.Start(t.Context(), tt.opts)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestFailedStartLeavesNothingRunning(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a Fabric network")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	dir := filepath.Join(t.TempDir(), "net")
	peersRun := writerFunc(func(line []byte) {
		if bytes.Contains(line, []byte("orderer and peers")) {
			cancel()
		}
	})
	network, err := devnet.Start(ctx, devnet.Options{Hospitals: 1, Dir: dir, Log: peersRun})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want Canceled", err)
	}
	if network != nil {
		must(t, network.Close())
	}
	if pids := proctest.Below(dir); len(pids) > 0 {
		t.Errorf("processes %v are still there", pids)
	}
}

// The folder's path is longer than a socket's address may be, and there are three hospitals.
func TestStartAndClose(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a Fabric network")
	}
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	network, err := devnet.Start(t.Context(), devnet.Options{Hospitals: 3, Dir: dir})
	must(t, err)
	checkCollection(t, network)
	attached, err := devnet.Attach(dir)
	must(t, err)
	// Two of three are a majority: the others go on without the third.
	must(t, attached.Members[2].Peer.Stop(t.Context()))
	identity, err := attached.Members[0].Enroll(t.Context(), "appliance")
	must(t, err)
	must(t, submit(t.Context(), attached, attached.Members[0], identity))

	must(t, network.Close())
	if pids := proctest.Below(dir); len(pids) > 0 {
		t.Errorf("processes %v are still there", pids)
	}
	must(t, network.Close())
	if err := attached.Members[0].Peer.Start(t.Context()); err == nil {
		t.Error("a node of a closed network was started")
	}
	if _, err := os.Stat(attached.Members[0].Peer.Log); err != nil {
		t.Errorf("a folder that the caller named is kept: %v", err)
	}
}

func TestNetworkDiesWithItsOwner(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a Fabric network")
	}
	dir := filepath.Join(t.TempDir(), "net")
	owner := exec.CommandContext(t.Context(), os.Args[0])
	owner.Env = append(os.Environ(), ownerEnv+"="+dir)
	ready, err := owner.StdoutPipe()
	must(t, err)
	must(t, owner.Start())
	t.Cleanup(func() { _ = owner.Process.Kill() })
	_, err = ready.Read(make([]byte, 1))
	must(t, err)
	if len(proctest.Below(dir)) == 0 {
		t.Fatal("no network runs")
	}
	must(t, owner.Process.Kill())
	_ = owner.Wait() // killed, as asked
	proctest.AwaitNone(t, dir)
}

// playOwner starts a network, says so and waits to be killed.
func playOwner(dir string) {
	if _, err := devnet.Start(context.Background(), devnet.Options{Hospitals: 1, Dir: dir, Log: os.Stderr}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ready")
	select {}
}

// openForWriting lists the files that a process may write to; see proc_pid_fdinfo(5).
func openForWriting(t *testing.T, pid int) (paths []string) {
	t.Helper()
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	must(t, err)
	for _, link := range links {
		path, err := os.Readlink(link)
		if err != nil || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "/dev/") {
			continue // closed since, a socket, or no file
		}
		info, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%s", pid, filepath.Base(link)))
		if err != nil {
			continue // closed since
		}
		var position, flags int
		_, err = fmt.Sscanf(string(info), "pos: %d\nflags: %o\n", &position, &flags)
		must(t, err)
		if flags&(os.O_WRONLY|os.O_RDWR) != 0 {
			paths = append(paths, path)
		}
	}
	return paths
}

// submit commits a transaction that changes nothing.
func submit(ctx context.Context, n *devnet.Network, m *devnet.Member, who devnet.Identity) error {
	certText, errCert := os.ReadFile(who.Cert)
	keyText, errKey := os.ReadFile(who.Key)
	if err := errors.Join(errCert, errKey); err != nil {
		return err
	}
	cert, err := identity.CertificateFromPEM(certText)
	if err != nil {
		return err
	}
	id, err := identity.NewX509Identity(who.MSPID, cert)
	if err != nil {
		return err
	}
	key, err := identity.PrivateKeyFromPEM(keyText)
	if err != nil {
		return err
	}
	sign, err := identity.NewPrivateKeySign(key)
	if err != nil {
		return err
	}
	conn, err := dial(m)
	if err != nil {
		return err
	}
	defer conn.Close()
	gateway, err := client.Connect(id, client.WithSign(sign), client.WithClientConnection(conn))
	if err != nil {
		return err
	}
	defer gateway.Close()
	contract := gateway.GetNetwork(n.Channel).GetContractWithName(n.Chaincode, "org.hyperledger.fabric")
	_, err = contract.SubmitWithContext(ctx, "GetMetadata")
	return err
}

// dial connects to a member's peer.
func dial(m *devnet.Member) (*grpc.ClientConn, error) {
	transport, err := credentials.NewClientTLSFromFile(m.RootCert, "")
	if err != nil {
		return nil, err
	}
	return grpc.NewClient(m.Peer.Address, grpc.WithTransportCredentials(transport))
}

// attributes reads the extension that Fabric CA puts attributes into.
func attributes(t *testing.T, cert *x509.Certificate) map[string]string {
	t.Helper()
	for _, extension := range cert.Extensions {
		if extension.Id.Equal(asn1.ObjectIdentifier{1, 2, 3, 4, 5, 6, 7, 8, 1}) {
			var value struct{ Attrs map[string]string }
			must(t, json.Unmarshal(extension.Value, &value))
			return value.Attrs
		}
	}
	t.Fatal("the certificate has no attributes")
	return nil
}

// describe is all that a network says of itself.
func describe(t *testing.T, n *devnet.Network) string {
	t.Helper()
	text, err := json.MarshalIndent(n, "", " ")
	must(t, err)
	return string(text)
}

func pool(t *testing.T, path string) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return roots
}

// writerFunc is called with what is written.
type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
