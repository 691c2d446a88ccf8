import t from "tap";
import {
  decodeQuestion,
  decodeReply,
  encodeQuestion,
  encodeReply,
} from "../../../../src/federated/tensors/message-codec.ts";
import { TENSORS_PROTOCOL } from "../../../../src/federated/tensors/tensor-exchange.ts";
import { TENSORS_BULK_ID } from "../../../../src/federated/tensors/tensor-server.ts";
import { VirtualNetwork } from "../../../../src/simulator/virtual-network.ts";
import { sha256, TensorWorld, tensor } from "../../../support/tensors/tensor-world.ts";

const SIZE = 700_000;
const BYTES = tensor(SIZE, 1);
const HASH = sha256(BYTES);
/** Longer than what a sender has on the way before it hears anything. */
const LONG = tensor(3_500_000, 2);
const LONG_HASH = sha256(LONG);
const ROOMY = {
  exchange: { inFlightBytesMax: 4_000_000, uploadBytesMax: 4_000_000 },
  shelf: { memoryBytesMax: 8_000_000, storeBytesMax: 1 },
};

/** `t.same` takes seconds for as many bytes. */
const is = (some: Uint8Array | undefined, others: Uint8Array | undefined): boolean =>
  some !== undefined && others !== undefined && Buffer.compare(some, others) === 0;

async function worldOf(
  names: readonly string[],
  over: ConstructorParameters<typeof TensorWorld>[1] = {},
): Promise<TensorWorld> {
  const world = new TensorWorld("unit", over);
  for (const name of names) await world.start(name);
  return world;
}

t.test("several who want one tensor have it fetched once", async (t) => {
  const world = await worldOf(["has", "wants"]);
  world.get("has")?.shelf.hold(HASH, BYTES);
  const abort = new AbortController();
  const all = [1, 2, 3].map(() => world.fetch("wants", HASH, SIZE, ["has"]));
  const leaves = world.fetch("wants", HASH, SIZE, ["has"], abort.signal);
  await world.clock.advance(200);
  abort.abort();
  await world.clock.advance(5_000);
  for (const { bytes } of all) t.ok(is(bytes, BYTES));
  t.equal(leaves.code, "tensor.aborted");
  const again = world.fetch("wants", HASH, SIZE, []);
  await world.clock.advance(10);
  t.ok(is(again.bytes, BYTES), "from the shelf, without a holder");
  t.match(world.get("wants")?.exchange.counters(), {
    fetches: 5,
    fetched: 1,
    failures: 1,
    deduplicated: 4,
    receivedBytes: SIZE,
  });
  t.equal(world.get("has")?.exchange.counters().sentBytes, SIZE);
  world.get("has")?.exchange.wentAlong("sent", 10);
  world.get("wants")?.exchange.wentAlong("received", 10);
  t.equal(world.get("has")?.exchange.counters().sentBytes, SIZE + 10, "what goes along counts too");
  t.equal(world.get("wants")?.exchange.counters().receivedBytes, SIZE + 10);
});

t.test("the last who gives up ends the transfer; what came serves the next fetch", async (t) => {
  const world = await worldOf(["has", "wants"], ROOMY);
  world.get("has")?.shelf.hold(LONG_HASH, LONG);
  const aborts = [new AbortController(), new AbortController()];
  const fetches = aborts.map(({ signal }) =>
    world.fetch("wants", LONG_HASH, LONG.length, ["has"], signal),
  );
  await world.clock.advance(300);
  aborts[0]?.abort(new Error("enough"));
  await world.clock.advance(100);
  t.same([fetches[0]?.code, fetches[1]?.code], ["tensor.aborted", undefined]);
  t.match(fetches[0]?.error, { cause: { message: "enough" } });
  aborts[1]?.abort();
  await world.clock.advance(100);
  t.equal(fetches[1]?.code, "tensor.aborted");
  const { exchange } = world.get("wants") ?? {};
  const before = exchange?.counters();
  t.match(before, { flights: 0, waiting: 0, inFlightBytes: LONG.length }, "what came is counted");
  await world.clock.advance(5_000);
  t.equal(world.get("has")?.exchange.counters().uploads, 0);
  t.ok((world.get("has")?.exchange.counters().sentBytes ?? 0) < LONG.length);
  const next = world.fetch("wants", LONG_HASH, LONG.length, ["has"]);
  await world.clock.advance(5_000);
  t.ok(is(next.bytes, LONG));
  t.equal(exchange?.counters().resumed, 1);
  t.ok(
    (exchange?.counters().receivedBytes ?? 0) <= LONG.length + 65_536,
    "one frame came in vain at most",
  );
  t.equal(exchange?.counters().inFlightBytes, 0);
  const already = AbortSignal.abort();
  const never = world.fetch("wants", sha256(tensor(9, 9)), 9, ["has"], already);
  await world.clock.advance(0);
  t.equal(never.code, "tensor.aborted");
});

