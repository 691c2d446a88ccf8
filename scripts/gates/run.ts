import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Gate, Step } from "./gates.ts";

/** How one gate went. */
export interface GateResult {
  readonly name: string;
  readonly ok: boolean;
  readonly seconds: number;
  /** What its programs said; kept only when it failed. */
  readonly output: string;
}

/** Tools find `node` on the path, which on a machine with an older Node.js is not ours. */
function environment(): NodeJS.ProcessEnv {
  return {
    ...process.env,
    PATH: `${dirname(process.execPath)}:${process.env["PATH"] ?? "/usr/bin:/bin"}`,
    // A test runner's own hooks are not for the tools.
    NODE_OPTIONS: undefined,
    NO_COLOR: "1",
    FORCE_COLOR: undefined,
    REDOCLY_TELEMETRY: "off",
    REDOCLY_SUPPRESS_UPDATE_NOTICE: "true",
  };
}

async function runStep(step: Step, root: string): Promise<{ ok: boolean; output: string }> {
  const program = step.program.startsWith("scripts/")
    ? join(root, step.program)
    : join(root, "node_modules", step.program);
  const child = spawn(process.execPath, [program, ...step.args], {
    cwd: root,
    env: environment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const collect = (chunk: string): void => {
    output += chunk;
  };
  child.stdout.setEncoding("utf8").on("data", collect);
  child.stderr.setEncoding("utf8").on("data", collect);
  const status = await new Promise<number>((done, fail) => {
    child.on("error", fail);
    child.on("close", (code) => done(code ?? 1));
  });
  const fault = step.judge?.(output);
  if (fault !== undefined) return { ok: false, output: fault };
  return { ok: status === 0, output };
}

/** Runs a gate's steps one after the other, up to the first that fails. @param root the repository. */
async function runGate(gate: Gate, root: string): Promise<GateResult> {
  const startedMs = performance.now();
  let output = "";
  let ok = true;
  for (const step of gate.steps) {
    if (step.needs !== undefined && !existsSync(join(root, step.needs))) continue;
    const done = await runStep(step, root);
    if (!done.ok) {
      ok = false;
      output = done.output.trim();
      break;
    }
  }
  return { name: gate.name, ok, seconds: (performance.now() - startedMs) / 1000, output };
}

/**
 * Runs gates, `jobs` at once; the tests have the machine to themselves at the end.
 * @param onResult told of each gate as it ends.
 */
export async function runGates(
  gates: readonly Gate[],
  options: { root: string; jobs: number; onResult: (result: GateResult) => void },
): Promise<GateResult[]> {
  const results: GateResult[] = [];
  const run = async (gate: Gate): Promise<void> => {
    const result = await runGate(gate, options.root);
    results.push(result);
    options.onResult(result);
  };
  const waiting = gates.filter((gate) => gate.name !== "tests");
  const worker = async (): Promise<void> => {
    for (let gate = waiting.shift(); gate !== undefined; gate = waiting.shift()) await run(gate);
  };
  await Promise.all(Array.from({ length: options.jobs }, worker));
  for (const gate of gates) if (gate.name === "tests") await run(gate);
  return results;
}
