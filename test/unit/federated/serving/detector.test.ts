import t from "tap";
import { AlertGate } from "../../../../src/federated/serving/alert-gate.ts";
import { detectionQuality } from "../../../../src/federated/serving/detection-quality.ts";
import { StreamDetector } from "../../../../src/federated/serving/detector.ts";
import { detectorFaults } from "../../../../src/federated/serving/detector-options.ts";
import {
  agreeThreshold,
  errorsOf,
  type Predictor,
  thresholdOf,
} from "../../../../src/federated/serving/window-errors.ts";
import type { JudgedWindow } from "../../../../src/federated/streams/stream-samples.ts";

const alerts = { raiseCount: 2, raiseOf: 3, clearAfter: 2, alertsPerHourMax: 100 };
const MINUTE_MS = 60_000;

/** Answers every window with zeros: its error is the mean square of what the window holds. */
const zeros: Predictor = { predict: async (features) => new Float32Array(features.length) };
const windowOf = (minute: number, value: number): JudgedWindow => {
  const features = Float32Array.of(value, value);
  return {
    features,
    targets: features,
    fromMs: (minute - 1) * MINUTE_MS,
    toMs: minute * MINUTE_MS,
  };
};
const served = (model: Predictor, said: object = {}) => ({
  round: 3,
  hash: "aa",
  model,
  threshold: 1,
  ...said,
});
const detectorOf = (said: object = {}) =>
  new StreamDetector({ task: "task-1", goal: "reconstruct", alerts, stepMs: MINUTE_MS, ...said });

t.test("a score for each window, an alert after enough of them, and its end", async (t) => {
  const detector = detectorOf();
  detector.serve(served(zeros));
  const changes: (string | undefined)[] = [];
  const values = [0, 3, 0, 3, 3, 0, 3, 0, 0, 0];
  for (const [minute, value] of values.entries()) {
    const judged = await detector.judge(windowOf(minute, value));
    t.equal(judged?.score.score, value * value);
    t.equal(judged?.score.isAnomalous, value > 1);
    changes.push(judged?.alert?.state);
  }
  t.same(changes.map((change) => change ?? "-").join(" "), "- - - raised - - - - cleared -");
  t.match(detector.counts(), { judged: 10, anomalous: 4, alerts: 1, skipped: 0 });
});

t.test("messages say all that is needed, and are JSON", async (t) => {
  const detector = detectorOf({ alerts: { ...alerts, raiseCount: 1 } });
  detector.serve(served(zeros));
  const judged = await detector.judge(windowOf(5, 3));
  t.same(JSON.parse(JSON.stringify(judged)), {
    score: {
      task: "task-1",
      atMs: 300_000,
      score: 9,
      threshold: 1,
      isAnomalous: true,
      round: 3,
      window: { fromMs: 240_000, toMs: 300_000 },
    },
    alert: {
      task: "task-1",
      state: "raised",
      atMs: 300_000,
      sinceMs: 300_000,
      score: 9,
      threshold: 1,
      round: 3,
      window: { fromMs: 240_000, toMs: 300_000 },
      suppressed: 0,
    },
  });
});

t.test("one window at a time, one a step: who is behind skips, and counts it", async (t) => {
  const held: (() => void)[] = [];
  const slow: Predictor = {
    predict: (features) =>
      new Promise((done) => {
        held.push(() => done(new Float32Array(features.length)));
      }),
  };
  const detector = detectorOf();
  t.equal(await detector.judge(windowOf(0, 1)), undefined, "there is no model yet");
  detector.serve(served(slow));
  const first = detector.judge(windowOf(1, 1));
  t.equal(await detector.judge(windowOf(2, 1)), undefined);
  for (const done of held.splice(0)) done();
  t.ok(await first);
  t.notOk(detector.isDue(1.5 * MINUTE_MS));
  t.equal(await detector.judge(windowOf(1.5, 1)), undefined, "not due");
  const later = detector.judge(windowOf(3, 1));
  for (const done of held.splice(0)) done();
  t.ok(await later);
  t.match(detector.counts(), { judged: 2, skipped: 2 });
});

t.test("a model that fails, or answers with what is no number, stops nothing", async (t) => {
  const detector = detectorOf({ alerts: { ...alerts, raiseCount: 1 } });
  detector.serve(served({ predict: () => Promise.reject(new Error("disposed")) }));
  t.equal(await detector.judge(windowOf(1, 1)), undefined);
  detector.serve(served({ predict: async () => Float32Array.of(Number.NaN, 1) }));
  const judged = await detector.judge(windowOf(2, 1));
  t.equal(judged?.score.isAnomalous, true);
  t.equal(JSON.parse(JSON.stringify(judged?.score)).score, Number.MAX_VALUE);
  t.match(detector.counts(), { failed: 1, judged: 1 });
});

t.test("a model on trial judges the same windows in the shadow, and says nothing", async (t) => {
  const detector = detectorOf();
  detector.serve(served(zeros));
  const same: Predictor = { predict: async (features) => features.slice() };
  detector.shadow(served(same, { round: 4, hash: "bb" }));
  const judged = await detector.judge(windowOf(1, 3));
  t.same(judged?.shadow, { round: 4, hash: "bb", score: 0 });
  t.equal(judged?.score.score, 9);
  detector.shadow(undefined);
  t.equal((await detector.judge(windowOf(2, 3)))?.shadow, undefined);
});

