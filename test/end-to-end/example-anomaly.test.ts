// The example of the guide, as a user runs it: processes that find each other by mDNS, MQTT, and the page in Chromium.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import t, { type Test } from "tap";
import { CHROMIUM } from "../support/page-browser.ts";

const EXAMPLE = resolve(import.meta.dirname, "../../examples/anomaly/main.ts");

t.setTimeout(600_000);

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A browser's socket lies in it, and may not have a long name. */
function scratchOf(t: Test): string {
  const scratch = mkdtempSync(join(tmpdir(), "example-"));
  t.teardown(() => rmSync(scratch, { recursive: true, force: true }));
  return scratch;
}

function run(words: readonly string[], scratch: string): Promise<Outcome> {
  const child = spawn(process.execPath, [EXAMPLE, ...words], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NODE_OPTIONS: undefined, TMPDIR: scratch },
  });
  t.teardown(() => child.kill("SIGTERM"));
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name].setEncoding("utf8").on("data", (text: string) => {
      said[name] += text;
    });
  return new Promise((done) => child.once("close", (code) => done({ code, ...said })));
}

t.test("sensors on MQTT become anomalies on MQTT and on the page", async (t) => {
  const browser = existsSync(CHROMIUM);
  if (!browser) t.comment(`no browser at ${CHROMIUM}: the page is not looked at`);
  const scratch = scratchOf(t);
  const { code, stdout, stderr } = await run(browser ? [] : ["--no-browser"], scratch);
  for (const line of stdout.trim().split("\n")) t.comment(line);
  t.equal(stderr, "");
  t.equal(code, 0);
  t.match(stdout, /the series: (NAB|made up, since)/);
  t.match(stdout, /is killed with -9 after round \d+/);
  t.match(stdout, /starts after round \d+, and nobody tells it of the others/);
  t.notMatch(stdout, /NOT SEEN/);
  t.equal(stdout.match(/^seen {6}/gm)?.length, browser ? 5 : 4);
  t.same(readdirSync(scratch), [], "nothing is left behind");
});

t.test("wrong options are told, and help is given", async (t) => {
  const scratch = scratchOf(t);
  t.match(await run(["--help"], scratch), { code: 0, stdout: /^Usage: npm run example:anomaly/ });
  t.match(await run(["--agents", "2"], scratch), { code: 2, stderr: /from 4 to 12/ });
  t.match(await run(["--speed"], scratch), { code: 2, stderr: /--speed/ });
});
