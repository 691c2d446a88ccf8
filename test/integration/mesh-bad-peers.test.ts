// Bare libp2p nodes that do wrong to a node of the mesh: it is refused and counted, and good neighbours are served on.
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { generateKeyPair } from "@libp2p/crypto/keys";
import { RPC } from "@libp2p/gossipsub/message";
import { identify } from "@libp2p/identify";
import type { PrivateKey, Stream } from "@libp2p/interface";
import { kadDHT, passthroughMapper } from "@libp2p/kad-dht";
import { noise } from "@libp2p/noise";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import { ping } from "@libp2p/ping";
import { preSharedKey } from "@libp2p/pnet";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p, type Libp2p } from "libp2p";
import t, { type Test } from "tap";
import { directoryRules } from "../../src/mesh/fleet/record-directory.ts";
import { signRecord } from "../../src/mesh/records/record-codec.ts";
import { CachingVerifier } from "../../src/mesh/records/record-verifier.ts";
import { generateIdentityPem, identityKeyFrom } from "../../src/platform/libp2p/identity-key.ts";
import type { Libp2pNetwork } from "../../src/platform/libp2p/libp2p-network.ts";
import { parseNetworkKey } from "../../src/platform/libp2p/network-key.ts";
import type { Libp2pSettings } from "../../src/platform/libp2p/settings.ts";
import type { Logger } from "../../src/platform/logger.ts";
import type { NetworkGate, Protocol } from "../../src/platform/network.ts";
import { silentLogger } from "../../src/platform/silent-logger.ts";
import { until } from "../support/agent-process.ts";
import { libp2pNode } from "../support/libp2p-node.ts";

const ECHO: Protocol = {
  id: "/agent-mesh/task/echo/1.0.0",
  messageBytesMax: 4_096,
  queueBytesMax: 65_536,
  requestsInFlightMax: 8,
};
const TOPIC = "agent-mesh/topic/t";
const SOON = { timeoutMs: 5_000 };

interface Attacked {
  readonly network: Libp2pNetwork;
  /** `peer kind`, in the order in which they were told. */
  readonly offences: readonly string[];
  /** A good neighbour asks for an echo. */
  readonly served: () => Promise<string>;
}

/** A node that answers to ECHO, and a good neighbour of its. */
async function attacked(
  t: Test,
  over: Partial<Libp2pSettings> = {},
  allows: NetworkGate["allows"] = () => undefined,
): Promise<Attacked> {
  const offences: string[] = [];
  const gate: NetworkGate = {
    admits: () => true,
    allows,
    offence: (peer, kind) => void offences.push(`${peer} ${kind}`),
  };
  const network = await libp2pNode({ ...over, gate });
  t.teardown(() => network.stop());
  network.serve(ECHO, { request: (_, payload) => payload });
  await network.start(() => undefined);
  const { networkKey } = over;
  const good = await libp2pNode({ networkKey });
  t.teardown(() => good.stop());
  await good.start(() => undefined);
  await good.connect({ addresses: network.addresses() }, SOON);
  const served = async (): Promise<string> => {
    const answer = await good.request(network.self, ECHO, Buffer.from("good"), SOON);
    return Buffer.from(answer).toString("utf8");
  };
  return { network, offences, served };
}

interface BareOptions {
  readonly privateKey?: PrivateKey;
  readonly networkKey?: Uint8Array;
}

