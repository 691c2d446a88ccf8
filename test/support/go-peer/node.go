package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/pnet"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/p2p/transport/websocket"
)

const agentVersion = "go-peer/1.0.0"

// node is everything that the peer can do.
type node struct {
	host   host.Host
	key    crypto.PrivKey
	out    *output
	topics *topics
	table  *dht.IpfsDHT
}

func newNode(ctx context.Context, out *output, listen, security []string, keyFile string) (*node, error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, err
	}
	options := []libp2p.Option{
		libp2p.Identity(key),
		libp2p.UserAgent(agentVersion),
		libp2p.ListenAddrStrings(listen...),
		libp2p.DisableRelay(),
		libp2p.DisableMetrics(),
		libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Transport(websocket.New),
	}
	for _, name := range security {
		switch name {
		case "noise":
			options = append(options, libp2p.Security(noise.ID, noise.New))
		case "tls":
			options = append(options, libp2p.Security(libp2ptls.ID, libp2ptls.New))
		default:
			return nil, fmt.Errorf("no such encryption: %s", name)
		}
	}
	if keyFile == "" {
		options = append(options, libp2p.Transport(libp2pquic.NewTransport))
	} else {
		networkKey, err := readNetworkKey(keyFile)
		if err != nil {
			return nil, err
		}
		options = append(options, libp2p.PrivateNetwork(networkKey))
	}
	h, err := libp2p.New(options...)
	if err != nil {
		return nil, err
	}
	gossip, err := pubsub.NewGossipSub(ctx, h, pubsub.WithMessageSignaturePolicy(pubsub.StrictSign))
	if err != nil {
		return nil, err
	}
	table, err := dht.New(h,
		dht.ProtocolPrefix("/agent-mesh"),
		dht.Mode(dht.ModeServer),
		dht.NamespacedValidator(recordNamespace, recordValidator{}))
	if err != nil {
		return nil, err
	}
	return &node{host: h, key: key, out: out, topics: newTopics(gossip, out), table: table}, nil
}

func readNetworkKey(file string) (pnet.PSK, error) {
	reader, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	return pnet.DecodeV1PSK(reader)
}

func (n *node) self() any {
	addresses := []string{}
	for _, address := range n.host.Addrs() {
		addresses = append(addresses, fmt.Sprintf("%s/p2p/%s", address, n.host.ID()))
	}
	return map[string]any{"peerId": n.host.ID().String(), "addresses": addresses}
}

func (n *node) perform(ctx context.Context, c command) (any, error) {
	switch c.Do {
	case "connect":
		return n.connect(ctx, c.Address)
	case "publish":
		return true, n.topics.publish(ctx, c.Topic, c.Payload)
	case "subscribe":
		return true, n.topics.subscribe(c.Topic)
	case "listeners":
		return n.topics.listeners(c.Topic)
	case "put":
		return true, n.table.PutValue(ctx, c.Key, c.Payload)
	case "get":
		return n.get(ctx, c.Key)
	case "tableSize":
		return n.table.RoutingTable().Size(), nil
	case "publishRecord":
		return n.publishRecord(ctx, c.Name, c.Strings)
	case "serve":
		n.host.SetStreamHandler(protocol.ID(c.Protocol), serveReversed)
		return true, nil
	case "serveBulk":
		n.host.SetStreamHandler(protocol.ID(c.Protocol), n.receiveBulk(c.Payload))
		return true, nil
	}
	who, err := peer.Decode(c.Peer)
	if err != nil {
		return nil, fmt.Errorf("%q needs a peer: %w", c.Do, err)
	}
	switch c.Do {
	case "about":
		return n.about(ctx, who)
	case "ping":
		return n.ping(ctx, who)
	case "disconnect":
		return true, n.host.Network().ClosePeer(who)
	case "become":
		return true, n.become(ctx, who, c.Name)
	case "ask":
		return n.ask(ctx, who, protocol.ID(c.Protocol), c.Payload)
	case "sendBulk":
		return n.sendBulk(ctx, who, protocol.ID(c.Protocol), c.Name, c.Size)
	}
	return nil, fmt.Errorf("no such command: %q", c.Do)
}

// connect dials an address that ends in /p2p/ID and waits for identify.
func (n *node) connect(ctx context.Context, address string) (any, error) {
	info, err := peer.AddrInfoFromString(address)
	if err != nil {
		return nil, err
	}
	if err := n.host.Connect(ctx, *info); err != nil {
		return nil, err
	}
	return n.about(ctx, info.ID)
}

// about tells what identify brought from a peer that is linked.
func (n *node) about(ctx context.Context, who peer.ID) (any, error) {
	links := n.host.Network().ConnsToPeer(who)
	if len(links) == 0 {
		return nil, errors.New("not linked")
	}
	for {
		version, err := n.host.Peerstore().Get(who, "AgentVersion")
		if err == nil {
			protocols, err := n.host.Peerstore().GetProtocols(who)
			if err != nil {
				return nil, err
			}
			slices.Sort(protocols)
			state := links[0].ConnState()
			return map[string]any{
				"peerId": who.String(), "agentVersion": version, "protocols": protocols,
				"transport": state.Transport, "security": state.Security, "muxer": state.StreamMultiplexer,
			}, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the peer was not identified: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// ping returns microseconds.
func (n *node) ping(ctx context.Context, who peer.ID) (any, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	result := <-ping.Ping(ctx, n.host, who)
	return result.RTT.Microseconds(), result.Error
}
