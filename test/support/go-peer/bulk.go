package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	bulkMessageBytesMax = 2048
	bulkWindowBytes     = 2 << 20
	bulkPieceBytes      = 64 << 10
	receiptEveryBytes   = 256 << 10
)

// content is what the test can make as well: byte i is i*31 + i/256, modulo 256.
func content(size int) []byte {
	bytes := make([]byte, size)
	for i := range bytes {
		bytes[i] = byte(i*31 + i>>8)
	}
	return bytes
}

// sendBulk offers content, sends what the other side lacks, and waits for its receipt.
func (n *node) sendBulk(ctx context.Context, who peer.ID, id protocol.ID, name string, size int) (any, error) {
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
	bytes := content(size)
	digest := sha256.Sum256(bytes)
	offer := appendNumber(appendBytes(nil, 1, []byte(name)), 2, uint64(size))
	offer = appendBytes(offer, 3, digest[:])
	if _, err := stream.Write(withLength(offer)); err != nil {
		return nil, err
	}
	reader := bufio.NewReader(stream)
	answer, err := readBulkMessage(reader, 2)
	if err != nil {
		return nil, err
	}
	offset := answer.number(1)
	if offset > uint64(size) {
		return nil, fmt.Errorf("the receiver wants byte %d of %d", offset, size)
	}
	receipts := 0
	for sent, received := offset, offset; ; {
		if sent < uint64(size) && sent-received < bulkWindowBytes {
			next := min(sent+bulkPieceBytes, uint64(size))
			if _, err := stream.Write(bytes[sent:next]); err != nil {
				return nil, err
			}
			sent = next
			continue
		}
		receipt, err := readBulkMessage(reader, 1)
		if err != nil {
			return nil, err
		}
		receipts++
		if receipt.number(2) < received || receipt.number(2) > sent {
			return nil, fmt.Errorf("a receipt for %d bytes after %d", receipt.number(2), received)
		}
		received = receipt.number(2)
		if receipt.number(3) == 1 {
			return map[string]any{"offset": offset, "received": received, "receipts": receipts}, stream.Close()
		}
	}
}

// readBulkMessage fails with the code of the refusal where one is in this field.
func readBulkMessage(reader *bufio.Reader, refusal protowire.Number) (fields, error) {
	message, err := readMessage(reader, bulkMessageBytesMax)
	if err != nil {
		return fields{}, err
	}
	read, err := readFields(message)
	if err != nil || !read.has(refusal) {
		return read, err
	}
	why, err := readFields(read.bytes(refusal))
	if err != nil {
		return read, err
	}
	return read, errors.New("refused: " + why.text(1))
}

// receiveBulk takes content of which it has the beginning already, and tells of it as an event.
func (n *node) receiveBulk(beginning []byte) network.StreamHandler {
	return func(stream network.Stream) {
		defer stream.Close()
		if err := n.takeBulk(stream, beginning); err != nil {
			stream.Reset()
			n.out.write(line{Event: "error", Error: err.Error()})
		}
	}
}

func (n *node) takeBulk(stream network.Stream, beginning []byte) error {
	reader := bufio.NewReaderSize(stream, 1<<16)
	message, err := readMessage(reader, bulkMessageBytesMax)
	if err != nil {
		return err
	}
	offer, err := readFields(message)
	if err != nil {
		return err
	}
	size, offset := offer.number(2), uint64(len(beginning))
	if offset > size {
		return errors.New("the beginning is longer than the whole")
	}
	if _, err := stream.Write(withLength(appendNumber(nil, 1, offset))); err != nil {
		return err
	}
	digest := sha256.New()
	digest.Write(beginning)
	for received := offset; received < size; {
		piece := min(receiptEveryBytes, size-received)
		if _, err := io.CopyN(digest, reader, int64(piece)); err != nil {
			return err
		}
		received += piece
		if _, err := stream.Write(withLength(appendNumber(nil, 2, received))); err != nil {
			return err
		}
	}
	right := string(digest.Sum(nil)) == string(offer.bytes(3))
	receipt := appendNumber(appendNumber(nil, 2, size), 3, 1)
	if !right {
		receipt = appendBytes(nil, 1, appendBytes(nil, 1, []byte("bulk.digest")))
	}
	if _, err := stream.Write(withLength(receipt)); err != nil {
		return err
	}
	n.out.write(line{Event: "bulk", Result: map[string]any{
		"name": offer.text(1), "size": size, "offset": offset, "right": right}})
	return nil
}
