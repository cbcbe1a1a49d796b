package devnet

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/hyperledger/fabric-admin-sdk/pkg/identity"
	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/msp"
	"github.com/hyperledger/fabric-protos-go-apiv2/orderer"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/medanchor/medanchor/devnet/internal/proc"
)

// awaitLeader waits until the ordering service has a Raft leader: an orderer without one listens, but refuses to deliver
// blocks and to take transactions.
func (n *Network) awaitLeader(ctx context.Context) error {
	conn, admin, err := n.Orderer.connect(n.Orderer.Node)
	if err != nil {
		return err
	}
	defer conn.Close()
	seek, err := seekNewest(n.Channel, admin)
	if err != nil {
		return err
	}
	return proc.Poll(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
		defer cancel() // ends the stream
		stream, err := orderer.NewAtomicBroadcastClient(conn).Deliver(ctx)
		if err != nil {
			return err
		}
		if err := stream.Send(seek); err != nil {
			return err
		}
		answer, err := stream.Recv()
		if err == nil && answer.GetBlock() == nil {
			err = fmt.Errorf("the orderer says %s", answer.GetStatus())
		}
		return err
	})
}

// seekNewest makes the signed request for the newest block, which an orderer answers only in good health (strict).
func seekNewest(channel string, who identity.SigningIdentity) (*common.Envelope, error) {
	newest := &orderer.SeekPosition{Type: &orderer.SeekPosition_Newest{Newest: &orderer.SeekNewest{}}}
	info, err := proto.Marshal(&orderer.SeekInfo{
		Start:         newest,
		Stop:          newest,
		Behavior:      orderer.SeekInfo_FAIL_IF_NOT_READY,
		ErrorResponse: orderer.SeekInfo_STRICT,
	})
	if err != nil {
		return nil, err
	}
	channelHeader, err := proto.Marshal(&common.ChannelHeader{
		Type:      int32(common.HeaderType_DELIVER_SEEK_INFO),
		ChannelId: channel,
		Timestamp: timestamppb.Now(),
	})
	if err != nil {
		return nil, err
	}
	creator, err := proto.Marshal(&msp.SerializedIdentity{Mspid: who.MspID(), IdBytes: who.Credentials()})
	if err != nil {
		return nil, err
	}
	signatureHeader, err := proto.Marshal(&common.SignatureHeader{Creator: creator, Nonce: []byte(rand.Text())})
	if err != nil {
		return nil, err
	}
	payload, err := proto.Marshal(&common.Payload{
		Header: &common.Header{ChannelHeader: channelHeader, SignatureHeader: signatureHeader},
		Data:   info,
	})
	if err != nil {
		return nil, err
	}
	signature, err := who.Sign(payload)
	return &common.Envelope{Payload: payload, Signature: signature}, err
}
