// How values of callers gather into operations, and what becomes of them.
import t from "tap";
import {
  decodeOperation,
  keyOf,
  valueEntry,
} from "../../../../src/consensus/pbft-member/operation.ts";
import { defaultPbftMemberOptions } from "../../../../src/consensus/pbft-member/options.ts";
import { Submissions } from "../../../../src/consensus/pbft-member/submissions.ts";
import { nodeHasher } from "../../../../src/platform/node/hasher.ts";
import { PbftMemberWorld } from "../../../support/pbft-member-world.ts";

t.setTimeout(60_000);
const PATIENCE = { timeoutMs: 10_000 };

interface Sent {
  readonly timestamp: number;
  readonly values: readonly string[];
}

/** The desk alone: what it sends is written down. */
class Desk {
  readonly sent: Sent[] = [];
  readonly spread: Uint8Array[] = [];
  readonly reserved: number[] = [];
  readonly decided = new Set<string>();
  readonly submissions: Submissions;
  nowMs = 0;
  isRunning = true;
  #id = 0;

  constructor(options: Partial<typeof defaultPbftMemberOptions> = {}, timestamp = 0) {
    this.submissions = new Submissions({
      options: { ...defaultPbftMemberOptions, ...options },
      hasher: nodeHasher,
      nowMs: () => this.nowMs,
      timestamp,
      reserve: (upTo, done) => {
        this.reserved.push(upTo);
        done();
      },
      make: (timestamp, operation) =>
        this.isRunning ? Buffer.from(JSON.stringify([timestamp, [...operation]])) : undefined,
      send: (request) => {
        const [timestamp, bytes] = JSON.parse(Buffer.from(request).toString());
        const entries = decodeOperation(Uint8Array.from(bytes)) ?? [];
        const values = entries.map((one) =>
          one.kind === "value" ? Buffer.from(one.value).toString() : one.step.kind,
        );
        this.sent.push({ timestamp, values });
      },
      spread: (request) => this.spread.push(request),
      isDecided: (key) => this.decided.has(key),
      position: () => 99,
    });
  }

  entry(value: string) {
    return valueEntry(new Uint8Array(16).fill(++this.#id), Buffer.from(value));
  }

  get last(): Sent {
    return this.sent.at(-1) ?? { timestamp: 0, values: [] };
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

t.test("values gather while an operation is under way", async (t) => {
  const desk = new Desk({ operationValuesMax: 3 });
  const first = desk.entry("first");
  const call = desk.submissions.value(first, PATIENCE);
  await turn();
  t.same(desk.sent, [{ timestamp: 1, values: ["first"] }]);
  const calls = ["a", "b", "c", "d"].map((value) =>
    desk.submissions.value(desk.entry(value), PATIENCE),
  );
  await turn();
  t.equal(desk.sent.length, 1);
  const key = keyOf(first, nodeHasher);
  desk.submissions.executed(key, 5, { kind: "applied", result: Uint8Array.of(1) });
  desk.submissions.concluded(1, true);
  t.same(await call, { position: 5, result: Uint8Array.of(1) });
  await turn();
  t.same(desk.last, { timestamp: 2, values: ["a", "b", "c"] });
  desk.submissions.concluded(2, true);
  await turn();
  t.same(desk.last, { timestamp: 3, values: ["a", "b", "c"] }, "what was not executed goes again");
  desk.submissions.fail(Object.assign(new Error("over"), { code: "x" }) as never);
  for (const one of calls) await t.rejects(one);
});

t.test("timestamps are put on record before they are used, and never used again", async (t) => {
  const desk = new Desk({}, 4_096);
  desk.submissions.value(desk.entry("one"), PATIENCE).catch(() => undefined);
  await turn();
  await turn();
  t.same(desk.reserved, [8_192]);
  t.equal(desk.last.timestamp, 4_097);
  desk.submissions.outran(9_000);
  await turn();
  await turn();
  t.same(desk.reserved, [8_192, 13_096]);
  t.equal(desk.last.timestamp, 9_001, "others have seen later ones");
});

t.test("what is not executed in time goes to all members", async (t) => {
  const desk = new Desk({ retryAfterMs: 400 });
  desk.submissions.value(desk.entry("one"), PATIENCE).catch(() => undefined);
  await turn();
  desk.nowMs = 399;
  desk.submissions.tick();
  t.equal(desk.spread.length, 0);
  desk.nowMs = 400;
  desk.submissions.tick();
  desk.submissions.tick();
  t.equal(desk.spread.length, 1);
  t.equal(desk.sent.length, 2);
  t.same(desk.sent[1], desk.sent[0], "the same request");
});

t.test("a read waits for an operation that is made later", async (t) => {
  const desk = new Desk();
  const value = desk.submissions.value(desk.entry("one"), PATIENCE);
  value.catch(() => undefined);
  await turn();
  let isRead = false;
  const read = desk.submissions.read(PATIENCE).then(() => {
    isRead = true;
  });
  desk.submissions.concluded(1, true);
  await turn();
  t.notOk(isRead, "that one was made before");
  t.equal(desk.last.timestamp, 2);
  desk.submissions.epochEnded([]);
  await turn();
  t.notOk(isRead, "that one was not executed");
  t.equal(desk.last.timestamp, 3);
  desk.submissions.concluded(3, true);
  await read;
});

t.test("a state that jumps settles what was decided on the way", async (t) => {
  const desk = new Desk();
  const entry = desk.entry("one");
  const call = desk.submissions.value(entry, PATIENCE);
  await turn();
  desk.decided.add(keyOf(entry, nodeHasher));
  desk.submissions.installed();
  t.same(await call, { position: 99, result: undefined });
  t.equal(desk.sent.length, 2, "the core is asked what became of the operation");
});

t.test("nothing is made while no epoch runs, and all of it afterwards", async (t) => {
  const desk = new Desk();
  desk.isRunning = false;
  desk.submissions.value(desk.entry("one"), PATIENCE).catch(() => undefined);
  await turn();
  await turn();
  t.equal(desk.sent.length, 0);
  desk.isRunning = true;
  desk.submissions.tick();
  await turn();
  t.same(desk.last, { timestamp: 1, values: ["one"] });
});

t.test("bytes that wait have a bound, and an operation has one", async (t) => {
  const desk = new Desk({ waitingBytesMax: 300_000, valueBytesMax: 60_000 });
  const large = "x".repeat(60_000);
  for (let at = 0; at < 4; at++)
    desk.submissions.value(desk.entry(large), PATIENCE).catch(() => undefined);
  await t.rejects(desk.submissions.value(desk.entry(large), PATIENCE), { code: "consensus.busy" });
  await turn();
  t.equal(desk.last.values.length, 2, "as much as a request has room for");
  const abort = new AbortController();
  const call = desk.submissions.value(desk.entry("y"), { ...PATIENCE, signal: abort.signal });
  abort.abort();
  await t.rejects(call, { code: "consensus.cancelled" });
  desk.nowMs = 10_000;
  desk.submissions.tick();
  await turn();
  const again = desk.submissions.value(desk.entry(large), PATIENCE);
  again.catch(() => undefined);
  t.pass("there is room again when their time is over");
});

t.test("a clock that is set back does not stop a member", async (t) => {
  const world = new PbftMemberWorld("wall clock");
  await world.found([1, 2, 3, 4]);
  await world.submit(1, "before");
  world.crash(1, true);
  world.device(1).clock.wallOffsetMs -= 10 * 365 * 86_400_000;
  await world.start(1);
  await world.submit(1, "after");
  t.same(world.journal(1), ["before", "after"]);
});
