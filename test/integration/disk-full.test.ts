import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import t from "tap";
import { Outbox } from "../../src/outbox/outbox.ts";
import { LevelStore } from "../../src/platform/level/level-store.ts";
import { SystemClock } from "../../src/platform/node/system-clock.ts";
import { keptLog } from "../support/kept-log.ts";
import { eventually } from "../support/mosquitto.ts";
import { appender } from "../support/outbox-appender.ts";

const directory = mkdtempSync(join(tmpdir(), "small-disk-"));
const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=24m", "tmpfs", directory]);
const skip =
  mounted.status === 0 ? false : "needs root, to mount a tmpfs of 24 MB: run the tests with sudo";
t.teardown(() => {
  if (skip === false) spawnSync("umount", ["-l", directory]);
  rmSync(directory, { recursive: true, force: true });
});

/** Sequences of stream `s` that are queued. */
async function queued(data: string): Promise<Set<number>> {
  const log = keptLog();
  const store = await LevelStore.open({ directory: join(data, "store"), logger: log });
  const outbox = await Outbox.open(appender.parts(store, new SystemClock(), log));
  const sequences = new Set<number>();
  for (;;) {
    const updates = await outbox.lease(1_000);
    if (updates.length === 0) break;
    for (const { sequence } of updates) sequences.add(sequence);
  }
  await outbox.close();
  await store.close();
  return sequences;
}

t.test(
  "a full disk: refusals name the fix; what was thanked for survives kill -9",
  { skip },
  async (t) => {
    const child = spawn(process.execPath, [appender.program, directory], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    t.teardown(() => child.kill("SIGKILL"));
    const thanked: number[] = [];
    const refusals: string[] = [];
    createInterface(child.stdout).on("line", (line) => {
      const [word = "", rest = ""] = line.split(" ", 1).concat(line.slice(line.indexOf(" ") + 1));
      if (word === "thanked") thanked.push(Number(rest));
      else if (word === "refused") refusals.push(rest);
    });
    await eventually(() => thanked.length > 50, "the first updates");
    const filler = join(directory, "filler");
    spawnSync("dd", ["if=/dev/zero", `of=${filler}`, "bs=64k"], { stdio: "ignore" });
    await eventually(() => refusals.length > 5, "refusals");
    t.match(refusals[0], /outbox.store-failed.*no space left.*free space.*outbox\.bytesMax/i);
    rmSync(filler);
    const before = thanked.length;
    await eventually(() => thanked.length > before + 50, "updates after space was made");
    child.kill("SIGKILL");
    await new Promise((resolve) => child.once("close", resolve));
    const there = await queued(directory);
    const lost = thanked.filter((sequence) => !there.has(sequence));
    t.same(lost, [], `none of ${thanked.length} is missing`);
    t.equal(new Set(thanked).size, thanked.length, "no number was given twice");
  },
);

t.test("a disk that is full at start: the reserve lets the store open", { skip }, async (t) => {
  const log = keptLog();
  const storeDirectory = join(directory, "reserved");
  const reserveBytes = 4 * 1024 * 1024;
  const open = () =>
    LevelStore.open({
      directory: storeDirectory,
      logger: log,
      reserveBytes,
      writeBufferBytes: 8 * 1024 * 1024,
    });
  rmSync(join(directory, "store"), { recursive: true, force: true });
  let store = await open();
  const value = Buffer.alloc(1_000, 1);
  for (let n = 0; n < 2_000; n += 100) {
    const batch = Array.from({ length: 100 }, (_, i) => ({
      type: "put" as const,
      key: `k${String(n + i).padStart(5, "0")}`,
      value,
    }));
    await store.write(batch, { durable: true });
  }
  await store.close();
  t.ok(existsSync(`${storeDirectory}.reserve`), "room is kept");
  const filler = join(directory, "filler");
  spawnSync("dd", ["if=/dev/zero", `of=${filler}`, "bs=4k"], { stdio: "ignore" });
  store = await open();
  t.match(log.lines, [{ level: "warn", message: /used the reserve file/ }]);
  t.equal((await store.range({ gte: "k", lt: "l", limit: 1e4 })).length, 2_000);
  const outbox = await Outbox.open(appender.parts(store, new SystemClock(), log));
  t.equal(outbox.status().updates, 0, "and the outbox with it");
  await outbox.close().catch(() => undefined);
  await store.close();
  rmSync(filler);
  writeFileSync(filler, "");
});
