package main

import (
	"context"
	"errors"
	"sync"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
)

// topics are those that the peer has joined, with agent_mesh.v1.Envelope as their payload.
type topics struct {
	gossip   *pubsub.PubSub
	out      *output
	mutex    sync.Mutex
	joined   map[string]*pubsub.Topic
	sequence uint64
}

func newTopics(gossip *pubsub.PubSub, out *output) *topics {
	return &topics{gossip: gossip, out: out, joined: map[string]*pubsub.Topic{}}
}

func (t *topics) join(name string) (*pubsub.Topic, error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if topic, ok := t.joined[name]; ok {
		return topic, nil
	}
	topic, err := t.gossip.Join("agent-mesh/topic/" + name)
	if err != nil {
		return nil, err
	}
	t.joined[name] = topic
	return topic, nil
}

// subscribe tells of every message as an event.
func (t *topics) subscribe(name string) error {
	topic, err := t.join(name)
	if err != nil {
		return err
	}
	subscription, err := topic.Subscribe()
	if err != nil {
		return err
	}
	go func() {
		for {
			message, err := subscription.Next(context.Background())
			if err != nil {
				return
			}
			envelope, err := readEnvelope(message.Data)
			if err != nil {
				t.out.write(line{Event: "error", Error: err.Error()})
				continue
			}
			t.out.write(line{Event: "message", Result: map[string]any{
				"topic": name, "from": message.GetFrom().String(), "signed": len(message.Signature) > 0,
				"epoch": envelope.epoch, "sequence": envelope.sequence, "payload": envelope.payload,
			}})
		}
	}()
	return nil
}

func (t *topics) listeners(name string) (any, error) {
	topic, err := t.join(name)
	if err != nil {
		return nil, err
	}
	peers := []string{}
	for _, who := range topic.ListPeers() {
		peers = append(peers, who.String())
	}
	return peers, nil
}

func (t *topics) publish(ctx context.Context, name string, payload []byte) error {
	topic, err := t.join(name)
	if err != nil {
		return err
	}
	t.mutex.Lock()
	t.sequence++
	data := envelope{epoch: 1, sequence: t.sequence, payload: payload}.encode()
	t.mutex.Unlock()
	return topic.Publish(ctx, data)
}

// envelope is agent_mesh.v1.Envelope as it is used on topics.
type envelope struct {
	epoch    uint64
	sequence uint64
	payload  []byte
}

func (e envelope) encode() []byte {
	return appendBytes(appendNumber(appendNumber(nil, 1, e.epoch), 2, e.sequence), 3, e.payload)
}

func readEnvelope(bytes []byte) (envelope, error) {
	var e envelope
	fields, err := readFields(bytes)
	if err != nil {
		return e, err
	}
	e.epoch, e.sequence, e.payload = fields.number(1), fields.number(2), fields.bytes(3)
	if e.epoch == 0 || e.sequence == 0 {
		return e, errors.New("an envelope without epoch or sequence")
	}
	return e, nil
}
