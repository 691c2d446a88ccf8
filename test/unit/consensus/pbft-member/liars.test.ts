// One member of four lies: it is refused by name, counted and proven, and nobody is told anything that is not so.
import * as fc from "fast-check";
import t from "tap";
import { makeBatch } from "../../../../src/consensus/pbft/batch.ts";
import { requestSigner, signerCredentials } from "../../../../src/consensus/pbft/credentials.ts";
import { Group } from "../../../../src/consensus/pbft/group.ts";
import { encodeMessage } from "../../../../src/consensus/pbft/messages.ts";
import { makeRequest, type Request } from "../../../../src/consensus/pbft/request.ts";
import { genesisSnapshot } from "../../../../src/consensus/pbft/state.ts";
import { VoteCheck } from "../../../../src/consensus/pbft/vote.ts";
import { encodeEnvelope } from "../../../../src/consensus/pbft-member/envelope.ts";
import { encodeOperation, valueEntry } from "../../../../src/consensus/pbft-member/operation.ts";
import { ReplicatedState } from "../../../../src/consensus/pbft-member/replicated-state.ts";
import { nodeHasher } from "../../../../src/platform/node/hasher.ts";
import { GROUP, Journal, PbftMemberWorld } from "../../../support/pbft-member-world.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed, numRuns: Number(process.env["FC_RUNS"] ?? 2_000) });
t.setTimeout(60_000);
const FOUR = [1, 2, 3, 4];

async function founded(seed: string): Promise<PbftMemberWorld> {
  const world = new PbftMemberWorld(seed);
  await world.found(FOUR);
  return world;
}

/** The first epoch of the group, as its members know it. */
function firstEpoch(world: PbftMemberWorld): Group {
  const members = FOUR.map((id) => world.peer(id));
  const state = new ReplicatedState(new Journal(), world.options.keysMax);
  state.found(members);
  const { digest } = genesisSnapshot(state.snapshot(), nodeHasher, world.options.pbft);
  return new Group(`${GROUP}/0`, members, nodeHasher, digest);
}

const primaryOf = (world: PbftMemberWorld): number =>
  FOUR.find((id) => world.member(id).status().standing === "leading") ?? 0;

function say(world: PbftMemberWorld, from: number, to: number, bytes: Uint8Array): void {
  const message = encodeEnvelope({ kind: "replica", epoch: 0, bytes });
  world.device(to).process?.listener?.(world.peer(from), message);
}

function requestOf(world: PbftMemberWorld, liar: number, operation: Uint8Array): Request {
  const { signer } = world.device(liar);
  const named = { client: signer.peerId, timestamp: 1, operation };
  return makeRequest(firstEpoch(world), named, requestSigner(signer));
}

t.test("malformed bytes are an offence, and change nothing", async (t) => {
  const world = await founded("malformed");
  const { process } = world.device(1);
  const from = world.peer(2);
  process?.listener?.(from, new Uint8Array(0));
  process?.listener?.(from, Uint8Array.of(9, 9, 9));
  say(world, 2, 1, Uint8Array.of(200));
  const offence = { by: 2, kind: "malformed" };
  t.same(world.offences, [offence, offence, offence]);
  t.equal(world.member(1).counters().refused.get("malformed"), 3);
  const stranger = encodeEnvelope({ kind: "replica", epoch: 0, bytes: Uint8Array.of(0) });
  process?.listener?.("a stranger", stranger);
  t.equal(world.member(1).counters().refused.get("not-a-member"), 1);
  const coming = encodeEnvelope({ kind: "replica", epoch: 5, bytes: Uint8Array.of(0) });
  process?.listener?.(from, coming);
  t.equal(world.member(1).counters().refused.get("coming-epoch"), 1);
  await world.submit(1, "goes on");
});

t.test("whatever bytes come in, a member goes on", async (t) => {
  const world = await founded("bytes");
  const recorded: Uint8Array[] = [];
  world.lies = (_from, _to, bytes) => {
    recorded.push(bytes);
    return [bytes];
  };
  for (let at = 0; at < 4; at++) await world.submit(at + 1, `value ${at}`);
  const listener = world.device(1).process?.listener;
  if (listener === undefined) throw new Error("1 does not listen");
  world.severed = () => true;
  fc.assert(
    fc.property(
      fc.constantFrom(...FOUR, 9),
      fc.nat(),
      fc.nat(),
      fc.nat({ max: 255 }),
      fc.nat(),
      (from, which, at, value, cut) => {
        const message = recorded[which % recorded.length] ?? new Uint8Array(1);
        const changed = message.slice(0, 1 + (cut % (2 * message.length)));
        changed[at % changed.length] = value;
        listener(world.peer(from), changed);
      },
    ),
  );
  world.severed = () => false;
  await world.submit(1, "goes on", 120_000);
  t.same(world.lost, []);
  for (const id of FOUR) {
    await world.until("all have it", () => world.journal(id).at(-1) === "goes on");
    t.same(world.journal(id), world.journal(1));
  }
});

