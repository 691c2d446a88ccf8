// The agent as a library: what an installed package has, with nothing of the checkout around it, runs the example.
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import t from "tap";

t.setTimeout(240_000);

const repository = resolve(import.meta.dirname, "../..");

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(directory: string, file: string): Promise<Ran> {
  const env = { ...process.env, NODE_OPTIONS: undefined, DATA: directory };
  const child = spawn(process.execPath, [file], {
    env,
    cwd: directory,
    stdio: ["ignore", "pipe", "pipe"],
  });
  t.teardown(() => child.kill("SIGKILL"));
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const code = await new Promise<number | null>((done) => child.once("close", done));
  return { code, stdout, stderr };
}

/** A program's directory with the package installed in it. */
function installed(): string {
  // Outside of the checkout, where none of its modules is found.
  const directory = mkdtempSync(join(tmpdir(), "library-"));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const home = join(directory, "node_modules/agent-mesh");
  cpSync(join(repository, "dist"), join(home, "dist"), { recursive: true });
  cpSync(join(repository, "package.json"), join(home, "package.json"));
  writeFileSync(join(directory, "package.json"), '{"type":"module"}');
  return directory;
}

t.test("the library's example: two agents in one process learn", async (t) => {
  const directory = installed();
  cpSync(join(repository, "examples/federated-task.js"), join(directory, "federated-task.js"));
  const { code, stdout, stderr } = await run(directory, "federated-task.js");
  t.equal(code, 0, stderr);
  t.match(stdout, /^round 1: 2 updates, accuracy \d/m);
  t.match(stdout, /^round 5: 2 updates/m);
  const [, said, right] = /^classes (.*) right (.*)$/m.exec(stdout) ?? [];
  t.equal(said, right);
});

t.test("settings that can not be are named before anything is opened", async (t) => {
  const directory = installed();
  writeFileSync(
    join(directory, "wrong.js"),
    `import { ConfigError, startAgent } from "agent-mesh/agent";
     await startAgent({ dataDirectory: "data", config: { learning: { enable: true } } }).catch((error) => {
       console.log(error instanceof ConfigError, error.message);
     });`,
  );
  const { code, stdout } = await run(directory, "wrong.js");
  t.equal(code, 0);
  t.match(stdout, /^true config can not be used:\n.*learning.enable.*enabled/);
});
