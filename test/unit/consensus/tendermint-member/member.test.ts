import t from "tap";
import { LostLogError } from "../../../../src/consensus/ordering/lost-log.ts";
import { faultOfEvidence } from "../../../../src/consensus/tendermint/evidence.ts";
import { BallotVerifier, signVote } from "../../../../src/consensus/tendermint/signing.ts";
import { openTendermintOrdering } from "../../../../src/consensus/tendermint-member/open.ts";
import { defaultTendermintMemberOptions } from "../../../../src/consensus/tendermint-member/options.ts";
import { decodeRecord } from "../../../../src/consensus/tendermint-member/record-codec.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";
import { silentLogger } from "../../../../src/platform/silent-logger.ts";
import { MemoryKeyValueStore } from "../../../../src/simulator/memory-key-value-store.ts";
import { plainHasher } from "../../../../src/simulator/plain-hasher.ts";
import { VirtualClock } from "../../../../src/simulator/virtual-clock.ts";
import { VirtualKeys } from "../../../../src/simulator/virtual-signer.ts";
import { GROUP, Journal, TendermintMemberWorld } from "../../../support/tendermint-member-world.ts";

const PATIENCE = { timeoutMs: 10_000 };
const FOUR = [1, 2, 3, 4];
const { tendermint } = defaultTendermintMemberOptions;
/** The state is digested often, and little is kept. */
const SHORT = {
  snapshotEveryHeights: 4,
  tendermint: { ...tendermint, decisionsKeptMax: 6 },
};

async function founded(seed: string, options = {}): Promise<TendermintMemberWorld> {
  const world = new TendermintMemberWorld(seed, options);
  await world.found(4);
  return world;
}

t.test("values of all members in one order, each with its answer", async (t) => {
  const world = await founded("order");
  const answers = FOUR.map((number) =>
    world.member(number).submit(Buffer.from(`of ${number}`), PATIENCE),
  );
  await world.run(2_000);
  const ordered = await Promise.all(answers);
  const values = world.journal(1);
  t.equal(values.length, 4);
  for (const number of FOUR) t.same(world.journal(number), values);
  for (const [at, { result, position }] of ordered.entries()) {
    t.equal(Number(Buffer.from(result ?? "").toString()), values.indexOf(`of ${at + 1}`) + 1);
    t.ok(position >= 1);
  }
});

t.test("nothing is decided while nothing is put in", async (t) => {
  const world = await founded("idle");
  await world.run(60_000);
  t.equal(world.member(1).status().position, 0);
  await world.submit(2, "one");
  const { position } = world.member(2).status();
  const { messages } = world;
  await world.run(60_000);
  t.equal(world.member(2).status().position, position);
  t.ok(world.messages - messages < 200, "and little is said");
  t.equal(world.member(3).counters().round, 0, "no rounds go by");
});

t.test("the same id with the same value is applied once, whoever puts it in", async (t) => {
  const world = await founded("twice");
  const id = new Uint8Array(16).fill(7);
  await world.submit(1, "value", 10_000, id);
  const again = await world.submit(3, "value", 10_000, id);
  t.equal(again.result, undefined);
  await world.submit(1, "another", 10_000, id);
  t.same(world.journal(3), ["value", "another"], "a stolen id does not hide a value");
});

t.test("a read sees what was decided before it", async (t) => {
  const world = await founded("read");
  world.latencyMs = [5, 80];
  for (let count = 0; count < 5; count++) {
    await world.submit(1 + (count % 4), `value ${count}`);
    const reader = 1 + ((count + 2) % 4);
    await world.read(reader);
    t.ok(world.journal(reader).includes(`value ${count}`));
  }
  const reads = Array.from({ length: 50 }, () => world.member(2).read(PATIENCE));
  const before = world.member(2).status().position;
  await world.run(3_000);
  await Promise.all(reads);
  t.ok(world.member(2).status().position - before <= 3, "many reads share a place in the order");
});

t.test("callers are told why nothing came of it", async (t) => {
  const world = await founded("refusals", { waitingMax: 2, valueBytesMax: 100 });
  const submit = (timeoutMs: number, signal?: AbortSignal) =>
    world.member(1).submit(Buffer.from("x"), { timeoutMs, signal });
  world.severed = () => true;
  const over = t.rejects(submit(500), { code: "consensus.timeout" });
  const abort = new AbortController();
  const cancelled = t.rejects(submit(5_000, abort.signal), { code: "consensus.cancelled" });
  await t.rejects(submit(5_000), { code: "consensus.busy" });
  abort.abort();
  await cancelled;
  await world.run(1_000);
  await over;
  await t.rejects(submit(5_000, AbortSignal.abort()), { code: "consensus.cancelled" });
  await t.rejects(world.member(1).submit(new Uint8Array(101), PATIENCE), {
    code: "consensus.refused",
  });
  const stopped = t.rejects(submit(5_000), { code: "consensus.stopped" });
  await world.member(1).stop();
  await stopped;
  await t.rejects(submit(500), { code: "consensus.stopped" });
  await t.rejects(world.member(1).read(PATIENCE), { code: "consensus.stopped" });
});