t.test(
  "a liar that breaks off is found out once the right bytes are there; nobody else is accused",
  async (t) => {
    const world = await worldOf(["liar", "honest", "wants"], ROOMY);
    const lie = Uint8Array.from(LONG);
    lie[10_000] = (lie[10_000] ?? 0) ^ 1;
    world.get("liar")?.shelf.hold(LONG_HASH, lie);
    world.get("honest")?.shelf.hold(LONG_HASH, LONG);
    const fetch = world.fetch("wants", LONG_HASH, LONG.length, ["liar", "honest"]);
    world.mayServe = (holder) => holder !== "liar" || world.clock.monotonicMs() < 300;
    await world.clock.advance(60_000);
    t.ok(is(fetch.bytes, LONG));
    t.same([...world.offences], ["wants accused liar"]);
    t.match(world.get("wants")?.exchange.counters(), { liars: 1, resumed: 1 });
  },
);

t.test("wrong bytes in an answer are an offence, and are fetched elsewhere", async (t) => {
  const world = await worldOf(["liar", "honest", "wants"]);
  const bytes = tensor(500, 2);
  const hash = sha256(bytes);
  world.get("liar")?.shelf.hold(hash, tensor(500, 3));
  world.get("honest")?.shelf.hold(hash, bytes);
  const fetch = world.fetch("wants", hash, 500, ["liar", "honest"]);
  await world.clock.advance(1_000);
  t.ok(is(fetch.bytes, bytes));
  t.same([...world.offences], ["wants accused liar"]);
});

t.test("where nobody has it the error says how it went with each", async (t) => {
  const world = await worldOf(["empty", "other", "wants"]);
  world.get("other")?.shelf.hold(HASH, BYTES.slice(0, 9));
  const fetch = world.fetch("wants", HASH, SIZE, ["empty", "other", "nobody", "wants"]);
  await world.clock.advance(60_000);
  t.equal(fetch.code, "tensor.unavailable");
  t.match(String(fetch.error), /empty: unknown; other: other-size; nobody: network\.unreachable$/);
  const alone = world.fetch("wants", HASH, SIZE, ["wants"]);
  await world.clock.advance(0);
  t.match(String(alone.error), /no holder is known/);
  t.equal(world.offences.size, 0);
});

t.test("a holder that saves its strength stops sending, and the next one goes on", async (t) => {
  const world = await worldOf(["tired", "other", "wants"], ROOMY);
  for (const name of ["tired", "other"]) world.get(name)?.shelf.hold(LONG_HASH, LONG);
  const fetch = world.fetch("wants", LONG_HASH, LONG.length, ["tired", "other"]);
  world.mayServe = (holder) => holder !== "tired" || world.clock.monotonicMs() < 200;
  await world.clock.advance(20_000);
  t.ok(is(fetch.bytes, LONG));
  const sent = ["tired", "other"].map(
    (name) => world.get(name)?.exchange.counters().sentBytes ?? 0,
  );
  t.ok((sent[0] ?? 0) > 0 && (sent[1] ?? 0) > 0, sent.join(" and "));
  t.equal(world.get("wants")?.exchange.counters().receivedBytes, LONG.length, "none came twice");
  const late = world.fetch("other", sha256(BYTES), SIZE, ["tired"]);
  await world.clock.advance(60_000);
  t.match(String(late.error), /tired: unknown$/);
  world.get("tired")?.shelf.hold(HASH, BYTES);
  const later = world.fetch("other", HASH, SIZE, ["tired"]);
  await world.clock.advance(60_000);
  t.match(String(later.error), /tired: unwilling$/);
});

