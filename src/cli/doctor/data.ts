import { readdirSync, rmSync, type Stats, statfsSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { silentLogger } from "../../platform/silent-logger.ts";
import { type Check, codeOf, type Finding, fail, ok, skipped, warn, wordsOf } from "./finding.ts";

const freeBytesMin = 32 * 1024 * 1024;
const inodesMin = 1000;

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

function mode(stats: Stats): string {
  return (stats.mode & 0o777).toString(8).padStart(4, "0");
}

/**
 * Does something as the owner of `stats`, where we are root: files that root makes in the agent's
 * directory would lock the agent out.
 */
async function asOwner<T>(stats: Stats, action: () => T | Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0 || stats.uid === 0) return action();
  process.setegid?.(stats.gid);
  process.seteuid?.(stats.uid);
  try {
    return await action();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
}

/** The directory itself: there, ours, writable, for nobody else to read. */
async function checkDirectory(path: string, stats: Stats): Promise<Finding> {
  const subject = "data directory";
  if (!stats.isDirectory()) {
    return fail(
      subject,
      `${path} is not a directory`,
      "move that file away, or choose another with --data",
    );
  }
  const probe = join(path, `.doctor-${process.pid}`);
  try {
    await asOwner(stats, () => {
      writeFileSync(probe, "x", { flush: true });
      rmSync(probe);
    });
  } catch (error) {
    rmSync(probe, { force: true });
    const fixes: Record<string, string> = {
      EROFS: `the file system is read-only, often after errors: 'dmesg | grep -i ext4', then 'sudo mount -o remount,rw ${path}'`,
      ENOSPC: "free some space on that disk, or lower outbox.bytesMax",
      EACCES: `sudo chown -R "$(id -un)" ${path}, or run as its owner (user ${stats.uid})`,
    };
    return fail(
      subject,
      `${path} is not writable: ${wordsOf(error)}`,
      fixes[codeOf(error)] ?? "see the message",
    );
  }
  if ((stats.mode & 0o077) !== 0) {
    return warn(
      subject,
      `${path} has mode ${mode(stats)}: others may read it`,
      `chmod 700 ${path}`,
    );
  }
  const strangers = readdirSync(path).filter((name) => statOf(join(path, name))?.uid !== stats.uid);
  if (strangers.length > 0) {
    const detail = `${strangers.join(", ")} in ${path} belong to another user than the directory`;
    return fail(subject, detail, `sudo chown -R --reference=${path} ${path}`);
  }
  return ok(subject, `${path}, writable for user ${stats.uid}, mode ${mode(stats)}`);
}

function checkDisk(path: string, queueBytesMax: number | undefined): Finding {
  const { bavail, bsize, files, ffree } = statfsSync(path);
  const free = bavail * bsize;
  const told = `${Math.round(free / 1e6)} MB free`;
  const fix =
    "free some space on that disk ('sudo journalctl --vacuum-size=50M' often helps), or lower outbox.bytesMax";
  if (free < freeBytesMin) return fail("disk", told, fix);
  if (files > 0 && ffree < inodesMin)
    return fail("disk", `${ffree} inodes free`, "delete small files");
  if (queueBytesMax !== undefined && free < queueBytesMax) {
    return warn(
      "disk",
      `${told}, and outbox.bytesMax is ${Math.round(queueBytesMax / 1e6)} MB`,
      fix,
    );
  }
  return ok("disk", `${told}, ${ffree} inodes free`);
}

function checkToken(data: string): Finding {
  const file = join(data, "admin.token");
  const stats = statOf(file);
  if (stats === undefined) {
    return statOf(join(data, "agent-id")) === undefined
      ? skipped("first token", "written at the first start")
      : warn(
          "first token",
          `${file} is gone`,
          "agent-mesh token create --scope admin, with a token that you have",
        );
  }
  return (stats.mode & 0o077) === 0
    ? ok("first token", `${file}, mode ${mode(stats)}`)
    : fail(
        "first token",
        `${file} has mode ${mode(stats)}: others may read it`,
        `chmod 600 ${file}`,
      );
}

async function checkStore(data: string, owner: Stats): Promise<Finding> {
  const directory = join(data, "store");
  if (statOf(directory) === undefined) return skipped("store", "made at the first start");
  try {
    const repair = await asOwner(owner, async () => {
      const { LevelStore } = await import("../../platform/level/level-store.ts");
      const store = await LevelStore.open({ directory, logger: silentLogger });
      await store.close();
      return store.repairs().at(-1);
    });
    if (repair === undefined) return ok("store", `${directory} opens`);
    return warn(
      "store",
      `${directory} was damaged and has been repaired: ${repair.reason}; readings may be missing`,
      `the damaged files are in ${repair.quarantine}; if it happens again, replace the card or disk`,
    );
  } catch (error) {
    const fixes: Record<string, string> = {
      "store.locked": `another process has it: 'sudo fuser -v ${directory}/LOCK' names it; end that one, or choose another --data`,
      "store.full": "free some space on that disk",
    };
    const fix = fixes[codeOf(error)] ?? `check who may read ${directory}`;
    return fail("store", `${directory} does not open: ${wordsOf(error)}`, fix);
  }
}

/** A store that an agent has open can only be asked for through that agent. */
async function askAgent(url: string | undefined, pid: number): Promise<Finding> {
  if (url === undefined) return skipped("store", `open in the running agent (process ${pid})`);
  try {
    const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(5000) });
    if (answer.ok)
      return ok("store", `open in the running agent (process ${pid}), which says it is ready`);
    const said = (await answer.text()).slice(0, 500);
    return fail(
      "store",
      `the running agent is not ready: ${said}`,
      "look at its log: journalctl -u agent-mesh -n 50",
    );
  } catch (error) {
    const detail = `process ${pid} does not answer at ${url}/readyz: ${wordsOf(error)}`;
    return fail("store", detail, "sudo systemctl restart agent-mesh");
  }
}

function nearestExisting(path: string): string {
  return statOf(path) === undefined && dirname(path) !== path
    ? nearestExisting(dirname(path))
    : path;
}

/** Data directory, disk, first token and store. */
export const checkData: Check = async ({ dataDirectory, config, running }) => {
  const stats = statOf(dataDirectory);
  const queueBytesMax = config?.outbox.bytesMax;
  if (stats === undefined) {
    const parent = nearestExisting(dirname(dataDirectory));
    return [
      skipped("data directory", `${dataDirectory} is made at the first start`),
      checkDisk(parent, queueBytesMax),
    ];
  }
  const directory = await checkDirectory(dataDirectory, stats);
  if (!stats.isDirectory()) return [directory];
  const found = [directory, checkDisk(dataDirectory, queueBytesMax), checkToken(dataDirectory)];
  if (running !== undefined) return [...found, await askAgent(running.apiUrl, running.pid)];
  if (directory.outcome === "fail")
    return [...found, skipped("store", "the data directory comes first")];
  return [...found, await checkStore(dataDirectory, stats)];
};