t.test("one of four may be silent, or not be there", async (t) => {
  const world = await founded("silent");
  world.device(2).manner = "silent";
  for (let count = 0; count < 6; count++) await world.submit(1, `value ${count}`);
  world.crash(2, true);
  for (let count = 6; count < 10; count++) await world.submit(3, `value ${count}`);
  t.equal(world.journal(4).length, 10);
  world.device(2).manner = "honest";
  await world.start(2);
  await world.until("it has all", () => world.journal(2).length === 10, 10_000);
});

t.test("a block that stands on another state is not decided", async (t) => {
  const world = await founded("false blocks");
  world.device(3).manner = "lying";
  for (let count = 0; count < 8; count++) await world.submit(1 + (count % 2), `value ${count}`);
  t.equal(world.journal(4).length, 8);
  t.same(world.lost, []);
});

t.test("who contradicts itself is proven to, and changes nothing", async (t) => {
  const world = await founded("equivocation");
  world.device(4).manner = "equivocating";
  for (let count = 0; count < 12; count++) await world.submit(1 + (count % 3), `value ${count}`);
  for (const number of [2, 3]) t.same(world.journal(number), world.journal(1));
  const proofs = [1, 2, 3].flatMap((number) => world.member(number).evidence());
  t.ok(proofs.length > 0);
  const verifier = new BallotVerifier(world.device(1).signer, GROUP);
  for (const proof of proofs) {
    t.equal(faultOfEvidence(proof, verifier), undefined);
    t.equal(proof.kind === "votes" && proof.first.validator, world.peer(4));
  }
  const number = [1, 2, 3].find((each) => world.member(each).evidence().length > 0) ?? 1;
  const kept = world.member(number).evidence().length;
  world.crash(number, false);
  await world.start(number);
  t.equal(world.member(number).evidence().length, kept, "kept over a restart");
});

t.test("all lose their power at once", async (t) => {
  const world = await founded("power", { snapshotEveryHeights: 8 });
  for (let round = 0; round < 6; round++) {
    const told: string[] = [];
    for (let count = 0; count < 5; count++) {
      const value = `${round}/${count}`;
      world
        .member(1 + (count % 4))
        .submit(Buffer.from(value), PATIENCE)
        .then(
          () => told.push(value),
          () => undefined,
        );
    }
    await world.run(20 + 30 * round);
    for (const number of FOUR) world.crash(number, true);
    for (const number of FOUR) await world.start(number);
    await world.submit(1, `${round}/last`);
    await world.run(4_000);
    const values = world.journal(1);
    for (const number of FOUR) t.same(world.journal(number), values);
    t.same(
      told.filter((value) => !values.includes(value)),
      [],
    );
    t.equal(new Set(values).size, values.length);
  }
});

t.test("who is far behind is given the state", async (t) => {
  const world = await founded("behind", SHORT);
  world.crash(4, true);
  for (let count = 0; count < 20; count++) await world.submit(1, `value ${count}`);
  await world.start(4);
  await world.until("it has all", () => world.journal(4).length === 20, 20_000);
  t.equal(world.member(4).counters().statesFetched, 1);
  t.same(world.journal(4), world.journal(1));
  await world.submit(4, "its own");
  world.crash(4, true);
  await world.start(4);
  await world.until("it has all again", () => world.journal(4).length === 21, 10_000);
  t.equal(world.member(4).counters().statesFetched, 0, "from its own disk");
});