t.test("what was kept and is damaged after a restart is fetched from others", async (t) => {
  const world = await worldOf(["has", "wants"]);
  world.get("has")?.shelf.hold(HASH, BYTES);
  const { shelf } = await world.start("wants");
  shelf.hold(HASH, BYTES);
  await world.during(shelf.keep(HASH));
  world.crash("wants", 0);
  world.damage("wants", 0, 0.5);
  const later = await world.start("wants");
  t.same(later.shelf.kept(), [HASH], "what is damaged shows when it is read");
  const fetch = world.fetch("wants", HASH, SIZE, ["has"]);
  await world.clock.advance(5_000);
  t.ok(is(fetch.bytes, BYTES));
  t.same(later.shelf.kept(), []);
  t.equal(later.shelf.counters().damaged, 1);
  await world.during(later.shelf.keep(HASH));
  t.same(later.shelf.kept(), [HASH], "and can be kept anew");
});

t.test("a holder that dies in the middle is left for the next one", async (t) => {
  const world = await worldOf(["dies", "other", "wants"]);
  for (const name of ["dies", "other"]) world.get(name)?.shelf.hold(HASH, BYTES);
  const fetch = world.fetch("wants", HASH, SIZE, ["dies", "other"]);
  await world.clock.advance(300);
  world.crash("dies", 60_000);
  await world.clock.advance(20_000);
  t.ok(is(fetch.bytes, BYTES), "before the link was missed");
  t.equal(world.get("wants")?.exchange.counters().receivedBytes, SIZE);
});

t.test("a holder that trickles is left for the next one", async (t) => {
  const world = await worldOf(["other", "wants"], { ether: { bytesPerMs: 1_000 } });
  world.get("other")?.shelf.hold(HASH, BYTES);
  const slow = new VirtualNetwork(world.ether, {
    self: "slow",
    messageBytesMax: 65_536,
    queueBytesMax: 1_048_576,
    bulkIdleTimeoutMs: 20_000,
    gate: { admits: () => true, allows: () => undefined, offence: () => undefined },
  });
  let given = 0;
  slow.serve(TENSORS_PROTOCOL, {
    request: (from) => {
      const source = {
        name: HASH,
        sizeBytes: SIZE,
        sha256: Buffer.from(HASH, "hex"),
        read: (offset: number) =>
          new Promise<Uint8Array>((resolve) => {
            world.clock.setTimer("trickle", 500, () => {
              given++;
              resolve(BYTES.subarray(offset, offset + 100));
            });
          }),
      };
      slow.sendBulk(from, TENSORS_BULK_ID, source).catch(() => undefined);
      return encodeReply({ kind: "push" });
    },
  });
  slow.serveBulk(TENSORS_BULK_ID, () => {
    throw new Error("nobody sends");
  });
  await slow.start(() => undefined);
  const fetch = world.fetch("wants", HASH, SIZE, ["slow", "other"]);
  await world.clock.advance(8_000);
  t.ok(is(fetch.bytes, BYTES));
  t.ok(given > 3 && given < 20, `${given} pieces of it`);
  t.equal(world.offences.size, 0, "to be slow is no offence");
});

