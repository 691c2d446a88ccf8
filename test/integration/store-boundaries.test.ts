// The store is killed at every system call that changes a file, and made to fail at every one.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { PowerCut } from "../../faults/parts/power-cut.ts";
import {
  type Injection,
  straceRecord,
  straceStart,
  straceUnavailable,
  tracerEnded,
  tracerOf,
  WRITE_CALLS,
} from "../../faults/parts/strace.ts";
import { storeWriter } from "../support/store-writer.ts";

const skip = straceUnavailable();
const root = mkdtempSync(join(tmpdir(), "store-boundaries-"));
t.teardown(() => rmSync(root, { recursive: true, force: true }));
t.setTimeout(200_000);

/** Enough to fill several tables. */
const ENTRIES = 150;
const JOBS = 3;

interface Written {
  readonly thanked: number[];
  readonly refused: string[];
  readonly killed: boolean;
}

let directories = 0;
function newStore(): string {
  const data = join(root, String(directories++));
  mkdirSync(data);
  return join(data, "store");
}

/** Runs the writer under strace. @param killAfter kills it when it was thanked for so many */
async function write(
  store: string,
  entries: number,
  prefix: readonly string[],
  killAfter = Number.POSITIVE_INFINITY,
): Promise<Written> {
  const [program, ...args] =
    prefix[0] === undefined
      ? [process.execPath]
      : [prefix[0], ...prefix.slice(1), process.execPath];
  // One thread for everything that Node.js writes: calls are counted for each thread.
  const env = { ...process.env, UV_THREADPOOL_SIZE: "1", NODE_OPTIONS: "" };
  const child = spawn(program, [...args, storeWriter.program, store, String(entries)], {
    env,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const written = { thanked: [] as number[], refused: [] as string[] };
  let rest = "";
  let tracer = 0;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const [word, n = ""] = line.split(" ");
      if (word === "thanked") written.thanked.push(Number(n));
      else written.refused.push(line);
    }
    if (written.thanked.length < killAfter || child.killed) return;
    tracer = tracerOf(child.pid ?? 0);
    child.kill("SIGKILL");
  });
  await new Promise((done) => {
    child.once("close", done);
  });
  await tracerEnded(tracer);
  return { ...written, killed: child.signalCode === "SIGKILL" };
}

/** Opens what was left. @returns what is wrong with it. */
async function faultsOf(store: string, { thanked }: Written): Promise<string[]> {
  const { open, key, value } = storeWriter;
  const opened = await open(store);
  const faults = opened.repairs().map(({ reason }) => `a crash was taken for damage: ${reason}`);
  for (const n of thanked) {
    const found = await opened.get(key(n));
    if (found === undefined || !value(n).equals(found)) faults.push(`entry ${n} is lost`);
  }
  await opened.write([{ type: "put", key: "new", value: value(1) }], { durable: true });
  await opened.close();
  return faults;
}

/** Does `one` for 1, 2, 3, … until it says that there was no such call any more; a few at once. */
async function everyCall(one: (n: number) => Promise<boolean>, last: number): Promise<number> {
  let next = 1;
  let end = last;
  const work = async (): Promise<void> => {
    for (let n = next++; n <= end; n = next++) if (!(await one(n))) end = Math.min(end, n - 1);
  };
  await Promise.all(Array.from({ length: JOBS }, work));
  return end;
}

async function atEveryCall(
  t: Test,
  call: string,
  last: number,
  prepare: (store: string) => Promise<void>,
): Promise<void> {
  const faults: string[] = [];
  const calls = await everyCall(async (n) => {
    const store = newStore();
    await prepare(store);
    const injection: Injection = { call, what: "signal=KILL", when: String(n) };
    const written = await write(store, ENTRIES, straceStart(store, injection));
    for (const fault of await faultsOf(store, written)) faults.push(`${call} ${n}: ${fault}`);
    return written.killed;
  }, last);
  t.same(faults, []);
  t.ok(calls > 0, `killed at each of ${calls} calls of ${call}`);
}

const LAST: Readonly<Record<string, number>> = { write: 40, fdatasync: 30, openat: 20 };

for (const call of WRITE_CALLS) {
  t.test(`killed at every ${call} while the store is made, and after`, { skip }, (t) =>
    atEveryCall(t, call, LAST[call] ?? 10, () => Promise.resolve()),
  );
}

t.test("killed at every write while a store with a log is opened", { skip }, (t) =>
  atEveryCall(t, "write", 12, async (store) => {
    await write(store, 40, ["env"], 30);
  }),
);

t.test(
  "a failing disk: what was thanked for is there, what was not is refused",
  { skip },
  async (t) => {
    const faults: string[] = [];
    const refused = new Set<string>();
    for (const [call, what] of [
      ["fdatasync", "error=EIO"],
      ["write", "error=ENOSPC"],
      ["write", "error=EIO"],
      ["openat", "error=EMFILE"],
      ["rename", "error=EIO"],
    ] as const) {
      const one = async (n: number): Promise<boolean> => {
        const store = newStore();
        // The store is there already: one that can not be made is no store, and is told at once.
        await write(store, 5, ["env"]);
        const injection: Injection = { call, what, when: `${n * 3}..${n * 3 + 1}` };
        const written = await write(store, ENTRIES, straceStart(store, injection), 60);
        for (const line of written.refused) refused.add(line.split(" ")[2] ?? "");
        for (const fault of await faultsOf(store, written))
          faults.push(`${call} ${what} ${n}: ${fault}`);
        return true;
      };
      await everyCall(one, 3);
    }
    t.same(faults, []);
    t.ok(refused.has("store.full") && refused.has("store.failed"), [...refused].join(", "));
  },
);

t.test(
  "a power cut takes what was not synced, and nothing that was thanked for",
  { skip },
  async (t) => {
    const faults: string[] = [];
    let gone = 0;
    await everyCall(async (n) => {
      const store = newStore();
      const record = `${store}.calls`;
      const prefix = straceRecord(store, record);
      const written = await write(store, ENTRIES, prefix, n * 9);
      const cut = new PowerCut(store);
      cut.take(record);
      gone += cut.cut(() => (n % 2 === 0 ? 0 : 0.5));
      for (const fault of await faultsOf(store, written)) faults.push(`after ${n * 9}: ${fault}`);
      return true;
    }, 12);
    t.same(faults, []);
    t.comment(`${gone} bytes were gone`);
  },
);
