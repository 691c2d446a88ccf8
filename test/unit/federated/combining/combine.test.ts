import t from "tap";
import { type CombineJob, combine, inspect } from "../../../../src/federated/combining/combine.ts";
import { variateIn } from "../../../../src/federated/combining/variates.ts";
import {
  bytesOfWeights,
  weightsOfBytes,
} from "../../../../src/federated/combining/weights-codec.ts";
import { compress } from "../../../../src/federated/compression/codec.ts";
import { PlainVectorMath } from "../../../../src/federated/strategies/plain-vector-math.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";

const bytes = (...values: number[]) => bytesOfWeights(Float32Array.from(values));
const update = (sender: string, weight: number, ...values: number[]) => ({
  sender,
  weight,
  loss: 1,
  bytes: bytes(...values),
});
const base: CombineJob = {
  strategy: {},
  parameterCount: 2,
  compressed: false,
  base: bytes(1, 1),
  updates: [update("a", 1, 1, 0), update("b", 3, 0, 1)],
};
const combined = (job: Partial<CombineJob>) =>
  combine({ ...base, ...job }, { math: new PlainVectorMath(), random: new SeededRandom("chance") });

t.test("the next model, whatever the order that updates came in", async (t) => {
  const one = combined({});
  t.same(one, { kind: "combined", model: bytes(1.25, 1.75) });
  t.same(combined({ updates: base.updates.toReversed() }), one);
});

t.test("what a strategy remembers goes on from round to round", async (t) => {
  const strategy = { server: { kind: "fedavgm", momentum: 0.5 } };
  const first = combined({ strategy });
  if (first.kind !== "combined" || first.state === undefined) throw new Error("it has a state");
  const second = combined({ strategy, base: first.model, state: first.state });
  if (second.kind !== "combined") throw new Error("it goes on");
  t.same(weightsOfBytes(second.model, 2), Float32Array.of(1.625, 2.875));
  t.match(combined({ strategy, state: Uint8Array.of(1, 2, 3) }), {
    kind: "failed",
    reason: /no state/,
  });
});

t.test("whose update can not be used is named", async (t) => {
  const liars: Record<string, Uint8Array> = {
    "another length": bytes(1, 2, 3),
    "not a number": bytes(Number.NaN, 0),
    infinite: bytes(0, Number.POSITIVE_INFINITY),
    nothing: new Uint8Array(0),
  };
  for (const [name, content] of Object.entries(liars)) {
    const liar = { ...update("liar", 1), bytes: content };
    t.match(
      combined({ updates: [...base.updates, liar] }),
      { kind: "blamed", sender: "liar" },
      name,
    );
    t.equal(inspect(content, base), "malformed", name);
  }
  t.equal(inspect(bytes(0, -0), base), "empty");
  t.equal(inspect(bytes(0, 1e-45), base), "good");
  t.match(combined({ strategy: { rule: { kind: "krum", byzantine: 1 } } }), {
    kind: "failed",
    reason: /krum/i,
  });
  t.match(combined({ base: bytes(1) }), { kind: "failed" });
});

t.test("compressed updates are unpacked; what is no such is its sender's fault", async (t) => {
  const packed = compress(Float32Array.of(1, 0), { topShare: 0.5 });
  const updates = [{ ...update("a", 1), bytes: packed }];
  t.same(combined({ compressed: true, updates }), { kind: "combined", model: bytes(2, 1) });
  t.match(combined({ compressed: true }), { kind: "blamed", sender: "a" });
  t.equal(inspect(packed.subarray(0, 9), { ...base, compressed: true }), "malformed");
});

t.test(
  "variates ride behind changes, by the same rule, and come back with the state",
  async (t) => {
    const server = { kind: "fedavgm", momentum: 0.5 };
    const updates = [
      update("a", 1, 1, 0, 10, 20),
      update("b", 3, 0, 1, 30, 0),
      update("c", 1, 0, 0, 90, 1),
    ];
    const first = combined({ variates: true, strategy: { server }, updates: updates.slice(0, 2) });
    if (first.kind !== "combined" || first.state === undefined) throw new Error("it has a state");
    t.same(weightsOfBytes(first.model, 2), Float32Array.of(1.25, 1.75), "as without them");
    t.same(variateIn(first.state, 2), Float32Array.of(25, 5), "the weighted mean of what all saw");
    const rule = { kind: "median" };
    const second = combined({
      variates: true,
      strategy: { rule, server },
      base: first.model,
      state: first.state,
      updates,
    });
    if (second.kind !== "combined" || second.state === undefined) throw new Error("it goes on");
    t.same(
      weightsOfBytes(second.model, 2),
      Float32Array.of(1.375, 2.125),
      "the server's momentum is not mixed up with them",
    );
    t.same(variateIn(second.state, 2), Float32Array.of(30, 1), "a median: nothing of the old one");
  },
);

t.test(
  "whose variate can not be used is named; one that keeps a model at rest is work",
  async (t) => {
    const honest = [update("a", 1, 1, 0, 1, 1), update("b", 1, 0, 1, 1, 1)];
    const form = { ...base, variates: true };
    for (const [name, content] of Object.entries({
      none: bytes(1, 0),
      "half a one": bytes(1, 0, 1),
      "not finite": bytes(1, 0, 1, Number.NaN),
    })) {
      const liar = { ...update("liar", 1), bytes: content };
      const ended = combined({ variates: true, updates: [...honest, liar] });
      t.match(ended, { kind: "blamed", sender: "liar" }, name);
      t.equal(inspect(content, form), "malformed", name);
    }
    t.equal(inspect(bytes(0, 0, 1, 1), form), "good");
    t.equal(inspect(bytes(0, 1, 0, 0), form), "good");
    t.equal(inspect(bytes(0, 0, 0, 0), form), "empty");
    t.match(combined({ updates: honest }), { kind: "blamed" }, "where nobody asked for them");
  },
);
