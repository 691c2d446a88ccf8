import * as fc from "fast-check";
import t from "tap";
import {
  checkLinearizability,
  type Operation,
} from "../../../../src/simulator/checkers/linearizability.ts";
import {
  type RegisterInput,
  type RegisterOutput,
  registerModel,
  textModel,
} from "../../../../src/simulator/checkers/models.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed, numRuns: Number(process.env["FC_RUNS"] ?? 2_000) });

type One = Operation<RegisterInput, RegisterOutput>;

const read = (
  calledAt: number,
  returnedAt: number | undefined,
  output: string,
  key = "x",
): One => ({
  input: { kind: "read", key },
  calledAt,
  returnedAt,
  output,
});
const write = (
  calledAt: number,
  returnedAt: number | undefined,
  value: string,
  key = "x",
): One => ({
  input: { kind: "write", key, value },
  calledAt,
  returnedAt,
  output: true,
});
const cas = (
  calledAt: number,
  returnedAt: number | undefined,
  [expected, value]: readonly [string, string],
  output: boolean,
): One => ({
  input: { kind: "cas", key: "x", expected, value },
  calledAt,
  returnedAt,
  output,
});

const verdictOf = (history: readonly One[]): string =>
  checkLinearizability(history, registerModel).verdict;

t.test("a read that began after a write was answered sees it", async (t) => {
  t.equal(verdictOf([write(1, 2, "a"), read(3, 4, "a")]), "linearizable");
  t.equal(verdictOf([write(1, 2, "a"), read(3, 4, "")]), "not-linearizable");
  t.equal(verdictOf([write(1, 4, "a"), read(2, 3, "")]), "linearizable", "while it was under way");
  t.equal(
    verdictOf([write(1, 10, "a"), read(2, 3, "a"), read(4, 5, "")]),
    "not-linearizable",
    "what was seen once stays",
  );
});

t.test("what was never answered may have come about, at any time after, or not", async (t) => {
  const lost = write(1, undefined, "a");
  t.equal(verdictOf([lost, read(2, 3, ""), read(4, 5, "a")]), "linearizable");
  t.equal(verdictOf([lost, read(2, 3, ""), read(4, 5, "")]), "linearizable");
  t.equal(verdictOf([lost, read(2, 3, "a"), read(4, 5, "")]), "not-linearizable");
  t.equal(verdictOf([read(1, 2, "a"), write(3, undefined, "a")]), "not-linearizable", "not before");
  t.equal(verdictOf([read(1, undefined, "never there")]), "linearizable", "a read says nothing");
});

t.test("compare-and-set is answered by what was there", async (t) => {
  t.equal(
    verdictOf([write(1, 2, "a"), cas(3, 4, ["a", "b"], true), read(5, 6, "b")]),
    "linearizable",
  );
  t.equal(verdictOf([write(1, 2, "a"), cas(3, 4, ["b", "c"], true)]), "not-linearizable");
  t.equal(verdictOf([write(1, 2, "a"), cas(3, 4, ["a", "c"], false)]), "not-linearizable");
  t.equal(
    verdictOf([cas(1, 4, ["", "a"], true), cas(2, 3, ["", "b"], true)]),
    "not-linearizable",
    "one of two wins",
  );
});

t.test("objects are checked apart, and the one that is wrong is named", async (t) => {
  const checked = checkLinearizability(
    [write(1, 2, "a", "x"), write(3, 4, "b", "y"), read(5, 6, "a", "x"), read(7, 8, "a", "y")],
    registerModel,
  );
  t.match(checked, { verdict: "not-linearizable", key: "y" });
});

t.test("a bound on the steps ends with no verdict", async (t) => {
  const history = Array.from({ length: 12 }, (_, at) => write(1, 100, String(at)));
  const checked = checkLinearizability([...history, read(101, 102, "none")], registerModel, 50);
  t.match(checked, { verdict: "unknown", key: "x", steps: 50 });
});

t.test("appended texts keep their order", async (t) => {
  const append = (calledAt: number, returnedAt: number, value: string) => ({
    input: { kind: "append", key: "x", value } as const,
    calledAt,
    returnedAt,
    output: "",
  });
  const get = (calledAt: number, output: string) => ({
    input: { kind: "get", key: "x" } as const,
    calledAt,
    returnedAt: calledAt + 1,
    output,
  });
  const both = [append(1, 4, "a"), append(2, 3, "b")];
  for (const [text, verdict] of [
    ["ab", "linearizable"],
    ["ba", "linearizable"],
    ["a", "not-linearizable"],
  ] as const)
    t.equal(checkLinearizability([...both, get(5, text)], textModel).verdict, verdict, text);
});

/** Tries every order. */
function isExplained(rest: readonly One[], state: string): boolean {
  const answered = rest.filter(({ returnedAt }) => returnedAt !== undefined);
  if (answered.length === 0) return true;
  const firstAnswer = Math.min(...answered.map(({ returnedAt = 0 }) => returnedAt));
  return rest.some((one, at) => {
    if (one.calledAt > firstAnswer) return false;
    const output = one.returnedAt === undefined ? undefined : one.output;
    const after = registerModel.step(state, one.input, output);
    return after !== undefined && isExplained(rest.toSpliced(at, 1), after);
  });
}

const value = fc.constantFrom("a", "b");
const input: fc.Arbitrary<readonly [RegisterInput, RegisterOutput]> = fc.oneof(
  value.map((output) => [{ kind: "read", key: "x" }, output] as const),
  value.map((one) => [{ kind: "write", key: "x", value: one }, true] as const),
  fc
    .tuple(fc.constantFrom("", "a", "b"), value, fc.boolean())
    .map(
      ([expected, one, output]) =>
        [{ kind: "cas", key: "x", expected, value: one }, output] as const,
    ),
);
const operations: fc.Arbitrary<readonly One[]> = fc.array(
  fc
    .tuple(input, fc.nat({ max: 12 }), fc.nat({ max: 6 }), fc.boolean())
    .map(([[input, output], calledAt, tookAtLeast, isAnswered]) => ({
      input,
      output,
      calledAt,
      returnedAt: isAnswered ? calledAt + tookAtLeast : undefined,
    })),
  { maxLength: 6 },
);

t.test("it says what trying every order says", async (t) => {
  const seen = { linearizable: 0, "not-linearizable": 0, unknown: 0 };
  fc.assert(
    fc.property(operations, (history) => {
      const { verdict } = checkLinearizability(history, registerModel);
      seen[verdict]++;
      return verdict === (isExplained(history, "") ? "linearizable" : "not-linearizable");
    }),
  );
  t.comment(JSON.stringify(seen));
  t.ok(seen["linearizable"] > 100 && seen["not-linearizable"] > 100, "both verdicts came up");
});
