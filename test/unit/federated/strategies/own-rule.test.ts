// The strategy in docs/strategies.md is what it says: under thirty lines, strictly typed, and it works.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import t from "tap";
import ts from "typescript";
import { PlainVectorMath } from "../../../../src/federated/strategies/plain-vector-math.ts";
import type { StrategyRegistry } from "../../../../src/federated/strategies/registry.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";

const repository = resolve(import.meta.dirname, "../../../..");
const page = readFileSync(join(repository, "docs/strategies.md"), "utf8");
const [, code = ""] = /```ts\n(.*?)```/s.exec(page) ?? [];
const directory = t.testdir({
  "own-rule.ts": code.replaceAll('"./src/', `"${join(repository, "src")}/`),
});
const file = join(directory, "own-rule.ts");

t.test("under thirty lines that the compiler takes", async (t) => {
  const lines = code.trim().split("\n");
  t.ok(lines.length < 30 && lines.length > 10, `${lines.length} lines`);
  const config = ts.readConfigFile(join(repository, "tsconfig.json"), (path) =>
    ts.sys.readFile(path),
  );
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, repository);
  const program = ts.createProgram([file], { ...options, types: [] });
  const faults = ts.getPreEmitDiagnostics(program, program.getSourceFile(file));
  t.same(
    faults.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n")),
    [],
  );
});

t.test("it is used like any other", async (t) => {
  const { registry } = (await import(pathToFileURL(file).href)) as { registry: StrategyRegistry };
  const random = new SeededRandom("own-rule");
  const contributions = Array.from({ length: 9 }, (_, index) => ({
    sender: `agent-${index}`,
    values: Float32Array.from({ length: 40 }, () => (index < 3 ? 1e6 : 0) + random.next()),
    weight: 1,
  }));
  const math = new PlainVectorMath();
  const round = (kind: string, given = contributions) => {
    const strategy = registry.strategy({ rule: { kind, byzantine: 3 } });
    return strategy.step(new Float32Array(40), given, strategy.begin(40), { math }).model;
  };
  const model = round("krum-aggregation");
  t.ok(
    model.every((value) => value > 0 && value < 1),
    "the liars are left out",
  );
  t.same([...model], [...round("multi-krum")], "with equal weights it is Multi-Krum");
  t.throws(() => round("krum-aggregation", contributions.slice(1)), {
    code: "aggregation.too-few",
    message: /krum-aggregation needs 9 updates \(2f \+ 3\) and has 8/,
  });
});
