import * as fc from "fast-check";
import t from "tap";
import { decodeRecord, encodeRecord } from "../../src/outbox/record-codec.ts";
import { topicMatcher } from "../../src/readings/topic-filter.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed, numRuns: 1_000 });

const whole = fc.nat({ max: 2 ** 45 });
const update = fc.record(
  {
    agentId: fc.constant("agent"),
    stream: fc.constant("s"),
    sequence: whole,
    ordinal: whole,
    bootId: fc.constant("boot"),
    observedAtMs: whole,
    observedAtTrusted: fc.boolean(),
    monotonicMs: whole,
    priority: fc.nat({ max: 9 }),
    expiresAfterMs: fc.integer({ min: 1, max: 2 ** 45 }),
    key: fc.string({ unit: "grapheme", maxLength: 3_000 }),
    contentType: fc.oneof(
      fc.constantFrom("text/plain", "application/json", ""),
      fc.string({ unit: "grapheme", maxLength: 200 }),
    ),
    payload: fc.uint8Array({ maxLength: 300 }),
  },
  {
    requiredKeys: [
      ...(["agentId", "stream", "sequence", "ordinal", "bootId", "observedAtMs"] as const),
      ...(["observedAtTrusted", "monotonicMs", "priority", "contentType", "payload"] as const),
    ],
  },
);

t.test("a record says what was written", async (t) => {
  fc.assert(
    fc.property(update, fc.nat(), fc.nat(), (update, streamId, boot) => {
      const record = decodeRecord(encodeRecord(update, { streamId, boot }));
      const {
        agentId: _,
        stream: __,
        ordinal: ___,
        bootId: ____,
        priority: _____,
        ...kept
      } = update;
      const expected = { ...kept, streamId, boot, payload: Buffer.from(update.payload) };
      const found = { ...record, payload: Buffer.from(record.payload) };
      if (!t.same(found, expected)) throw new Error("differs");
    }),
    { numRuns: 200 },
  );
});

t.test("bytes that are no record are refused with an error, and nothing else", async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.boolean(), (bytes, versioned) => {
      if (versioned && bytes.length > 0) bytes[0] = 0x10 | ((bytes[0] ?? 0) & 7);
      try {
        decodeRecord(bytes);
      } catch (error) {
        if (!(error instanceof Error) || error instanceof TypeError || error instanceof RangeError)
          throw error;
      }
    }),
  );
  t.pass("held");
});

const level = fc.constantFrom("a", "b", "", "+");
t.test("a topic filter matches what a walk level by level says", async (t) => {
  const filter = fc.tuple(fc.array(level, { minLength: 1, maxLength: 4 }), fc.boolean());
  const topic = fc.array(fc.constantFrom("a", "b", "", "$a"), { minLength: 1, maxLength: 5 });
  const walk = (filter: readonly string[], topic: readonly string[]): boolean => {
    const [first, ...rest] = filter;
    if (first === undefined) return topic.length === 0;
    if (first === "#") return true;
    const [head, ...tail] = topic;
    return head !== undefined && (first === "+" || first === head) && walk(rest, tail);
  };
  fc.assert(
    fc.property(filter, topic, ([levels, open], topic) => {
      const filter = open ? [...levels, "#"] : levels;
      const hidden = topic[0]?.startsWith("$") === true && /^[+#]/.test(filter[0] ?? "");
      const expected = !hidden && walk(filter, topic);
      if (topicMatcher(filter.join("/"))(topic.join("/")) !== expected)
        throw new Error(`${filter.join("/")} and ${topic.join("/")}: not ${expected}`);
    }),
  );
  t.pass("held");
});
