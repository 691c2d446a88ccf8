import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { peerIdFromString } from "@libp2p/peer-id";
import { multiaddr } from "@multiformats/multiaddr";
import t from "tap";
import { createNode } from "../../src/platform/libp2p/create-node.ts";
import { HandshakeWatch } from "../../src/platform/libp2p/handshake-watch.ts";
import { generateIdentityPem, identityKeyFrom } from "../../src/platform/libp2p/identity-key.ts";
import { parseNetworkKey } from "../../src/platform/libp2p/network-key.ts";
import { type BulkSink, NetworkError, Refused } from "../../src/platform/network.ts";
import { Tally } from "../../src/platform/network-tally.ts";
import { AgentProcess, until } from "../support/agent-process.ts";
import { type GoLink, GoPeer } from "../support/go-peer.ts";
import { goPeerProgram } from "../support/go-peer-program.ts";
import { interopNode } from "../support/interop-node.ts";
import { libp2pSettings } from "../support/libp2p-node.ts";

const built = await goPeerProgram();
const skip = "missing" in built ? built.missing : false;
const program = "program" in built ? built.program : "";

const TCP = "/ip4/127.0.0.1/tcp/0";
const WS = "/ip4/127.0.0.1/tcp/0/ws";
const QUIC = "/ip4/127.0.0.1/udp/0/quic-v1";
const BULK_PROTOCOL = "/agent-mesh/test-bulk/1.0.0";
const BULK_BYTES = 5_000_000;

const ways = [
  { name: "TCP with Noise", transport: "tcp", listen: TCP, encryption: "noise" },
  { name: "TCP with TLS 1.3", transport: "tcp", listen: TCP, encryption: "tls" },
  { name: "WebSocket with Noise", transport: "ws", listen: WS, encryption: "noise" },
  { name: "QUIC", transport: "quic", listen: QUIC, encryption: "tls" },
] as const;

/** What links look like from the Go side, by transport and encryption; QUIC has both built in. */
const LINKS = {
  tcp: { transport: "tcp", noise: "/noise", tls: "/tls/1.0.0", muxer: "/yamux/1.0.0" },
  ws: { transport: "websocket", noise: "/noise", tls: "/tls/1.0.0", muxer: "/yamux/1.0.0" },
  quic: { transport: "quic-v1", noise: "", tls: "", muxer: "" },
} as const;

