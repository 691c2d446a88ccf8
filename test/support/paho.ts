import { execFile, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";

const REPOSITORY = "https://github.com/eclipse/paho.mqtt.testing";
const COMMIT = "9d7bb80bb8b9d9cfc0b52f8cb4c1916401281103";
const cache = resolve(import.meta.dirname, "../../node_modules/.cache", `paho-${COMMIT}`);

/** Runs one test of Paho's against a broker; its own main function can not be told to run just one. */
const DRIVER = `
import importlib, logging, sys, unittest
directory, name, test, port = sys.argv[1:]
sys.path.insert(0, directory)
module = importlib.import_module(name)
module.host, module.port = "127.0.0.1", int(port)
module.topics = ("TopicA", "TopicA/B", "Topic/C", "TopicA/C", "/TopicA")
module.wildtopics = ("TopicA/+", "+/C", "#", "/#", "/+", "+/+", "TopicA/#")
module.nosubscribe_topics = ("test/nosubscribe",)
module.topic_prefix = "client_test5/"
module.setData = lambda: None
logging.getLogger().setLevel(logging.ERROR)
suite = unittest.defaultTestLoader.loadTestsFromName("Test." + test, module)
sys.exit(0 if unittest.TextTestRunner().run(suite).wasSuccessful() else 1)
`;

/** Eclipse Paho's conformance clients, or why they can not be had. */
export type PahoClients = { readonly directory: string } | { readonly missing: string };

/** A checkout that `PAHO_TESTING` names, or one that is made with git and kept. */
export function pahoClients(): PahoClients {
  if (spawnSync("python3", ["--version"]).status !== 0) return { missing: "there is no python3" };
  const given = process.env["PAHO_TESTING"];
  if (given !== undefined) {
    const directory = join(resolve(given), "interoperability");
    return existsSync(join(directory, "client_test5.py"))
      ? { directory }
      : { missing: `PAHO_TESTING=${given} is no checkout of ${REPOSITORY}` };
  }
  const directory = join(cache, "interoperability");
  if (existsSync(directory)) return { directory };
  const fault = checkOut();
  return fault === undefined
    ? { directory }
    : {
        missing: `offline: ${REPOSITORY} can not be fetched (${fault}); set PAHO_TESTING to a checkout`,
      };
}

function checkOut(): string | undefined {
  const making = `${cache}.${process.pid}`;
  mkdirSync(dirname(cache), { recursive: true });
  try {
    for (const args of [
      ["init", "-q", making],
      ["-C", making, "fetch", "-q", "--depth=1", REPOSITORY, COMMIT],
      ["-C", making, "checkout", "-q", "FETCH_HEAD"],
    ]) {
      const env = { ...process.env, GIT_TERMINAL_PROMPT: "0" };
      const { status, stderr, error } = spawnSync("git", args, {
        env,
        encoding: "utf8",
        timeout: 60_000,
      });
      if (status !== 0) return error?.message ?? stderr.trim().split("\n").at(-1) ?? "git failed";
    }
    renameSync(making, cache);
    return undefined;
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

/** Writes what {@link runPaho} runs; once, since several run at the same time. @returns its path. */
export function writePahoDriver(scratch: string): string {
  const driver = join(scratch, "driver.py");
  writeFileSync(driver, DRIVER);
  return driver;
}

/** What came of one test; its client gives up after 0.3 s, so that on a busy machine it may not even begin. */
export interface PahoRun {
  readonly outcome: "passed" | "failed" | "not run";
  readonly said: string;
}

/** Runs one test of Paho's, for a minute at most. */
export async function runPaho(
  directory: string,
  driver: string,
  test: { readonly version: "3.1.1" | "5"; readonly name: string },
  port: number,
): Promise<PahoRun> {
  const module = test.version === "5" ? "client_test5" : "client_test";
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: "1" };
  const args = [driver, directory, module, test.name, String(port)];
  let said: string;
  let passed = false;
  try {
    const { stdout, stderr } = await promisify(execFile)("python3", args, {
      cwd: dirname(driver),
      env,
      timeout: 60_000,
      killSignal: "SIGKILL",
    });
    said = `${stdout}${stderr}`;
    passed = true;
  } catch (error) {
    const {
      killed,
      stdout = "",
      stderr = "",
    } = error as {
      killed?: boolean;
      stdout?: string;
      stderr?: string;
    };
    said = `${stdout}${stderr}`.slice(-2_000);
    if (killed === true) return { outcome: "failed", said: `not done after a minute\n${said}` };
  }
  // An exit code by itself does not say that the test was run.
  if (!/^Ran 1 test in /m.test(said)) return { outcome: "not run", said };
  return { outcome: passed && /^OK$/m.test(said) ? "passed" : "failed", said };
}
