import * as fc from "fast-check";
import t from "tap";
import { backoffMs } from "../../../../src/api/page/backoff.ts";
import { EventStreamParser } from "../../../../src/api/page/event-stream.ts";
import { eventDetail, eventTitle } from "../../../../src/api/page/event-text.ts";
import {
  formatAge,
  formatBytes,
  formatCount,
  formatDuration,
  formatPercent,
  quantity,
} from "../../../../src/api/page/format.ts";
import { seriesOf, withPoint } from "../../../../src/api/page/history.ts";
import { trendOf, withDepth } from "../../../../src/api/page/queue-trend.ts";
import { sparklinePath } from "../../../../src/api/page/sparkline.ts";
import { numericValue, RecentValues } from "../../../../src/api/page/values.ts";
import { verdictOf } from "../../../../src/api/page/verdict.ts";

const plain = (words: string) => words.replaceAll("\u00a0", " ");

t.test("figures carry their unit and never a false zero", async (t) => {
  t.equal(plain(formatBytes(0)), "0 B");
  t.equal(plain(formatBytes(1536)), "1.5 KiB");
  t.equal(plain(formatBytes(64 * 2 ** 20)), "64 MiB");
  t.equal(plain(formatBytes(5 * 2 ** 50)), "5,120 TiB");
  t.equal(formatBytes(undefined), "–");
  t.equal(plain(formatPercent(3.44)), "3.4 %");
  t.equal(plain(formatPercent(99.6)), "100 %");
  t.equal(formatPercent(null), "–");
  t.equal(quantity(Number.NaN, "%").figure, "–");
  t.equal(formatCount(10_000), "10,000");
});

t.test("durations show their two largest units", async (t) => {
  t.equal(plain(formatDuration(850)), "850 ms");
  t.equal(plain(formatDuration(12_400)), "12 s");
  t.equal(plain(formatDuration(245_000)), "4 min 5 s");
  t.equal(plain(formatDuration(3_600_000)), "1 h");
  t.equal(plain(formatDuration(3_600_000 * 76)), "3 d 4 h");
  t.equal(plain(formatDuration(-5)), "0 ms");
  t.equal(plain(formatDuration(0.4)), "under 1 ms");
  t.equal(formatAge(1500), "now");
  t.equal(formatAge(-1500), "now", "a clock that is a little ahead");
  t.equal(plain(formatAge(65_000)), "1 min 5 s ago");
});

t.test("the event stream parser gives the same events however the stream is cut", async (t) => {
  const stream =
    ': hello\n\nid: 1\nevent: uplink.up\ndata: {"a":1}\n\nid: 2\r\ndata: x\r\ndata: y\r\n\r\n' +
    "data\n\nevent: lost\n\nid: 3\ndata:last\r\r";
  const whole = new EventStreamParser().push(`${stream}: end\n`);
  t.same(whole, [
    { id: "1", type: "uplink.up", data: '{"a":1}' },
    { id: "2", type: "message", data: "x\ny" },
    { id: "2", type: "message", data: "" },
    { id: "3", type: "message", data: "last" },
  ]);
  fc.assert(
    fc.property(fc.array(fc.nat(stream.length), { maxLength: 12 }), (cuts) => {
      const parser = new EventStreamParser();
      const at = [0, ...cuts.sort((a, b) => a - b), stream.length];
      const events = at.slice(1).flatMap((end, index) => parser.push(stream.slice(at[index], end)));
      t.same([...events, ...parser.push(": end\n")], whole);
    }),
    { verbose: true },
  );
});

t.test("the event stream parser drops what is too long instead of keeping it", async (t) => {
  const parser = new EventStreamParser();
  for (let piece = 0; piece < 40; piece += 1) parser.push("x".repeat(16_384));
  t.same(parser.push("\n\ndata: after\n\n"), [{ id: "", type: "message", data: "after" }]);
  for (let line = 0; line < 40; line += 1) parser.push(`data: ${"y".repeat(16_384)}\n`);
  t.same(parser.push("\ndata: again\n\n"), [{ id: "", type: "message", data: "again" }]);
});

t.test("backoff doubles up to a cap and is never zero", async (t) => {
  t.equal(backoffMs(0, 0), 250);
  t.equal(backoffMs(0, 0.999), 500);
  t.equal(backoffMs(3, 0), 2000);
  t.equal(backoffMs(50, 0.999), 14_993);
});

t.test("a number is found in the payloads that sensors send", async (t) => {
  t.equal(numericValue("21.5"), 21.5);
  t.equal(numericValue('{"value":3,"time":170}'), 3);
  t.equal(numericValue('{"celsius":19.5,"unit":"C"}'), 19.5);
  t.equal(numericValue('{"a":1,"b":2}'), undefined, "none to prefer");
  t.equal(numericValue('{"open": tru'), undefined);
  t.equal(numericValue(""), undefined);
  t.equal(numericValue("ON"), undefined);
  t.equal(numericValue(undefined), undefined);
});