for (const { name, transport, listen, encryption } of ways) {
  t.test(`a go-libp2p node and ours over ${name}`, { skip }, async (t) => {
    const { node, network } = await interopNode(t, { transports: [transport], listen: [listen] });
    const go = await GoPeer.start(t, program, { listen: [listen], security: encryption });
    const [address = ""] = node.addresses();

    node.attachTask("upper", (_, payload) => {
      if (payload.length === 0) throw new Refused("task.empty", "nothing to do");
      return Buffer.from(Buffer.from(payload).toString("utf8").toUpperCase());
    });
    const link = await go.do<GoLink>("connect", { address });
    await t.test("they link and identify each other", async (t) => {
      const { transport: by, muxer, [encryption]: security } = LINKS[transport];
      t.match(link, { peerId: node.id, transport: by, muxer, security });
      t.equal(link.agentVersion, "agent-mesh/test");
      for (const protocol of ["/ipfs/ping/1.0.0", "/meshsub/1.2.0", "/agent-mesh/task/upper/1.0.0"])
        t.ok(link.protocols.includes(protocol), protocol);
      const [peer] = await until("the link to be known here", () => {
        const peers = node.peers();
        return peers.length > 0 && peers;
      });
      t.match(peer, { id: go.id, link: { transport, direction: "inbound" } });
    });

    await t.test("it pings ours", async (t) => {
      t.ok((await go.do<number>("ping", { peer: node.id })) > 0);
    });

    await t.test("it calls a task of ours", async (t) => {
      const protocol = "/agent-mesh/task/upper/1.0.0";
      const ask = (payload: string) =>
        go.do<{ response?: string; refusal?: string }>("ask", {
          peer: node.id,
          protocol,
          payload: base64(payload),
        });
      t.equal(text((await ask("from go")).response), "FROM GO");
      t.match(await ask(""), { refusal: "task.empty", detail: "nothing to do" });
      const large = "x".repeat(1_000_000);
      t.equal(text((await ask(large)).response), large.toUpperCase(), "a megabyte either way");
      const unknown = { peer: node.id, protocol: "/agent-mesh/task/none/1.0.0", payload: "" };
      await t.rejects(go.do("ask", unknown), /protocols not supported/);
    });

    await t.test("ours calls a task of it", async (t) => {
      await go.do("serve", { protocol: "/agent-mesh/task/reverse/1.0.0" });
      // It tells of what it serves since by pushing identify.
      const answers = await Promise.all(
        ["abc", "over a stream", "that is kept"].map((word) =>
          node.callTask(go.id, "reverse", Buffer.from(word)),
        ),
      );
      const said = answers.map((answer) => Buffer.from(answer).toString("utf8"));
      t.strictSame(said, ["cba", "maerts a revo", "tpek si taht"]);
      await t.rejects(node.callTask(go.id, "reverse", new Uint8Array(0)), {
        code: "network.refused",
        refusal: "task.empty",
      });
      await t.rejects(node.callTask(go.id, "none", new Uint8Array(0)), {
        code: "network.unsupported",
      });
    });

    await t.test("what one publishes the other receives", async (t) => {
      const heard: { from: string; payload: string }[] = [];
      node.subscribe("hall/1", (from, payload) => {
        heard.push({ from, payload: text(payload) });
      });
      await go.do("subscribe", { topic: "hall/1" });
      await until("each to know that the other listens", async () => {
        const listeners = await go.do<string[]>("listeners", { topic: "hall/1" });
        return listeners.includes(node.id) && (await node.broadcast("hall/1", bytes("hello"))) > 0;
      });
      const message = await until("the message in Go", () =>
        go.messages.find(({ payload }) => text(payload) === "hello"),
      );
      t.match(message, { from: node.id, signed: true, topic: "hall/1", epoch: 1 });
      await go.do("publish", { topic: "hall/1", payload: base64("hello back") });
      await until("the message here", () => heard.length > 0);
      t.strictSame(heard, [{ from: go.id, payload: "hello back" }]);
      t.strictSame(go.errors, []);
    });

    await t.test("bulk goes either way, and on from where it stopped", async (t) => {
      const whole = content(BULK_BYTES);
      for (const offset of [0, 3_000_001]) {
        const sink = memorySink(whole.subarray(0, offset));
        const protocol = `${BULK_PROTOCOL}/${offset}`;
        network.serveBulk(protocol, () => sink);
        const sent = await until("it to take the new protocol", () =>
          go
            .do<{ offset: number; receipts: number }>("sendBulk", {
              peer: node.id,
              protocol,
              name: "model",
              size: BULK_BYTES,
            })
            .catch((error: Error) => {
              if (!error.message.includes("protocols not supported")) throw error;
              return undefined;
            }),
        );
        t.equal(sent.offset, offset);
        t.ok(sent.receipts >= 1);
        t.ok(sink.complete() && sink.bytes().equals(whole), `everything from byte ${offset} came`);

        await go.do("serveBulk", { protocol, payload: base64(whole.subarray(0, offset)) });
        const progress: number[] = [];
        await network.sendBulk(go.id, protocol, bulkSource("model", whole), (at) => {
          progress.push(at);
        });
        t.equal(progress[0], offset);
        t.equal(progress.at(-1), BULK_BYTES);
        const took = await until("Go to have it all", () =>
          go.bulk.find((each) => each.offset === offset),
        );
        t.match(took, { name: "model", size: BULK_BYTES, right: true });
      }
      t.strictSame(go.errors, []);
    });

    await t.test("nothing was refused, and none of it over mplex", (t) => {
      t.strictSame(
        Object.keys(network.counters().refusals).filter((code) => code !== "task.empty"),
        [],
      );
      t.equal(link.muxer, LINKS[transport].muxer);
      t.end();
    });
  });
}

