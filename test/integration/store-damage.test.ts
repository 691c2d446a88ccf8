// Damaged stores: what can be read is kept, what can not is set aside and told, and new data is taken.
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { ClassicLevel } from "classic-level";
import t, { type Test } from "tap";
import type { StoreEntry } from "../../src/platform/key-value-store.ts";
import { LevelStore } from "../../src/platform/level/level-store.ts";
import { keptLog } from "../support/kept-log.ts";

const ENTRIES = 1_500;
const all = { gte: "", lt: "~", limit: 1e6 };
const key = (n: number): string => `k${String(n).padStart(5, "0")}`;
const value = (n: number): Buffer => Buffer.alloc(200, `value ${n} `);
const batch = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => ({
    type: "put" as const,
    key: key(from + i),
    value: value(from + i),
  }));

interface Damaged {
  readonly data: string;
  readonly store: string;
  /** Files of a kind, oldest first. */
  readonly files: (pattern: RegExp) => string[];
}

const root = mkdtempSync(join(tmpdir(), "store-damage-"));
t.teardown(() => rmSync(root, { recursive: true, force: true }));

const open = (directory: string) =>
  LevelStore.open({ directory, logger: keptLog(), writeBufferBytes: 64 * 1024 });

/** A store of 1,500 entries in several tables and a log, closed, that nothing is wrong with yet. */
async function filledStore(name: string): Promise<Damaged> {
  const data = join(root, name.replaceAll(/\W/g, "-"));
  const directory = join(data, "store");
  const store = await open(directory);
  for (let n = 0; n < ENTRIES; n += 100) await store.write(batch(n, n + 100), { durable: true });
  await store.close();
  const again = await open(directory);
  await again.write(batch(ENTRIES, ENTRIES + 50), { durable: true });
  await again.write(batch(ENTRIES + 50, ENTRIES + 100), { durable: true });
  await again.close();
  return {
    data,
    store: directory,
    files: (pattern) =>
      readdirSync(directory)
        .filter((file) => pattern.test(file))
        .sort()
        .map((file) => join(directory, file)),
  };
}

function first(files: readonly string[]): string {
  const [file] = files;
  if (file === undefined) throw new Error("no such file in the store");
  return file;
}

function flip(file: string, share: number): void {
  const bytes = readFileSync(file);
  const at = Math.floor(bytes.length * share);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 0x08, at);
  writeFileSync(file, bytes);
}

const faults: readonly {
  readonly name: string;
  readonly damage: (under: Damaged) => void;
  /** What is still there at least, of 1,600. */
  readonly keeps: number;
  readonly kind: string;
}[] = [
  {
    name: "a zero-length table",
    damage: ({ files }) => truncateSync(first(files(/ldb$/)), 0),
    keeps: 1_000,
    kind: "rebuilt",
  },
  {
    name: "a table cut in half",
    damage: ({ files }) => {
      const file = first(files(/ldb$/));
      truncateSync(file, Math.floor(statSync(file).size / 2));
    },
    keeps: 1_000,
    kind: "rebuilt",
  },
  {
    name: "a missing table",
    damage: ({ files }) => rmSync(first(files(/ldb$/))),
    keeps: 1_000,
    kind: "rebuilt",
  },
  {
    name: "a flipped bit in a log",
    damage: ({ files }) => flip(first(files(/log$/)), 0.2),
    keeps: 1_550,
    kind: "log",
  },
  {
    name: "a missing log",
    damage: ({ files }) => rmSync(first(files(/log$/))),
    keeps: 1_500,
    kind: "log",
  },
  {
    name: "a flipped bit in the manifest",
    damage: ({ files }) => flip(first(files(/MANIFEST/)), 0.3),
    keeps: 1_600,
    kind: "rebuilt",
  },
  {
    name: "an emptied manifest",
    damage: ({ files }) => truncateSync(first(files(/MANIFEST/)), 0),
    keeps: 1_600,
    kind: "rebuilt",
  },
  {
    name: "a missing manifest",
    damage: ({ files }) => rmSync(first(files(/MANIFEST/))),
    keeps: 1_600,
    kind: "rebuilt",
  },
  {
    name: "an emptied CURRENT",
    damage: ({ files }) => truncateSync(first(files(/CURRENT/)), 0),
    keeps: 1_600,
    kind: "rebuilt",
  },
  {
    name: "a missing CURRENT",
    damage: ({ files }) => rmSync(first(files(/CURRENT/))),
    keeps: 1_600,
    kind: "rebuilt",
  },
  {
    name: "garbage in every file",
    damage: ({ files }) => {
      for (const file of files(/ldb$|log$|MANIFEST|CURRENT/))
        writeFileSync(file, Buffer.alloc(5_000, "garbage"));
    },
    keeps: 0,
    kind: "",
  },
];

