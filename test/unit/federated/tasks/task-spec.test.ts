import { readdirSync, readFileSync } from "node:fs";
import t from "tap";
import { parse } from "yaml";
import { completeSpec } from "../../../../src/federated/tasks/task-spec.ts";
import { specWith } from "../../../support/learning/task-world.ts";

t.test("what is left out is filled in", async (t) => {
  const { pace, client, seed } = specWith();
  t.match(pace, { agentsMin: 2, agentsMax: 1_024, deadlineMs: 60_000, takeoverMs: 10_000 });
  t.match(client, { epochs: 1, batchSize: 10, momentum: 0 });
  t.equal(seed, 1);
});

t.test("what can not be is refused by name", async (t) => {
  const corrected = { kind: "local", learningRate: 0.1, scaffold: true };
  const faults: Record<string, [object, RegExp]> = {
    "a key that is none": [{ pase: {} }, /pase is not known; did you mean pace/],
    "no rounds": [{ rounds: 0 }, /rounds/],
    "a layer without units": [
      { model: { inputShape: [4], layers: [{ kind: "dense" }], loss: "mean-squared-error" } },
      /layers.*units is missing/,
    ],
    "a kernel longer than the input": [
      {
        model: {
          inputShape: [4, 1],
          layers: [{ kind: "conv1d", filters: 2, kernelSize: 9 }, { kind: "flatten" }],
          loss: "mean-squared-error",
        },
      },
      /model: layer 0 \(conv1d\)/,
    ],
    "a rule that is none": [{ strategy: { rule: { kind: "crum" } } }, /strategy.*krum/],
    "fewer at most than at least": [
      { pace: { agentsMin: 5, agentsMax: 3 } },
      /pace.agentsMin \(5\) is above pace.agentsMax \(3\)/,
    ],
    "a buffer that never fills": [
      { pace: { agentsMax: 3, buffered: { updates: 4 } } },
      /pace.buffered.updates \(4\)/,
    ],
    "variates of steps with momentum": [
      { client: { ...corrected, momentum: 0.9 } },
      /client.momentum.*leave momentum out/,
    ],
    "variates by a rule that measures": [
      { client: corrected, strategy: { rule: { kind: "centred-clipping", radius: 1 } } },
      /strategy.rule: centred-clipping.*trimmed-mean/,
    ],
    "variates that are compressed": [
      { client: corrected, compression: { quantize: "int8" } },
      /compression.*client.scaffold/,
    ],
    "variates of rounds that do not wait": [
      { client: corrected, pace: { buffered: { updates: 2 } } },
      /pace.buffered: client.scaffold/,
    ],
    "variates beside training of another kind": [
      {
        client: corrected,
        personalization: { kind: "per-fed-avg", innerLearningRate: 0.1, learningRate: 0.1 },
      },
      /personalization.kind: per-fed-avg/,
    ],
  };
  Object.assign(faults, teachingFaults());
  t.ok(specWith({ client: corrected, strategy: { rule: { kind: "median" } } }));
  for (const [name, [changes, message]] of Object.entries(faults))
    t.throws(() => specWith(changes), { code: "learning.spec", message }, name);
  for (const document of [undefined, null, 7, "rounds: 3", []])
    t.throws(() => completeSpec(document), { code: "learning.spec" });
});

/** What may not be beside agents that teach each other. */
function teachingFaults(): Record<string, [object, RegExp]> {
  const layers = (units: number) => [{ kind: "dense", units }];
  const model = { inputShape: [4], layers: layers(3), loss: "softmax-cross-entropy" };
  const teaching = (more: object = {}) => ({
    architectures: { small: { layers: layers(3) } },
    transfer: { kind: "generated" },
    learningRate: 0.1,
    ...more,
  });
  const taught = (more: object): object => ({ model, teaching: teaching(), ...more });
  return {
    "answers that are no classes": [
      taught({ model: { ...model, loss: "mean-squared-error" } }),
      /model.loss has to be softmax-cross-entropy/,
    ],
    "a network with other classes": [
      taught({ teaching: teaching({ architectures: { small: { layers: layers(2) } } }) }),
      /teaching.architectures.small gives 2 numbers, model 3/,
    ],
    "a network that can not be": [
      taught({
        teaching: teaching({ architectures: { odd: { layers: [{ kind: "lstm", units: 2 }] } } }),
      }),
      /teaching.architectures: layer 0 \(lstm\)/,
    ],
    "a network of the same name as the task's own": [
      taught({ teaching: teaching({ architectures: { model: { layers: layers(3) } } }) }),
      /teaching.architectures.model: .*take another name/,
    ],
    "no network": [taught({ teaching: teaching({ architectures: {} }) }), /architectures/],
    "a transfer set of no kind": [
      taught({ teaching: teaching({ transfer: { kind: "guessed" } }) }),
      /teaching.transfer/,
    ],
    "more answers than can be told": [
      taught({
        model: { ...model, layers: layers(100) },
        teaching: teaching({
          architectures: { small: { layers: layers(100) } },
          transfer: { kind: "generated", count: 50_000 },
        }),
      }),
      /teaching.transfer.count: 5000000 answers/,
    ],
    "models of one's own twice": [
      taught({ personalization: { kind: "ditto", learningRate: 0.1 } }),
      /personalization: with teaching/,
    ],
    "variates of many models": [
      taught({ client: { kind: "local", learningRate: 0.1, scaffold: true } }),
      /client.scaffold: it corrects/,
    ],
    "answers of rounds that do not wait": [
      taught({ pace: { buffered: { updates: 2 } } }),
      /pace.buffered: answers/,
    ],
  };
}

