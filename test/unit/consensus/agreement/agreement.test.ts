import t, { type Test } from "tap";
import { Agreement } from "../../../../src/consensus/agreement/agreement.ts";
import type { AgreementParts } from "../../../../src/consensus/agreement/agreement-parts.ts";
import { statementOf } from "../../../../src/consensus/agreement/archive.ts";
import { signStatement } from "../../../../src/consensus/agreement/certificate.ts";
import { defaultAgreementOptions } from "../../../../src/consensus/agreement/options.ts";
import type { Ordered, Ordering } from "../../../../src/consensus/ordering/ordering.ts";
import type { StateMachine } from "../../../../src/consensus/ordering/state-machine.ts";
import { AgreementError } from "../../../../src/consensus/ordering/waiting.ts";
import { StoreError } from "../../../../src/platform/key-value-store.ts";
import { nodeHasher } from "../../../../src/platform/node/hasher.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";
import { MemoryKeyValueStore } from "../../../../src/simulator/memory-key-value-store.ts";
import { VirtualClock } from "../../../../src/simulator/virtual-clock.ts";
import { VirtualKeys } from "../../../../src/simulator/virtual-signer.ts";
import { BoxUnderTest, GROUP, idOf } from "../../../support/agreement/box.ts";
import { keptLog } from "../../../support/kept-log.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const terms = { topic: "notes", deadlineMs: 10_000 };

/** An ordering whose every entry a test lets through, or not. */
class Gate implements Ordering {
  readonly machine: StateMachine;
  readonly ids: string[] = [];
  /** Sees every entry, whatever becomes of it. */
  seen: (value: Uint8Array) => void = () => undefined;
  /** What becomes of an entry. */
  fate: () => "ordered" | "lost" | "unsure" | AgreementError = () => "ordered";
  #position = 0;

  constructor(machine: StateMachine) {
    this.machine = machine;
  }

  start(): void {}

  stop(): Promise<void> {
    return Promise.resolve();
  }

