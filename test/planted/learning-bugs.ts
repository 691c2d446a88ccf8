import type { PlantedBug } from "./bugs.ts";

const WORLD: readonly string[] = [
  "--scenario=SCENARIOS/learning.yaml",
  "--agents=8",
  "--hours=0.05",
  "--intensity=6",
];
const BUFFERED: readonly string[] = [
  "--scenario=SCENARIOS/learning-buffered.yaml",
  ...WORLD.slice(1),
];

/** Bugs in what a fleet learns together. */
export const learningBugs: readonly PlantedBug[] = [
  {
    name: "judge-without-recomputing",
    about: "a judge accepts whatever model the aggregator says came of the updates",
    file: "federated/rounds/judge.ts",
    find: 'if (input.modelHash !== modelHash) this.#convict(one, "another model comes of it");',
    replace: 'if (input.modelHash !== modelHash) this.#decide(one.id, "accept");',
    options: WORLD,
  },
  {
    name: "count-an-update-again",
    about: "nobody looks whether an update was counted in an earlier round",
    file: "federated/rounds/history.ts",
    find: 'if (sheet.words.some((each) => isCounted(each, word))) return "counted already";',
    replace: "void isCounted;",
    options: BUFFERED,
  },
  {
    name: "word-before-disk",
    about: "a trainer's word is told before it is on disk",
    file: "federated/running/task-memory.ts",
    find: "return store.write(operations, { durable: true });",
    replace: "void operations; return Promise.resolve();",
    options: WORLD,
  },
  {
    name: "forget-the-samples-before",
    about: "the total of samples begins anew with each round",
    file: "federated/rounds/attempt.ts",
    find: "samplesTotal: this.#samplesBefore + samples,",
    replace: "samplesTotal: Math.max(samples, 0 * this.#samplesBefore),",
    also: [
      {
        file: "federated/rounds/chain.ts",
        find: "if (record.samplesTotal !== head.samplesTotal + record.samples)",
        replace: "if (record.samplesTotal < record.samples)",
      },
    ],
    options: WORLD,
  },
  {
    name: "close-with-too-few",
    about: "a round is closed with one update where the task wants two",
    file: "federated/rounds/aggregator.ts",
    find: "if (nowMs < deadlineAtMs) {",
    replace: "if (have === 1) return true;\n    if (nowMs < deadlineAtMs) {",
    also: [
      {
        file: "federated/rounds/sheet-check.ts",
        find: "if (record.updates < agentsMin)",
        replace: "if (record.updates < 0 * agentsMin)",
      },
    ],
    options: WORLD,
  },
  {
    name: "weigh-the-stale-in-full",
    about: "an update on an old model weighs as much as one on the newest",
    file: "federated/rounds/step.ts",
    find: "weight: weightOf(word, round),",
    replace: "weight: weightOf(word, word.baseRound + Math.min(1, round)),",
    options: BUFFERED,
  },
  {
    name: "never-take-a-round-over",
    about: "only the first candidate ever puts a round together",
    file: "federated/rounds/candidates.ts",
    find: "return rankOfOne === 0 ? 0 : deadlineMs + rankOfOne * takeoverMs;",
    replace: "return rankOfOne === 0 ? 0 : 1e12 + deadlineMs + rankOfOne * takeoverMs;",
    // So few that the device that computes wrongly gets its turn.
    options: [...WORLD, "--agents=4"],
  },
];
