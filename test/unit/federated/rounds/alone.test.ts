// A trainer that is cut off learns on by itself, within bounds, and says so once it hears of the next head.
import t from "tap";
import { ALONE_MAX } from "../../../../src/federated/rounds/alone.ts";
import { baseOf, type RoundHead } from "../../../../src/federated/rounds/chain.ts";
import { defaultRoundTimes } from "../../../../src/federated/rounds/options.ts";
import { RoundTrainer } from "../../../../src/federated/rounds/trainer.ts";
import type {
  TrainerEffect,
  TrainerInput,
} from "../../../../src/federated/rounds/trainer-effects.ts";
import { nodeHasher } from "../../../../src/platform/node/hasher.ts";
import { HEAD, hashOf, PACE, signerOf, TASK } from "../../../support/rounds/words.ts";

const BASE = baseOf(HEAD);
const NEXT: RoundHead = { ...HEAD, round: 4, modelHash: hashOf("four"), sheetHash: hashOf("s") };
const trained = (base: typeof BASE) =>
  ({
    kind: "trained",
    base,
    updateHash: hashOf(base.baseHash),
    updateBytes: 9,
    samples: 10,
    loss: 1,
  }) as const;

/** One that has said its word on the first head, at 100 ms. */
function cutOff() {
  const parts = { task: TASK, hasher: nodeHasher, pace: PACE, times: defaultRoundTimes };
  const machine = new RoundTrainer({ ...parts, signer: signerOf("t") });
  let nextAtMs = 0;
  const step = (nowMs: number, input: object): readonly TrainerEffect[] => {
    const { effects, nextTickAtMs } = machine.step({ nowMs, ...input } as TrainerInput);
    nextAtMs = nextTickAtMs;
    return effects;
  };
  step(0, { kind: "aggregators", peers: [signerOf("a").peerId] });
  step(0, { kind: "may-train", allowed: true });
  step(0, { kind: "head", head: HEAD });
  step(0, { kind: "base", base: BASE, had: true });
  step(100, trained(BASE));
  step(100, { kind: "kept", updateHash: hashOf(BASE.baseHash), durable: true });
  /** Ticks as it asks for, and answers. @returns when it trained alone */
  const run = (untilMs: number): number[] => {
    const times: number[] = [];
    for (;;) {
      const atMs = nextAtMs;
      if (atMs > untilMs) return times;
      const effects = step(atMs, { kind: "tick" });
      t.notOk(effects.some((each) => each.kind === "tell" && each.talk.kind === "begun"));
      if (!effects.some(({ kind }) => kind === "train-alone")) continue;
      times.push(atMs);
      step(atMs, { kind: "trained-alone", base: BASE });
    }
  };
  return { machine, step, run };
}

t.test("after three deadlines, once a deadline, and not for ever", async (t) => {
  const { run } = cutOff();
  t.same(
    run(60_000),
    Array.from({ length: ALONE_MAX }, (_, at) => (3 + at) * PACE.deadlineMs),
  );
});

t.test("not while rounds come about, and not where power is short", async (t) => {
  const { step } = cutOff();
  t.same(
    step(2_999, { kind: "tick" }).filter(({ kind }) => kind === "train-alone"),
    [],
  );
  step(3_000, { kind: "may-train", allowed: false });
  t.notOk(step(9_000, { kind: "tick" }).some(({ kind }) => kind === "train-alone"));
  t.ok(
    step(9_001, { kind: "may-train", allowed: true }).some(({ kind }) => kind === "train-alone"),
  );
});

t.test("a head that it hears of ends it, and is trained on with a word of its own", async (t) => {
  const { machine, step } = cutOff();
  step(3_000, { kind: "tick" });
  t.equal(machine.state, "training");
  const effects = step(3_100, { kind: "head", head: NEXT });
  t.match(effects, [{ kind: "abandon", base: BASE }]);
  t.ok(effects.some(({ kind }) => kind === "fetch-base"));
  t.same(
    step(3_200, { kind: "trained-alone", base: BASE }).filter(({ kind }) => kind === "keep"),
    [],
    "too late",
  );
  step(3_200, { kind: "base", base: baseOf(NEXT), had: true });
  t.match(
    step(3_300, trained(baseOf(NEXT))).find(({ kind }) => kind === "keep"),
    { word: { baseRound: 4, edition: 1, samples: 10 } },
  );
});

t.test("where it comes to nothing it waits for the next head", async (t) => {
  const { step } = cutOff();
  step(3_000, { kind: "tick" });
  step(3_001, { kind: "failed", base: BASE, reason: "not finite" });
  t.notOk(step(50_000, { kind: "tick" }).some(({ kind }) => kind === "train-alone"));
});