for (const [name, listen, transport] of [
  ["TCP", TCP, "tcp"],
  ["QUIC", QUIC, "quic"],
] as const)
  t.test(`ours dials a go-libp2p node over ${name}, and pings it`, { skip }, async (t) => {
    const go = await GoPeer.start(t, program, { listen: [listen] });
    const settings = libp2pSettings({ transports: [transport], listen: [] });
    const node = await createNode(
      settings,
      new HandshakeWatch(settings, new Tally()),
      () => undefined,
    );
    t.teardown(() => node.stop());
    await node.start();
    await node.dial(multiaddr(go.addresses[0] ?? ""));
    const ping = node.services["ping"] as { ping(peer: unknown): Promise<number> };
    t.ok((await ping.ping(peerIdFromString(go.id))) >= 0);
    const protocols = await until("identify to have come", async () => {
      const { metadata, protocols } = await node.peerStore.get(peerIdFromString(go.id));
      return metadata.has("AgentVersion") && { metadata, protocols };
    });
    t.equal(text(protocols.metadata.get("AgentVersion")), "go-peer/1.0.0");
    t.ok(protocols.protocols.includes("/agent-mesh/kad/1.0.0"));
    t.match(await go.do<GoLink>("about", { peer: node.peerId.toString() }), {
      agentVersion: "agent-mesh/test",
    });
  });

t.test("who answers has to be who was meant", { skip }, async (t) => {
  const { node, network } = await interopNode(t, {
    transports: ["tcp", "quic"],
    listen: [TCP, QUIC],
  });
  const go = await GoPeer.start(t, program, { listen: [TCP, QUIC] });
  const stranger = identityKeyFrom(generateIdentityPem()).signer.peerId;
  for (const [kind, part] of [
    ["TCP", "/tcp/"],
    ["QUIC", "/udp/"],
  ] as const) {
    const ours = node.addresses().find((address) => address.includes(part)) ?? "";
    const wrong = ours.replace(node.id, stranger);
    await t.rejects(go.do("connect", { address: wrong }), /peer id mismatch/, `${kind}, to ours`);
    const theirs = go.address(part).replace(go.id, stranger);
    const dialled = network.connect({ addresses: [theirs] }, { timeoutMs: 5_000 });
    await t.rejects(dialled, { code: "network.unreachable" }, `${kind}, to theirs`);
  }
  t.strictSame(network.links(), []);
});

t.test("a private network keeps go-libp2p nodes without its key out", { skip }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "network-key-"));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const keyFile = (name: string): { file: string; bytes: Uint8Array } => {
    const text = `/key/swarm/psk/1.0.0/\n/base16/\n${randomBytes(32).toString("hex")}\n`;
    const file = join(directory, name);
    writeFileSync(file, text, { mode: 0o600 });
    return { file, bytes: parseNetworkKey(Buffer.from(text)) };
  };
  const right = keyFile("right");
  const wrong = keyFile("wrong");
  const { node, network } = await interopNode(t, { networkKey: right.bytes });
  const [address = ""] = node.addresses();
  const outsiders = { "another key": { networkKeyFile: wrong.file }, "no key": {} };
  for (const [what, options] of Object.entries(outsiders)) {
    const outsider = await GoPeer.start(t, program, { listen: [TCP], ...options });
    await t.rejects(outsider.do("connect", { address }), /failed/, `${what}, dialling`);
    const dialled = network.connect({ addresses: [...outsider.addresses] }, { timeoutMs: 2_000 });
    await t.rejects(dialled, NetworkError, `${what}, dialled`);
  }
  t.strictSame(network.links(), []);

  const member = await GoPeer.start(t, program, {
    listen: [TCP],
    networkKeyFile: right.file,
  });
  const link = await member.do<GoLink>("connect", { address });
  t.match(link, { peerId: node.id, security: "/noise", muxer: "/yamux/1.0.0" });
  t.ok((await member.do<number>("ping", { peer: node.id })) > 0);
});

