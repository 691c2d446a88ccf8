import t from "tap";
import { describeFaults } from "../../../../src/device/schema-faults.ts";
import {
  bindingFaults,
  columnsOf,
  type StreamBinding,
  sampleShapeOf,
  streamBindingOptions,
} from "../../../../src/federated/streams/binding.ts";
import { topicMatcher } from "../../../../src/readings/topic-filter.ts";
import { bindingOf } from "../../../support/learning/stream-fixtures.ts";

const faults = (binding: StreamBinding) => bindingFaults(binding, topicMatcher);
const channel = (name: string, said: object = {}) => ({ name, topic: `plant/${name}`, ...said });

t.test("a binding that fits has no faults", async (t) => {
  const binding = bindingOf({
    channels: [channel("air", { field: "/air/temperature" }), channel("load", { topic: "load/+" })],
    goal: { kind: "forecast", horizon: 3 },
  });
  t.same(describeFaults(streamBindingOptions, binding), []);
  t.same(faults(binding), []);
});

t.test("each fault names its setting and what would do", async (t) => {
  const twoRules = [
    { channel: "heat", above: 3, class: 1 },
    { channel: "t", class: 7 },
  ];
  const cases: readonly (readonly [object, RegExp])[] = [
    [
      { channels: [channel("a", { topic: "a/#/b" })] },
      /^data\.channels\[0\]\.topic: .*# stands alone/,
    ],
    [{ channels: [channel("a"), channel("a")] }, /^data\.channels\[1\]\.name: a is there twice/],
    [
      { channels: [channel("a", { range: { min: 5, max: 5 } })] },
      /^data\.channels\[0\]\.range: min/,
    ],
    [{ gapMsMax: 500 }, /^data\.gapMsMax \(500\) is below everyMs \(1000\)/],
    [{ historyMs: 3_000 }, /^data\.historyMs .* take 4000 or more/],
    [{ everyMs: 10, historyMs: 3_650 * 86_400_000 }, /^data\.historyMs: .* larger everyMs/],
    [{ windowLength: 3_000, samplesMax: 1_000_000 }, /^data\.samplesMax: .* take 5592 or less/],
    [
      { goal: { kind: "classify", classes: 2, labels: { kind: "rules", rules: twoRules } } },
      /there is no channel heat, only t;.*rules\[1\]: above or below is missing;.*classes go from 0 to 1/,
    ],
    [
      { goal: { kind: "classify", classes: 2, labels: { kind: "topic", topic: "x/+y" } } },
      /^data\.goal\.labels\.topic: .*\+ stands alone/,
    ],
  ];
  for (const [said, expected] of cases) t.match(faults(bindingOf(said)).join(";"), expected);
});

t.test("what the schema refuses is named too", async (t) => {
  t.match(
    describeFaults(streamBindingOptions, { ...bindingOf(), windowSize: 5 }).join(),
    /windowS/,
  );
  const wrong = { ...bindingOf(), goal: { kind: "predict" } };
  t.match(
    describeFaults(streamBindingOptions, wrong).join(),
    /goal\.kind must be one of reconstruct, forecast, classify/,
  );
  t.match(describeFaults(streamBindingOptions, { ...bindingOf(), everyMs: 1 }).join(), /everyMs/);
});

t.test("a model's shape follows from the binding", async (t) => {
  const channels = [channel("a"), channel("b")];
  t.same(sampleShapeOf(bindingOf({ channels })), {
    inputShape: [4, 2],
    outputs: 8,
    loss: "mean-squared-error",
  });
  t.equal(
    sampleShapeOf(bindingOf({ channels, goal: { kind: "forecast", horizon: 3 } })).outputs,
    6,
  );
  const labels = { kind: "topic", topic: "plant/state" };
  const binding = bindingOf({ channels, goal: { kind: "classify", classes: 5, labels } });
  t.same(sampleShapeOf(binding), {
    inputShape: [4, 2],
    outputs: 5,
    loss: "softmax-cross-entropy",
  });
  t.same(
    columnsOf(binding).map(({ topic }) => topic),
    ["plant/a", "plant/b", "plant/state"],
    "the label is recorded beside the channels",
  );
});