/** A libp2p node with nothing of this project in it. */
async function bareNode(t: Test, options: BareOptions = {}) {
  const { privateKey, networkKey } = options;
  const table = kadDHT({
    protocol: "/agent-mesh/kad/1.0.0",
    clientMode: false,
    peerInfoMapper: passthroughMapper,
    // Whatever comes is right by it.
    validators: { "agent-mesh": () => undefined },
    selectors: { "agent-mesh": () => 0 },
  });
  const node = await createLibp2p({
    ...(privateKey && { privateKey }),
    addresses: { listen: ["/ip4/127.0.0.1/tcp/0"] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    ...(networkKey && { connectionProtector: preSharedKey({ psk: networkKey }) }),
    services: { identify: identify(), ping: ping(), table },
  });
  t.teardown(() => node.stop());
  return node;
}

async function open(node: Libp2p, network: Libp2pNetwork, protocol: string): Promise<Stream> {
  const connection = await node.dial(network.addresses().map((address) => multiaddr(address)));
  return connection.newStream(protocol);
}

t.test("another network's key, or none", async (t) => {
  const networkKey = newNetworkKey();
  const warnings: string[] = [];
  const logger: Logger = { ...silentLogger, warn: (message) => void warnings.push(message) };
  const { network, served } = await attacked(t, { networkKey, logger });
  for (const outsider of [await bareNode(t, { networkKey: newNetworkKey() }), await bareNode(t)])
    await t.rejects(
      outsider.dial(
        network.addresses().map((address) => multiaddr(address)),
        { signal: AbortSignal.timeout(3_000) },
      ),
    );
  t.equal(network.links().length, 1, "the good neighbour alone");
  t.equal(await served(), "good");
  await until("both to be counted", () => network.counters().refusals["handshake.failed"] === 2);
  t.match(warnings, [/could not say who it is/], "told once");
  t.equal(warnings.length, 1);
  const insider = await bareNode(t, { networkKey });
  await insider.dial(network.addresses().map((address) => multiaddr(address)));
  await until("the bare node with its key", () => network.links().length === 2);
});

t.test("frames that are too large, and frames that are none", async (t) => {
  const { network, offences, served } = await attacked(t);
  const bare = await bareNode(t);
  const name = bare.peerId.toString();
  for (const [bytes, offence] of [
    [Uint8Array.of(0x80, 0x80, 0x80, 0x01), "oversize"],
    [Buffer.from("GET / HTTP/1.1\r\nHost: agent\r\n\r\n".repeat(20)), "malformed"],
    [Buffer.alloc(64, 0xff), "malformed"],
  ] as const) {
    const before = offences.length;
    const stream = await open(bare, network, ECHO.id);
    stream.send(bytes);
    await until(`an ${offence}`, () => offences.length > before);
    t.equal(offences.at(-1), `${name} ${offence}`);
    await until("the stream to be over", () => stream.status !== "open");
    t.equal(await served(), "good");
  }
  t.match(network.counters().refusals, { oversize: 1, malformed: 2 });
});

t.test("a flood", async (t) => {
  const bare = await bareNode(t);
  const name = bare.peerId.toString();
  let frames = 0;
  const { network, served } = await attacked(t, {}, (peer) =>
    peer === name && ++frames > 100 ? "rate.limited" : undefined,
  );
  const stream = await open(bare, network, ECHO.id);
  const answers: Uint8Array[] = [];
  stream.addEventListener("message", ({ data }) => void answers.push(data.subarray().slice()));
  // A request with the id 1 that holds one byte.
  const request = Buffer.from("0508011a0141", "hex");
  for (let burst = 0; burst < 20; burst++) {
    stream.send(Buffer.concat(Array.from({ length: 100 }, () => request)));
    t.equal(await served(), "good");
  }
  await until("all of it to have come", () => frames === 2_000);
  t.match(network.counters().refusals, { "rate.limited": 1_900 });
  t.equal(network.links().length, 2);
});

t.test("records in the table that are forged, changed or somebody else's", async (t) => {
  const identity = identityKeyFrom(generateIdentityPem());
  const victim = identityKeyFrom(generateIdentityPem()).signer;
  const rules = directoryRules(new CachingVerifier(identity.signer, 64));
  const judged: boolean[] = [];
  const { network, served } = await attacked(t, {
    ...identity,
    directory: {
      newest: (records) => rules.newest(records),
      valid: (peer, record) => {
        const valid = rules.valid(peer, record);
        judged.push(valid);
        return valid;
      },
    },
  });
  const bare = await bareNode(t);
  await bare.dial(network.addresses().map((address) => multiaddr(address)));
  const name = bare.peerId.toString();
  const self = { agentId: "victim", version: "1", addresses: [] };
  const record = signRecord(victim, self, { epoch: 1, sequence: 1 }, false);
  const changed = Uint8Array.from(record);
  changed[40] = (changed[40] ?? 0) ^ 1;

  /** Puts it until the node has had to judge it: at first the bare node has nobody in its table. */
  const put = (peer: string, value: Uint8Array): Promise<boolean> => {
    judged.length = 0;
    return until("the node to be asked", async () => {
      const key = Buffer.from(`/agent-mesh/${peer}`);
      const signal = AbortSignal.timeout(2_000);
      for await (const event of bare.services.table.put(key, value, { signal })) void event;
      return judged.length > 0;
    });
  };
  const find = async (peer: string): Promise<Uint8Array | undefined> =>
    network.directory?.find(peer, { timeoutMs: 1_000 });

  await put(victim.peerId, changed);
  t.strictSame([...new Set(judged)], [false], "a changed one");
  t.equal(await find(victim.peerId), undefined);
  await put(name, record);
  t.strictSame([...new Set(judged)], [false], "another's, under its own name");
  t.equal(await find(name), undefined);
  await put(victim.peerId, record);
  const found = await find(victim.peerId);
  t.same(found && Buffer.from(found), Buffer.from(record), "the right one is taken from anybody");
  t.equal(await served(), "good");
});

t.test(
  "published messages without a signature, with a wrong one, or in another's name",
  async (t) => {
    const privateKey = await generateKeyPair("Ed25519");
    const { network, offences, served } = await attacked(t);
    const heard: { from: string; text: string }[] = [];
    network.subscribe(TOPIC, ({ from, payload }) => {
      heard.push({ from, text: Buffer.from(payload).toString("utf8") });
      return "accept";
    });
    const bare = await bareNode(t, { privateKey });
    const stream = await open(bare, network, "/meshsub/1.1.0");
    const from = bare.peerId.toMultihash().bytes;
    const right = await signed(privateKey, from, "right");
    const other = peerIdFromPrivateKey(await generateKeyPair("Ed25519"));
    const wrong: [what: string, message: RPC.Message][] = [
      ["no signature", { data: Buffer.from("x"), from, seqno: randomBytes(8), topic: TOPIC }],
      ["another message's signature", { ...right, seqno: randomBytes(8) }],
      ["neither author nor signature", { data: Buffer.from("x"), topic: TOPIC }],
      ["another's name", await signed(privateKey, other.toMultihash().bytes, "forged")],
      ["changed on the way", { ...(await signed(privateKey, from, "x")), data: Buffer.from("y") }],
    ];
    for (const [n, [what, message]] of wrong.entries()) {
      publish(stream, message);
      await until(what, () => offences.length > n);
      t.equal(offences[n], `${bare.peerId.toString()} invalid-topic-message`, what);
    }
    t.strictSame(heard, []);
    t.match(network.counters().refusals, { "invalid-topic-message": wrong.length });
    t.equal(await served(), "good");
  },
);

t.test("a message that was published is not delivered a second time", async (t) => {
  const privateKey = await generateKeyPair("Ed25519");
  const { network, offences, served } = await attacked(t);
  const heard: string[] = [];
  network.subscribe(TOPIC, ({ payload }) => {
    heard.push(Buffer.from(payload).toString("utf8"));
    return "accept";
  });
  const bare = await bareNode(t, { privateKey });
  const stream = await open(bare, network, "/meshsub/1.1.0");
  const first = await signed(privateKey, bare.peerId.toMultihash().bytes, "first");
  publish(stream, first);
  publish(stream, first);
  publish(stream, await signed(privateKey, bare.peerId.toMultihash().bytes, "second"));
  await until("the second", () => heard.includes("second"));
  await delay(20);
  t.strictSame(heard, ["first", "second"]);
  t.strictSame(offences, []);
  t.equal(await served(), "good");
});

/** A message as StrictSign wants it: signed over the prefix and the message without signature and key. */
async function signed(key: PrivateKey, from: Uint8Array, text: string): Promise<RPC.Message> {
  const message = { from, data: Buffer.from(text), seqno: randomBytes(8), topic: TOPIC };
  const bytes = Buffer.concat([Buffer.from("libp2p-pubsub:"), RPC.Message.encode(message)]);
  return { ...message, signature: await key.sign(bytes) };
}

function publish(stream: Stream, message: RPC.Message): void {
  const rpc = RPC.encode({ subscriptions: [], messages: [message] });
  const length: number[] = [];
  let rest = rpc.length;
  for (; rest >= 0x80; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
  stream.send(Buffer.concat([Uint8Array.from([...length, rest]), rpc]));
}

function newNetworkKey(): Uint8Array {
  const hex = randomBytes(32).toString("hex");
  return parseNetworkKey(Buffer.from(`/key/swarm/psk/1.0.0/\n/base16/\n${hex}\n`));
}
