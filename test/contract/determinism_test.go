package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/ledger/wallet"
)

// What TestDeterminism does for each function: rounds of so many calls, of which some are committed before the next round.
const (
	rounds     = 10
	perRound   = 20
	committed  = 3
	inParallel = 16
)

// trial is a call that every peer was asked to endorse.
type trial struct {
	call      invocation
	signer    *signer
	proposal  *proposal
	responses []*peer.ProposalResponse
}

func (c *trial) succeeded() bool { return c.responses[0].GetResponse().GetStatus() == 200 }

// TestDeterminism asks both peers, at the same height, to endorse the same calls: at least 200 of each function, by all kinds
// of people, refused ones included. Read-write sets, events and answers are the same to the byte.
func TestDeterminism(t *testing.T) {
	n := devnettest.Exclusive(t) // the heights of the peers stay
	a, b := hospitals(t, n)
	g := newGenerator(t, n, a, b)
	signers := callers(t, n, a, b)
	peers := endorsers(t, n)
	functions := functionsOf(t, signers[0], peers[0])
	for _, f := range functions {
		_, writes := requests[f]
		_, reads := queries[f]
		if !writes && !reads && f != record.AnchorFunction {
			t.Errorf("the generator does not know %s", f)
		}
	}
	if t.Failed() {
		t.FailNow()
	}

	asked, done := map[string]int{}, map[string]int{}
	for range rounds {
		var trials []*trial
		for _, f := range functions {
			for range perRound {
				c := &trial{call: g.call(f), signer: pick(g, signers)}
				c.proposal = c.signer.propose(t, c.call)
				trials = append(trials, c)
			}
		}
		began := time.Now()
		endorseAll(t, peers, trials)
		t.Logf("%d endorsements in %s", len(trials)*2, time.Since(began))
		commits := map[string]int{}
		for _, c := range trials {
			asked[c.call.function]++
			c.compare(t)
			if !c.succeeded() {
				continue
			}
			done[c.call.function]++
			if _, writes := queries[c.call.function]; !writes && commits[c.call.function] < committed && !unsettling(c.call.function) {
				commits[c.call.function]++
				broadcast(t, n, c.signer.transaction(t, c.proposal, c.responses...))
				g.learn(c.call, c.proposal.txID.ID())
			}
		}
		t.Logf("commits sent after %s", time.Since(began))
		settle(t, a)
		t.Logf("settled after %s", time.Since(began))
	}
	for _, f := range functions {
		if asked[f] < 200 {
			t.Errorf("%s was called %d times", f, asked[f])
		}
		// All members' institutions are registered before: see consortium.Open.
		if done[f] == 0 && f != record.RegisterInstitutionFunction {
			t.Errorf("%s never succeeded: the generator makes nothing that it takes", f)
		}
	}
	for _, f := range slices.Sorted(maps.Keys(done)) {
		t.Logf("%-32s %d of %d succeeded", f, done[f], asked[f])
	}
}

// unsettling says whether a function would take its own callers away.
func unsettling(function string) bool {
	return function == record.RotateFunction || function == record.JoinFunction
}

// newGenerator knows the two hospitals' people, and some more patients and doctors.
func newGenerator(t *testing.T, n *devnet.Network, a, b *house) *generator {
	t.Helper()
	g := &generator{Rand: rand.New(rand.NewPCG(7, 7)), t: t, ids: []record.ID{{1}}}
	for _, h := range []*house{a, b} {
		g.members = append(g.members, h.MSPID)
		g.doctors = append(g.doctors, h.doctor.ID)
		g.patients = append(g.patients, h.patient.ID)
		g.participants = append(g.participants, h.ID, h.appliance.ID, h.clerk.ID, h.registrar.ID)
		g.spare = append(g.spare, h.enrol(t, record.DoctorRole).ID)
		g.teams = append(g.teams, record.NewParticipantID(h.MSPID, [10]byte{1}))
		g.references = append(g.references, h.ref)
		g.letters = append(g.letters, record.Copy{Record: h.letter.Record, Version: h.page, Tag: h.page})
	}
	for _, h := range []*house{a, b} { // references of the same two people at the other hospital, and at the same one again
		for _, other := range []*house{a, b} {
			r, err := h.Patient(t.Context(), other.patient)
			if err != nil {
				t.Fatal(err)
			}
			g.references = append(g.references, r)
		}
	}
	return g
}

