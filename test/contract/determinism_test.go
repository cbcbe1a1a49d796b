package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/ledger/wallet"
	"github.com/medanchor/medanchor/test/consortium"
)

// What TestDeterminism does for each function: rounds of so many calls, of which some are committed before the next round,
// as many that are carried out as that are denied.
const (
	rounds     = 10
	perRound   = 20
	committed  = 2
	inParallel = 16
)

// trial is a call that every peer was asked to endorse.
type trial struct {
	call      invocation
	signer    *signer
	proposal  *proposal
	responses []*peer.ProposalResponse
}

// endorsed says whether the call makes a valid transaction; one that only writes a refusal to the audit too.
func (c *trial) endorsed() bool {
	return c.responses[0].GetResponse().GetStatus() == int32(common.Status_SUCCESS)
}

// succeeded says whether the call was carried out.
func (c *trial) succeeded() bool {
	var answer struct{ Refused string }
	_ = json.Unmarshal(c.responses[0].GetResponse().GetPayload(), &answer) // queries answer otherwise, and Anchor packed
	return c.endorsed() && answer.Refused == ""
}

// TestDeterminism asks both peers, at the same height, to endorse the same calls: at least 200 of each function, by all kinds
// of people, refused ones included. Read-write sets, events and answers are the same to the byte.
func TestDeterminism(t *testing.T) {
	n := devnettest.Exclusive(t) // the heights of the peers stay
	a, b := hospitals(t, n)
	g := newGenerator(t, a, b)
	who := callers(t, n, g, a, b)
	peers, orderer := endorsers(t, n), ordering(t, n)
	functions := functionsOf(t, who.all[0], peers[0])
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
				c := &trial{call: g.call(f), signer: who.pick(g, f)}
				c.proposal = c.signer.propose(t, c.call)
				trials = append(trials, c)
			}
		}
		g.Shuffle(len(trials), func(i, j int) { trials[i], trials[j] = trials[j], trials[i] }) // of two writes to one key the first is valid
		endorseAll(t, peers, trials)
		commits := map[string]int{}
		for _, c := range trials {
			f := c.call.function
			asked[f]++
			c.compare(t)
			if c.succeeded() {
				done[f]++
			}
			kind := f
			if !c.succeeded() {
				kind += " denied"
			}
			if _, reads := queries[f]; !reads && c.endorsed() && commits[kind] < committed && !unsettling(f) {
				commits[kind]++
				broadcast(t, orderer, c.signer.transaction(t, c.proposal, c.responses...))
				g.learn(c)
			}
		}
		settle(t, a)
	}
	for _, f := range functions {
		t.Logf("%-34s %d of %d carried out", f, done[f], asked[f])
		if asked[f] < 200 {
			t.Errorf("%s was called %d times", f, asked[f])
		}
		if done[f] == 0 && !slices.Contains(outOfReach, f) {
			t.Errorf("%s was always refused: the generator makes nothing that it takes", f)
		}
	}
}

// unsettling says whether a function would take its own callers or patients away, or change what other tests of this network
// know of the institutions.
func unsettling(function string) bool {
	return slices.Contains([]string{
		record.RotateFunction, record.JoinFunction, record.DeceasedFunction, record.UpdateInstitutionFunction,
	}, function)
}

// outOfReach are functions that are refused here whatever is asked: all members' institutions are registered before (see
// consortium.Open), and no appointment begins in time.
var outOfReach = []string{record.RegisterInstitutionFunction, record.CompleteAppointmentFunction}

