import t from "tap";
import type { OutboundUpdate } from "../../../src/platform/uplink-connection.ts";
import { parseExactly } from "../../../src/sync/exact-json.ts";
import {
  encodeMarksAnswer,
  encodeMarksRequest,
  parseMarksAnswer,
  parseMarksRequest,
} from "../../../src/sync/marks-wire.ts";
import { applyMergePatch, diffMergePatch } from "../../../src/sync/merge-patch.ts";
import { SequenceRanges } from "../../../src/sync/sequence-ranges.ts";
import { StatePatcher } from "../../../src/sync/state-patcher.ts";
import { encodeUpdateLine, parseUpdateLine } from "../../../src/sync/update-line.ts";

const update = (more: Partial<OutboundUpdate> = {}): OutboundUpdate => ({
  id: "pi-1/sensors/a/7",
  agentId: "pi-1",
  stream: "sensors/a",
  sequence: 7,
  payload: Buffer.from("21.5"),
  contentType: "application/json",
  observedAtMs: Date.UTC(2026, 10, 22, 16, 32, 14, 781),
  observedAtTrusted: true,
  ...more,
});

t.test("merge patches: the examples of RFC 7396, appendix A", async (t) => {
  const examples: [unknown, unknown, unknown][] = [
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b" }, { a: null }, {}],
    [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
    [
      ["a", "b"],
      ["c", "d"],
      ["c", "d"],
    ],
    [{ a: "b" }, ["c"], ["c"]],
    [{ a: "foo" }, null, null],
    [{ a: "foo" }, "bar", "bar"],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: "b", c: null }, { a: "b" }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  for (const [target, patch, result] of examples)
    t.same(applyMergePatch(target, patch), result, JSON.stringify(patch));
});

t.test("merge patches: what they cannot say, and what must do no harm", async (t) => {
  t.equal(diffMergePatch({ a: 1 }, { a: null }), undefined, "no member can be set to null");
  t.equal(diffMergePatch({ a: 1 }, { b: { c: null } }), undefined);
  t.equal(diffMergePatch([1], { a: 1 }), undefined);
  t.same(diffMergePatch({ a: [1], b: 2 }, { a: [null], b: 2 }), { a: [null] });
  const hostile = applyMergePatch({}, JSON.parse('{"__proto__":{"polluted":true}}'));
  t.equal(({} as Record<string, unknown>)["polluted"], undefined);
  t.equal(JSON.stringify(hostile), '{"__proto__":{"polluted":true}}');
  const deep = JSON.parse(`${'{"a":'.repeat(9_000)}1${"}".repeat(9_000)}`) as unknown;
  t.throws(() => applyMergePatch({}, deep), RangeError);
  t.equal(diffMergePatch({ a: 1 }, deep), undefined);
});

t.test("a line says everything, to the digit", async (t) => {
  const cases: [Partial<OutboundUpdate>, string][] = [
    [{}, '"payload":21.5}'],
    [
      { payload: Buffer.from('{"id":12345678901234567890,\n"f":1.50}') },
      '"payload":{"id":12345678901234567890,"f":1.50}}',
    ],
    [{ payload: Buffer.from("1e400") }, '"payload":1e400}'],
    [{ payload: Buffer.from("warm"), contentType: "text/plain" }, '"payload":"warm"}'],
    [{ payload: Buffer.from("{broken") }, '"payload":"{broken"}'],
    [{ payload: Buffer.from([0xff, 0]) }, '"payloadBase64":"/wA="}'],
    [{ payload: Buffer.from("\uFFFD"), contentType: "" }, '"payload":"\uFFFD"}'],
    [{ payload: new Uint8Array(0) }, '"payload":""}'],
  ];
  for (const [more, end] of cases) {
    const line = encodeUpdateLine(update(more));
    t.equal(line.slice(-end.length), end);
    const parsed = parseUpdateLine(line);
    t.match(parsed, { agentId: "pi-1", stream: "sensors/a", sequence: 7 });
    t.equal(parsed.observedAtMs, update().observedAtMs);
    const { kind, text } = parsed.content as { kind: string; text: string };
    t.equal(
      `${kind === "json" ? '"payload":' : '"payloadBase64":"'}${text}`,
      end.slice(0, kind === "json" ? -1 : -2),
    );
  }
  const patch = { base: 6, merge: { on: true } };
  const line = encodeUpdateLine(update({ observedAtTrusted: false, key: "lamp" }), { patch });
  t.match(parseUpdateLine(line), {
    key: "lamp",
    observedAtTrusted: false,
    content: { kind: "patch", patch },
  });
  t.equal(
    JSON.stringify(parseExactly('{"n":1e5,"m":9007199254740993}')),
    '{"n":1e5,"m":9007199254740993}',
  );
});

t.test("a line that is wrong is refused by name", async (t) => {
  const sound = JSON.parse(encodeUpdateLine(update())) as Record<string, unknown>;
  const line = (more: Record<string, unknown>) => JSON.stringify({ ...sound, ...more });
  const malformed: [string, RegExp][] = [
    ["", /not JSON/],
    ["{", /not JSON/],
    ["[]", /not a JSON object/],
    ["null", /not a JSON object/],
    [line({ id: 5 }), /id is missing/],
    [line({ id: "pi-1/sensors/a/8" }), /agentId\/stream\/sequence/],
    [line({ id: "../sensors/a/7" }), /agentId/],
    [line({ stream: "" }), /stream/],
    [line({ stream: "a\u0000" }), /stream/],
    [line({ stream: "é".repeat(600) }), /stream/],
    [line({ sequence: 0 }), /sequence/],
    [line({ sequence: 1.5 }), /sequence/],
    [line({ sequence: "7" }), /sequence/],
    [JSON.stringify(sound).replace('"sequence":7', '"sequence":9007199254740993'), /sequence/],
  ];
  for (const [text, says] of malformed) {
    t.throws(
      () => parseUpdateLine(text),
      { code: "update.malformed", message: says },
      text.slice(0, 60),
    );
  }
  const invalid: [Record<string, unknown>, RegExp][] = [
    [{ observedAt: "yesterday" }, /observedAt/],
    [{ observedAt: "2026-02-30T00:00:00Z" }, /observedAt/],
    [{ observedAt: 5 }, /observedAt/],
    [{ observedAtTrusted: "yes" }, /observedAtTrusted/],
    [{ contentType: undefined }, /contentType/],
    [{ contentType: "a\nb" }, /contentType/],
    [{ key: 5 }, /key/],
    [{ payload: undefined }, /exactly one/],
    [{ payloadBase64: "AAAA" }, /exactly one/],
    [{ payload: undefined, payloadBase64: "A" }, /base64/],
    [{ payload: undefined, payloadBase64: "A*==" }, /base64/],
    [{ payload: undefined, patch: { base: 7, merge: {} } }, /patch\.base/],
    [{ payload: undefined, patch: { base: 6, merge: [] } }, /patch\.merge/],
    [{ payload: undefined, patch: null }, /patch\.base/],
  ];
  for (const [more, says] of invalid) {
    t.throws(
      () => parseUpdateLine(line(more)),
      { code: "update.invalid", id: "pi-1/sensors/a/7", message: says },
      JSON.stringify(more),
    );
  }
  const deep = `${"[".repeat(20_000)}${"]".repeat(20_000)}`;
  t.throws(() => parseUpdateLine(line({}).replace("21.5", deep)), { code: /update\./ });
});

t.test("marks travel, with or without first sequences", async (t) => {
  const list = {
    agent: "pi-1",
    streams: new Map([
      ["a", undefined],
      ["b", undefined],
    ]),
  };
  t.equal(encodeMarksRequest(list), '{"agent":"pi-1","streams":["a","b"]}');
  t.same(parseMarksRequest(encodeMarksRequest(list)), list);
  const full = { agent: "pi-1", streams: new Map([["a", 5]]), replyTo: "7" };
  t.equal(encodeMarksRequest(full), '{"agent":"pi-1","streams":{"a":5},"replyTo":"7"}');
  t.same(parseMarksRequest(encodeMarksRequest(full)), full);
  const answer = {
    agent: "pi-1",
    marks: new Map([["a", { through: 4, ranges: [[6, 9]] as const }]]),
  };
  t.same(parseMarksAnswer(encodeMarksAnswer(answer)), answer);
  const timed = {
    marks: new Map([["a", { through: 4, ranges: [], lastObservedAtMs: 1_795_305_600_123 }]]),
    accepts: ["patch"],
    replyTo: "7",
  };
  t.match(encodeMarksAnswer(timed), /"lastObservedAt":"2026-11-22T00:00:00.123Z"/);
  t.same(parseMarksAnswer(encodeMarksAnswer(timed)), timed);
  t.same(parseMarksAnswer('{"marks":{"a":{"through":4}},"accepts":7}'), {
    marks: new Map([["a", { through: 4, ranges: [] }]]),
  });
  for (const text of ["{", "null", '{"marks":[]}', '{"agent":"a b","marks":{}}'])
    t.throws(() => parseMarksAnswer(text), { code: "sync.answer-malformed" }, text);
  for (const [text, says] of [
    ["{", /not JSON/],
    ['{"agent":"a b","streams":[]}', /agent/],
    ['{"agent":"a","streams":"x"}', /streams/],
    ['{"agent":"a","streams":[5]}', /name/],
    ['{"agent":"a","streams":{"s":0}}', /first sequence of s/],
    ['{"agent":"a","streams":[],"replyTo":5}', /replyTo/],
    [JSON.stringify({ agent: "a", streams: Array(10_001).fill("s") }), /10000/],
  ] as const)
    t.throws(() => parseMarksRequest(text), { code: "sync.request-malformed", message: says });
  for (const marks of [
    { through: 1, ranges: [[2, 3]] },
    { through: 1, ranges: [[5, 4]] },
    { through: -1, ranges: [] },
    {
      through: 1,
      ranges: [
        [3, 4],
        [4, 6],
      ],
    },
    { through: 1, ranges: 5 },
    { through: 1.5, ranges: [] },
    { through: 1, ranges: [[3]] },
    { through: 1, lastObservedAt: "today" },
    { ranges: [] },
    null,
  ])
    t.throws(() => parseMarksAnswer(JSON.stringify({ agent: "a", marks: { s: marks } })), {
      code: "sync.answer-malformed",
      message: /marks of s/,
    });
});

t.test("damaged ranges are refused", async (t) => {
  const ranges = new SequenceRanges();
  for (const n of [1, 2, 5, 6, 9]) ranges.add(n);
  const bytes = ranges.encode();
  t.equal(bytes.length, 6, "two numbers and two for each run");
  for (let cut = 0; cut < bytes.length; cut++)
    t.throws(() => SequenceRanges.decode(bytes.subarray(0, cut)), RangeError);
  t.throws(
    () => SequenceRanges.decode(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1)),
    RangeError,
  );
  t.throws(() => SequenceRanges.decode(Uint8Array.of(0, 100)), RangeError);
  const far = new SequenceRanges();
  far.add(Number.MAX_SAFE_INTEGER);
  t.same(SequenceRanges.decode(far.encode()).marks(), far.marks());
});

t.test(
  "states travel as differences once they are acknowledged, and in full when that is less",
  async (t) => {
    const patcher = new StatePatcher(10_000);
    const state = (level: number) =>
      JSON.stringify({ level, name: "the lamp over the stairs", room: "hall" });
    t.equal(patcher.patch("s", "lamp", state(1)), undefined);
    patcher.acknowledged("s", "lamp", 4, state(1));
    t.same(patcher.patch("s", "lamp", state(2)), { base: 4, merge: { level: 2 } });
    t.equal(patcher.patch("s", "other", state(2)), undefined);
    t.equal(patcher.patch("s", "lamp", '{"a":1}'), undefined, "a patch would be longer");
    t.equal(patcher.patch("s", "lamp", "warm"), undefined);
    patcher.acknowledged("s", "lamp", 3, state(9));
    t.equal(
      patcher.patch("s", "lamp", state(2))?.base,
      4,
      "a late acknowledgement takes nothing back",
    );
    patcher.forget("s", "lamp");
    t.equal(patcher.patch("s", "lamp", state(2)), undefined);
    patcher.acknowledged("s", "lamp", 5, state(2));
    patcher.clear();
    t.equal(patcher.bytes, 0);
  },
);
