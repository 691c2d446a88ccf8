// Words about tasks and trails: every one comes back, and no bytes whatever do harm.
import * as fc from "fast-check";
import t from "tap";
import {
  decodeMessage as decodeTask,
  encodeMessage as encodeTask,
} from "../../src/coordination/contract-net/message-codec.ts";
import type { ContractMessage } from "../../src/coordination/contract-net/messages.ts";
import { readMessage } from "../../src/coordination/contract-net/read-message.ts";
import { CALL_MS_MAX } from "../../src/coordination/contract-net/task.ts";
import {
  decodeMessage as decodeTrails,
  encodeMessage as encodeTrails,
  isSigned,
  readDeposit,
  signDeposit,
} from "../../src/coordination/swarm/message-codec.ts";
import { TickFrames } from "../../src/coordination/swarm/tick-frames.ts";
import { decodeOrder } from "../../src/coordination/tasks/order-codec.ts";
import { VirtualKeys } from "../../src/simulator/virtual-signer.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed, numRuns: Number(process.env["FC_RUNS"] ?? 500) });

const name = fc.string({ minLength: 1, maxLength: 128 });
const ms = fc.nat({ max: CALL_MS_MAX });
const amount = fc.double({ min: 0, max: 1e300, noNaN: true });
const word: fc.Arbitrary<ContractMessage> = fc.oneof(
  fc
    .record({
      call: name,
      task: fc.record({
        name,
        kind: name,
        input: fc.string({ unit: "grapheme", maxLength: 200 }),
        needs: fc.array(name, { maxLength: 16 }),
        demand: fc.double({ min: 0.01, max: 1e6, noNaN: true }),
      }),
      path: fc.array(name, { minLength: 1, maxLength: 8 }),
      hopsLeft: fc.nat({ max: 7 }),
      bidWithinMs: ms,
      holdMs: ms,
      expiresInMs: ms,
    })
    .map(({ path, hopsLeft, call, ...rest }) => {
      const root = `${path[0]}/${call}`;
      return { kind: "announce" as const, call, route: { root, path, hopsLeft }, ...rest };
    }),
  fc.record({ kind: fc.constant("bid" as const), call: name, cost: amount, endsInMs: ms }),
  fc.record({ kind: fc.constantFrom("award" as const, "reject", "cancel", "settle"), call: name }),
  fc.record({ kind: fc.constant("accept" as const), call: name }),
  fc.record({
    kind: fc.constant("progress" as const),
    call: name,
    percent: fc.double({ min: 0, max: 100, noNaN: true }),
  }),
  fc.record({
    kind: fc.constant("result" as const),
    call: name,
    output: fc.string({ unit: "grapheme", maxLength: 500 }),
  }),
);

t.test("a word about a task that is one comes back as it was", async () => {
  fc.assert(
    fc.property(word, (message) => {
      // Half of a surrogate pair is no text, and can not travel.
      if (!isText(message)) return true;
      const checked = readMessage(message);
      const back = decodeTask(encodeTask(message));
      return JSON.stringify(back) === JSON.stringify(checked);
    }),
  );
});

t.test("any bytes are a word within all bounds, or none", async () => {
  const damaged = fc
    .tuple(word, fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 }))))
    .map(([message, changes]) => {
      const bytes = encodeTask(message);
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      return bytes;
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 400 }), damaged), (bytes) => {
      const message = decodeTask(bytes);
      return message === undefined || readMessage(message) !== undefined;
    }),
  );
});

const keys = new VirtualKeys();
const signer = keys.signer("a");
const deposit = fc.record({
  trail: fc.string({ minLength: 1, maxLength: 128 }),
  epoch: fc.nat({ max: 0xffff_ffff }),
  tick: fc.nat({ max: 0xffff_ffff }),
  amount: fc.double({ min: 1e-9, max: 1e9, noNaN: true }),
});

t.test("deposits come back as they were signed, and altered ones are found out", async () => {
  fc.assert(
    fc.property(deposit, fc.nat(), fc.integer({ min: 1, max: 255 }), (content, at, change) => {
      const proof = signDeposit(signer, content);
      const message = encodeTrails({
        deposits: [{ proof, ageTicks: 7 }],
        through: 1,
        acknowledged: 0,
      });
      const back = decodeTrails(message)?.deposits[0]?.proof;
      if (back === undefined || !isSigned(signer, back)) return false;
      const read = readDeposit(signer, back);
      if (JSON.stringify(read) !== JSON.stringify({ origin: signer.peerId, ...content }))
        return false;
      const altered = Uint8Array.from(proof.deposit);
      const place = at % altered.length;
      altered[place] = (altered[place] ?? 0) ^ change;
      return !isSigned(signer, { ...proof, deposit: altered });
    }),
    { numRuns: 100 },
  );
});

t.test("no bytes harm whoever reads trails or orders", async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      for (const { proof } of decodeTrails(bytes)?.deposits ?? []) readDeposit(signer, proof);
      decodeOrder(bytes);
      return true;
    }),
  );
});

t.test(
  "later ticks of an agent are later here, whichever way and however late they come",
  async () => {
    const heard = fc.record({
      tick: fc.nat({ max: 1_000 }),
      lateBy: fc.nat({ max: 30 }),
      wrongBy: fc.integer({ min: -5, max: 5 }),
    });
    fc.assert(
      fc.property(fc.array(heard, { minLength: 2, maxLength: 30 }), (all) => {
        const frames = new TickFrames(4);
        const told = all.map(({ tick, lateBy, wrongBy }) => {
          const now = 2_000 + tick + lateBy;
          const own = frames.toOwn(
            { origin: "a", epoch: 1, tick },
            Math.max(0, lateBy + wrongBy),
            now,
            false,
          );
          return { tick, own: own ?? Number.NaN };
        });
        return told.every((one) =>
          told.every((other) => one.own - other.own === one.tick - other.tick),
        );
      }),
    );
  },
);

function isText(value: unknown): boolean {
  return JSON.stringify(value).isWellFormed() && !/\\ud[89a-f]/i.test(JSON.stringify(value));
}