t.test("a state that a lone liar makes up is refused", async (t) => {
  const world = await founded("liar", SHORT);
  for (let count = 0; count < 3; count++) await world.submit(1, `value ${count}`);
  world.crash(4, true);
  // A group of others, of which one name is that of a member here, decides what it likes.
  const other = new TendermintMemberWorld("liars", SHORT);
  await other.found(4);
  for (let count = 0; count < 20; count++) await other.submit(1, `lie ${count}`);
  const disk = other.device(1).disk.get(`c/${GROUP}/s`);
  const record = disk && decodeRecord(disk);
  if (record?.kind !== "snapshot") throw new Error("the others made no state");
  const { offer } = record;
  world.severed = (from, to) => to === 4 || from === 4;
  await world.start(4);
  const heard = (kind: string): number => world.member(4).counters().refused.get(kind) ?? 0;
  const { severed } = world;
  const say = async (said: typeof offer): Promise<void> => {
    world.severed = () => false;
    world.say(3, 4, { kind: "offer", offer: said });
    world.severed = severed;
    world.severed = (from, to) => from !== 3 && severed(from, to);
    await world.run(100);
    world.severed = severed;
  };
  await say(offer);
  t.equal(heard("bad-offer"), 1, "nobody that it knows has signed");
  const { certificate } = offer;
  const [first] = certificate.signatures;
  const named = [1, 2, 3].map((number) => ({
    validator: world.peer(number),
    signature: first?.signature ?? new Uint8Array(64),
  }));
  await say({ ...offer, certificate: { ...certificate, signatures: named } });
  t.equal(heard("bad-offer"), 2, "names without their signatures");
  const vote = { kind: "precommit", round: certificate.round, validator: world.peer(3) } as const;
  const { height, valueId } = certificate;
  const own = signVote(world.device(3).signer, GROUP, { ...vote, height, valueId });
  const mixed = [...certificate.signatures, own].map(({ validator, signature }) => ({
    validator,
    signature,
  }));
  await say({ ...offer, certificate: { ...certificate, signatures: mixed } });
  t.equal(heard("bad-offer"), 3, "one liar is not more than a third");
  t.equal(world.member(4).counters().statesFetched, 0);
  world.severed = () => false;
  await world.submit(4, "goes on");
  t.same(world.journal(4), ["value 0", "value 1", "value 2", "goes on"]);
});

t.test("members come and go, one at a time", async (t) => {
  const world = await founded("members", SHORT);
  await world.submit(1, "first");
  await t.rejects(world.remove(2, 1), { code: "consensus.refused", message: /at least 4/ });
  await world.join(5, 2);
  t.equal(world.member(1).status().members.length, 5);
  for (let count = 0; count < 12; count++) await world.submit(5, `value ${count}`);
  await world.join(6, 5);
  await world.until("it has all", () => world.journal(6).length === 13, 20_000);
  t.ok(world.member(6).counters().statesFetched > 0, "it began with a state");
  await world.remove(1, 6);
  await world.until("it knows", () => world.member(1).status().standing === "left", 10_000);
  await t.rejects(world.member(1).submit(Buffer.from("x"), PATIENCE), {
    code: "consensus.refused",
  });
  await world.submit(6, "last");
  await world.until("all have it", () => world.journal(3).includes("last"));
  const expected = [2, 3, 4, 5, 6].map((number) => world.peer(number)).sort();
  t.same(world.member(4).status().members, expected);
  t.same(world.device(3).process?.journal.memberships.at(-1), expected, "the machine was told");
  // What has come about already is no error.
  await world.remove(1, 6);
  world.crash(1, false);
  await world.start(1);
  t.equal(world.member(1).status().standing, "left", "it still knows after a restart");
  await world.join(1, 3);
  await world.submit(1, "back again");
  t.equal(world.member(1).status().members.length, 6);
});

t.test("a member that removes itself is told so", async (t) => {
  const world = await founded("itself");
  await world.join(5, 1);
  await world.remove(5, 5);
  await world.submit(1, "without it");
  t.equal(world.member(5).status().standing, "left");
});

t.test("a removed member that was away learns that it is out", async (t) => {
  const world = await founded("away");
  await world.join(5, 1);
  await world.submit(5, "there");
  world.crash(5, true);
  await world.remove(5, 1);
  await world.submit(1, "without it");
  await world.start(5);
  await world.until("it knows", () => world.member(5).status().standing === "left", 20_000);
  await t.rejects(world.member(5).read(PATIENCE), { code: "consensus.refused" });
});

t.test("who does not follow is not added", async (t) => {
  const world = await founded("dead");
  const { ticket } = await world.begin(5, 1);
  world.crash(5, true);
  const other = await world.begin(6, 1);
  world.crash(6, true);
  await world.run(10_000);
  const step = { kind: "add", peer: world.peer(6), ticket: other.ticket } as const;
  await t.rejects(world.wait(world.member(1).change(step, { timeoutMs: 3_000 })), {
    code: "consensus.timeout",
  });
  t.equal(world.member(1).status().members.length, 4);
  const stolen = { kind: "add", peer: world.peer(6), ticket } as const;
  await t.rejects(world.member(1).change(stolen, PATIENCE), { code: "consensus.refused" });
  t.throws(() => world.member(1).ticket(world.peer(1)), { code: "consensus.refused" });
});

