import t from "tap";
import { RoundAggregator } from "../../../../src/federated/rounds/aggregator.ts";
import type { AggregatorEffect } from "../../../../src/federated/rounds/aggregator-effects.ts";
import { Attempt } from "../../../../src/federated/rounds/attempt.ts";
import { firstHead, headOf, RoundChain } from "../../../../src/federated/rounds/chain.ts";
import { RoundJudge } from "../../../../src/federated/rounds/judge.ts";
import type { RoundPace } from "../../../../src/federated/rounds/options.ts";
import { defaultRoundTimes } from "../../../../src/federated/rounds/options.ts";
import { rank } from "../../../../src/federated/rounds/rank.ts";
import { Reputation } from "../../../../src/federated/rounds/reputation.ts";
import {
  type RoundRecord,
  readRecord,
  signRecord,
} from "../../../../src/federated/rounds/round-record.ts";
import { RoundTrainer } from "../../../../src/federated/rounds/trainer.ts";
import type {
  TrainerEffect,
  TrainerInput,
} from "../../../../src/federated/rounds/trainer-effects.ts";
import { nodeHasher } from "../../../../src/platform/node/hasher.ts";
import { HEAD, hashOf, PACE, signerOf, TASK, wordBy } from "../../../support/rounds/words.ts";

const times = { ...defaultRoundTimes, gatherMs: 100, retellMs: 300, retryMs: 50, staggerMs: 80 };
const parts = { task: TASK, hasher: nodeHasher, pace: PACE, times };
const BASE = { baseRound: 0, baseHash: HEAD.modelHash };
const AGGREGATORS = rank(
  nodeHasher,
  { task: TASK, round: 1 },
  ["a", "b", "c"].map((name) => signerOf(name).peerId),
);
const [FIRST = "", SECOND = "", THIRD = ""] = AGGREGATORS;
const nameOf = (peer: string) =>
  ["a", "b", "c"].find((name) => signerOf(name).peerId === peer) ?? "";
const kinds = (effects: readonly { readonly kind: string }[]) => effects.map(({ kind }) => kind);
const TRAINED = { kind: "trained", base: BASE, updateBytes: 100, samples: 10, loss: 0.5 } as const;
const record1: RoundRecord = {
  task: TASK,
  round: 1,
  baseHash: HEAD.modelHash,
  previousSheetHash: undefined,
  sheetHash: hashOf("sheet"),
  modelHash: hashOf("model"),
  stateHash: undefined,
  aggregator: FIRST,
  updates: 2,
  samples: 20,
  samplesTotal: 20,
};

function trainer(kept?: ReturnType<typeof wordBy>, held = false, damages = 0) {
  const signer = signerOf("t");
  const machine = new RoundTrainer({
    ...parts,
    signer,
    damages,
    ...(kept && { kept: { word: kept, held } }),
  });
  const step = (nowMs: number, input: object): readonly TrainerEffect[] =>
    machine.step({ nowMs, ...input } as TrainerInput).effects;
  step(0, { kind: "aggregators", peers: AGGREGATORS });
  step(0, { kind: "head", head: HEAD });
  return { machine, step };
}

t.test(
  "a trainer says what it has when the disk has it, and again until it is answered",
  async (t) => {
    const { machine, step } = trainer();
    t.same(step(0, { kind: "tick" }), [], "nothing while it may not train");
    const began = step(1, { kind: "may-train", allowed: true });
    t.same(kinds(began), ["event", "fetch-base", "tell", "tell"]);
    t.same(
      began.flatMap((effect) => (effect.kind === "tell" ? [effect.to] : [])),
      [FIRST, SECOND],
      "the first two candidates hear that it has begun",
    );
    t.same(kinds(step(2, { kind: "base", base: BASE, had: true })), ["train"]);
    t.same(kinds(step(3, { kind: "may-train", allowed: false })), ["pause"]);
    t.equal(machine.state, "paused");
    t.same(kinds(step(4, { kind: "may-train", allowed: true })), ["resume"]);
    const trained = step(50, { ...TRAINED, updateHash: hashOf("u") });
    t.same(kinds(trained), ["keep", "hold"], "nobody hears of it yet");
    const told = step(60, { kind: "kept", updateHash: hashOf("u"), durable: true });
    t.same(kinds(told), ["event", "tell", "tell"]);
    step(70, { kind: "told", to: FIRST, what: "word", baseRound: 0 });
    const again = step(400, { kind: "tick" });
    t.same(
      again.map((effect) => effect.kind === "tell" && effect.to),
      [SECOND],
      "again to whoever has not answered",
    );
    const late = step(1_200, { kind: "tick" });
    t.same(
      late.map((effect) => effect.kind === "tell" && effect.to),
      [FIRST, SECOND, THIRD],
      "and to the next ones before their turn",
    );
    const next = step(1_300, { kind: "head", head: headOf(record1) });
    t.same(kinds(next), ["event", "fetch-base", "hold", "tell", "tell"], "then the next round");
  },
);