t.test("agents that teach each other answer on a thousand samples", async (t) => {
  const network = { layers: [{ kind: "dense", units: 3 }] };
  const { teaching } = specWith({
    model: { ...network, inputShape: [4], loss: "softmax-cross-entropy" },
    teaching: {
      architectures: { small: network },
      transfer: { kind: "generated" },
      learningRate: 0.1,
    },
  });
  t.match(teaching, {
    transfer: { kind: "generated", count: 1_000, mean: 0, deviation: 1 },
    epochs: 1,
    batchSize: 20,
  });
});

/** A task on two channels of streams. */
const streams = (data: object = {}, more: object = {}) => ({
  model: {
    inputShape: [6, 2],
    layers: [{ kind: "flatten" }, { kind: "dense", units: 12 }],
    loss: "mean-squared-error",
  },
  data: {
    kind: "streams",
    channels: [
      { name: "t", topic: "plant/+/t" },
      { name: "v", topic: "plant/+/v", combine: "max" },
    ],
    everyMs: 1_000,
    windowLength: 6,
    gapMsMax: 5_000,
    historyMs: 3_600_000,
    samplesMax: 1_000,
    goal: { kind: "reconstruct" },
    ...data,
  },
  ...more,
});

t.test("a task on streams is served unless told otherwise", async (t) => {
  const { data, serving } = specWith(streams());
  t.match(data, { normalize: "federated", fillMax: 0, channels: [{ combine: "mean" }, {}] });
  t.match(serving, {
    detector: { quantile: 0.99, raiseCount: 3, raiseOf: 5 },
    canary: { shadowWindows: 32, worseShareMax: 0.1 },
  });
  t.equal(specWith().serving, undefined, "a dataset is not");
});

t.test("a model has to fit the windows that it is to learn from", async (t) => {
  const faults: Record<string, [object, RegExp]> = {
    "another window": [streams({ windowLength: 7 }), /model.inputShape is \[6, 2\].*\[7, 2\]/],
    "another goal": [
      streams({ goal: { kind: "forecast", horizon: 3 } }),
      /model.layers give 12 numbers, data.goal forecast wants 6/,
    ],
    "classes with an error of squares": [
      streams({ goal: { kind: "classify", classes: 12, labels: { kind: "hand" } } }),
      /model.loss is mean-squared-error/,
    ],
    "a filter that is none": [
      streams({ channels: [{ name: "t", topic: "plant/#/t" }] }),
      /data.channels\[0\].topic: .*# stands alone/,
    ],
    "a history shorter than a window": [streams({ historyMs: 3_000 }), /data.historyMs/],
    "an alert that can not be": [
      streams({}, { serving: { detector: { raiseCount: 6 } } }),
      /serving.detector.raiseCount \(6\) is above raiseOf \(5\)/,
    ],
    "serving a dataset": [{ serving: {} }, /serving: only what is learned from streams/],
    "a scale and a buffer": [
      streams({}, { pace: { buffered: { updates: 2 } } }),
      /pace.buffered: .*data.normalize: window/,
    ],
    "a key that is none": [streams({ windowLenght: 3 }), /did you mean windowLength/],
  };
  for (const [name, [changes, message]] of Object.entries(faults))
    t.throws(() => specWith(changes), { code: "learning.spec", message }, name);
});

t.test("examples can be learned", async (t) => {
  const directory = new URL("../../../../examples/learn/tasks/", import.meta.url);
  const files = readdirSync(directory);
  t.ok(files.includes("anomaly.yaml"));
  for (const file of files) {
    const spec = completeSpec(parse(readFileSync(new URL(file, directory), "utf8")));
    t.equal(`${spec.name}.yaml`, file);
  }
});
