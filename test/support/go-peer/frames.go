package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"google.golang.org/protobuf/encoding/protowire"
)

const frameBytesMax = 4 << 20

// Fields of the oneof in agent_mesh.v1.Frame.
const (
	frameMessage  protowire.Number = 2
	frameRequest  protowire.Number = 3
	frameResponse protowire.Number = 4
	frameRefusal  protowire.Number = 5
)

// withLength puts the length of a message in front of it, as an unsigned varint.
func withLength(message []byte) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(message))), message...)
}

func readMessage(reader *bufio.Reader, bytesMax uint64) ([]byte, error) {
	length, err := binary.ReadUvarint(reader)
	if err != nil {
		return nil, err
	}
	if length > bytesMax {
		return nil, fmt.Errorf("a message of %d bytes", length)
	}
	message := make([]byte, length)
	_, err = io.ReadFull(reader, message)
	return message, err
}

func encodeFrame(id uint64, field protowire.Number, body []byte) []byte {
	var frame []byte
	if id != 0 {
		frame = appendNumber(frame, 1, id)
	}
	return withLength(appendBytes(frame, field, body))
}

// ask sends one request and returns its answer, or why there is none.
func (n *node) ask(ctx context.Context, who peer.ID, id protocol.ID, payload []byte) (any, error) {
	stream, err := n.host.NewStream(ctx, who, id)
	if err != nil {
		return nil, err
	}
	defer stream.Reset()
	if deadline, ok := ctx.Deadline(); ok {
		if err := stream.SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	if _, err := stream.Write(encodeFrame(7, frameRequest, payload)); err != nil {
		return nil, err
	}
	bytes, err := readMessage(bufio.NewReader(stream), frameBytesMax)
	if err != nil {
		return nil, err
	}
	frame, err := readFields(bytes)
	if err != nil {
		return nil, err
	}
	if frame.number(1) != 7 {
		return nil, fmt.Errorf("an answer to request %d", frame.number(1))
	}
	if frame.has(frameResponse) {
		return map[string]any{"response": frame.bytes(frameResponse)}, nil
	}
	if !frame.has(frameRefusal) {
		return nil, errors.New("a frame that is no answer")
	}
	refusal, err := readFields(frame.bytes(frameRefusal))
	if err != nil {
		return nil, err
	}
	return map[string]any{"refusal": refusal.text(1), "detail": refusal.text(2)}, nil
}

// serveReversed answers every request with its bytes reversed, and refuses the empty one.
func serveReversed(stream network.Stream) {
	defer stream.Close()
	reader := bufio.NewReader(stream)
	for {
		bytes, err := readMessage(reader, frameBytesMax)
		if err != nil {
			return
		}
		frame, err := readFields(bytes)
		if err != nil || !frame.has(frameRequest) {
			stream.Reset()
			return
		}
		answer := slices.Clone(frame.bytes(frameRequest))
		slices.Reverse(answer)
		reply := encodeFrame(frame.number(1), frameResponse, answer)
		if len(answer) == 0 {
			refusal := appendBytes(appendBytes(nil, 1, []byte("task.empty")), 2, []byte("nothing to reverse"))
			reply = encodeFrame(frame.number(1), frameRefusal, refusal)
		}
		if _, err := stream.Write(reply); err != nil {
			return
		}
	}
}