// newGenerator knows the two hospitals' people, and some more patients and doctors.
func newGenerator(t *testing.T, a, b *house) *generator {
	t.Helper()
	g := &generator{
		Rand: rand.New(rand.NewPCG(7, 7)), t: t, ids: []record.ID{{1}}, owners: map[*signer]record.ParticipantID{},
		keys: map[record.ParticipantID]record.KeyID{},
	}
	for i, h := range []*house{a, b} {
		g.members = append(g.members, h.MSPID)
		g.doctors = append(g.doctors, h.doctor.ID)
		g.patients = append(g.patients, h.patient.ID)
		g.participants = append(g.participants, h.ID, h.appliance.ID, h.clerk.ID, h.registrar.ID)
		g.teams = append(g.teams, record.NewParticipantID(h.MSPID, [10]byte{1}))
		g.references = append(g.references, h.ref)
		g.letters = append(g.letters, letter{h.letter, h.page, cid("a letter"), i})
		for _, content := range []string{"another letter", "a third", "a fourth"} {
			name, page := h.anchor(t, record.KindLetter, content)
			g.letters = append(g.letters, letter{name, page, cid(content), i})
		}
		g.appliances = append(g.appliances, h.appliance.ID)
		g.signing = append(g.signing, readKey(t, h.doctor.LedgerOptions().KeyFile))
		for _, p := range []*consortium.Person{h.doctor, h.patient} {
			g.keys[p.ID] = keyOf(t, p, p.ID)
		}
	}
	g.linked = []record.Reference{linked(t, a, b), linked(t, b, a)}
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

// people are who calls.
type people struct {
	all    []*signer
	likely map[string][]*signer // who is likely to have the right to a contract or function, by its name
}

// pick picks a caller: half of the time one who is likely to have the right.
func (p people) pick(g *generator, function string) *signer {
	likely := p.likely[function]
	if likely == nil {
		contract, _, _ := strings.Cut(function, ":")
		likely = p.likely[contract]
	}
	if likely != nil && g.IntN(2) == 0 {
		return pick(g, likely)
	}
	return pick(g, p.all)
}

// callers are all kinds of people: those of both hospitals, one who was invited and has not joined, one whom the wrong CA
// minted, and one without attributes.
func callers(t *testing.T, n *devnet.Network, g *generator, a, b *house) people {
	t.Helper()
	var institutions, appliances, doctors, staff, patients, spares []*signer
	add := func(to *[]*signer, who *consortium.Person) {
		s := newSigner(t, who.LedgerOptions())
		*to, g.owners[s] = append(*to, s), who.ID
	}
	for _, h := range []*house{a, b} {
		add(&institutions, h.Person)
		add(&appliances, h.appliance)
		add(&doctors, h.doctor)
		add(&staff, h.clerk)
		add(&staff, h.registrar)
		add(&patients, h.patient)
		spare := h.enrol(t, record.DoctorRole)
		add(&spares, spare)
		g.spare = append(g.spare, spare.ID)
	}
	code, err := wallet.Admit(t.Context(), a.Wallet, a.Client, record.DoctorRole)
	if err != nil {
		t.Fatal(err)
	}
	invited, err := wallet.Enroll(t.Context(), code, filepath.Join(t.TempDir(), "invited"))
	if err != nil {
		t.Fatal(err)
	}
	if g.join.EncryptionKey, g.join.Signature, err = invited.Vouch(); err != nil {
		t.Fatal(err)
	}
	joins := []*signer{newSigner(t, invited.LedgerOptions())}
	admin := invited.LedgerOptions()
	admin.CertificateFile, admin.KeyFile = a.Member.Admin.Cert, a.Member.Admin.Key
	strangers := []*signer{newSigner(t, mint(t, n, b.Member, a.patient.ID, record.PatientRole).Options), newSigner(t, admin)}
	treating := slices.Concat(doctors, patients)
	return people{
		all: slices.Concat(institutions, appliances, doctors, staff, patients, joins, strangers),
		likely: map[string][]*signer{
			"participants": institutions, "patients": staff, "decisions": staff, "erasure": institutions,
			"records": staff, "appointments": treating, "consent": treating, "audit": appliances,
			record.JoinFunction: joins, record.RotateFunction: spares, record.RequestErasureFunction: patients,
			record.AnchorFunction: appliances, record.StableFunction: appliances, record.HoldCopyFunction: appliances,
			record.ApproveFunction: patients, record.RejectFunction: patients, record.RevokeFunction: patients,
			record.ReferFunction: staff, record.RequestFunction: doctors, record.RelinquishFunction: doctors,
			"releases": appliances, record.HandOverFunction: appliances, record.LateEmergencyFunction: appliances,
			record.SuperviseFunction: staff, record.EndSupervisionFunction: staff, record.ReviewFunction: staff,
		},
	}
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