t.test("a trainer that begins anew says the same, or a later edition", async (t) => {
  const kept = wordBy("t");
  const held = trainer(kept, true).step(1, { kind: "may-train", allowed: true });
  t.same(held, [], "it was told with the head already, and there is nothing more to do");
  for (const [update, edition] of [
    [kept.updateHash, 1],
    [hashOf("another"), 2],
  ] as const) {
    const { step } = trainer(kept, false);
    step(1, { kind: "may-train", allowed: true });
    step(2, { kind: "base", base: BASE, had: true });
    const effects = [
      ...step(3, { ...TRAINED, updateHash: update }),
      ...step(4, { kind: "kept", updateHash: update, durable: true }),
    ];
    const [word] = effects.flatMap((effect) =>
      effect.kind === "tell" && effect.talk.kind === "word" ? [effect.talk.word] : [],
    );
    t.equal(word?.edition, edition);
    t.equal(word?.updateHash, update);
  }
  const { step } = trainer(wordBy("t", { baseRound: 5 }), false);
  t.same(
    step(1, { kind: "may-train", allowed: true }),
    [],
    "never on an older head than its word's",
  );
});

t.test(
  "a trainer whose disk was damaged says nothing that it may have said otherwise",
  async (t) => {
    const said = (
      kept: Parameters<typeof trainer>[0],
      later: readonly RoundRecord[],
      damages = 1,
    ) => {
      const { step } = trainer(kept, false, damages);
      step(1, { kind: "may-train", allowed: true });
      for (const record of later) step(2, { kind: "head", head: headOf(record) });
      const { round = 0, modelHash = HEAD.modelHash } = later.at(-1) ?? {};
      const base = { baseRound: round, baseHash: modelHash };
      step(3, { kind: "base", base, had: true });
      const update = { ...TRAINED, base, updateHash: hashOf("u") };
      const kept5 = step(4, update).flatMap((effect) => (effect.kind === "keep" ? [effect] : []));
      return kept5[0]?.word.edition;
    };
    const rounds = Array.from({ length: 4 }, (_, at) => ({
      ...record1,
      round: at + 1,
      modelHash: hashOf(`model ${at + 1}`),
    }));
    t.equal(said(undefined, []), 5, "an edition of who does not know what it said");
    t.equal(said(wordBy("t"), []), 5, "a later one than the kept one may be lost");
    t.equal(said(undefined, rounds.slice(0, 3)), 5, "on heads that may be old as well");
    t.equal(said(undefined, rounds), 1, "those that came about since are news to all");
    t.equal(said(undefined, [], 2), 6, "damaged again, it says another one");
    t.equal(said(wordBy("t", { edition: 5 }), [], 1), undefined, "this one was said");
    t.equal(said(wordBy("t", { edition: 8 }), [], 5), undefined, "nothing is left to say");
  },
);

t.test("a trainer gives up what fails, and drops what is too late", async (t) => {
  const { step } = trainer();
  step(0, { kind: "may-train", allowed: true });
  let nowMs = 0;
  for (let count = 1; count <= 3; count++) {
    nowMs += 1_000;
    step(nowMs, { kind: "tick" });
    step(nowMs, { kind: "base", base: BASE, had: true });
    const [event] = step(nowMs, { kind: "failed", base: BASE, reason: "no memory" });
    t.match(event, { event: { kind: "failed", reason: "no memory", givenUp: count === 3 } });
  }
  t.same(kinds(step(9_000, { kind: "tick" })), [], "until the next round");
  t.ok(kinds(step(9_001, { kind: "head", head: headOf(record1) })).includes("fetch-base"));
  step(9_002, { kind: "base", base: { baseRound: 1, baseHash: hashOf("model") }, had: true });
  const head = headOf({ ...record1, round: 2, modelHash: hashOf("model 2") });
  t.same(kinds(step(9_003, { kind: "head", head })).slice(0, 2), ["abandon", "event"]);
});

