package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/ledger/rwset/kvrwset"
	"github.com/hyperledger/fabric-protos-go-apiv2/orderer"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/ledger/sealed"
	"github.com/medanchor/medanchor/test/consortium"
)

// keyOf names a participant's encryption key, as somebody finds it on the ledger.
func keyOf(t *testing.T, look *consortium.Person, id record.ParticipantID) record.KeyID {
	t.Helper()
	p, err := look.Participant(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return record.KeyIDOf(p.EncryptionKey)
}

// sealedLetter is the hospital's letter, sealed to a reader.
func (h *house) sealedLetter(t *testing.T, q record.Release) (sealed.ReleaseContext, record.SealedRelease) {
	t.Helper()
	reader, err := h.appliance.Participant(t.Context(), q.Recipient)
	if err != nil {
		t.Fatal(err)
	}
	c := sealed.ReleaseContext{
		Channel: h.appliance.Channel, Patient: q.Patient, Grant: q.Grant, Custodian: h.ID.Institution(), Recipient: q.Recipient,
		Key: q.Key, Until: q.Until,
	}
	r, err := sealed.SealRelease(c, reader, []sealed.DocumentKey{{
		Record: h.letter.Record, Version: h.page, Tag: h.page, CID: cid("a letter"), FileKey: [16]byte{1, 2, 3},
		Metadata: json.RawMessage(`{"type":"text/plain"}`),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c, r
}

// TestReleases gives a doctor of another hospital the keys of a letter, and takes them away: no peer has them then.
func TestReleases(t *testing.T) {
	t.Parallel()
	n := devnettest.Network(t)
	a, b := hospitals(t, n)
	ctx := t.Context()
	q := record.Release{Patient: a.ref, Recipient: b.doctor.ID, Key: keyOf(t, a.appliance, b.doctor.ID)}
	_, early := a.sealedLetter(t, q)
	_, err := a.appliance.Release(ctx, q, early)
	checkRefused(t, "release without a right", err, record.Forbidden)

	q.Grant = do(t, b.doctor, record.RequestFunction, asks(a.ref, 24*time.Hour))
	q.Until = soon(12 * time.Hour)
	do(t, a.patient, record.ApproveFunction,
		record.Approval{Patient: a.ref, Participant: b.doctor.ID, Request: q.Grant, Until: q.Until})
	belongs, release := a.sealedLetter(t, q)
	acted, err := b.appliance.Release(ctx, q, release)
	checkRefused(t, "release of another's letter", err, record.Forbidden)
	if err := b.appliance.Await(ctx, acted.Block); err != nil { // the attempt stands there
		t.Fatal(err)
	}
	auditHas(t, a, a.ref, 1, record.AuditEntry{Action: record.ActRelease, Denied: true, Actor: b.appliance.ID})

	acted, err = a.appliance.Release(ctx, q, release)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.appliance.Await(ctx, acted.Block); err != nil {
		t.Fatal(err)
	}
	auditHas(t, a, a.ref, 1, record.AuditEntry{
		Action: record.ActRelease, Basis: record.BasisGrant, Actor: a.appliance.ID, Subject: b.doctor.ID, Record: a.letter.Record,
		About: q.Grant,
	})
	page, err := b.doctor.Releases(ctx, a.ref, b.doctor.ID, 10, "")
	if err != nil || len(page.Releases) != 1 || page.Releases[0].ID != acted.ID {
		t.Fatalf("listed are %+v, %v", page, err)
	}
	listed := sealed.ContextOf(b.doctor.Channel, page.Releases[0])
	if !listed.Until.Equal(belongs.Until) {
		t.Errorf("listed until %s, sealed until %s", listed.Until, belongs.Until)
	}
	for _, m := range n.Members {
		got, err := at(t, b.doctor, m).SealedRelease(ctx, a.ref, b.doctor.ID, acted.ID)
		if err != nil || !bytes.Equal(got.Encode(), release.Encode()) {
			t.Errorf("%s has %d bytes, %v", m.Name, len(got.Encode()), err)
		}
		keys, err := sealed.OpenRelease(listed, b.doctor.EncryptionKey(), got)
		if err != nil || len(keys) != 1 || keys[0].FileKey != [16]byte{1, 2, 3} {
			t.Errorf("from %s the doctor opens %+v, %v", m.Name, keys, err)
		}
		if !stored(t, m, b.doctor, acted.Block, page.Releases[0]) {
			t.Errorf("%s does not keep the release with its block", m.Name)
		}
	}

	// It is taken away by who gave it, whatever became of the right.
	end := record.ReleaseEnd{Patient: a.ref, Releases: []record.ReleaseName{{Recipient: b.doctor.ID, ID: acted.ID}}}
	refused(t, b.appliance, record.Forbidden, record.EndReleaseFunction, end)
	do(t, a.patient, record.RevokeFunction, record.Choice{Patient: a.ref, Participant: b.doctor.ID, Request: q.Grant})
	_, err = a.appliance.Release(ctx, q, release)
	checkRefused(t, "release after the grant was revoked", err, record.Forbidden)
	do(t, a.appliance, record.EndReleaseFunction, end)
	do(t, a.appliance, record.EndReleaseFunction, end) // to repeat it does no harm
	for _, m := range n.Members {
		from := at(t, b.doctor, m)
		if _, err := from.SealedRelease(ctx, a.ref, b.doctor.ID, acted.ID); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("%s: got %v, want it gone", m.Name, err)
		}
		if left, err := from.Releases(ctx, a.ref, record.ParticipantID{}, 10, ""); err != nil || len(left.Releases) > 0 {
			t.Errorf("%s still lists %+v, %v", m.Name, left, err)
		}
		poll(t, "the release is purged from "+m.Name, 30*time.Second, func() bool {
			return !stored(t, m, b.doctor, acted.Block, page.Releases[0])
		})
	}
	auditHas(t, a, a.ref, 1, record.AuditEntry{
		Action: record.ActEndRelease, Basis: record.BasisAppliance, Actor: a.appliance.ID, Subject: b.doctor.ID, About: q.Grant,
	})
}

// stored says whether a member's peer keeps a sealed release with the block that made it.
func stored(t *testing.T, m *devnet.Member, as *consortium.Person, block uint64, r record.ListedRelease) bool {
	t.Helper()
	key := record.ReleaseKey(r.Patient, r.Recipient, r.ID)
	for _, set := range newSigner(t, as.LedgerOptions()).privateData(t, m, block) {
		for _, write := range set.GetWrites() {
			if write.GetKey() == key && len(write.GetValue()) > 0 {
				return true
			}
		}
	}
	return false
}

// privateData asks a member's peer for all private data that it keeps of a block.
func (s *signer) privateData(t *testing.T, m *devnet.Member, block uint64) (sets []*kvrwset.KVRWSet) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	stream, err := peer.NewDeliverClient(dial(t, m.Peer, m.RootCert)).DeliverWithPrivateData(ctx)
	if err != nil {
		t.Fatal(err)
	}
	position := &orderer.SeekPosition{Type: &orderer.SeekPosition_Specified{Specified: &orderer.SeekSpecified{Number: block}}}
	payload := marshal(t, &common.Payload{
		Header: &common.Header{
			ChannelHeader: marshal(t, &common.ChannelHeader{
				Type: int32(common.HeaderType_DELIVER_SEEK_INFO), ChannelId: s.channel, Timestamp: timestamppb.Now(),
			}),
			SignatureHeader: marshal(t, &common.SignatureHeader{Creator: s.creator, Nonce: []byte("a nonce")}),
		},
		Data: marshal(t, &orderer.SeekInfo{Start: position, Stop: position, Behavior: orderer.SeekInfo_FAIL_IF_NOT_READY}),
	})
	if err := stream.Send(&common.Envelope{Payload: payload, Signature: s.signed(t, payload)}); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil || answer.GetBlockAndPrivateData() == nil {
		t.Fatalf("private data of block %d: %v, %v", block, answer, err)
	}
	for _, tx := range answer.GetBlockAndPrivateData().GetPrivateDataMap() {
		for _, ns := range tx.GetNsPvtRwset() {
			for _, collection := range ns.GetCollectionPvtRwset() {
				var set kvrwset.KVRWSet
				if err := proto.Unmarshal(collection.GetRwset(), &set); err != nil {
					t.Fatal(err)
				}
				sets = append(sets, &set)
			}
		}
	}
	return sets
}