t.test("a go-libp2p node and the agent", { skip }, async (t) => {
  const data = mkdtempSync(join(tmpdir(), "interop-"));
  t.teardown(() => rmSync(data, { recursive: true, force: true }));
  const go = await GoPeer.start(t, program, { listen: [TCP, QUIC] });
  const agent = await AgentProcess.start(t, data, [
    "agent.id=hall-1",
    "mesh.port=0",
    'mesh.transports=["tcp","quic"]',
    "mesh.discovery.dht=true",
    `mesh.bootstrap=["${go.address("/tcp/")}"]`,
  ]);
  const self = await agent.get<{ peerId: string; addresses: string[] }>("/v1/mesh");
  const address = (part: string): string =>
    self.addresses.find((each) => each.includes(part) && !each.includes("p2p-circuit")) ?? "";
  const second = await GoPeer.start(t, program, { listen: [TCP] });

  await t.test("the agent has dialled the one it begins with, and lists it", async (t) => {
    await until("the address to have answered", async () => {
      const { bootstrap } = await agent.get<{ bootstrap: { peer?: string }[] }>("/v1/mesh");
      return bootstrap.some(({ peer }) => peer === go.id);
    });
    const peer = await until("the link", async () => {
      await linkTo(agent, go.address("/tcp/"));
      const link = await go.do<GoLink>("about", { peer: self.peerId }).catch(() => undefined);
      const peer = await listed(agent, go.id);
      return link !== undefined && peer !== undefined && { ...peer, link };
    });
    t.match(peer, { transport: "tcp", direction: "outbound" });
    t.match(peer.link, { agentVersion: /^agent-mesh\// });
    t.notOk("agentId" in peer, "it is no agent");
  });

  await t.test("over QUIC another one dials and pings it", async (t) => {
    const peer = await until("the link", async () => {
      const link = await second.do<GoLink>("connect", { address: address("/quic-v1") });
      t.match(link, { peerId: self.peerId, transport: "quic-v1" });
      t.ok((await second.do<number>("ping", { peer: self.peerId })) > 0);
      return listed(agent, second.id);
    });
    t.match(peer, { transport: "quic", direction: "inbound" });
  });

  await t.test("the agent's record is in the table, and its signature is right", async (t) => {
    const key = `/agent-mesh/${self.peerId}`;
    const record = await until(
      "the record",
      () => second.do<{ agentId: string; epoch: number }>("get", { key }).catch(() => undefined),
      60_000,
    );
    t.match(record, { agentId: "hall-1", epoch: 1 });
  });

  await t.test("a record that Go puts there is found by ours", async (t) => {
    const put = await until("the table to take it", () =>
      go
        .do<string>("publishRecord", { name: "gopher", strings: [...go.addresses] })
        .catch(() => undefined),
    );
    const third = await interopNode(t, { dht: true });
    await third.node.join([address("/tcp/")]);
    const found = await until("the record", () =>
      third.network.directory?.find(go.id, { timeoutMs: 2_000 }),
    );
    t.equal(Buffer.from(found).toString("base64"), put);
    await third.node.callTask(go.id, "none", new Uint8Array(0)).catch((error: NetworkError) => {
      t.equal(error.code, "network.unsupported", "the record's addresses lead to it");
    });
    t.ok(third.node.peers().some(({ id }) => id === go.id));
  });

  await t.test("a record of somebody else, or a changed one, is refused", async (t) => {
    const key = `/agent-mesh/${self.peerId}`;
    const { bytes } = await second.do<{ bytes: string }>("get", { key });
    const changed = Buffer.from(bytes, "base64");
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    await t.rejects(second.do("put", { key, payload: base64(changed) }), /signature is wrong/);
    await t.rejects(
      second.do("put", { key: `/agent-mesh/${second.id}`, payload: bytes }),
      /another key/,
    );
  });

  await t.test(
    "who shows a record and answers probes is a member, who does neither stays a neighbour",
    async (t) => {
      await second.do<GoLink>("connect", { address: address("/quic-v1") });
      const member = await GoPeer.start(t, program, { listen: [TCP] });
      await member.do<GoLink>("connect", { address: address("/tcp/") });
      await member.do("become", { peer: self.peerId, name: "gopher" });
      const agents = await until("the member to be known", async () => {
        const { items } = await agent.get<{ items: { agentId: string }[] }>("/v1/fleet/agents");
        return items.some(({ agentId }) => agentId === "gopher") && items;
      });
      t.match(
        agents.find(({ agentId }) => agentId === "gopher"),
        { peerId: member.id, state: "alive", linked: true },
      );
      const stays = await until("some probes to be over", async () => {
        const peer = await listed(agent, member.id);
        if (peer === undefined) throw new Error("the member was left");
        return peer.linkedForMs > 8_000 && peer;
      });
      t.match(stays, { agentId: "gopher", state: "alive", transport: "tcp" });
      t.notOk("agentId" in ((await listed(agent, second.id)) ?? { agentId: "left" }));
    },
  );

  const { code } = await agent.stop();
  t.equal(code, 0, agent.log);
});

interface ListedPeer {
  readonly peerId: string;
  readonly transport: string;
  readonly direction: string;
  readonly linkedForMs: number;
}

async function linkTo(agent: AgentProcess, address: string): Promise<void> {
  const authorization = `Bearer ${readFileSync(join(agent.data, "admin.token"), "utf8").trim()}`;
  const response = await agent.ask("/v1/mesh/peers", {
    method: "POST",
    headers: { authorization, "content-type": "application/json" },
    body: JSON.stringify({ addresses: [address] }),
  });
  if (!response.ok) throw new Error(`joining: ${response.status} ${await response.text()}`);
  await response.arrayBuffer();
}

async function listed(agent: AgentProcess, peer: string): Promise<ListedPeer | undefined> {
  const { items } = await agent.get<{ items: ListedPeer[] }>("/v1/mesh/peers");
  return items.find(({ peerId }) => peerId === peer);
}

function memorySink(beginning: Uint8Array): BulkSink & { complete(): boolean; bytes(): Buffer } {
  const pieces: Uint8Array[] = [beginning];
  let complete = false;
  return {
    offset: beginning.length,
    read: (offset, length) => beginning.subarray(offset, offset + length),
    write: (bytes) => {
      pieces.push(Uint8Array.from(bytes));
    },
    done: () => {
      complete = true;
    },
    broken: (error) => {
      throw error;
    },
    complete: () => complete,
    bytes: () => Buffer.concat(pieces),
  };
}

function bulkSource(name: string, whole: Uint8Array) {
  const sha256 = createHash("sha256").update(whole).digest();
  const read = (offset: number, length: number) => whole.subarray(offset, offset + length);
  return { name, sizeBytes: whole.length, sha256, read };
}

/** The same as `content` in go-peer/bulk.go. */
function content(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; at++) bytes[at] = (at * 31 + (at >>> 8)) & 0xff;
  return bytes;
}

function bytes(word: string): Uint8Array {
  return Buffer.from(word, "utf8");
}

function base64(value: string | Uint8Array): string {
  return Buffer.from(value as string).toString("base64");
}

function text(value: Uint8Array | string | undefined): string {
  if (typeof value === "string") return Buffer.from(value, "base64").toString("utf8");
  return Buffer.from(value ?? []).toString("utf8");
}
