/**
 * Runs the tests: node-tap underneath, plain lines on the terminal, everything in .tap/report.tap.
 * The last line is `N passed, N failed`, with `, N skipped` behind it when some were.
 */
import { spawn, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { createWriteStream, existsSync, globSync, mkdirSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { endLeftovers, runMarker } from "./testing/leftovers.ts";
import { TapOutput } from "./testing/tap-output.ts";

const root = resolve(import.meta.dirname, "..");
const tap = join(root, "node_modules/tap/dist/esm/run.mjs");

/** Kinds of tests in the order in which they run, quick ones first, with what one file may take. */
const kinds = [
  { name: "unit", timeoutSeconds: 240 },
  { name: "conformance", timeoutSeconds: 300 },
  { name: "property", timeoutSeconds: 300 },
  { name: "simulator", timeoutSeconds: 420 },
  { name: "architecture", timeoutSeconds: 300 },
  { name: "integration", timeoutSeconds: 300 },
  { name: "end-to-end", timeoutSeconds: 900 },
] as const;

const usage = `Usage: node scripts/test.ts [options] [files or directories]

Runs the tests, all of them unless told otherwise.

  --only KINDS   comma-separated: ${kinds.map((kind) => kind.name).join(", ")}
  --jobs N       test files at once (2)
  --help         this text

With CI=true a skipped test is a failure, unless its reason begins with "offline:": what it needs is on a server
that can not be reached from here.
`;

/** What tap is run with: this Node.js for everything that asks for `node`, and a marker to find it by. */
function environment(run: string): NodeJS.ProcessEnv {
  const path = `${dirname(process.execPath)}:${process.env["PATH"] ?? "/usr/bin:/bin"}`;
  return { ...process.env, PATH: path, NO_COLOR: "1", FORCE_COLOR: "0", [runMarker]: run };
}

/** Without this, the first run of a fresh clone stops to generate tap's plugins and fails. */
function preparePlugins(env: NodeJS.ProcessEnv): void {
  const built = join(root, ".tap/plugins/package.json");
  const settings = join(root, ".taprc");
  if (existsSync(built) && statSync(built).mtimeMs >= statSync(settings).mtimeMs) return;
  const done = spawnSync(process.execPath, [tap, "build"], { cwd: root, env, encoding: "utf8" });
  if (done.status !== 0) throw new Error(`tap build failed:\n${done.stdout}${done.stderr}`);
}

/** @returns absolute paths of the test files that `paths` name or hold. @throws Error when one does not exist. */
function testFiles(paths: readonly string[]): string[] {
  return paths.flatMap((path) => {
    const absolute = resolve(path);
    if (!existsSync(absolute)) throw new Error(`no such test: ${path}`);
    if (!statSync(absolute).isDirectory()) return [absolute];
    return globSync(join(absolute, "**/*.test.ts")).sort();
  });
}

async function runFiles(
  files: readonly string[],
  options: {
    timeoutSeconds: number;
    jobs: string;
    env: NodeJS.ProcessEnv;
    log: NodeJS.WritableStream;
  },
): Promise<{ output: TapOutput; status: number; errors: string }> {
  const output = new TapOutput((result) => {
    const mark = result.ok ? "ok  " : "FAIL";
    console.log(`${mark} ${result.seconds.toFixed(1).padStart(6)} s  ${result.file}`);
    if (!result.ok) console.log(result.failure.replaceAll(/^/gm, "     "));
  });
  const child = spawn(
    process.execPath,
    [
      tap,
      "run",
      "--disable-coverage",
      "--reporter=tap",
      `--jobs=${options.jobs}`,
      `--timeout=${options.timeoutSeconds}`,
      ...files.map((file) => relative(root, file)),
    ],
    { cwd: root, env: options.env, stdio: ["ignore", "pipe", "pipe"] },
  );
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    options.log.write(chunk);
    errors = (errors + chunk).slice(-20_000);
  });
  const closed = new Promise<number>((done) => child.on("close", (code) => done(code ?? 1)));
  for await (const line of createInterface(child.stdout)) {
    options.log.write(`${line}\n`);
    output.line(line);
  }
  const status = await closed;
  output.end();
  return { output, status, errors };
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      only: { type: "string" },
      jobs: { type: "string", default: "2" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const only = values.only?.split(",");
  for (const name of only ?? []) {
    if (!kinds.some((kind) => kind.name === name)) throw new Error(`no such kind of test: ${name}`);
  }
  const chosen = positionals.length > 0 ? testFiles(positionals) : undefined;
  const run = randomUUID();
  const env = environment(run);
  preparePlugins(env);
  mkdirSync(join(root, ".tap"), { recursive: true });
  const log = createWriteStream(join(root, ".tap/report.tap"));
  let passed = 0;
  let failed = 0;
  const skips: string[] = [];
  let skipped = 0;
  let broken = false;
  for (const kind of kinds) {
    if (only !== undefined && !only.includes(kind.name)) continue;
    const directory = join(root, "test", kind.name);
    const all = existsSync(directory) ? testFiles([directory]) : [];
    const files = chosen === undefined ? all : all.filter((file) => chosen.includes(file));
    if (files.length === 0) continue;
    const { timeoutSeconds } = kind;
    const done = await runFiles(files, { timeoutSeconds, jobs: values.jobs, env, log });
    passed += done.output.totals.passed;
    failed += done.output.totals.failed;
    skipped += done.output.totals.skipped;
    skips.push(...done.output.skips);
    if (done.status !== 0) {
      broken = true;
      // A crash outside of any test point is counted nowhere else.
      if (done.output.totals.failed === 0) failed += 1;
      if (done.errors !== "") console.log(done.errors.replaceAll(/^/gm, "     "));
    }
  }
  log.end();
  for (const { pid, command } of await endLeftovers(run, 5000)) {
    console.log(`FAIL left behind: process ${pid}: ${command}`);
    failed += 1;
  }
  for (const skip of skips) console.log(`skip          ${skip}`);
  if (passed + failed === 0) console.log("FAIL no tests were run");
  if (skipped > 0 && process.env["CI"] === "true") {
    const forbidden = skipped - skips.filter((skip) => skip.includes(": offline: ")).length;
    if (forbidden > 0)
      console.log(`FAIL ${forbidden} tests were skipped, which CI=true does not allow`);
    failed += forbidden;
  }
  const tail = skipped > 0 ? `, ${skipped} skipped` : "";
  console.log(`${passed} passed, ${failed} failed${tail}`);
  return broken || failed > 0 || passed === 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`test: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 2;
}
