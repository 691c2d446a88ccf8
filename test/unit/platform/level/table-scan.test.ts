import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ClassicLevel } from "classic-level";
import t from "tap";
import { tablesOf } from "../../../../src/platform/level/manifest.ts";
import { unsnappy } from "../../../../src/platform/level/snappy.ts";
import { scanTable } from "../../../../src/platform/level/table-scan.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";

const directory = mkdtempSync(join(tmpdir(), "level-table-"));
t.teardown(() => rmSync(directory, { recursive: true, force: true }));
const random = new SeededRandom("tables");

/** Tables that LevelDB made: of text that compresses well, of noise that does not, and of deletions. */
async function fill(): Promise<void> {
  const database = new ClassicLevel<string, Buffer>(directory, {
    valueEncoding: "buffer",
    writeBufferSize: 64 * 1024,
  });
  for (let n = 0; n < 400; n++) {
    const value = n % 2 === 0 ? Buffer.alloc(700, `text ${n} `) : Buffer.from(random.bytes(700));
    await database.put(`key-${n}`, value);
    if (n % 5 === 0) await database.del(`key-${n - 3}`);
  }
  await database.compactRange("a", "z");
  await database.close();
}

function tables(): { name: string; bytes: Buffer }[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith(".ldb"))
    .map((name) => ({ name, bytes: readFileSync(join(directory, name)) }));
}

t.test("LevelDB's tables are right as they are, and its manifest names them", async (t) => {
  await fill();
  const all = tables();
  t.ok(all.length > 0);
  for (const { name, bytes } of all) t.equal(scanTable(bytes).damage, undefined, name);
  const manifest = readdirSync(directory).find((name) => name.startsWith("MANIFEST")) ?? "";
  const used = tablesOf(readFileSync(join(directory, manifest)));
  t.same(used, new Set(all.map(({ name }) => Number.parseInt(name, 10))));
  t.equal(tablesOf(Buffer.alloc(0)), undefined);
  t.equal(tablesOf(Buffer.alloc(100, 7)), undefined);
});

t.test("a flipped bit is found wherever LevelDB would read it; the rest is kept", async (t) => {
  const { bytes } = tables()[0] ?? { bytes: Buffer.alloc(0) };
  const everything = 100;
  let found = 0;
  for (let n = 0; n < everything; n++) {
    const at = Math.floor((bytes.length - 200) * (n / everything));
    const damaged = Buffer.from(bytes);
    damaged.writeUInt8(damaged.readUInt8(at) ^ 1, at);
    const { damage, records } = scanTable(damaged);
    if (damage !== undefined) found++;
    // Unless it is the index that is hit, all blocks but one can be read.
    if (damage !== undefined && n < 90 && records.length < 50)
      t.fail(`bit at ${at} of ${bytes.length}: ${records.length} entries`);
  }
  t.ok(found > 97, `${found} of ${everything}`);
  for (const cut of [0, 1, 47, 48, bytes.length - 1])
    t.ok(scanTable(bytes.subarray(0, cut)).damage, `cut to ${cut} bytes`);
});

t.test("Snappy: literals, near and far copies, runs; refuses what is none", async (t) => {
  // From the format's description: "xababab" as a literal of 3 and a copy of 4 at offset 2.
  t.equal(unsnappy(Buffer.from([7, 0x08, 0x78, 0x61, 0x62, 0x01, 0x02])).toString(), "xababab");
  t.equal(unsnappy(Buffer.from([5, 0x00, 0x61, 0x0e, 0x01, 0x00])).toString(), "aaaaa");
  const long = Buffer.alloc(70, "b");
  t.same(unsnappy(Buffer.concat([Buffer.from([70, 60 << 2, 69]), long])), long);
  for (const bad of [
    [],
    [5],
    [5, 0x00, 0x61],
    [2, 0x08, 1, 2, 3],
    [5, 0x00, 0x61, 0x0e, 0x09, 0x00],
    [0xff, 0xff, 0xff, 0xff, 0x7f],
  ])
    t.throws(() => unsnappy(Buffer.from(bad)), RangeError, JSON.stringify(bad));
});
