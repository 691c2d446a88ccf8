// Raw libp2p peers that break the rules of our protocols: they lose their stream, it is counted, nothing else happens.
import { createHash } from "node:crypto";
import t, { type Test } from "tap";
import { bulkMessage } from "../../src/platform/libp2p/bulk-wire.ts";
import { frameHeader, refusalFrame } from "../../src/platform/libp2p/frame-codec.ts";
import { FrameReader } from "../../src/platform/libp2p/frame-reader.ts";
import type { BulkSink, NetworkError } from "../../src/platform/network.ts";
import {
  BulkAnswerSchema,
  BulkOfferSchema,
  BulkReceiptSchema,
} from "../../src/wire/agent_mesh/v1/messaging_pb.ts";
import { codeOf, type NodeUnderTest, SOON, text, until } from "../conformance/network-ground.ts";
import { echo, RawPeer } from "../support/libp2p-raw.ts";
import { libp2pNodes } from "../support/libp2p-under-test.ts";

const BULK = "/agent-mesh-test/bulk/1.0.0";
const { protocol, service } = echo;

async function agentAndRaw(t: Test): Promise<readonly [NodeUnderTest, RawPeer]> {
  const agent = await libp2pNodes({ bulkIdleTimeoutMs: 1_000 })(t);
  agent.network.serve(protocol, service);
  return [agent, await RawPeer.start(t)];
}

const frame = (kind: "message" | "request" | "response", id: number, payload: Uint8Array): Buffer =>
  Buffer.concat([frameHeader(kind, id, payload.length), payload]);

t.test("what makes no sense ends the stream, is counted, and the next stream works", async (t) => {
  const [agent, raw] = await agentAndRaw(t);
  const bad: [what: string, bytes: Uint8Array, offence: string][] = [
    ["a length that never ends", Buffer.alloc(16, 0xff), "malformed"],
    ["a length of 4 GB", Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f), "oversize"],
    ["a length just too large", frame("message", 0, Buffer.alloc(65_537)), "oversize"],
    ["a frame that is no protobuf", Uint8Array.of(3, 0xff, 0xff, 0xff), "malformed"],
    ["a frame that says nothing", Uint8Array.of(0), "malformed"],
    ["an answer from who asks", frame("response", 1, Buffer.from("x")), "malformed"],
    ["a refusal from who asks", refusalFrame(1, "x", "x"), "malformed"],
    [
      "a request, then garbage",
      Buffer.concat([frame("request", 1, Buffer.from("x")), Buffer.alloc(9, 0xff)]),
      "malformed",
    ],
  ];
  for (const [n, [what, bytes, offence]] of bad.entries()) {
    const { stream } = await raw.open(agent.network.addresses(), protocol.id);
    stream.send(bytes);
    await until(() => agent.offences.length > n, what);
    t.equal(agent.offences[n], `${raw.name} ${offence}`, what);
    await until(() => stream.status !== "open", `the end of a stream with ${what}`);
  }
  const { stream, came } = await raw.open(agent.network.addresses(), protocol.id);
  stream.send(frame("request", 5, Buffer.from("still here")));
  await until(() => came.length > 0, "an answer");
  t.ok(Buffer.concat(came).equals(frame("response", 5, Buffer.from("still here"))));
  t.equal(agent.offences.length, bad.length, "each counted once");
  t.match(agent.network.counters().refusals, { malformed: 6, oversize: 2 });
  t.equal(agent.network.links().length, 1);
});

t.test("half a frame waits for its rest, and costs nobody anything", async (t) => {
  const [agent, raw] = await agentAndRaw(t);
  const { stream, came } = await raw.open(agent.network.addresses(), protocol.id);
  const whole = frame("request", 9, Buffer.alloc(60_000, 3));
  stream.send(whole.subarray(0, 30_000));
  const other = await raw.open(agent.network.addresses(), protocol.id);
  other.stream.send(frame("request", 1, Buffer.from("meanwhile")));
  await until(() => other.came.length > 0, "the other stream");
  t.equal(came.length, 0);
  stream.send(whole.subarray(30_000));
  await until(() => Buffer.concat(came).length > 60_000, "the answer to all of it");
  const half = await raw.open(agent.network.addresses(), protocol.id);
  half.stream.send(whole.subarray(0, 10));
  await half.stream.close();
  await until(() => half.stream.status !== "open", "the end of what never became whole");
  t.same(agent.offences, []);
});