/** Whatever else is gone: what is there must be what was written. */
function wrong(entries: readonly StoreEntry[]): string[] {
  return entries
    .filter(([name, bytes]) => !value(Number(name.slice(1))).equals(bytes))
    .map(([name]) => name);
}

/** New data is taken and kept. */
async function takesNewData(t: Test, store: LevelStore, directory: string): Promise<void> {
  const more = [{ type: "put" as const, key: "new", value: Buffer.from("data") }];
  const { generation } = store;
  await store.write(more, { durable: true, ifGeneration: generation });
  await store.close();
  const again = await open(directory);
  t.same(await again.get("new"), Buffer.from("data"), "new data is kept");
  t.same(again.repairs(), [], "the damage is gone");
  t.equal(again.generation, generation);
  await again.close();
}

for (const { name, damage, keeps, kind } of faults) {
  t.test(`${name}: the rest is kept, the damage is told, new data is taken`, async (t) => {
    const under = await filledStore(name);
    damage(under);
    const store = await open(under.store);
    const entries = await store.range(all);
    t.same(wrong(entries), []);
    t.ok(entries.length >= keeps, `${entries.length} of 1,600 are kept`);
    t.ok(store.generation >= 1, "numbers of before may be lost");
    const [repair] = store.repairs();
    t.ok(repair !== undefined && repair.reason.length > 10, `told: ${repair?.reason}`);
    if (kind !== "") t.equal(repair?.kind, kind);
    t.equal(basename(join(repair?.quarantine ?? "", "..")), "quarantine");
    t.ok(readdirSync(repair?.quarantine ?? "").length > 0, "the damaged files are kept");
    await takesNewData(t, store, under.store);
  });
}

t.test("a flipped bit anywhere in a table is never taken for data", async (t) => {
  let told = 0;
  for (const share of [0.02, 0.11, 0.27, 0.43, 0.58, 0.71, 0.86, 0.97, 0.995]) {
    const under = await filledStore(`bit ${share}`);
    flip(first(under.files(/ldb$/)), share);
    const store = await open(under.store);
    const entries = await store.range(all);
    if (wrong(entries).length > 0) t.fail(`at ${share}: wrong data`);
    // A table holds 300 at most; a block of it some twenty.
    const least = share < 0.9 ? 1_560 : 1_290;
    if (entries.length < least) t.fail(`at ${share}: only ${entries.length} are kept`);
    if (entries.length < 1_600 && store.repairs().length === 0) t.fail(`at ${share}: lost, untold`);
    if (store.repairs().length > 0) told++;
    await store.write(batch(0, 1), { durable: true });
    await store.close();
  }
  t.ok(told > 0, `${told} of 9 were found`);
});