// callers are all kinds of people: those of both hospitals, one who was invited and has not joined, one whom the wrong CA
// minted, one whose key was replaced, and one without attributes.
func callers(t *testing.T, n *devnet.Network, a, b *house) (all []*signer) {
	t.Helper()
	for _, h := range []*house{a, b} {
		for _, o := range []ledger.Options{
			h.LedgerOptions(), h.appliance.LedgerOptions(), h.doctor.LedgerOptions(), h.clerk.LedgerOptions(),
			h.registrar.LedgerOptions(), h.patient.LedgerOptions(),
		} {
			all = append(all, newSigner(t, o))
		}
	}
	code, err := wallet.Admit(t.Context(), a.Wallet, a.Client, record.DoctorRole)
	if err != nil {
		t.Fatal(err)
	}
	invited, err := wallet.Enroll(t.Context(), code, filepath.Join(t.TempDir(), "invited"))
	if err != nil {
		t.Fatal(err)
	}
	admin := invited.LedgerOptions()
	admin.CertificateFile, admin.KeyFile = a.Member.Admin.Cert, a.Member.Admin.Key
	return append(all, newSigner(t, invited.LedgerOptions()),
		newSigner(t, mint(t, n, b.Member, a.patient.ID, record.PatientRole).Options), newSigner(t, admin))
}

// functionsOf reads the functions from the contract's own metadata.
func functionsOf(t *testing.T, s *signer, endorser peer.EndorserClient) (functions []string) {
	t.Helper()
	response, err := endorse(t.Context(), endorser, s.propose(t, invocation{
		function: "org.hyperledger.fabric:GetMetadata", at: time.Now(),
	}))
	if err != nil {
		t.Fatal(err)
	}
	var metadata struct {
		Contracts map[string]struct {
			Transactions []struct{ Name string }
		}
	}
	if err := json.Unmarshal(response.GetResponse().GetPayload(), &metadata); err != nil {
		t.Fatal(err)
	}
	for name, contract := range metadata.Contracts {
		for _, f := range contract.Transactions {
			if name != "org.hyperledger.fabric" {
				functions = append(functions, name+":"+f.Name)
			}
		}
	}
	if !slices.Contains(functions, record.AnchorFunction) {
		functions = append(functions, record.AnchorFunction)
	}
	slices.Sort(functions)
	return functions
}

// endorseAll asks every peer about each trial.
func endorseAll(t *testing.T, peers []peer.EndorserClient, trials []*trial) {
	t.Helper()
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(inParallel)
	for _, c := range trials {
		group.Go(func() error {
			for _, p := range peers {
				response, err := p.ProcessProposal(ctx, c.proposal.signed)
				if err != nil {
					return fmt.Errorf("%s: %w", c.call.function, err)
				}
				c.responses = append(c.responses, response)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// compare holds what the peers answered and would write against each other.
func (c *trial) compare(t *testing.T) {
	t.Helper()
	first := c.responses[0]
	for _, other := range c.responses[1:] {
		if !bytes.Equal(first.GetPayload(), other.GetPayload()) || !proto.Equal(first.GetResponse(), other.GetResponse()) {
			t.Errorf("%s%q: the peers differ: %v and %v", c.call.function, c.call.arguments, first.GetResponse(), other.GetResponse())
		}
	}
	if c.succeeded() && len(first.GetPayload()) == 0 {
		t.Errorf("%s: nothing to compare", c.call.function)
	}
}

// settle waits until the orderer has cut its last block and every peer has it: a new transaction is behind all of before.
func settle(t *testing.T, a *house) {
	t.Helper()
	_, err := a.Patient(t.Context(), nil)
	for ledger.Retryable(err) { // one of before was first
		_, err = a.Patient(t.Context(), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
}