t.test("a peer has no more requests in flight for opening more streams", async (t) => {
  const [agent, raw] = await agentAndRaw(t);
  const slow = { ...protocol, id: "/agent-mesh-test/slow/1.0.0" };
  let asked = 0;
  agent.network.serve(slow, { request: () => (asked++, new Promise(() => undefined)) });
  const streams = await Promise.all(
    Array.from({ length: 3 }, () => raw.open(agent.network.addresses(), slow.id)),
  );
  const all = Buffer.concat(
    Array.from({ length: 8 }, (_, n) => frame("request", n + 1, Buffer.from("?"))),
  );
  for (const { stream } of streams) stream.send(all);
  const refused = (): number => agent.network.counters().refusals["rate.limited"] ?? 0;
  await until(() => refused() === 16, "refusals of all that is past 8");
  t.equal(asked, 8);
});

t.test("who asks and does not read is given up before it costs memory", async (t) => {
  const [agent, raw] = await agentAndRaw(t);
  const { stream } = await raw.open(agent.network.addresses(), protocol.id);
  // Answers pile up: the window of the stream is not opened any more, and nothing is read.
  stream.pause();
  const request = frame("request", 1, Buffer.alloc(60_000));
  for (let n = 0; n < 2_000 && stream.status === "open"; n++) {
    stream.send(request);
    if (n % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    if (agent.offences.length > 0) break;
  }
  await until(() => agent.offences.length > 0, "the offence");
  t.equal(agent.offences[0], `${raw.name} slow-reader`);
  const { refusals, sentBytes } = agent.network.counters();
  t.ok(
    (refusals["rate.limited"] ?? 0) > 50,
    "it was told before, as long as there was room for that",
  );
  t.ok(sentBytes < 8_000_000, `${sentBytes} bytes of answers`);
  await until(() => stream.status !== "open", "the end of the stream");
});

t.test("who is sent to and does not read holds a queue and no more", async (t) => {
  const [agent, raw] = await agentAndRaw(t);
  await raw.serve("/agent-mesh-test/deaf/1.0.0", (stream) => stream.pause());
  const to = await agent.network.connect({ addresses: raw.addresses }, SOON);
  const deaf = { ...protocol, id: "/agent-mesh-test/deaf/1.0.0" };
  const codes: string[] = [];
  let sent = 0;
  for (let n = 0; n < 400 && codes.length === 0; n++) {
    void codeOf(agent.network.send(to, deaf, Buffer.alloc(60_000))).then((code) => {
      if (code === "fine") sent++;
      else codes.push(code);
    });
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  t.same(codes, ["network.queue-full"]);
  t.ok(sent * 60_000 <= 5_000_000, `${sent} messages taken`);
  const request = agent.network.request(to, deaf, Buffer.alloc(60_000), SOON);
  t.equal(await codeOf(request), "network.queue-full");
  await raw.node.stop();
  await until(() => codes.length >= 4, "what waited to fail");
  t.ok(codes.slice(1).every((code) => code === "network.closed"));
});

t.test(
  "answers that are none cost the stream, and the waiting request fails at once",
  async (t) => {
    const [agent, raw] = await agentAndRaw(t);
    const bad: [
      what: string,
      answer: (id: number) => Uint8Array,
      code: string,
      offence: string | undefined,
    ][] = [
      ["garbage", () => Buffer.alloc(9, 0xff), "network.closed", "malformed"],
      ["a message", () => frame("message", 0, Buffer.from("x")), "network.closed", "malformed"],
      ["a request", (id) => frame("request", id, Buffer.from("x")), "network.closed", "malformed"],
      ["too much", () => frameHeader("response", 1, 70_000), "network.closed", "oversize"],
      [
        "a refusal",
        (id) => refusalFrame(id, "c".repeat(70), "d".repeat(300)),
        `network.refused ${"c".repeat(64)}`,
        undefined,
      ],
      [
        "another's answer first",
        (id) =>
          Buffer.concat([
            frame("response", id + 7, Buffer.from("no")),
            frame("response", id, Buffer.from("yes")),
          ]),
        "fine",
        undefined,
      ],
    ];
    let reply: (id: number) => Uint8Array = () => new Uint8Array(0);
    const bent = { ...protocol, id: "/agent-mesh-test/bent/1.0.0" };
    await raw.serve(bent.id, (stream) => {
      const reader = new FrameReader(65_536);
      stream.addEventListener("message", ({ data }) =>
        reader.push(data, ({ id }) => (stream.send(reply(id)), true)),
      );
    });
    const to = await agent.network.connect({ addresses: raw.addresses }, SOON);
    let offences = 0;
    for (const [what, answer, code, offence] of bad) {
      reply = answer;
      const request = agent.network.request(to, bent, Buffer.from("?"), SOON);
      t.equal(await codeOf(request), code, what);
      if (offence !== undefined) t.equal(agent.offences[offences++], `${to} ${offence}`, what);
    }
    t.equal(agent.offences.length, offences);
    const closing = { ...protocol, id: "/agent-mesh-test/closing/1.0.0" };
    await raw.serve(closing.id, (stream) => void stream.close());
    const request = agent.network.request(to, closing, Buffer.from("?"), SOON);
    t.equal(await codeOf(request), "network.closed", "a stream that closes says it at once");
  },
);

class Sink implements BulkSink {
  readonly offset = 0;
  bytes = 0;
  ended: string | undefined;
  write(bytes: Uint8Array): void {
    this.bytes += bytes.length;
  }
  done(): void {
    this.ended = "done";
  }
  broken({ code }: NetworkError): void {
    this.ended = code;
  }
}

t.test("a bulk sender that breaks the rules loses its stream", async (t) => {
  const [agent, raw] = await agentAndRaw(t);
  const content = Buffer.alloc(300_000, 7);
  const sha256 = createHash("sha256").update(content).digest();
  const offer = bulkMessage(BulkOfferSchema, { name: "x", size: 300_000n, sha256 });
  const never = Promise.withResolvers<BulkSink>();
  const sinks: Sink[] = [];
  agent.network.serveBulk(BULK, ({ name }) => {
    if (name === "wait") return never.promise;
    sinks.push(new Sink());
    return sinks.at(-1) ?? never.promise;
  });
  const bad: [what: string, bytes: Uint8Array, offence: string | undefined][] = [
    ["no offer", Buffer.alloc(20, 0xff), "malformed"],
    ["an offer without end", Uint8Array.of(0xff, 0x7f), "oversize"],
    [
      "a short digest",
      bulkMessage(BulkOfferSchema, { name: "x", size: 1n, sha256: Buffer.alloc(31) }),
      "malformed",
    ],
    [
      "a long name",
      bulkMessage(BulkOfferSchema, { name: "x".repeat(257), size: 1n, sha256 }),
      "malformed",
    ],
    [
      "more than can be",
      bulkMessage(BulkOfferSchema, { name: "x", size: 2n ** 60n, sha256 }),
      "malformed",
    ],
    [
      "3 MB before the answer",
      Buffer.concat([
        bulkMessage(BulkOfferSchema, { name: "wait", size: 5_000_000n, sha256 }),
        Buffer.alloc(3_000_000),
      ]),
      "oversize",
    ],
    ["nothing at all", new Uint8Array(0), undefined],
    ["half of it", Buffer.concat([offer, content.subarray(0, 100_000)]), undefined],
  ];
  let offences = 0;
  for (const [what, bytes, offence] of bad) {
    const { stream } = await raw.open(agent.network.addresses(), BULK);
    if (bytes.length > 0) stream.send(bytes);
    await until(() => stream.status !== "open", `the end of a stream with ${what}`);
    if (offence !== undefined) t.equal(agent.offences[offences++], `${raw.name} ${offence}`, what);
  }
  t.equal(agent.offences.length, offences);
  await until(() => sinks[0]?.ended !== undefined, "the sink of the half to hear");
  t.match(sinks, [{ bytes: 100_000, ended: "network.timeout" }]);
  const { stream, came } = await raw.open(agent.network.addresses(), BULK);
  stream.send(Buffer.concat([offer, content]));
  await until(() => sinks[1]?.ended !== undefined, "one that keeps to them");
  t.match(sinks[1], { bytes: 300_000, ended: "done" });
  await until(() => came.length > 0, "its receipt");
});

t.test(
  "a bulk receiver that breaks the rules is counted, and the sender is not fooled",
  async (t) => {
    const [agent, raw] = await agentAndRaw(t);
    const content = Buffer.alloc(5_000_000, 7);
    const sha256 = createHash("sha256").update(content).digest();
    const source = {
      name: "x",
      sizeBytes: content.length,
      sha256,
      read: (offset: number, length: number) => content.subarray(offset, offset + length),
    };
    const answer = (offset: bigint): Uint8Array => bulkMessage(BulkAnswerSchema, { offset });
    const receipt = (received: bigint, complete = false): Uint8Array =>
      bulkMessage(BulkReceiptSchema, { received, complete });
    const bad: [what: string, reply: Uint8Array, code: string, offence: string | undefined][] = [
      ["garbage", Buffer.alloc(9, 0xff), "network.closed", "malformed"],
      ["an offset past the end", answer(5_000_001n), "network.closed", "malformed"],
      [
        "all is there, at once",
        Buffer.concat([answer(0n), receipt(5_000_000n, true)]),
        "network.closed",
        "malformed",
      ],
      [
        "more than was sent",
        Buffer.concat([answer(0n), receipt(2n ** 63n)]),
        "network.closed",
        "malformed",
      ],
      [
        "complete, but it is not",
        Buffer.concat([answer(0n), receipt(0n, true)]),
        "network.closed",
        "malformed",
      ],
      ["nothing", new Uint8Array(0), "network.timeout", undefined],
      ["an answer, then nothing", answer(0n), "network.timeout", undefined],
    ];
    let reply: Uint8Array = new Uint8Array(0);
    await raw.serve(BULK, (stream) => {
      if (reply.length > 0) stream.send(reply);
    });
    const to = await agent.network.connect({ addresses: raw.addresses }, SOON);
    let offences = 0;
    for (const [what, bytes, code, offence] of bad) {
      reply = bytes;
      t.equal(await codeOf(agent.network.sendBulk(to, BULK, source)), code, what);
      if (offence !== undefined) t.equal(agent.offences[offences++], `${to} ${offence}`, what);
    }
    t.equal(agent.offences.length, offences);
    t.ok(agent.network.counters().sentBytes < 4_500_000, "no more than a window each");
  },
);

t.test("publishing garbage to a topic reaches nobody", async (t) => {
  const [agent, raw] = await agentAndRaw(t);
  const heard: string[] = [];
  agent.network.subscribe("t", ({ payload }) => (heard.push(text(payload)), "accept"));
  for (const bytes of [Buffer.alloc(100, 0xff), Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f)]) {
    const { stream } = await raw.open(agent.network.addresses(), "/meshsub/1.1.0");
    stream.send(bytes);
  }
  const { stream, came } = await raw.open(agent.network.addresses(), protocol.id);
  stream.send(frame("request", 5, Buffer.from("still here")));
  await until(() => came.length > 0, "an answer");
  t.same(heard, []);
});
