// What agent and receiver share, beside the plainest thing that could do the same.
import * as fc from "fast-check";
import t from "tap";
import { applyMergePatch, diffMergePatch } from "../../src/sync/merge-patch.ts";
import { SequenceRanges } from "../../src/sync/sequence-ranges.ts";
import { StatePatcher } from "../../src/sync/state-patcher.ts";
import { formatTimestamp, parseTimestamp } from "../../src/sync/timestamp.ts";

const seed = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);
t.comment(`seed ${seed} (SEED=${seed} runs these again)`);
const check = (property: fc.IProperty<unknown[]>): void =>
  fc.assert(property as fc.IProperty<unknown>, { seed, numRuns: 400 });

const sequence = fc.integer({ min: 1, max: 40 });
const steps = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.record({ do: fc.constant("add" as const), n: sequence }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("settle" as const), n: sequence }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("remove" as const), n: sequence }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("store" as const), n: sequence }) },
  ),
  { maxLength: 80 },
);

t.test("sequence ranges are a set of numbers", async () => {
  check(
    fc.property(steps, (steps) => {
      let ranges = new SequenceRanges(1_000);
      const set = new Set<number>();
      for (const step of steps) {
        if (step.do === "add") {
          const outcome = ranges.add(step.n);
          t.equal(outcome, set.has(step.n) ? "known" : "added");
          set.add(step.n);
        } else if (step.do === "settle") {
          const missing = ranges.settle(step.n).flatMap(([a, b]) => numbers(a, b));
          const expected = numbers(1, step.n - 1).filter((n) => !set.has(n));
          if (JSON.stringify(missing) !== JSON.stringify(expected)) throw new Error("missing");
          for (const n of expected) set.add(n);
        } else if (step.do === "remove") {
          ranges.remove(step.n);
          set.delete(step.n);
        } else ranges = SequenceRanges.decode(ranges.encode(), 1_000);
        const { through, ranges: runs } = ranges.marks();
        const held = [...numbers(1, through), ...runs.flatMap(([a, b]) => numbers(a, b))];
        if (held.join() !== [...set].sort((a, b) => a - b).join()) throw new Error("contents");
        if (ranges.last !== Math.max(0, ...set)) throw new Error("last");
        for (let n = 1; n < 42; n++) if (ranges.has(n) !== set.has(n)) throw new Error("has");
        SequenceRanges.fromMarks(ranges.marks(), 1_000);
      }
    }),
  );
});

t.test("merging is the union, and bounded sets never claim what they lack", async () => {
  check(
    fc.property(
      fc.array(sequence),
      fc.array(sequence),
      fc.integer({ min: 1, max: 6 }),
      (left, right, max) => {
        const both = [new SequenceRanges(max), new SequenceRanges(max)] as const;
        const taken = [left, right].map((all, at) =>
          all.filter((n) => both[at]?.add(n) === "added"),
        );
        for (const at of [0, 1])
          for (let n = 1; n < 42; n++)
            if (both[at]?.has(n) === true && taken[at]?.includes(n) !== true)
              throw new Error(`claims ${n}`);
        if (both[0].rangeCount > max) throw new Error("too many ranges");
        const before = both[0].marks();
        const merged = both[0].merge(both[1]);
        for (let n = 1; n < 42; n++) {
          const has = both[0].has(n);
          const given = taken.some((all) => all.includes(n));
          if (has && !given) throw new Error(`claims ${n}`);
          if (merged && has !== given) throw new Error(`union of ${n}`);
        }
        if (!merged && before.through > both[0].through) throw new Error("went back");
      },
    ),
  );
});

const json = fc.jsonValue({ maxDepth: 4 });
const state = fc.dictionary(fc.string(), json);

t.test("apply(base, diff(base, target)) is the target", async () => {
  check(
    fc.property(state, state, (base, target) => {
      const plain = JSON.parse(JSON.stringify([base, target])) as [unknown, unknown];
      const patch = diffMergePatch(plain[0], plain[1]);
      if (patch === undefined) return;
      t.same(applyMergePatch(plain[0], patch), plain[1]);
      t.same(plain, JSON.parse(JSON.stringify([base, target])), "arguments stay as they were");
    }),
  );
});

t.test("a receiver that applies what the patcher says has every state", async () => {
  const few = fc.record({
    on: fc.boolean(),
    level: fc.integer({ min: 0, max: 3 }),
    note: fc.constantFrom("a long description of this device that hardly ever changes", "another"),
    list: fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 3 }),
    nothing: fc.option(fc.constant(1), { freq: 6 }),
  });
  check(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom("a", "b", "c"), few, fc.boolean())),
      fc.integer({ min: 0, max: 2_000 }),
      (states, bytesMax) => {
        const patcher = new StatePatcher(bytesMax);
        const receiver = new Map<number, unknown>();
        states.forEach(([key, value, acknowledged], at) => {
          const text = JSON.stringify(value);
          const patch = patcher.patch("s", key, text);
          const got =
            patch === undefined ? value : applyMergePatch(receiver.get(patch.base), patch.merge);
          if (JSON.stringify(got, sorted(got)) !== JSON.stringify(value, sorted(value)))
            throw new Error(`${JSON.stringify(got)} is not ${text}`);
          receiver.set(at + 1, got);
          if (acknowledged) patcher.acknowledged("s", key, at + 1, text);
          if (patcher.bytes > bytesMax) throw new Error("over its bound");
        });
      },
    ),
  );
});

t.test("times read as written, like Date's", async () => {
  check(
    fc.property(fc.integer({ min: -62_167_219_200_000, max: 253_402_300_799_999 }), (ms) => {
      const text = formatTimestamp(ms);
      if (text !== new Date(ms).toISOString()) throw new Error(`${ms}: ${text}`);
      if (parseTimestamp(text) !== ms) throw new Error(text);
    }),
  );
});

function numbers(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, at) => first + at);
}

function sorted(value: unknown): string[] {
  return Object.keys(value as object).sort();
}
