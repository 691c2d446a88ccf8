// The checker against verdicts that others published: Porcupine's (MIT) test data, which are Jepsen's runs against etcd of
// 2014 with the verdicts of two other checkers, and histories of a store of texts. They come as Go's module proxy has them.
import t from "tap";
import { checkLinearizability } from "../../src/simulator/checkers/linearizability.ts";
import { registerModel, textModel } from "../../src/simulator/checkers/models.ts";
import { fetchModule } from "../support/go-toolchain.ts";
import { readJepsen, readTexts } from "../support/linearizability/public-histories.ts";

const MODULE = "github.com/anishathalye/porcupine@v1.3.0";
const SUM = "h1:yo51Niv8Tg0tAAn5XOG2UVvJXUregK4WFuLrBRoowP8=";
const DATA = "/test_data/";
/** Those of the runs 000 to 102 that are linearizable, as published. */
const LINEARIZABLE = new Set([
  2, 5, 7, 18, 25, 31, 38, 45, 48, 49, 51, 53, 56, 67, 75, 76, 80, 87, 92, 98, 100, 101, 102,
]);
const RUNS = 102;
const TEXTS = [
  ["c01-ok", "linearizable"],
  ["c01-bad", "not-linearizable"],
  ["c10-ok", "linearizable"],
  ["c10-bad", "not-linearizable"],
  ["c50-ok", "linearizable"],
  ["c50-bad", "not-linearizable"],
] as const;

const files = await fetchModule(MODULE, SUM);
const isMissing = "missing" in files;
const logs = new Map(
  (isMissing ? [] : files)
    .filter(({ name }) => name.includes(DATA))
    .map(({ name, bytes }) => [
      name.slice(name.indexOf(DATA) + DATA.length),
      bytes.toString("utf8"),
    ]),
);
const options = isMissing ? { skip: files.missing } : {};

t.test("Jepsen's runs against etcd", options, async (t) => {
  let runs = 0;
  let steps = 0;
  for (const [name, log] of logs) {
    const [, number] = /^jepsen\/etcd_(\d+)\.log$/.exec(name) ?? [];
    // That one is empty, and nobody gave a verdict on it.
    if (number === undefined || number === "095") continue;
    const history = readJepsen(log);
    t.ok(history.length > 20, `${name} was read`);
    const checked = checkLinearizability(history, registerModel);
    const wanted = LINEARIZABLE.has(Number(number)) ? "linearizable" : "not-linearizable";
    t.equal(checked.verdict, wanted, name);
    runs++;
    steps += checked.steps;
  }
  t.equal(runs, RUNS);
  t.comment(`${runs} runs, ${steps} steps`);
});

t.test("histories of a store of texts", options, async (t) => {
  for (const [name, wanted] of TEXTS) {
    const history = readTexts(logs.get(`kv/${name}.txt`) ?? "");
    t.ok(history.length > 20, `${name} was read`);
    const { verdict, steps } = checkLinearizability(history, textModel);
    t.equal(verdict, wanted, name);
    t.comment(`${name}: ${history.length} operations, ${steps} steps`);
  }
});
