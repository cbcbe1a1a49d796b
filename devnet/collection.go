package devnet

import (
	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/msp"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"google.golang.org/protobuf/proto"
)

// collectionName is the name of the private data collection of all members.
const collectionName = "members"

// collections defines the chaincode's one private data collection: every member holds all of it for ever. A peer that is
// away gets it later; hence no peer has to have it before a transaction is endorsed.
func (n *Network) collections() (*peer.CollectionConfigPackage, error) {
	members, err := n.anyMember()
	if err != nil {
		return nil, err
	}
	collection := &peer.StaticCollectionConfig{
		Name: collectionName,
		MemberOrgsPolicy: &peer.CollectionPolicyConfig{
			Payload: &peer.CollectionPolicyConfig_SignaturePolicy{SignaturePolicy: members},
		},
		MaximumPeerCount: int32(len(n.Members) - 1), //nolint:gosec // at most 8 members
		MemberOnlyRead:   true,
		MemberOnlyWrite:  true,
	}
	return &peer.CollectionConfigPackage{Config: []*peer.CollectionConfig{
		{Payload: &peer.CollectionConfig_StaticCollectionConfig{StaticCollectionConfig: collection}},
	}}, nil
}

// anyMember is the policy that one signature satisfies, of any member's.
func (n *Network) anyMember() (*common.SignaturePolicyEnvelope, error) {
	policy := &common.SignaturePolicyEnvelope{}
	one := &common.SignaturePolicy_NOutOf{N: 1}
	for i, m := range n.Members {
		member, err := proto.Marshal(&msp.MSPRole{MspIdentifier: m.MSPID, Role: msp.MSPRole_MEMBER})
		if err != nil {
			return nil, err
		}
		policy.Identities = append(policy.Identities, &msp.MSPPrincipal{
			PrincipalClassification: msp.MSPPrincipal_ROLE, Principal: member,
		})
		one.Rules = append(one.Rules, &common.SignaturePolicy{
			Type: &common.SignaturePolicy_SignedBy{SignedBy: int32(i)},
		})
	}
	policy.Rule = &common.SignaturePolicy{Type: &common.SignaturePolicy_NOutOf_{NOutOf: one}}
	return policy, nil
}
