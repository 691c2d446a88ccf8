import * as fc from "fast-check";
import t from "tap";
import { ascending } from "../../../../src/consensus/raft/configuration.ts";
import type { Message } from "../../../../src/consensus/raft/message.ts";
import {
  decodeHeard,
  decodeSnapshot,
  encodeAside,
  encodeMessage,
  encodeSnapshot,
} from "../../../../src/consensus/raft-member/message-codec.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);

const LOG = 2 ** 48 - 1;
const number = fc.oneof(fc.nat(300), fc.maxSafeNat());
const bytes = fc.uint8Array({ maxLength: 300 });
const kind = fc.constantFrom("normal", "change-v1", "change-v2" as const);
const envelope = { from: number, to: number, term: number };
const snapshot = fc.record({
  index: number,
  term: number,
  data: bytes,
  configuration: fc
    .uniqueArray(fc.integer({ min: 1, max: 99 }), { minLength: 1, maxLength: 5 })
    .map((voters) => ({
      voters: ascending(voters),
      outgoing: [],
      learners: [100],
      learnersNext: [],
      autoLeave: false,
    })),
});
const append = fc
  .record({
    ...envelope,
    kind: fc.constant("append" as const),
    index: fc.nat(1e9),
    logTerm: number,
    commit: number,
    entries: fc.array(fc.record({ term: number, kind, data: bytes }), { maxLength: 6 }),
    isQuiet: fc.boolean(),
  })
  .map(({ isQuiet, ...message }) => ({
    ...message,
    ...(isQuiet && { quiet: true }),
    entries: message.entries.map((entry, at) => ({ ...entry, index: message.index + 1 + at })),
  }));
const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({
    ...envelope,
    kind: fc.constantFrom("vote" as const, "pre-vote" as const),
    index: number,
    logTerm: number,
    transfer: fc.boolean(),
  }),
  fc.record(
    {
      ...envelope,
      kind: fc.constantFrom("vote-response" as const, "pre-vote-response" as const),
      reject: fc.boolean(),
      committed: fc.record({ index: fc.integer({ min: 1 }), term: number }),
    },
    { requiredKeys: ["from", "to", "term", "kind", "reject"] },
  ),
  append,
  fc.record({
    ...envelope,
    kind: fc.constant("append-response" as const),
    index: number,
    reject: fc.boolean(),
    rejectHint: number,
    logTerm: number,
  }),
  fc.record({
    ...envelope,
    kind: fc.constant("heartbeat" as const),
    commit: number,
    readRound: number,
    sentTick: number,
  }),
  fc.record({
    ...envelope,
    kind: fc.constant("heartbeat-response" as const),
    readRound: number,
    sentTick: number,
  }),
  fc.record({ ...envelope, kind: fc.constant("snapshot" as const), snapshot }),
  fc.record({ ...envelope, kind: fc.constant("timeout-now" as const) }),
  fc.record({ ...envelope, kind: fc.constant("transfer-leader" as const), target: number }),
  fc.record({
    ...envelope,
    kind: fc.constant("read-index-response" as const),
    index: number,
    context: bytes,
  }),
  fc.record({ from: number, to: number, kind: fc.constant("read-index" as const), context: bytes }),
);

/** Views of a larger buffer and arrays of their own are the same to whoever reads them. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, each) => (each instanceof Uint8Array ? [...each] : each)),
  );
}

t.test("what is said is what is heard", async (t) => {
  fc.assert(
    fc.property(message, (said) => {
      const heard = decodeHeard(encodeMessage(LOG, said));
      t.same(plain(heard), plain({ kind: "message", log: LOG, message: said }));
    }),
    { seed, numRuns: 300 },
  );
});

t.test("proposals have no place yet", async (t) => {
  const said = {
    from: 2,
    to: 1,
    kind: "propose" as const,
    entries: [{ kind: "normal" as const, data: Uint8Array.of(7) }],
  };
  const heard = plain(decodeHeard(encodeMessage(LOG, said)));
  const entries = [{ kind: "normal", data: [7] }];
  t.match(heard, { log: LOG, message: { kind: "propose", from: 2, to: 1, entries } });
});

t.test("notices and greetings are heard as they are said", async (t) => {
  const address = { from: 3, to: 1, log: 77 };
  for (const said of [
    { kind: "notice" as const, ...address, heardLog: 5, otherLog: true },
    { kind: "notice" as const, ...address, heardLog: 5, otherLog: false },
    { kind: "greeting" as const, ...address, logs: [5, 0, 77], asks: true },
  ])
    t.same(decodeHeard(encodeAside(said)), said);
  t.equal(
    decodeHeard(encodeAside({ kind: "notice", ...address, log: 0, heardLog: 5, otherLog: true })),
    undefined,
  );
});

t.test("a snapshot is read as it was stored", async (t) => {
  fc.assert(
    fc.property(snapshot, (stored) => {
      t.same(plain(decodeSnapshot(encodeSnapshot(stored))), plain(stored));
    }),
    { seed, numRuns: 50 },
  );
});

t.test("bytes that are no message are none, whatever they are", async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (garbage) => {
      decodeHeard(garbage);
      decodeSnapshot(garbage);
    }),
    { seed, numRuns: 500 },
  );
  fc.assert(
    fc.property(message, fc.nat(), fc.nat(255), (said, at, byte) => {
      const broken = encodeMessage(LOG, said);
      broken[at % broken.length] = byte;
      const heard = decodeHeard(broken);
      t.ok(heard === undefined || heard.kind !== "message" || heard.log > 0);
    }),
    { seed, numRuns: 300 },
  );
});