function aggregator(self: string, pace: RoundPace = PACE) {
  const reputation = new Reputation();
  const signer = signerOf(nameOf(self));
  const machine = new RoundAggregator({
    ...parts,
    pace,
    signer,
    reputation,
    head: HEAD,
    startMs: 0,
  });
  const step = (nowMs: number, input: object): readonly AggregatorEffect[] =>
    machine.step({ nowMs, ...input } as Parameters<typeof machine.step>[0]).effects;
  step(0, { kind: "aggregators", peers: AGGREGATORS });
  step(0, { kind: "committee", members: [self] });
  const deliver = (nowMs: number, name: string) => {
    const word = wordBy(name);
    step(nowMs, { kind: "word", word });
    return step(nowMs, { kind: "had", hash: word.updateHash, is: "good" });
  };
  return { machine, step, deliver, reputation };
}

t.test("a crowd that nobody has heard before is given the time to be heard", async (t) => {
  const pace = { ...PACE, agentsMax: 1_000, deadlineMs: 60_000 };
  const { step, deliver } = aggregator(FIRST, pace);
  step(0, { kind: "trainers", peers: AGGREGATORS, inFleet: 1_000 });
  for (const [at, name] of ["x", "y", "z"].entries())
    t.notOk(kinds(deliver(1_000 + at, name)).includes("aggregate"), "the others speak later");
  // A thousand spread their words over eight seconds.
  t.notOk(kinds(step(9_900, { kind: "tick" })).includes("aggregate"));
  t.ok(kinds(step(10_000, { kind: "tick" })).includes("aggregate"), "whoever was to speak has");
});

t.test("the first candidate closes the round when all that began have delivered", async (t) => {
  const { step, deliver } = aggregator(FIRST);
  for (const name of ["x", "y", "z"])
    step(10, { kind: "begun", from: signerOf(name).peerId, base: BASE });
  deliver(200, "x");
  t.notOk(kinds(deliver(210, "y")).includes("aggregate"), "one is still waited for");
  const closed = deliver(220, "z").find(({ kind }) => kind === "aggregate");
  t.match(closed, { round: 1, attempt: 1 });
  const done = step(230, {
    kind: "aggregated",
    attempt: 1,
    modelHash: hashOf("model"),
    stateHash: undefined,
  });
  const propose = done.find((effect) => effect.kind === "propose");
  const record = propose && readRecord(signerOf("x"), propose.value);
  t.match(record, { round: 1, updates: 3, samples: 30, samplesTotal: 30, aggregator: FIRST });
  const back = step(240, {
    kind: "proposal-ended",
    attempt: 1,
    outcome: "rejected",
    reasons: ["no"],
  });
  t.match(back, [{ event: { kind: "setback", reason: "rejected: no" } }]);
  t.ok(kinds(step(300, { kind: "tick" })).includes("aggregate"), "and tries again");
});

t.test("an update that got lost here is fetched anew", async (t) => {
  const { step, deliver } = aggregator(FIRST);
  deliver(110, "x");
  t.ok(kinds(deliver(120, "y")).includes("aggregate"));
  const { updateHash: hash } = wordBy("x");
  t.match(step(130, { kind: "lost", hash }), [{ kind: "fetch", hash }]);
  step(130, { kind: "not-aggregated", attempt: 1, blamed: undefined, reason: "gone" });
  step(140, { kind: "had", hash, is: "good" });
  t.match(step(200, { kind: "tick" }), [{}, { kind: "aggregate", attempt: 2 }]);
});

t.test("at the deadline with enough, and later with too few before", async (t) => {
  const { step, deliver } = aggregator(FIRST);
  step(10, { kind: "begun", from: signerOf("slow").peerId, base: BASE });
  deliver(200, "x");
  t.match(step(1_000, { kind: "tick" }), [{ event: { kind: "short-of-agents", have: 1 } }]);
  t.ok(kinds(deliver(5_000, "y")).includes("aggregate"), "the round is not lost");
  const late = aggregator(SECOND);
  late.deliver(200, "x");
  late.step(200, { kind: "word", word: wordBy("y") });
  t.same(kinds(late.step(1_100, { kind: "tick" })), [], "another's turn");
  t.ok(kinds(late.step(1_200, { kind: "tick" })).includes("fetch"), "now its own");
  const gone = aggregator(SECOND);
  gone.step(50, { kind: "word", word: wordBy("y") });
  t.ok(
    kinds(gone.step(60, { kind: "living", peer: FIRST, alive: false })).includes("fetch"),
    "at once where the first is gone",
  );
});

