// A sample of `npm run faults`: the same runs every time, and some that nobody has seen before.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { resolve } from "node:path";
import t from "tap";
import type { Summary } from "../../faults/table.ts";
import { mosquittoMissing } from "../support/mosquitto.ts";

const program = resolve(import.meta.dirname, "../../faults/run.ts");
const skip = mosquittoMissing();

t.setTimeout(600_000);

/** Runs the harness. @returns its figures, and what it said of runs that failed */
async function faults(runs: number, seed: string): Promise<{ summary: Summary; said: string }> {
  const args = [program, "--runs", String(runs), "--seed", seed, "--json"];
  const child = spawn(process.execPath, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NODE_OPTIONS: "" },
  });
  let out = "";
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  await new Promise((done) => {
    child.once("close", done);
  });
  if (out === "") throw new Error(said);
  return { summary: JSON.parse(out) as Summary, said };
}

for (const [name, runs, seed] of [
  ["the same faults every time lose nothing", 30, "sample"],
  ["faults that nobody has seen before lose nothing", 8, randomBytes(4).toString("hex")],
] as const)
  t.test(name, { skip }, async (t) => {
    t.comment(`seed ${seed}`);
    const { summary, said } = await faults(runs, seed);
    t.ok(summary.ok, said);
    t.match(summary.total, { runs, lost: 0, duplicates: 0, outOfOrder: 0 });
    t.ok(summary.total.acknowledged > runs * 50, `${summary.total.acknowledged} acknowledged`);
  });
