package main

import (
	"bufio"
	"context"
	"slices"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/encoding/protowire"
)

const membershipProtocol = "/agent-mesh/membership/1.0.0"

// Fields of agent_mesh.v1.MembershipMessage.
const (
	membershipProbe       protowire.Number = 1
	membershipProbeAnswer protowire.Number = 2
	membershipRecords     protowire.Number = 14
)

// become makes the peer a member of the mesh: it shows its record to a neighbour, and answers when it is probed.
func (n *node) become(ctx context.Context, who peer.ID, agentID string) error {
	record, err := signRecord(n.key, agentID, nil)
	if err != nil {
		return err
	}
	// Answers go out on a stream of our own: the other side only asks and tells on its.
	out, err := n.host.NewStream(ctx, who, membershipProtocol)
	if err != nil {
		return err
	}
	n.host.SetStreamHandler(membershipProtocol, func(in network.Stream) {
		defer in.Close()
		if in.Conn().RemotePeer() != who {
			return
		}
		if err := answerProbes(bufio.NewReader(in), out); err != nil {
			in.Reset()
		}
	})
	_, err = out.Write(encodeFrame(0, frameMessage, appendBytes(nil, membershipRecords, record)))
	return err
}

func answerProbes(in *bufio.Reader, out network.Stream) error {
	for {
		bytes, err := readMessage(in, frameBytesMax)
		if err != nil {
			return err
		}
		frame, err := readFields(bytes)
		if err != nil {
			return err
		}
		message, err := readFields(frame.bytes(frameMessage))
		if err != nil {
			return err
		}
		if !message.has(membershipProbe) {
			continue
		}
		probe, err := readFields(message.bytes(membershipProbe))
		if err != nil {
			return err
		}
		// The nonce, PROBE_OUTCOME_REACHED, and one link.
		answer := slices.Concat(
			appendNumber(nil, 1, probe.number(1)), appendNumber(nil, 2, 1), appendNumber(nil, 3, 1))
		if _, err := out.Write(encodeFrame(0, frameMessage, appendBytes(nil, membershipProbeAnswer, answer))); err != nil {
			return err
		}
	}
}
