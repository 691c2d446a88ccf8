// `bin/agent-mesh` says so where what it starts was built before the sources changed.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import t from "tap";

const repository = resolve(import.meta.dirname, "../..");

t.test("a build that is older than the sources is started, and named", async (t) => {
  const home = t.testdir();
  cpSync(join(repository, "bin"), join(home, "bin"), { recursive: true });
  cpSync(join(repository, "dist"), join(home, "dist"), { recursive: true });
  symlinkSync(join(repository, "node_modules"), join(home, "node_modules"));
  const version = () =>
    spawnSync(join(home, "bin/agent-mesh"), ["--version"], { encoding: "utf8" });
  const installed = version();
  t.match(installed, { status: 0, stderr: "" }, "a device has no sources");

  mkdirSync(join(home, "src/cli"), { recursive: true });
  const source = join(home, "src/cli/run.ts");
  writeFileSync(source, "");
  const at = (seconds: number): void => utimesSync(source, seconds, seconds);
  const nowS = Date.now() / 1_000;
  at(nowS - 3_600);
  t.equal(version().stderr, "");
  at(nowS + 3_600);
  const stale = version();
  t.match(stale.stderr, /src\/ is newer than dist\/.*npm run build/);
  t.match(stale, { status: 0, stdout: installed.stdout }, "and started all the same");
});