  async submit(value: Uint8Array, _: unknown, id?: Uint8Array): Promise<Ordered> {
    this.ids.push(Buffer.from(id ?? []).toString("hex"));
    await Promise.resolve();
    this.seen(value);
    const fate = this.fate();
    if (fate instanceof AgreementError) throw fate;
    if (fate === "lost") throw new AgreementError("consensus.timeout", "lost");
    const result = this.machine.apply(value);
    if (fate === "unsure") throw new AgreementError("consensus.timeout", "ordered all the same");
    return { position: ++this.#position, result };
  }

  read(): Promise<void> {
    return Promise.resolve();
  }

  ticket(): Uint8Array {
    return new Uint8Array();
  }

  change(): Promise<void> {
    return Promise.resolve();
  }

  status(): ReturnType<Ordering["status"]> {
    return {
      protocol: "raft",
      standing: "leading",
      leader: undefined,
      term: 1,
      position: this.#position,
      members: [],
      learners: [],
    };
  }
}

async function open(t: Test, others: readonly string[] = []) {
  const keys = new VirtualKeys();
  const clock = new VirtualClock();
  const signer = keys.signer("self");
  const store = new MemoryKeyValueStore();
  const log = keptLog();
  const members = [signer.peerId, ...others.map((name) => keys.signer(name).peerId)];
  const gates: Gate[] = [];
  const parts: AgreementParts = {
    group: GROUP,
    protocol: "raft",
    signer,
    store,
    clock,
    random: new SeededRandom(t.name),
    hasher: nodeHasher,
    logger: log,
    options: defaultAgreementOptions,
    ordering: (machine) => {
      const gate = new Gate(machine);
      machine.members(members);
      gates.push(gate);
      return Promise.resolve(gate);
    },
  };
  const agreement = await Agreement.open(parts);
  agreement.start();
  const [gate] = gates;
  if (gate === undefined) throw new Error("the ordering was not opened");
  t.teardown(() => agreement.stop());
  return { agreement, gate, clock, store, log, parts, members, keys };
}

async function settled<T>(clock: VirtualClock, promise: Promise<T>, ms = 40_000): Promise<T> {
  promise.catch(() => undefined);
  for (let waited = 0; waited < ms; waited += 100) await clock.advance(100);
  return promise;
}

t.test("a judge that throws, or takes too long, abstains; others may vote by hand", async (t) => {
  const { agreement, clock, log } = await open(t);
  agreement.judge("notes", () => {
    throw new Error("no idea");
  });
  agreement.judge("slow", () => new Promise(() => undefined));
  t.throws(() => agreement.judge("slow", () => "accept"), /has a judge already/);
  const one = await settled(clock, agreement.propose(bytes("a"), terms), 1_000);
  const other = await settled(
    clock,
    agreement.propose(bytes("b"), { ...terms, topic: "slow" }),
    1_000,
  );
  t.match(log.lines, [{ message: "a judge failed and abstains" }]);
  await clock.advance(defaultAgreementOptions.judgeTimeoutMs);
  t.ok(log.lines.some(({ message }) => message === "a judge took too long and abstains"));
  t.equal(agreement.proposals().length, 2);
  await settled(clock, agreement.vote(other.id, "accept"), 1_000);
  t.equal((await agreement.finalize(other.id)).outcome, "accepted");
  await clock.advance(terms.deadlineMs);
  t.equal((await agreement.finalize(one.id)).outcome, "expired");
});

t.test(
  "a judge that comes later votes on what is open; one that is taken away votes no more",
  async (t) => {
    const { agreement, clock } = await open(t);
    const early = await settled(clock, agreement.propose(bytes("early"), terms), 1_000);
    const end = agreement.judge("notes", async (value, { topic }) => {
      await Promise.resolve();
      return topic === "notes" && value.length === 5 ? "accept" : "abstain";
    });
    t.equal((await settled(clock, agreement.finalize(early.id), 1_000)).outcome, "accepted");
    end();
    await settled(clock, agreement.propose(bytes("later"), terms), 1_000);
    t.equal(agreement.proposals().length, 1);
  },
);

t.test(
  "an entry that was lost is put in again, as the same entry, until it is ordered",
  async (t) => {
    const { agreement, gate, clock } = await open(t);
    agreement.judge("notes", () => "accept");
    const fates = ["lost", "unsure", "lost"] as const;
    let tries = 0;
    gate.fate = () => fates[tries++] ?? "ordered";
    const proposal = await settled(clock, agreement.propose(bytes("again"), terms), 5_000);
    const decision = await settled(
      clock,
      agreement.finalize(proposal.id, { certified: true }),
      5_000,
    );
    t.equal(decision.outcome, "accepted");
    t.equal(gate.ids[0], gate.ids[1], "the ordering can tell that it is the same");
    t.equal(agreement.decisions(0, 10).length, 1);
  },
);

t.test("words that come while others are under way share an entry", async (t) => {
  const { agreement, gate, clock } = await open(t);
  agreement.judge("notes", () => "accept");
  const proposing = Array.from({ length: 60 }, (_, at) => agreement.propose(bytes(`${at}`), terms));
  const proposals = await settled(clock, Promise.all(proposing), 1_000);
  for (const { id } of proposals)
    t.equal(
      (await settled(clock, agreement.finalize(id, { certified: true }), 100)).outcome,
      "accepted",
    );
  t.ok(gate.ids.length < 30, `${gate.ids.length} entries for 180 words`);
  t.equal(new Set(gate.ids).size, gate.ids.length);
});

t.test("what the ordering refuses is told, and tried again only when asked", async (t) => {
  const { agreement, gate, clock } = await open(t);
  gate.fate = () => new AgreementError("consensus.refused", "this member was taken out");
  const proposing = agreement.propose(bytes("x"), terms);
  await t.rejects(settled(clock, proposing, 5_000), {
    code: "consensus.refused",
    message: /taken out/,
  });
  t.equal(gate.ids.length, 1);
});

t.test(
  "a caller that waits no more does not keep it going; what was never said has not happened",
  async (t) => {
    const { agreement, gate, clock } = await open(t);
    gate.fate = () => "lost";
    const abort = new AbortController();
    const aborted = agreement.propose(bytes("x"), { ...terms, signal: abort.signal });
    const late = agreement.propose(bytes("y"), { ...terms, timeoutMs: 2_000 });
    aborted.catch(() => undefined);
    late.catch(() => undefined);
    await clock.advance(1_000);
    abort.abort();
    await t.rejects(aborted, { code: "consensus.cancelled" });
    await clock.advance(1_500);
    await t.rejects(late, { code: "consensus.timeout" });
    gate.fate = () => "ordered";
    await clock.advance(60_000);
    t.same(agreement.proposals(), []);
    t.same(clock.waiting, [], "nothing is left to be done");
  },
);

t.test("what can not be written is not voted", async (t) => {
  const { agreement, gate, store, clock } = await open(t);
  const { id } = await settled(clock, agreement.propose(bytes("x"), terms), 1_000);
  store.disk.bytesMax = 1;
  const before = gate.ids.length;
  await t.rejects(agreement.vote(id, "accept"), StoreError);
  agreement.judge("notes", () => ({ reject: "the disk is full" }));
  await clock.advance(1_000);
  t.equal(gate.ids.length, before, "nobody heard of it");
  store.disk.bytesMax = Number.POSITIVE_INFINITY;
  await clock.advance(1_000);
  t.same((await agreement.finalize(id)).reasons, ["the disk is full"]);
});

t.test(
  "a vote that nobody has heard of before a restart is the vote after it, until the ballot is closed",
  async (t) => {
    const { agreement, gate, store, clock, parts } = await open(t, ["other"]);
    const { id } = await settled(clock, agreement.propose(bytes("x"), terms), 1_000);
    gate.fate = () => "lost";
    const voting = agreement.vote(id, "accept");
    await clock.advance(1_000);
    const state = gate.machine.snapshot();
    await agreement.stop();
    await t.rejects(voting, { code: "consensus.stopped" });
    await t.rejects(agreement.propose(bytes("y"), terms), { code: "consensus.stopped" });
    await t.rejects(agreement.finalize(id), { code: "consensus.stopped" });
    store.disk.crash();
    let gateAfter: Gate | undefined;
    const again = await Agreement.open({
      ...parts,
      ordering: (machine) => {
        machine.restore(state);
        gateAfter = new Gate(machine);
        return Promise.resolve(gateAfter);
      },
    });
    const heard: string[] = [];
    again.onProposal((proposal) => heard.push(proposal.id));
    again.judge("notes", () => ({ reject: "changed my mind" }));
    again.start();
    await clock.advance(1_000);
    t.same(heard, [id], "what is open is told anew");
    t.match(again.proposals(), [{ id, votes: [{ choice: "accept" }] }]);
    await t.rejects(again.vote(id, "reject"), { code: "consensus.refused" });
    await settled(clock, again.cancel(id), 1_000);
    await clock.advance(1_000);
    const kept = await store.range({ gte: `c/${GROUP}/`, lt: `c/${GROUP}/~`, limit: 10 });
    t.same(kept, [], "a vote on what is closed is forgotten");
    await again.stop();
  },
);

t.test(
  "a state that comes in the place of entries settles who waits, and is told in order",
  async (t) => {
    const far = await open(t, ["other"]);
    const { agreement, gate, clock, parts } = far;
    const told: number[] = [];
    const proposed: string[] = [];
    agreement.onDecision(({ number }) => told.push(number));
    agreement.onProposal(({ id }) => proposed.push(id));
    // This member's entry is ordered where it can not hear of it, and others go on.
    const elsewhere = new BoxUnderTest("raft", "", far.keys);
    elsewhere.box.members(far.members);
    gate.fate = () => "lost";
    gate.seen = (value) => void elsewhere.box.apply(value);
    const proposing = agreement.propose(bytes("x"), terms);
    await clock.advance(1_000);
    const [id = ""] = elsewhere.box.open.keys();
    const finalizing = agreement.finalize(id);
    const unknown = agreement.finalize(idOf(1), { certified: true });
    for (const name of ["self", "other"])
      elsewhere.put(elsewhere.ballotVote(name, id, "accept", "x"));
    elsewhere.put(elsewhere.proposal("other", idOf(1)), elsewhere.proposal("other", idOf(2)));
    elsewhere.put(elsewhere.word("other", idOf(1), { kind: "cancel" }));
    gate.machine.restore(elsewhere.box.snapshot());
    await clock.advance(200);
    t.equal((await proposing).id, id);
    t.equal((await finalizing).outcome, "accepted");
    t.equal((await unknown).outcome, "cancelled");
    t.same(told, [1, 2]);
    t.same(proposed, [idOf(2)], "what is open is news");
    t.equal(parts.signer.peerId, (await finalizing).proposer);
  },
);

t.test("nobody hears of a proposal after its end, however much comes at once", async (t) => {
  const { agreement, gate, clock, keys, members } = await open(t, ["other"]);
  const heard: string[] = [];
  agreement.onProposal(({ id }) => heard.push(`open ${id}`));
  agreement.onDecision(({ proposalId }) => heard.push(`over ${proposalId}`));
  const elsewhere = new BoxUnderTest("raft", "", keys);
  elsewhere.box.members(members);
  const state = elsewhere.box.snapshot();
  // As after a restart: a state, and the entries behind it, before anybody looks.
  gate.machine.restore(state);
  gate.machine.apply(
    elsewhere.entry(
      elsewhere.proposal("other", idOf(1)),
      elsewhere.proposal("other", idOf(2)),
      elsewhere.ballotVote("self", idOf(1), "reject"),
      elsewhere.ballotVote("other", idOf(1), "reject"),
    ),
  );
  await clock.advance(200);
  t.same(
    heard.filter((each) => each.endsWith(idOf(1))),
    [`over ${idOf(1)}`],
  );
  t.ok(heard.includes(`open ${idOf(2)}`));
  gate.machine.apply(
    elsewhere.entry(
      elsewhere.proposal("other", idOf(3)),
      elsewhere.ballotVote("self", idOf(3), "reject"),
      elsewhere.ballotVote("other", idOf(3), "reject"),
    ),
  );
  await clock.advance(200);
  t.same(
    heard.filter((each) => each.endsWith(idOf(3))),
    [`open ${idOf(3)}`, `over ${idOf(3)}`],
    "one that begins and ends in a turn is told in order",
  );
});

t.test(
  "members take turns to vouch; whoever is not asked does it after all where it takes long",
  async (t) => {
    const { agreement, gate, clock, keys } = await open(t, ["one", "other"]);
    const others = new BoxUnderTest("raft", "", keys);
    agreement.judge("notes", () => "accept");
    const [atOnce, later] = [[], []] as [number[], number[]];
    for (let round = 0; round < 6; round++) {
      const value = `${round}`;
      const proposal = await settled(clock, agreement.propose(bytes(value), terms), 100);
      await clock.advance(100);
      gate.machine.apply(others.entry(others.ballotVote("one", proposal.id, "accept", value)));
      const entries = gate.ids.length;
      await clock.advance(300);
      const { number } = await agreement.finalize(proposal.id);
      const said = gate.ids.length - entries;
      t.ok(said <= 1);
      (said === 1 ? atOnce : later).push(number);
      await clock.advance(300);
      t.equal(gate.ids.length - entries, 1, "nobody else did");
    }
    t.same([atOnce.length, later.length], [4, 2], "a quorum is two of three");
  },
);

t.test("whoever leaves it to others says nothing once they have vouched", async (t) => {
  const { agreement, gate, clock, keys } = await open(t, ["one", "other"]);
  const others = new BoxUnderTest("raft", "one", keys);
  agreement.judge("notes", () => "accept");
  let left = 0;
  for (let round = 0; round < 3; round++) {
    const value = `${round}`;
    const proposal = await settled(clock, agreement.propose(bytes(value), terms), 100);
    await clock.advance(100);
    gate.machine.apply(others.entry(others.ballotVote("one", proposal.id, "accept", value)));
    const entries = gate.ids.length;
    const decision = await agreement.finalize(proposal.id);
    await clock.advance(100);
    const isLeft = gate.ids.length === entries;
    if (isLeft) left++;
    for (const name of isLeft ? ["one", "other"] : ["one"]) {
      const voucher = {
        proposalId: proposal.id,
        ...signStatement(keys.signer(name), statementOf(decision)),
      };
      gate.machine.apply(others.entry({ kind: "voucher", voucher }));
    }
    await settled(clock, agreement.finalize(proposal.id, { certified: true }), 100);
    await clock.advance(2_000);
    t.equal(gate.ids.length, isLeft ? entries : entries + 1);
  }
  t.equal(left, 1);
});