t.test("without what it said a member listens until it is let in anew", async (t) => {
  const world = await founded("again", SHORT);
  for (let count = 0; count < 7; count++) await world.submit(4, `value ${count}`);
  world.crash(4, true);
  // Four members bear that one of them begins anew, whatever it has said before.
  const { ticket } = await world.begin(4, 1);
  await world.submit(1, "meanwhile");
  await world.until("it has all", () => world.journal(4).length === 8, 20_000);
  t.equal(world.member(4).status().standing, "learning");
  t.equal(world.member(1).status().members.length, 4);
  await t.rejects(world.member(4).submit(Buffer.from("x"), PATIENCE), {
    code: "consensus.unready",
  });
  world.crash(3, true);
  await t.rejects(world.submit(1, "two of four", 5_000), { code: "consensus.timeout" });
  await world.start(3);
  const step = { kind: "add", peer: world.peer(4), ticket } as const;
  await world.wait(world.member(2).change(step, { timeoutMs: 20_000 }));
  await world.until("it knows", () => world.member(4).status().standing !== "learning", 20_000);
  world.crash(3, true);
  await world.submit(4, "its voice counts");
  t.equal(world.member(1).status().members.length, 4);
  t.same(world.lost, []);
});

t.test("who comes back after it was removed is no stranger to its own past", async (t) => {
  const world = await founded("back");
  await world.join(5, 1);
  await world.remove(5, 1);
  await world.join(5, 2);
  await world.submit(5, "there");
  t.equal(world.journal(1).at(-1), "there");
});

t.test("a store that lost something ends the member", async (t) => {
  const world = await founded("lost");
  await world.submit(1, "value");
  world.crash(2, true);
  world.device(2).generation++;
  await t.rejects(world.start(2), LostLogError);
  world.crash(3, true);
  world.device(3).disk.damage(0, 0.2);
  await t.rejects(world.start(3), LostLogError);
});

t.test("a group has at least four founders", async (t) => {
  const keys = new VirtualKeys();
  const signers = ["a", "b", "c", "d"].map((name) => keys.signer(name));
  const open = (members: readonly string[], options = defaultTendermintMemberOptions) =>
    openTendermintOrdering(
      {
        group: GROUP,
        beginning: { kind: "found", members },
        machine: new Journal(),
        channel: { listen: noop, send: () => Promise.resolve(), offence: noop, close: noop },
        signer: signers[0] ?? keys.signer("a"),
        store: new MemoryKeyValueStore(),
        clock: new VirtualClock(),
        random: new SeededRandom("four"),
        hasher: plainHasher,
        logger: silentLogger,
        onChange: noop,
        onLost: noop,
      },
      options,
    );
  const names = signers.map(({ peerId }) => peerId);
  await t.rejects(open(names.slice(0, 3)), { code: "consensus.refused", message: /4 to 64/ });
  await t.rejects(open([...names.slice(1), "e"]), { code: "consensus.refused" });
  await t.rejects(
    open(names, { ...defaultTendermintMemberOptions, ...SHORT, snapshotEveryHeights: 99 }),
    RangeError,
  );
  const member = await open(names);
  t.same(member.status().members, [...names].sort());
  await member.stop();
});

t.test("what strangers and floods say is refused by name, and counted", async (t) => {
  const world = await founded("strangers", { poolOperationsOfMemberMax: 10 });
  await world.submit(1, "value");
  await world.begin(9, 1);
  world.crash(9, true);
  const operations = Array.from({ length: 30 }, (_, at) => ({
    kind: "value" as const,
    id: new Uint8Array(16).fill(at),
    data: Buffer.from(`flood ${at}`),
  }));
  world.say(9, 2, { kind: "pool", operations });
  await world.run(1_000);
  t.equal(world.member(2).counters().refused.get("not-a-member"), 1);
  t.equal(world.member(2).counters().waiting, 0);
  world.severed = (from, to) => from === 2 || to === 2;
  const { severed } = world;
  world.severed = (from, to) => from !== 4 && severed(from, to);
  world.say(4, 2, { kind: "pool", operations });
  await world.run(100);
  t.ok(world.member(2).counters().waiting <= 10);
  t.ok(world.member(2).counters().dropped >= 20);
  const large = { kind: "value" as const, id: new Uint8Array(16), data: new Uint8Array(70_000) };
  world.say(4, 2, { kind: "pool", operations: [large] });
  await world.run(100);
  t.equal(world.offences.get("malformed"), 1);
});

function noop(): void {
  // Nobody listens.
}
