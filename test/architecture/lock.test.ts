import { spawnSync } from "node:child_process";
import { join } from "node:path";
import t from "tap";

const script = join(import.meta.dirname, "../../scripts/complete-lock.ts");

t.test("npm ci finds every package of every platform in the lock file", async (t) => {
  const { stdout, status } = spawnSync(process.execPath, [script, "--check"], { encoding: "utf8" });
  t.equal(status, 0, stdout);
});
