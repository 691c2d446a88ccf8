import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ClassicLevel } from "classic-level";
import t from "tap";
import { openValue, sealValue } from "../../../../src/platform/level/checked-value.ts";
import { crc32c } from "../../../../src/platform/level/crc32c.ts";
import { encodeLog, scanLog } from "../../../../src/platform/level/log-records.ts";

const record = (n: number, bytes: number): Buffer => Buffer.alloc(bytes, `record ${n} `);

t.test("CRC-32C: the vectors of RFC 3720, B.4", async (t) => {
  t.equal(crc32c(Buffer.alloc(32), 0, 32), 0x8a9136aa);
  t.equal(crc32c(Buffer.alloc(32, 0xff), 0, 32), 0x62a8ab43);
  t.equal(crc32c(Buffer.from([9, ...Buffer.from("123456789"), 9]), 1, 10), 0xe3069283);
});

t.test("a log that LevelDB wrote is read whole", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "level-log-"));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const database = new ClassicLevel<string, Buffer>(directory, { valueEncoding: "buffer" });
  for (const bytes of [10, 40_000, 200, 100_000, 32_700, 32_749, 32_760])
    await database.put(`key-${bytes}`, Buffer.alloc(bytes, bytes));
  await database.close();
  const name = readdirSync(directory).find((file) => file.endsWith(".log")) ?? "";
  const log = readFileSync(join(directory, name));
  const { records, damage } = scanLog(log);
  t.equal(damage, undefined);
  t.equal(records.length, 7);
  t.ok(records[6]?.includes("key-32760"));
  t.ok(encodeLog(records).equals(log), "and written again byte by byte");
});

t.test("a log that was cut off anywhere is not damaged, and keeps what is whole", async (t) => {
  const whole = [record(1, 100), record(2, 40_000), record(3, 5), record(4, 70_000)];
  const log = encodeLog(whole);
  const ends = whole.map((_, count) => encodeLog(whole.slice(0, count + 1)).length);
  for (let cut = 0; cut <= log.length; cut += cut % 32_768 < 32_740 ? 997 : 1) {
    const { records, damage } = scanLog(log.subarray(0, cut));
    if (damage !== undefined || records.length !== ends.filter((end) => end <= cut).length)
      t.fail(`cut at ${cut}: ${damage ?? "wrong"}, ${records.length} records`);
  }
  const preallocated = scanLog(Buffer.concat([log, Buffer.alloc(50_000)]));
  t.same([preallocated.damage, preallocated.records.length], [undefined, 4]);
});

t.test("a flipped bit costs its own record and is told, wherever it is", async (t) => {
  const whole = Array.from({ length: 60 }, (_, n) => record(n, 900));
  const log = encodeLog(whole);
  const isWhole = new Set(whole.map((one) => one.toString("latin1")));
  for (let at = 0; at < log.length - 907; at += 131) {
    const damaged = Buffer.from(log);
    damaged.writeUInt8(damaged.readUInt8(at) ^ 0x10, at);
    const { records, damage } = scanLog(damaged);
    if (damage === undefined || records.length !== 59)
      t.fail(`bit ${at}: ${damage ?? "untold"}, ${records.length} records`);
    if (!records.every((one) => isWhole.has(one.toString("latin1")))) t.fail(`bit ${at}: wrong`);
  }
  const last = Buffer.from(log);
  last.writeUInt8(last.readUInt8(log.length - 1) ^ 1, log.length - 1);
  t.match(scanLog(last), { damage: /checksum/ }, "also in the last one");
  t.equal(scanLog(Buffer.alloc(100_000, 0x5a)).records.length, 0, "no log at all");
});

t.test("a value belongs to its key", async (t) => {
  const sealed = sealValue("key", Buffer.from("value"));
  t.same(openValue("key", sealed), Buffer.from("value"));
  t.same(openValue("", sealValue("", Buffer.alloc(0))), Buffer.alloc(0));
  t.equal(openValue("kez", sealed), undefined);
  t.equal(openValue("key", sealed.subarray(1)), undefined);
  t.equal(openValue("key", Buffer.alloc(3)), undefined);
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const damaged = Buffer.from(sealed);
    damaged.writeUInt8(damaged.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    if (openValue("key", damaged) !== undefined) t.fail(`bit ${bit} flipped unnoticed`);
  }
});

t.test(
  "whichever bit of the last record is flipped, it is told, and a wrong length is put right",
  async (t) => {
    const records = [record(1, 300), record(2, 40), record(3, 250)];
    const log = encodeLog(records);
    const begins = log.length - 7 - 250;
    for (let bit = begins * 8; bit < log.length * 8; bit++) {
      const damaged = Buffer.from(log);
      damaged.writeUInt8(damaged.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      const scan = scanLog(damaged);
      if (scan.damage === undefined) t.fail(`bit ${bit - begins * 8} flipped unnoticed`);
    }
    const tooLong = Buffer.from(log);
    tooLong.writeUInt16LE(250 + 1_024, begins + 4);
    t.match(scanLog(tooLong), { damage: /length/ });
    t.same(scanLog(tooLong).records, records, "nothing of it is lost");
    t.same(scanLog(log.subarray(0, log.length - 1)), { records: records.slice(0, 2) }, "cut short");
  },
);
