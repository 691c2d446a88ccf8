// What rounds do otherwise in a fleet of which every agent knows but a part.
import t from "tap";
import { UPDATE_ALONG_BYTES_MAX } from "../../../../src/federated/rounds/limits.ts";
import { defaultRoundTimes } from "../../../../src/federated/rounds/options.ts";
import { Sample } from "../../../../src/federated/rounds/sample.ts";
import { decodeTalk, encodeTalk } from "../../../../src/federated/rounds/talk.ts";
import { RoundTrainer } from "../../../../src/federated/rounds/trainer.ts";
import type { TrainerInput } from "../../../../src/federated/rounds/trainer-effects.ts";
import { nodeHasher } from "../../../../src/platform/node/hasher.ts";
import { HEAD, hashOf, PACE, signerOf, TASK, wordBy } from "../../../support/rounds/words.ts";

const reader = signerOf("reader");

t.test("a short update goes with its word", async (t) => {
  const update = Uint8Array.from({ length: 100 }, (_, at) => at);
  const word = wordBy("a", { updateHash: nodeHasher.sha256Hex(update), updateBytes: 100 });
  const sent = encodeTalk({ kind: "word", word, update });
  t.same(decodeTalk(reader, sent), { kind: "word", word, update });
  const alone = encodeTalk({ kind: "word", word });
  t.same(decodeTalk(reader, alone), { kind: "word", word }, "an agent of before says but the word");
  const short = encodeTalk({ kind: "word", word, update: update.subarray(1) });
  t.equal(decodeTalk(reader, short), undefined, "not another length than the word says");
  const bytes = new Uint8Array(UPDATE_ALONG_BYTES_MAX + 1);
  const long = wordBy("a", { updateBytes: bytes.length });
  t.equal(
    decodeTalk(reader, encodeTalk({ kind: "word", word: long, update: bytes })),
    undefined,
    "not a long one",
  );
  const most = new Uint8Array(UPDATE_ALONG_BYTES_MAX);
  const full = wordBy("a", { updateBytes: most.length });
  t.ok(decodeTalk(reader, encodeTalk({ kind: "word", word: full, update: most })), "the longest");
});

t.test("of a fleet larger than anybody's table as many are asked as of a small one", async (t) => {
  const fleet = Array.from({ length: 4_000 }, (_, at) => signerOf(`agent ${at}`).peerId);
  const pace = { ...PACE, agentsMax: 80 };
  for (const round of [1, 2]) {
    const asked = fleet.filter((peer, at) => {
      // Each knows itself and 99 others, and guesses how many there are.
      const known = Array.from({ length: 100 }, (_, nth) => fleet[(at + nth * 37) % fleet.length]!);
      const sample = new Sample(nodeHasher, TASK, pace);
      sample.set(known, 4_000 + ((at % 7) - 3) * 80);
      return sample.isAsked(peer, round, 0);
    });
    t.ok(asked.length > 70 && asked.length < 135, `${asked.length} where 100 are meant`);
    const other = new Sample(nodeHasher, TASK, pace);
    other.set(fleet.slice(0, 50), 4_000);
    const agreed = asked.filter((peer) => other.isAsked(peer, round, 0)).length;
    t.ok(agreed > 0.9 * asked.length, `${agreed} of ${asked.length} in anybody's eyes`);
    const later = fleet.filter((peer) => other.isAsked(peer, round, PACE.deadlineMs)).length;
    t.ok(later > 150 && later < 250, `${later} after a deadline`);
  }
  const sample = new Sample(nodeHasher, TASK, pace);
  sample.set(fleet.slice(0, 90), 90);
  t.ok(
    fleet.slice(0, 90).every((peer) => sample.isAsked(peer, 1, 0)),
    "all of a small fleet",
  );
});

t.test("a trainer does not wait for answers to what it does not say any more", async (t) => {
  const times = { ...defaultRoundTimes, retellMs: 300, retryMs: 50 };
  const signer = signerOf("t");
  const machine = new RoundTrainer({ task: TASK, hasher: nodeHasher, pace: PACE, times, signer });
  const step = (nowMs: number, input: object) => machine.step({ nowMs, ...input } as TrainerInput);
  const base = { baseRound: 0, baseHash: HEAD.modelHash };
  const candidates = ["a", "b", "c"].map((name) => signerOf(name).peerId);
  step(0, { kind: "aggregators", peers: candidates });
  step(0, { kind: "head", head: HEAD });
  step(0, { kind: "may-train", allowed: true });
  step(1, { kind: "base", base, had: true });
  const trained = { kind: "trained", base, updateBytes: 100, samples: 10, loss: 0.5 };
  step(20, { ...trained, updateHash: hashOf("u") });
  const told = step(30, { kind: "kept", updateHash: hashOf("u"), durable: true });
  for (const effect of told.effects)
    if (effect.kind === "tell")
      step(40, { kind: "told", to: effect.to, what: effect.talk.kind, baseRound: 0 });
  // That it began was never answered, and is not said any more: its word is.
  const { effects, nextTickAtMs } = step(400, { kind: "tick" });
  t.same(effects, []);
  t.equal(nextTickAtMs, PACE.deadlineMs, "it rests until there is something to do");
});
