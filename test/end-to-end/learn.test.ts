// `agent-mesh learn` as a user meets it: experiments from a file, side by side, stopped half-way, and datasets.
import { spawn } from "node:child_process";
import { existsSync, globSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import t, { type Test } from "tap";
import { readLab } from "../../src/cli/learn/experiment-source.ts";
import { agentMesh, command, type Outcome } from "../support/agent-process.ts";

t.setTimeout(600_000);
// Each of these starts processes that work for a moment and end: two at once.
t.jobs = 2;

const BLOBS = `
name: Blobs & <b>others</b>
dataset: { kind: blobs, features: 6, classes: 3, train: 400, test: 200 }
clients: 8
model:
  layers:
    - { kind: dense, units: 8, activation: relu }
    - { kind: dense, units: 3 }
client: { kind: local, batchSize: 10, learningRate: 0.05 }
rounds: 4
seeds: [1, 2]
vary:
  - name: rule
    values:
      mean: {}
      median: { strategy: { rule: { kind: median } } }
  - name: attack
    values:
      none: {}
      noise: { attack: { kind: gaussian, attackers: 2 } }
`;

function lab(t: Test, yaml = BLOBS): { file: string; out: string; words: string[] } {
  const directory = t.testdir({ "lab.yaml": yaml });
  const file = join(directory, "lab.yaml");
  const out = join(directory, "out");
  return { file, out, words: ["learn", "lab", file] };
}
const lines = ({ stdout }: Outcome) =>
  stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
const hashes = (outcome: Outcome) =>
  lines(outcome)
    .slice(0, -1)
    .map((run) => `${String(run["variant"])} ${String(run["seed"])} ${String(run["weightsHash"])}`)
    .sort();

t.test("an experiment gives a table, files and a last line for programs", async (t) => {
  const { words, out } = lab(t);
  const done = await agentMesh([...words, "--out", out]);
  t.equal(done.code, 0, done.stderr);
  t.match(done.stdout, /^rule +attack +Seed +Accuracy/);
  t.match(done.stdout, /\nrule +attack +Seeds +Accuracy\nmean +none +2 +\d\.\d{3} \(/);
  const last = JSON.parse(done.stdout.trim().split("\n").at(-1) ?? "") as Record<string, unknown>;
  t.match(last, { name: "Blobs & <b>others</b>", runs: 8, of: 8, failed: 0 });
  const table = readFileSync(join(out, "table.csv"), "utf8").split("\n");
  t.equal(table[0], "rule \\ attack,none,noise");
  t.match(table[2], /^median(,\d\.\d{3} \(\d\.\d{3}-\d\.\d{3}\)){2}$/);
  const rounds = readFileSync(join(out, "rounds.csv"), "utf8").trim().split("\n");
  t.match(rounds[0], /^rule,attack,seed,round,trainLoss,accuracy/);
  t.equal(rounds.length, 1 + 8 * 4);
  const report = readFileSync(join(out, "report.html"), "utf8");
  t.match(report, "Blobs &amp; &lt;b&gt;others");
  t.notMatch(report, /<b>others|https?:\/\//, "whole in itself");
  t.match(report, /<polyline/);
});

t.test("the same seed gives the same bits, side by side or one after the other", async (t) => {
  const { words } = lab(t);
  const both = [...words, "--json", "--only", "1,4"];
  const one = await agentMesh(both);
  const two = await agentMesh([...both, "--jobs", "2"]);
  t.equal(two.code, 0, two.stderr);
  t.equal(hashes(one).length, 4);
  t.same(hashes(two), hashes(one));
  const other = await agentMesh([...both, "--seed", "3"]);
  t.match(lines(other), [{ variant: 1, seed: 3 }, { variant: 4, seed: 3 }, { runs: 2 }]);
  t.notOk(hashes(other).some((hash) => hashes(one).includes(hash)));
});

for (const jobs of ["1", "2"])
  t.test(`Ctrl-C keeps what was done, with ${jobs} at once`, async (t) => {
    const endless = BLOBS.replace("rounds: 4", "rounds: 1000000").replace("seeds: [1, 2]", "");
    const { words, out } = lab(t, endless);
    const child = spawn(command, [...words, "--out", out, "--jobs", jobs], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    child.stdout.on("data", (text: Buffer) => {
      stdout += text.toString();
    });
    const ended = new Promise<number | null>((done) => child.once("close", done));
    // Children of two jobs are silent: that they run is all that can be waited for.
    if (jobs === "1")
      for await (const line of createInterface({ input: child.stderr })) {
        t.match(line, /\[#*\.*\] 1 of 4: mean, none, seed 1: round \d+/);
        break;
      }
    else await new Promise((done) => setTimeout(done, 3_000));
    child.kill("SIGINT");
    t.equal(await ended, 1);
    const last = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as { runs: number };
    t.ok(last.runs >= 1, stdout);
    const runs = JSON.parse(readFileSync(join(out, "runs.json"), "utf8")) as { stopped?: true }[];
    t.ok(runs.length === last.runs && runs.every(({ stopped }) => stopped === true));
    t.ok(existsSync(join(out, "report.html")));
  });

t.test("what is wrong with a file is named before anything runs", async (t) => {
  const wrong = BLOBS.replace("kind: median", "kind: medien").replace("clients: 8", "clients: 0");
  const { code, stderr } = await agentMesh(lab(t, wrong).words);
  t.equal(code, 2, stderr);
  t.match(stderr, /clients must be >= 1/);
  const single = BLOBS.replace(/vary:[^]*/, "");
  const missing = single.replace(/dataset: .*/, "dataset: { kind: known, name: NAME }");
  const runs: [yaml: string, words: string[], told: RegExp][] = [
    [single, ["--only", "2"], /no variant 2, only 1; --list shows them/],
    [single, ["--seed", "-1"], /whole number from 0/],
    [`${single}attack: { kind: zero, attackers: 8 }`, ["--seed", "1"], /one has to be honest/],
    [missing.replace("NAME", "mnits"), ["--seed", "1"], /did you mean mnist\?/],
    [
      missing.replace("NAME", "vowel"),
      ["--seed", "1", "--data", "/nowhere"],
      /learn data fetch vowel --into \/nowhere/,
    ],
  ];
  for (const [yaml, words, told] of runs) {
    const { code, stderr } = await agentMesh([...lab(t, yaml).words, ...words]);
    t.equal(code, 2, stderr);
    t.match(stderr, told);
  }
});

t.test("why runs failed is said where programs read as well", async (t) => {
  const many = BLOBS.replace(/dataset: .*/, "dataset: { kind: known, name: vowel }");
  const failing = ["--json", "--seed", "1", "--data", "/nowhere"];
  const { code, stdout, stderr } = await agentMesh([...lab(t, many).words, ...failing]);
  t.equal(code, 1);
  t.match(JSON.parse(stdout), { runs: 0, of: 4, failed: 4 });
  t.match(stderr, /mean, none, seed 1: .*learn data fetch vowel --into \/nowhere/);
});

t.test("a table of one's own", async (t) => {
  const { words, file } = lab(
    t,
    BLOBS.replace(/dataset: .*/, "dataset: { kind: csv, file: own.csv, label: what, group: who }")
      .replace("clients: 8", "partition: { kind: groups }")
      .replace("attackers: 2", "attackers: 1"),
  );
  const rows = Array.from({ length: 120 }, (_, at) => {
    const what = at % 3;
    return `${what + Math.sin(at)},${what * 2 - 1},device-${at % 4},class ${what}`;
  });
  writeFileSync(join(file, "../own.csv"), `x,y,who,what\n${rows.join("\n")}\n`);
  const done = await agentMesh([...words, "--json", "--seed", "1"]);
  t.equal(done.code, 0, done.stderr);
  t.match(lines(done)[0], { clients: 4, rounds: 4 });
});

t.test("every example can be read, the guide's as well", async (t) => {
  const root = resolve(import.meta.dirname, "../..");
  const guide = readFileSync(join(root, "docs/learning.md"), "utf8");
  const [, example = ""] = /```yaml\n([^]*?)```/.exec(guide) ?? [];
  const files = [lab(t, example).file, ...globSync(join(root, "examples/learn/*.yaml"))];
  t.ok(files.length >= 5);
  for (const file of files) t.ok((await readLab(file)).variants.length > 0, file);
  const { code, stdout, stderr } = await agentMesh([...lab(t).words, "--list"]);
  t.equal(code, 0, stderr);
  t.match(stdout, /^Number +rule +attack\n1 +mean +none\n/);
});

t.test("datasets: what there is, and how to get it", async (t) => {
  const into = t.testdir({});
  const listed = await agentMesh(["learn", "data", "list", "--into", into, "--json"]);
  const { items } = JSON.parse(listed.stdout) as { items: Record<string, unknown>[] };
  t.same(
    items.map(({ name }) => name),
    ["mnist", "fashion-mnist", "shuttle", "vowel"],
  );
  t.ok(
    items.every(({ licence, source, file }) => licence !== "" && source !== "" && file === null),
  );
  const wrong = await agentMesh(["learn", "data", "fetch", "fashion", "--into", into]);
  t.equal(wrong.code, 2);
  t.match(wrong.stderr, /fashion is not known; did you mean/);
  const env = { PATH: "/nowhere" };
  const helpless = await agentMesh(["learn", "data", "fetch", "vowel", "--into", into], {
    env: { ...env, PATH: `${resolve(process.execPath, "..")}:/bin` },
    prefix: ["/usr/bin/env", "http_proxy=http://127.0.0.1:9", "https_proxy=http://127.0.0.1:9"],
  });
  t.equal(helpless.code, 1);
  t.match(helpless.stderr, /'apt-get download -q r-cran-mlbench' .*apt-get update/);
});

t.test("a dataset is fetched, checked and learned from", async (t) => {
  const speakers = BLOBS.replace(/dataset: .*/, "dataset: { kind: known, name: vowel }")
    .replace("clients: 8", "partition: { kind: groups }")
    .replace("units: 3 ", "units: 11 ");
  const { words: experiment, out: into } = lab(t, speakers);
  const fetched = await agentMesh(["learn", "data", "fetch", "vowel", "--into", into, "--json"]);
  if (/'apt-get download/.test(fetched.stderr)) {
    t.plan(0, `offline: ${fetched.stderr.trim()}`);
    return;
  }
  t.equal(fetched.code, 0, fetched.stderr);
  t.match(JSON.parse(fetched.stdout), { items: [{ name: "vowel", fetched: true }] });
  const again = await agentMesh(["learn", "data", "fetch", "vowel", "--into", into]);
  t.match(again.stderr, /is here already/);
  const words = [...experiment, "--data", into, "--json", "--seed", "1", "--only", "1"];
  const done = await agentMesh(words);
  t.equal(done.code, 0, done.stderr);
  t.match(lines(done)[0], { clients: 8, labels: { rule: "mean" } });
  const file = join(into, "vowel.dataset");
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1]! ^= 0xff;
  writeFileSync(file, bytes);
  const damaged = await agentMesh(words);
  t.equal(damaged.code, 1);
  t.match(damaged.stderr, /damaged/);
});