t.test("liars are left out, and lose their reputation", async (t) => {
  const { step, deliver, reputation } = aggregator(FIRST);
  deliver(10, "x");
  const copy = step(20, {
    kind: "word",
    word: wordBy("y", { updateHash: wordBy("x").updateHash }),
  });
  t.match(copy, [{ event: { kind: "blamed", misdeed: "free-riding" } }]);
  deliver(30, "z");
  const twice = step(40, { kind: "word", word: wordBy("z", { samples: 99 }) });
  t.same(kinds(twice), ["gossip", "event"]);
  t.equal(reputation.of(signerOf("z").peerId), 0.5);
  step(50, { kind: "word", word: wordBy("empty") });
  step(51, { kind: "had", hash: wordBy("empty").updateHash, is: "empty" });
  deliver(60, "w");
  const closed = step(1_000, { kind: "tick" }).find((effect) => effect.kind === "aggregate");
  t.same(
    closed?.counted.map(({ peer }) => peer).sort(),
    ["w", "x"].map((name) => signerOf(name).peerId).sort(),
  );
  const silent = wordBy("silent");
  step(1_010, { kind: "word", word: silent });
  for (let nowMs = 2_000; nowMs < 6_000; nowMs += 1_000) {
    step(nowMs, { kind: "tick" });
    step(nowMs, { kind: "unfetchable", hash: silent.updateHash, wrongBytes: false });
  }
  t.ok(reputation.of(silent.trainer) <= 1 && reputation.isTrusted(silent.trainer));
});

t.test("reputation goes down by misdeeds, and comes back", async (t) => {
  const reputation = new Reputation();
  for (const score of [0.5, 0.25]) {
    reputation.blame("x", "equivocation");
    t.equal(reputation.of("x"), score);
  }
  t.notOk(reputation.isTrusted("x"));
  for (let round = 1; round <= 3; round++) reputation.roundEnded(round);
  reputation.roundEnded(3);
  t.ok(Math.abs(reputation.of("x") - 0.31) < 1e-9 && reputation.isTrusted("x"), "each round once");
  reputation.counted(4, [{ trainer: "x" }]);
  reputation.counted(4, [{ trainer: "x" }]);
  t.ok(Math.abs(reputation.of("x") - 0.41) < 1e-9, "more where it was counted");
  reputation.blame("y", "silence");
  t.equal(reputation.of("y"), 0.8);
  reputation.roundOverdue(5, 1);
  t.equal(reputation.of("y"), 0.8);
  reputation.roundOverdue(5, 3);
  t.equal(reputation.of("y"), 1, "and where nothing goes on without it");
});

t.test("a judge takes the first that is open, and the next when that has ended", async (t) => {
  const signer = signerOf("a");
  const self = signer.peerId;
  const reputation = new Reputation();
  const machine = new RoundJudge({ ...parts, signer, reputation, head: HEAD });
  const step = (nowMs: number, input: object) =>
    machine.step({ nowMs, ...input } as Parameters<typeof machine.step>[0]).effects;
  step(0, { kind: "committee", members: [self], quorum: 1 });
  const propose = (id: string, by: string, content: Partial<RoundRecord> = {}) => {
    const value = signRecord(signerOf(by), { ...record1, ...content });
    return step(1, { kind: "proposal", id, value, proposer: self });
  };
  t.match(propose("p1", "b"), [{ event: { kind: "judging" } }, { kind: "fetch", what: "sheet" }]);
  t.same(propose("p2", "c"), [], "waits");
  t.match(propose("p3", "c"), [{ verdict: { reject: "another is open" } }]);
  t.match(propose("p4", "x", { task: hashOf("x").slice(0, 32) }), [
    { verdict: { reject: "another task" } },
  ]);
  const garbage = step(1, { kind: "proposal", id: "p5", value: new Uint8Array(9), proposer: self });
  t.match(garbage, [{ verdict: { reject: "malformed" } }]);
  const wrong = step(2, { kind: "sheet", hash: record1.sheetHash, bytes: new Uint8Array(9) });
  t.match(wrong, [{ event: { misdeed: "false-record" } }, { verdict: { reject: /sheet/ } }]);
  t.match(step(3, { kind: "ended", id: "p1", accepted: false }), [
    { event: { kind: "judging", id: "p2" } },
    { kind: "fetch" },
  ]);
  t.match(step(4, { kind: "tick" }), [], "nothing new while it is fetched");
  const ended = step(4, { kind: "ended", id: "p2", accepted: true });
  t.same(ended, []);
  t.match(propose("p6", "b"), [{ verdict: { reject: "stale" } }]);
});