t.test("a forecast is told in the sensor's units, its residual is the score", async (t) => {
  const normalization = { mean: Float64Array.of(20), deviation: Float64Array.of(2) };
  const detector = detectorOf({ goal: "forecast", normalization });
  // Goes on with the last value of each window.
  const naive: Predictor = {
    predict: async (features, count) =>
      Float32Array.from({ length: count }, (_, at) => features[at * 2 + 1] ?? 0),
  };
  detector.serve(served(naive));
  const judged = await detector.judge({
    features: Float32Array.of(0, 1),
    targets: Float32Array.of(4),
    newest: Float32Array.of(1, 4),
    fromMs: 0,
    toMs: MINUTE_MS,
  });
  t.equal(judged?.score.score, 9);
  t.same(judged?.score.forecast, [28]);
});

t.test("with classes the score is what is left for others than the first", async (t) => {
  const detector = detectorOf({ goal: "classify" });
  detector.serve(
    served({ predict: async () => Float32Array.of(0, Math.log(3), 0) }, { threshold: 0.5 }),
  );
  const judged = await detector.judge(windowOf(1, 1));
  t.ok(Math.abs((judged?.score.score ?? 0) - 0.8) < 1e-6);
  t.equal(judged?.score.class, 1);
  t.equal(judged?.score.isAnomalous, true);
});

t.test("not more alerts in an hour than are wanted; the rest is counted", async (t) => {
  const gate = new AlertGate({ raiseCount: 1, raiseOf: 1, clearAfter: 1, alertsPerHourMax: 2 });
  const told: string[] = [];
  for (let minute = 0; minute < 100; minute++) {
    const change = gate.take(minute % 2 === 0, minute * MINUTE_MS);
    if (change !== undefined) told.push(`${minute} ${change}`);
  }
  t.same(
    told.filter((change) => change.includes("raised")),
    ["0 raised", "2 raised", "60 raised", "62 raised"],
  );
  t.equal(told.length, 8, "each has its end, and those that were not told have none");
  t.equal(gate.suppressed, 46);
});

t.test("thresholds: the quantile of errors, and what a fleet agrees on", async (t) => {
  const errors = Float32Array.from({ length: 100 }, (_, at) => 100 - at);
  t.equal(thresholdOf(errors, { quantile: 0.99, margin: 2 }), 198);
  t.equal(thresholdOf(errors, { quantile: 1, margin: 1 }), 100);
  t.equal(thresholdOf(errors, { quantile: 0.001, margin: 1 }), 1);
  t.throws(() => thresholdOf(new Float32Array(), { quantile: 0.9, margin: 1 }), {
    code: "data.setting",
    message: /history is too short/,
  });
  t.throws(
    () => thresholdOf(Float32Array.of(Number.POSITIVE_INFINITY), { quantile: 1, margin: 1 }),
    {
      code: "data.setting",
    },
  );
  t.equal(agreeThreshold([3, 1e30, 2, Number.NaN, -1, 4, 0]), 3.5);
  t.equal(agreeThreshold([Number.NaN]), undefined);
});

t.test("errors of many samples are asked for in portions", async (t) => {
  const asked: number[] = [];
  const model: Predictor = {
    predict: async (features, count) => {
      asked.push(count);
      return features.map((value) => value + 2);
    },
  };
  const features = Float32Array.from({ length: 1_400 }, (_, at) => at);
  const errors = await errorsOf(model, { count: 700, features, targets: features });
  t.same(asked, [256, 256, 188]);
  t.ok(errors.every((error) => error === 4));
});

t.test("quality is that of events, as whoever is called out by them sees it", async (t) => {
  const labelled = [
    { fromMs: 100, toMs: 200 },
    { fromMs: 500, toMs: 600 },
  ];
  const told = [
    { fromMs: 150, toMs: 160 },
    { fromMs: 180, toMs: 300 },
    { fromMs: 400, toMs: 450 },
  ];
  t.same(detectionQuality(told, labelled), {
    detected: 1,
    missed: 1,
    falseAlerts: 1,
    precision: 1 - 1 / 3,
    recall: 0.5,
    delayMsMean: 50,
  });
  t.same(detectionQuality([], []), {
    detected: 0,
    missed: 0,
    falseAlerts: 0,
    precision: 1,
    recall: 1,
  });
  t.match(detectionQuality([{ fromMs: 0, toMs: Number.POSITIVE_INFINITY }], labelled), {
    recall: 1,
    delayMsMean: 0,
  });
});

t.test("settings that contradict each other are named", async (t) => {
  const options = { ...alerts, quantile: 0.99, margin: 2 };
  t.same(detectorFaults(options), []);
  t.match(
    detectorFaults({ ...options, raiseOf: 1 })[0],
    /detector\.raiseCount \(2\) is above raiseOf \(1\)/,
  );
});
