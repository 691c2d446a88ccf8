import t from "tap";
import { completeSpec } from "../../../../src/federated/tasks/task-spec.ts";
import { specWith } from "../../../support/learning/task-world.ts";

t.test("what is left out is filled in", async (t) => {
  const { pace, client, seed } = specWith();
  t.match(pace, { agentsMin: 2, agentsMax: 1_024, deadlineMs: 60_000, takeoverMs: 10_000 });
  t.match(client, { epochs: 1, batchSize: 10, momentum: 0 });
  t.equal(seed, 1);
});

t.test("what can not be is refused by name", async (t) => {
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
    scaffold: [{ client: { kind: "local", learningRate: 0.1, scaffold: true } }, /client.scaffold/],
  };
  for (const [name, [changes, message]] of Object.entries(faults))
    t.throws(() => specWith(changes), { code: "learning.spec", message }, name);
  for (const document of [undefined, null, 7, "rounds: 3", []])
    t.throws(() => completeSpec(document), { code: "learning.spec" });
});