t.test("an update is asked of other members too: who had it first may be gone", async (t) => {
  const [first = "", self = "", third = ""] = ["a", "b", "c"].map((name) => signerOf(name).peerId);
  const signer = signerOf("b");
  const machine = new RoundJudge({ ...parts, signer, reputation: new Reputation(), head: HEAD });
  const step = (nowMs: number, input: object) =>
    machine.step({ nowMs, ...input } as Parameters<typeof machine.step>[0]).effects;
  const attempt = new Attempt(1, TASK, HEAD, [wordBy("a"), wordBy("x")]);
  const made = { modelHash: hashOf("model"), stateHash: undefined };
  const { bytes, sheetHash, value } = attempt.finish(signerOf("a"), nodeHasher, made);
  step(0, { kind: "committee", members: [first, self, third], quorum: 3 });
  step(1, { kind: "proposal", id: "p1", value, proposer: first });
  const effects = step(2, { kind: "sheet", hash: sheetHash, bytes });
  const asked = (name: string) =>
    effects.flatMap((effect) =>
      effect.kind === "fetch" && effect.hash === wordBy(name).updateHash ? [effect.holders] : [],
    );
  t.same(asked("a"), [[first, third]]);
  t.same(asked("x"), [[first, signerOf("x").peerId, third]]);
});

t.test("a judge that would wait its turn has it once a member before it is gone", async (t) => {
  const members = ["a", "b", "c"].map((name) => signerOf(name).peerId);
  const value = signRecord(signerOf("x"), record1);
  const proposal = { kind: "proposal", id: "p1", value, proposer: members[0] };
  const judgeOf = (name: string) => {
    const signer = signerOf(name);
    const reputation = new Reputation();
    const machine = new RoundJudge({ ...parts, signer, reputation, head: HEAD });
    const step = (nowMs: number, input: object) =>
      machine.step({ nowMs, ...input } as Parameters<typeof machine.step>[0]);
    step(0, { kind: "committee", members, quorum: 2 });
    return step;
  };
  const begins = (name: string) => judgeOf(name)(1, proposal).effects.length > 0;
  const last = ["a", "b", "c"].filter((name) => !begins(name));
  t.equal(last.length, 1, "two make a quorum, the third waits");
  const self = signerOf(last[0]!).peerId;
  const [first, second] = members.filter((peer) => peer !== self);

  const waiting = judgeOf(last[0]!);
  t.equal(waiting(1, proposal).nextTickAtMs, 1 + times.staggerMs);
  t.same(waiting(2, { kind: "living", peer: "a worker", alive: false }).effects, []);
  t.match(waiting(3, { kind: "living", peer: first, alive: false }).effects, [
    { event: { kind: "judging" } },
    { kind: "fetch", what: "sheet" },
  ]);
  const knowing = judgeOf(last[0]!);
  knowing(0, { kind: "living", peer: second, alive: false });
  t.equal(knowing(1, proposal).effects.length, 2, "it was known before");
  const returned = judgeOf(last[0]!);
  returned(0, { kind: "living", peer: second, alive: false });
  returned(0, { kind: "living", peer: second, alive: true });
  t.same(returned(1, proposal).effects, [], "who is back has its turn again");
});

t.test("a chain goes on by what was decided, and says what does not follow", async (t) => {
  const chain = new RoundChain(TASK, firstHead(HEAD.modelHash));
  t.match(chain.take({ ...record1, baseHash: hashOf("x") }), { fault: "another base" });
  t.match(chain.take({ ...record1, samplesTotal: 21 }), { fault: "samples do not add up" });
  t.match(chain.take(record1), { kind: "next", head: { round: 1, samplesTotal: 20 } });
  t.match(chain.take(record1), { kind: "old" });
  const later = { ...record1, round: 9, previousSheetHash: hashOf("s"), samplesTotal: 900 };
  t.match(chain.take(later), { kind: "jump", head: { round: 9 } });
});
