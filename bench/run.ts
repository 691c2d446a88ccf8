/** `npm run bench -- <suite>`: measures, beside a peer in the same run, and prints one JSON line a figure. */
import { appendFileSync, mkdirSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Figure } from "./figure.ts";
import { leaveNothing } from "./support/interruption.ts";
import { root } from "./support/processes.ts";

const suites = [
  "outbox",
  "bridge",
  "backlog",
  "wear",
  "sync",
  "startup",
  "footprint",
  "api",
  "mesh",
  "swarm",
  "scale",
  "coordination",
  "training",
  "aggregation",
  "learning",
  "byzantine",
  "consensus",
  "pbft",
  "tendermint",
];

const usage = `Usage: npm run bench -- [suite…] [--keep]

Suites: ${suites.join(", ")} (all of them when none is named).

  --keep   also append the lines to bench/results/<suite>.jsonl
  --help   this text

Each line: suite, metric, value, unit, peer, peerValue, ratio (ours over the peer's), floor, goal,
floorOk, ok (goal reached). Ours and the peer take turns within one run.
`;

interface Suite {
  run(): AsyncIterable<Figure>;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { keep: { type: "boolean" }, help: { type: "boolean", short: "h" } },
});
const unknown = positionals.filter((name) => !suites.includes(name));
if (values.help === true) process.stdout.write(usage);
else if (unknown.length > 0) {
  process.stderr.write(`no such suite: ${unknown.join(", ")}\n${usage}`);
  process.exitCode = 2;
} else {
  leaveNothing();
  for (const name of positionals.length > 0 ? positionals : suites) {
    const suite = (await import(`./suites/${name}.ts`)) as Suite;
    for await (const figure of suite.run()) {
      console.log(JSON.stringify(figure));
      if (!figure.floorOk) process.exitCode = 1;
      if (values.keep === true) keep(figure);
    }
  }
}

function keep(figure: Figure): void {
  const directory = join(root, "bench/results");
  mkdirSync(directory, { recursive: true });
  const [cpu] = cpus();
  const context = {
    at: new Date().toISOString().slice(0, 10),
    machine: `${cpus().length} × ${cpu?.model}`,
    node: process.versions.node,
  };
  appendFileSync(
    join(directory, `${figure.suite}.jsonl`),
    `${JSON.stringify({ ...figure, ...context })}\n`,
  );
}