t.test("a primary that shows two batches is proven to lie, and replaced", async (t) => {
  const world = await founded("two batches");
  const group = firstEpoch(world);
  const liar = primaryOf(world);
  const { signer } = world.device(liar);
  const index = group.indexOf(signer.peerId) ?? 0;
  const credentials = signerCredentials(signer);
  const check = new VoteCheck(group, credentials, nodeHasher);
  const others = FOUR.filter((id) => id !== liar);
  world.crash(liar, false);
  for (const [at, to] of others.entries()) {
    const value = valueEntry(
      new Uint8Array(16),
      Buffer.from(`shown to ${at === 0 ? "one" : "two"}`),
    );
    const batch = makeBatch(nodeHasher, [requestOf(world, liar, encodeOperation([value]))]);
    const statement = { view: 0, sequence: 1, digest: batch.digest };
    const vote = check.sign(credentials, index, { kind: "pre-prepare", ...statement });
    say(world, liar, to, encodeMessage({ kind: "pre-prepare", vote, batch: batch.bytes }));
  }
  await world.submit(others[0] ?? 0, "goes on");
  const evidence = others.flatMap((id) => world.member(id).counters().evidence);
  t.ok(evidence.length > 0);
  for (const { accused, epoch } of evidence) t.same([accused, epoch], [signer.peerId, 0]);
  await world.until("all have it", () =>
    others.every((id) => world.journal(id).at(-1) === "goes on"),
  );
  for (const id of others) t.same(world.journal(id), world.journal(others[0] ?? 0));
});

t.test("an operation that is none gets its place, and does nothing", async (t) => {
  const world = await founded("garbage");
  const primary = primaryOf(world);
  const liar = FOUR.find((id) => id !== primary) ?? 0;
  const { bytes } = requestOf(world, liar, Buffer.from("no operation"));
  say(world, liar, primary, encodeMessage({ kind: "request", bytes }));
  await world.run(1_000);
  t.equal(world.member(primary).status().position, 1);
  t.same(world.journal(primary), []);
  await world.submit(primary, "goes on");
});

t.test("a stranger can not ask for anything", async (t) => {
  const world = await founded("stranger");
  const signer = world.keys.signer("stranger");
  const named = { client: signer.peerId, timestamp: 1, operation: encodeOperation([]) };
  const { bytes } = makeRequest(firstEpoch(world), named, requestSigner(signer));
  const primary = primaryOf(world);
  say(
    world,
    FOUR.find((id) => id !== primary) ?? 0,
    primary,
    encodeMessage({ kind: "request", bytes }),
  );
  await world.run(1_000);
  t.equal(world.member(primary).status().position, 0);
  t.equal(world.member(primary).counters().refused.get("wrong-signature"), 1);
});

t.test("the id of another one's value does not hold for something else", async (t) => {
  const world = await founded("ids");
  const id = new Uint8Array(16).fill(7);
  const taken = world.member(2).submit(Buffer.from("something else"), { timeoutMs: 10_000 }, id);
  const own = world.member(1).submit(Buffer.from("its own"), { timeoutMs: 10_000 }, id);
  const [, { result }] = await world.wait(Promise.all([taken, own]));
  t.ok(result !== undefined, "it was applied, and here is the answer");
  t.same([...world.journal(1)].sort(), ["its own", "something else"]);
});

t.test("a silent member costs nothing but a vote", async (t) => {
  const world = await founded("silent");
  const liar = FOUR.find((id) => id !== primaryOf(world)) ?? 0;
  world.lies = (from, _to, bytes) => (from === liar ? [] : [bytes]);
  const others = FOUR.filter((id) => id !== liar);
  for (let at = 0; at < 20; at++) await world.submit(others[at % 3] ?? 0, `value ${at}`);
  t.equal(world.member(others[0] ?? 0).counters().view, 0);
});