t.test("recent values are bounded and count each reading once", async (t) => {
  const recent = new RecentValues({ streamsMax: 2, valuesMax: 3 });
  for (const [sequence, text] of ["1", "2", "2", "3", "4"].entries()) {
    recent.note("a", sequence, text);
    recent.note("a", sequence, text);
  }
  t.same(recent.of("a"), [2, 3, 4]);
  recent.note("b", 1, "1");
  recent.note("c", 1, "1");
  t.same(recent.of("a"), [], "the stream that was quiet longest is forgotten");
  t.same(recent.of("c"), [1]);
});

t.test("a sparkline needs two values and stays in its box", async (t) => {
  t.equal(sparklinePath([1], 96, 24), "");
  t.equal(sparklinePath([5, 5], 96, 24), "M1.5 12.0L94.5 12.0");
  t.equal(sparklinePath([0, 10], 96, 24), "M1.5 22.5L94.5 1.5");
});

const point = (wallMs: number, cpuPercent: number | null) => ({
  wallMs,
  cpuPercent,
  memoryPercent: null,
  celsius: null,
  batteryPercent: null,
  diskPercent: null,
  residentBytes: null,
});

t.test("history keeps one hour in order, and a gap breaks the line", async (t) => {
  const hour = 3_600_000;
  const history = withPoint([point(0, 1), point(5000, 2), point(9000, 7)], point(hour + 5000, 3));
  t.same(
    history.map(({ cpuPercent }) => cpuPercent),
    [2, 7, 3],
  );
  t.equal(withPoint(history, point(hour + 5000, 4)).length, 3, "the same moment replaces itself");
  const series = seriesOf(history, "cpuPercent", 20_000);
  t.same(series.values, [2, 7, null, 3]);
  t.equal(series.low, 2);
  t.equal(series.high, 7);
  t.same(seriesOf(history, "celsius", 20_000).high, null);
});

t.test("the queue's trend is told when it is plain", async (t) => {
  let depths = withDepth([], 0, 1000);
  t.equal(trendOf(depths, formatDuration), undefined);
  for (let second = 2; second <= 12; second += 2) {
    depths = withDepth(depths, second * 1000, 1000 - 20 * second);
  }
  t.equal(plain(trendOf(depths, formatDuration) ?? ""), "draining, empty in about 38 s");
  t.equal(
    trendOf(
      [
        { atMs: 0, updates: 0 },
        { atMs: 9000, updates: 90 },
      ],
      formatDuration,
    ),
    "growing by 10 per second",
  );
  t.equal(
    trendOf(
      [
        { atMs: 0, updates: 9 },
        { atMs: 9000, updates: 9 },
      ],
      formatDuration,
    ),
    undefined,
  );
});

t.test("events are told in words, unknown ones by their type", async (t) => {
  const event = {
    id: 1,
    atMs: 0,
    type: "uplink.down",
    data: { name: "fleet", reason: "refused", deep: {} },
  };
  t.equal(eventTitle(event), "Uplink down");
  t.equal(eventDetail(event), "name fleet · refused");
  t.equal(eventTitle({ ...event, type: "new.thing" }), "new.thing");
  t.ok(eventDetail({ ...event, data: { reason: "x".repeat(5000) } }).length < 300);
});

const queue = {
  updates: 0,
  bytes: 0,
  bytesMax: 100,
  evict: "drop-oldest" as const,
  paused: false,
  updatesByPriority: [],
  appended: 0,
  acknowledged: 0,
  shed: 0,
  expired: 0,
  superseded: 0,
  written: { bytes: 0, syncs: 0, bytesPerDayMax: 0, budgetUsed: 0 },
  lost: 0,
  refused: 0,
  deadLetters: 0,
  deadLetterBytes: 0,
  storeRecoveries: 0,
  lastCommitMs: 0,
};

t.test("the verdict puts failing checks first, then what the figures show", async (t) => {
  const well = {
    health: { ready: true, checks: [{ name: "store", ok: true }] },
    faults: new Map(),
  };
  t.equal(verdictOf({ faults: new Map() }).tone, "idle", "nothing known yet");
  t.equal(verdictOf({ ...well, queue }).headline, "Healthy");
  const failing = { name: "store", ok: false, detail: "disk full. Free some space." };
  const broken = verdictOf({ ...well, health: { ready: false, checks: [failing] } });
  t.equal(broken.tone, "bad");
  t.same(broken.concerns, ["store: disk full. Free some space."]);
  const busy = verdictOf({ ...well, queue: { ...queue, paused: true, bytes: 90 } });
  t.equal(busy.tone, "warn");
  t.equal(busy.concerns.length, 2);
  t.match(verdictOf({ ...well, faults: new Map([["queue", "store closed"]]) }).concerns, [
    /queue: store closed/,
  ]);
});
