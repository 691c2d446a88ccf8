package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	recordNamespace = "agent-mesh"
	recordPurpose   = "agent-mesh/record/1\x00"
	recordBytesMax  = 4096
)

// agentRecord is what this peer reads of agent_mesh.v1.AgentRecord.
type agentRecord struct {
	publicKey       []byte
	epoch, sequence uint64
	agentID         string
}

// readRecord checks an agent_mesh.v1.SignedRecord against the key that the peer id holds.
func readRecord(who peer.ID, value []byte) (agentRecord, error) {
	var record agentRecord
	if len(value) > recordBytesMax {
		return record, fmt.Errorf("a record of %d bytes", len(value))
	}
	signed, err := readFields(value)
	if err != nil {
		return record, err
	}
	inner, err := readFields(signed.bytes(1))
	if err != nil {
		return record, err
	}
	record = agentRecord{inner.bytes(1), inner.number(2), inner.number(3), inner.text(4)}
	key, err := who.ExtractPublicKey()
	if err != nil {
		return record, err
	}
	raw, err := key.Raw()
	if err != nil {
		return record, err
	}
	if string(raw) != string(record.publicKey) {
		return record, errors.New("the record is of another key")
	}
	ok, err := key.Verify(append([]byte(recordPurpose), signed.bytes(1)...), signed.bytes(2))
	if err != nil || !ok {
		return record, errors.New("the signature is wrong")
	}
	return record, nil
}

// signRecord makes an agent_mesh.v1.SignedRecord.
func signRecord(key crypto.PrivKey, agentID string, addresses []string) ([]byte, error) {
	raw, err := key.GetPublic().Raw()
	if err != nil {
		return nil, err
	}
	record := appendBytes(nil, 1, raw)
	record = appendNumber(appendNumber(record, 2, 1), 3, 1)
	record = appendBytes(record, 4, []byte(agentID))
	record = appendBytes(record, 5, []byte(agentVersion))
	for _, address := range addresses {
		record = appendBytes(record, 6, []byte(address))
	}
	signature, err := key.Sign(append([]byte(recordPurpose), record...))
	if err != nil {
		return nil, err
	}
	return appendBytes(appendBytes(nil, 1, record), 2, signature), nil
}

// recordValidator keeps anything else out of the table.
type recordValidator struct{}

func (recordValidator) Validate(key string, value []byte) error {
	who, err := peerOf(key)
	if err != nil {
		return err
	}
	_, err = readRecord(who, value)
	return err
}

// Select chooses the newest; all were validated.
func (recordValidator) Select(key string, values [][]byte) (int, error) {
	who, err := peerOf(key)
	if err != nil {
		return 0, err
	}
	best, at := agentRecord{}, -1
	for i, value := range values {
		record, err := readRecord(who, value)
		if err != nil {
			continue
		}
		newer := record.epoch > best.epoch ||
			record.epoch == best.epoch && record.sequence > best.sequence
		if at < 0 || newer {
			best, at = record, i
		}
	}
	if at < 0 {
		return 0, errors.New("no valid record")
	}
	return at, nil
}

func peerOf(key string) (peer.ID, error) {
	name, ok := strings.CutPrefix(key, "/"+recordNamespace+"/")
	if !ok {
		return "", fmt.Errorf("no key of a record: %q", key)
	}
	return peer.Decode(name)
}

// get looks a record up, which the table validates before it gives it.
func (n *node) get(ctx context.Context, key string) (any, error) {
	value, err := n.table.GetValue(ctx, key)
	if err != nil {
		return nil, err
	}
	who, err := peerOf(key)
	if err != nil {
		return nil, err
	}
	record, err := readRecord(who, value)
	if err != nil {
		return nil, err
	}
	return map[string]any{"agentId": record.agentID, "epoch": record.epoch, "sequence": record.sequence,
		"bytes": value}, nil
}

func (n *node) publishRecord(ctx context.Context, agentID string, addresses []string) (any, error) {
	value, err := signRecord(n.key, agentID, addresses)
	if err != nil {
		return nil, err
	}
	key := "/" + recordNamespace + "/" + n.host.ID().String()
	return value, n.table.PutValue(ctx, key, value)
}