t.test("what nobody asked for is refused", async (t) => {
  const world = await worldOf(["wants", "has"]);
  const { network } = await world.start("pushes");
  await world.during(network.connect({ addresses: ["/memory/wants"] }, { timeoutMs: 1_000 }));
  const source = {
    name: HASH,
    sizeBytes: SIZE,
    sha256: Buffer.from(HASH, "hex"),
    read: (offset: number, length: number) => BYTES.subarray(offset, offset + length),
  };
  const push = () => world.during(network.sendBulk("wants", TENSORS_BULK_ID, source));
  await t.rejects(push(), { message: /tensors\.unwanted/ });
  world.get("has")?.shelf.hold(HASH, BYTES);
  const fetch = world.fetch("wants", HASH, SIZE, ["has"]);
  await world.clock.advance(50);
  await t.rejects(push(), { message: /tensors\.unwanted/ });
  await world.clock.advance(5_000);
  t.ok(is(fetch.bytes, BYTES));
  const nonsense = network.request("wants", TENSORS_PROTOCOL, Uint8Array.of(1, 2), {
    timeoutMs: 1_000,
  });
  await t.rejects(world.during(nonsense), { message: /tensors\.malformed/ });
  t.same([...world.offences], ["wants accused pushes"]);
});

t.test("a busy holder serves everybody in the end", async (t) => {
  const names = Array.from({ length: 8 }, (_, n) => `wants-${n}`);
  const world = await worldOf(["has", ...names]);
  world.get("has")?.shelf.hold(HASH, BYTES);
  const fetches = names.map((name) => world.fetch(name, HASH, SIZE, ["has"]));
  let most = 0;
  for (let step = 0; step < 300; step++) {
    await world.clock.advance(100);
    most = Math.max(most, world.get("has")?.exchange.counters().uploads ?? 0);
  }
  for (const { bytes } of fetches) t.ok(is(bytes, BYTES));
  t.equal(most, 3, "at once");
  t.ok((world.get("has")?.exchange.counters().refused ?? 0) > 0);
  t.equal(world.get("has")?.exchange.counters().sentBytes, 8 * SIZE);
});

t.test("one peer is sent so many at once, and different tensors so many bytes", async (t) => {
  const world = await worldOf(["has", "a", "b"], {
    exchange: { fetchesMax: 4, inFlightBytesMax: 4_000_000, uploadsMax: 8, uploadsPerPeerMax: 2 },
    shelf: { memoryBytesMax: 8_000_000, storeBytesMax: 1 },
  });
  const tensors = [1, 2, 3, 4].map((seed) => tensor(300_000, seed));
  for (const bytes of tensors) world.get("has")?.shelf.put(bytes);
  const fetches = tensors.map((bytes) => world.fetch("a", sha256(bytes), 300_000, ["has"]));
  await world.clock.advance(50);
  t.equal(world.get("has")?.exchange.counters().uploads, 2);
  const long = tensor(SIZE, 9);
  world.get("has")?.shelf.put(long);
  const other = world.fetch("b", sha256(long), SIZE, ["has"]);
  await world.clock.advance(50);
  t.equal(world.get("has")?.exchange.counters().uploads, 2, "1.3 MB would be more than 1 MB");
  await world.clock.advance(30_000);
  for (const [n, { bytes }] of fetches.entries()) t.ok(is(bytes, tensors[n]));
  t.ok(is(other.bytes, long));
});

t.test("too much and too many are refused by name, and nothing is reserved for it", async (t) => {
  const world = await worldOf(["has", "wants"], { exchange: { waitingMax: 2, fetchesMax: 1 } });
  const fetches = [1, 2, 3, 4].map((seed) =>
    world.fetch("wants", sha256(tensor(200_000, seed)), 200_000, ["has"]),
  );
  await world.clock.advance(0);
  t.match(fetches[3], { code: "tensor.busy", error: { message: /raise waitingMax/ } });
  const huge = world.fetch("wants", HASH, 1_000_001, ["has"]);
  const absurd = world.fetch("wants", HASH, 2 ** 40, ["has"]);
  const nameless = world.fetch("wants", "no hash", 5, ["has"]);
  await world.clock.advance(0);
  t.match(huge, {
    code: "tensor.too-large",
    error: { message: /raise inFlightBytesMax \(1000000\)/ },
  });
  t.equal(absurd.code, "tensor.invalid");
  t.equal(nameless.code, "tensor.invalid");
  await t.rejects(new TensorWorld("x", { exchange: { fetchesMax: 0 } }).start("a"), {
    message: /fetchesMax: a whole number from 1 on/,
  });
});

