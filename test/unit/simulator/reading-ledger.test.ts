import t from "tap";
import type { OutboundUpdate } from "../../../src/platform/uplink-connection.ts";
import { ReadingLedger } from "../../../src/simulator/checkers/reading-ledger.ts";
import { Violations } from "../../../src/simulator/checkers/violation.ts";

function update(sequence: number, number: number, stream = "s"): OutboundUpdate {
  return {
    id: `a/${stream}/${sequence}`,
    agentId: "a",
    stream,
    sequence,
    payload: ReadingLedger.payload(number, 40),
    contentType: "text/plain",
    observedAtMs: 0,
    observedAtTrusted: true,
  };
}

function keeping() {
  const violations = new Violations();
  const ledger = new ReadingLedger(violations);
  return { ledger, broken: () => violations.kept.map(({ promise }) => promise) };
}

t.test("what arrives once and in order is well, repeats too", async (t) => {
  const { ledger, broken } = keeping();
  for (const number of [1, 2, 3]) ledger.tookReading("a", "s", number);
  t.equal(ledger.owed, 3);
  for (const [sequence, number] of [
    [1, 1],
    [2, 2],
    [1, 1],
    [3, 3],
    [2, 2],
  ] as const)
    ledger.received(0, update(sequence, number));
  t.equal(ledger.owed, 0);
  ledger.close(0);
  t.same(broken(), []);
  t.equal(ledger.repeats, 2);
  t.equal(ledger.arrivedOnce, 3);
});

t.test("each promise is told when it is broken", async (t) => {
  const cases: Record<string, (ledger: ReadingLedger) => void> = {
    "reading-lost": (ledger) => ledger.tookReading("a", "s", 1),
    "reading-twice": (ledger) => {
      ledger.received(0, update(1, 1));
      ledger.received(0, update(2, 1));
    },
    "id-reused": (ledger) => {
      ledger.received(0, update(1, 1));
      ledger.received(0, update(1, 2));
    },
    "id-changed": (ledger) => ledger.received(0, { ...update(1, 1), id: "a/s/2" }),
    "out-of-order": (ledger) => {
      ledger.received(0, update(2, 2));
      ledger.received(0, update(1, 1));
    },
    "sequence-gap": (ledger) => {
      ledger.received(0, update(1, 1));
      ledger.received(0, update(3, 3));
    },
  };
  for (const [promise, happens] of Object.entries(cases)) {
    const { ledger, broken } = keeping();
    happens(ledger);
    ledger.close(0);
    t.same(broken(), [promise]);
  }
});

t.test(
  "what an agent says that it let go of is not asked for, and no more than that",
  async (t) => {
    const { ledger, broken } = keeping();
    for (const number of [1, 2, 3]) ledger.tookReading("a", "s", number);
    ledger.shed("a", 2);
    t.equal(ledger.owed, 1);
    ledger.close(0);
    t.same(broken(), ["reading-lost"]);
    const excused = keeping();
    excused.ledger.tookReading("a", "s", 1);
    excused.ledger.excuse("a");
    t.equal(excused.ledger.owed, 0);
    excused.ledger.close(0);
    t.same(excused.broken(), []);
  },
);

t.test("marks say what arrived, whatever the numbers are", async (t) => {
  const { ledger } = keeping();
  for (const sequence of [1, 2, 5, 6, 2 ** 40 + 1, 9])
    ledger.received(0, update(sequence, sequence));
  t.strictSame(
    [...ledger.marks("a", ["s", "unknown"])],
    [
      [
        "s",
        {
          through: 2,
          ranges: [
            [5, 6],
            [9, 9],
            [2 ** 40 + 1, 2 ** 40 + 1],
          ],
        },
      ],
    ],
  );
});

t.test(
  "what only a neighbour still held comes late after a damage, in its own order",
  async (t) => {
    const after = 2 ** 40;
    const { ledger, broken } = keeping();
    ledger.excuse("a");
    for (const [sequence, number] of [
      [1, 1],
      [after + 1, 4],
      [2, 2],
      [after + 2, 5],
      [3, 3],
    ] as const)
      ledger.received(0, update(sequence, number));
    t.same(broken(), []);
    ledger.received(0, update(after + 4, 7));
    ledger.received(0, update(after + 3, 6));
    t.same(broken(), ["out-of-order"]);

    const whole = keeping();
    whole.ledger.received(0, update(after + 1, 4));
    whole.ledger.received(0, update(2, 2));
    t.same(whole.broken(), ["out-of-order"], "whose disk is whole has no such excuse");
  },
);