t.test("a table that LevelDB aborts over is mended at the third start", async (t) => {
  const under = await filledStore("abort");
  const table = first(under.files(/ldb$/));
  // As two processes leave it that died right after opening.
  writeFileSync(`${under.store}.opening`, "..");
  flip(table, 0.3);
  const store = await open(under.store);
  t.match(store.repairs(), [
    { kind: "rebuilt", reason: /ldb: the block at byte \d+ does not match/ },
  ]);
  t.ok((await store.range(all)).length >= 1_560);
  await store.close();
  t.notOk(existsSync(`${under.store}.opening`));
});

t.test("an unfinished table of a killed process is no damage, however often it died", async (t) => {
  const under = await filledStore("unfinished");
  writeFileSync(join(under.store, "000901.ldb"), Buffer.alloc(3_000, 7));
  writeFileSync(`${under.store}.opening`, "....");
  const store = await open(under.store);
  t.same([store.repairs(), store.generation], [[], 0]);
  t.equal((await store.range(all)).length, 1_600);
  await store.close();
});

t.test("a torn log tail costs nothing that was synced, and is no damage", async (t) => {
  const under = await filledStore("torn");
  const log = first(under.files(/log$/));
  const whole = readFileSync(log);
  writeFileSync(log, Buffer.concat([whole, whole.subarray(0, 3_000)]));
  const store = await open(under.store);
  t.equal((await store.range(all)).length, 1_600);
  t.same(store.repairs(), []);
  t.equal(store.generation, 0);
  await store.close();
});

t.test("damage under a running store: readers go on, and writers read anew", async (t) => {
  const under = await filledStore("running");
  const store = await open(under.store);
  const table = openSync(first(under.files(/ldb$/)), "r+");
  writeSync(table, Buffer.alloc(2_000, 0xa5), 0, 2_000, 0);
  closeSync(table);
  const [one, two] = await Promise.all([store.range(all), store.range({ ...all, reverse: true })]);
  t.same(wrong([...one, ...two]), []);
  t.ok(one.length >= 1_000 && one.length === two.length, `${one.length} are kept`);
  t.equal(store.repairs().length, 1);
  const write = store.write(batch(0, 1), { durable: true, ifGeneration: 0 });
  await t.rejects(write, { code: "store.corrupt", message: /read it anew/ });
  await takesNewData(t, store, under.store);
});

t.test("the quarantine is bounded, and a second agent repairs nothing", async (t) => {
  const under = await filledStore("often");
  for (let times = 0; times < 6; times++) {
    truncateSync(first(under.files(/MANIFEST/)), 0);
    const store = await open(under.store);
    t.equal(store.generation, times + 1);
    await store.close();
  }
  t.equal(readdirSync(join(under.data, "quarantine")).length, 4);
  const store = await open(under.store);
  await store.write(batch(0, 100), { durable: true });
  await store.write(batch(100, 200), { durable: true });
  const log = first(under.files(/log$/));
  flip(log, 0.5);
  const before = readFileSync(log);
  await t.rejects(open(under.store), { code: "store.locked" });
  t.ok(readFileSync(log).equals(before), "the log of the first one is left alone");
  await store.close();
});

t.test(
  "a store of version 0.1.0 is taken over as it is, also when that was cut short",
  async (t) => {
    const directory = join(root, "old", "store");
    const old = new ClassicLevel<string, Buffer>(directory, { valueEncoding: "buffer" });
    const puts = batch(0, 1_600);
    await old.batch(puts, { sync: true });
    await old.close();
    let store = await open(directory);
    t.equal((await store.range(all)).length, 1_600);
    await store.close();
    // As if it had been killed before the end.
    const half = new ClassicLevel<string, Buffer>(directory, { valueEncoding: "buffer" });
    await half.batch([...puts.slice(0, 700), { type: "del", key: "\x7fformat" }], { sync: true });
    await half.close();
    store = await open(directory);
    const entries = await store.range(all);
    t.same([entries.length, wrong(entries), store.repairs()], [1_600, [], []]);
    await store.close();
    t.notOk(existsSync(join(root, "old", "quarantine")));
  },
);