t.test("a stop ends all, and tells so", async (t) => {
  const world = await worldOf(["has", "wants"], { exchange: { fetchesMax: 1 } });
  for (const seed of [1, 2]) world.get("has")?.shelf.put(tensor(SIZE, seed));
  const fetches = [1, 2].map((seed) =>
    world.fetch("wants", sha256(tensor(SIZE, seed)), SIZE, ["has"]),
  );
  await world.clock.advance(200);
  world.get("wants")?.exchange.stop();
  const late = world.fetch("wants", HASH, SIZE, ["has"]);
  await world.clock.advance(0);
  for (const { code } of [...fetches, late]) t.equal(code, "tensor.stopped");
  t.match(world.get("wants")?.exchange.counters(), { flights: 0, waiting: 0, inFlightBytes: 0 });
  await world.clock.advance(30_000);
  t.equal(world.get("has")?.exchange.counters().uploads, 0);
  t.same(
    world.clock.waiting.filter((name) => name.startsWith("tensors")),
    [],
    "no timer is left",
  );
});

t.test("words of the protocol come back as they were, and nonsense is none", (t) => {
  const question = { hash: HASH, sizeBytes: SIZE, offset: 12 };
  t.same(decodeQuestion(encodeQuestion(question)), question);
  for (const wrong of [
    { ...question, offset: SIZE },
    { ...question, sizeBytes: 0, offset: 0 },
    { ...question, sizeBytes: 268_435_457 },
    { ...question, hash: "ab" },
  ])
    t.equal(decodeQuestion(encodeQuestion(wrong)), undefined);
  t.equal(decodeQuestion(Uint8Array.of(0xff)), undefined);
  for (const reply of [
    { kind: "push" as const },
    { kind: "rest" as const, bytes: Uint8Array.of(1, 2, 3) },
    { kind: "refusal" as const, reason: "busy" as const, retryAfterMs: 1_000, sizeBytes: 0 },
  ])
    t.same(decodeReply(encodeReply(reply)), reply);
  t.equal(decodeReply(new Uint8Array(0)), undefined);
  t.equal(decodeReply(Uint8Array.of(0xff)), undefined);
  t.end();
});

t.test("where nobody has said how long it is, a holder is asked", async (t) => {
  const world = await worldOf(["has", "lacks", "wants"]);
  const small = tensor(900, 7);
  for (const bytes of [BYTES, small]) world.get("has")?.shelf.hold(sha256(bytes), bytes);
  const { exchange } = world.get("wants")!;
  const holders = ["lacks", "has"];
  const came: (Uint8Array | undefined)[] = [];
  for (const hash of [HASH, sha256(small)])
    void exchange.fetchWithin(hash, { bytesMax: SIZE, holders }).then((bytes) => came.push(bytes));
  let code: unknown;
  exchange
    .fetchWithin(sha256(tensor(5, 1)), { bytesMax: SIZE, holders })
    .catch((error: { code?: unknown }) => (code = error.code));
  await world.clock.advance(5_000);
  t.equal(code, "tensor.unavailable", "nobody has it");
  t.equal(came.length, 2);
  t.ok(came.some((bytes) => is(bytes, BYTES)) && came.some((bytes) => is(bytes, small)));
  let tooLong: unknown;
  await world.start("fresh");
  const fresh = world.get("fresh")!.exchange;
  fresh
    .fetchWithin(HASH, { bytesMax: SIZE - 1, holders })
    .catch((error: { code?: unknown }) => (tooLong = error.code));
  await world.clock.advance(5_000);
  t.equal(tooLong, "tensor.unavailable", "it is longer than it may be");
});
