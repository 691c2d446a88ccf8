/** Runs the gates that every change has to pass. */
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { gates } from "./gates/gates.ts";
import { runGates } from "./gates/run.ts";

const usage = `Usage: npm run check -- [options]

Runs the gates that every change has to pass:

${gates.map((gate) => `  ${gate.name.padEnd(10)} ${gate.about}`).join("\n")}

Options:
  --only GATES   comma-separated, for example --only format,lint
  --root DIR     check another copy of the repository
  --json         one JSON document: {ok, gates: [{name, ok, seconds, output}]}
  --help         this text

Exits with 0 when all gates pass, 1 when one fails, 2 on bad usage.
`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      root: { type: "string", default: resolve(import.meta.dirname, "..") },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const names = values.only?.split(",") ?? gates.map((gate) => gate.name);
  for (const name of names) {
    if (!gates.some((gate) => gate.name === name)) {
      const known = gates.map((gate) => gate.name).join(", ");
      throw new Error(`--only: no gate is called '${name}'; there are ${known}`);
    }
  }
  const results = await runGates(
    gates.filter((gate) => names.includes(gate.name)),
    {
      root: resolve(values.root),
      jobs: Math.max(1, Math.min(4, availableParallelism())),
      onResult: (result) => {
        if (values.json) return;
        const mark = result.ok ? "ok  " : "FAIL";
        console.log(`${mark} ${result.name.padEnd(10)} ${result.seconds.toFixed(1).padStart(6)} s`);
        if (!result.ok) console.log(result.output.replaceAll(/^(?=.)/gm, "     "));
      },
    },
  );
  const failed = results.filter((result) => !result.ok);
  if (values.json) {
    console.log(JSON.stringify({ ok: failed.length === 0, gates: results }, null, 2));
  } else {
    const verdict =
      failed.length === 0
        ? `all ${results.length} gates passed`
        : `${failed.length} of ${results.length} gates failed: ${failed.map((gate) => gate.name).join(", ")}`;
    console.log(verdict);
  }
  return failed.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`check: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 2;
}
