import * as fc from "fast-check";
import t from "tap";
import { Uint8ArrayList } from "uint8arraylist";
import { AskingStream } from "../../../src/platform/libp2p/asking-stream.ts";
import {
  bulkMessage,
  readBulkMessage,
  TurnReader,
} from "../../../src/platform/libp2p/bulk-wire.ts";
import { FrameError } from "../../../src/platform/libp2p/frame-codec.ts";
import { StreamWriter } from "../../../src/platform/libp2p/stream-writer.ts";
import { NetworkError } from "../../../src/platform/network.ts";
import { Tally } from "../../../src/platform/network-tally.ts";
import {
  BulkOfferSchema,
  BulkReceiptSchema,
} from "../../../src/wire/agent_mesh/v1/messaging_pb.ts";
import { FakeStream } from "../../support/libp2p-stream.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed });

/** @returns which offence a promise fails with */
async function offenceOf(operation: Promise<unknown>): Promise<string> {
  try {
    await operation;
  } catch (error) {
    return error instanceof FrameError ? error.offence : String(error);
  }
  return "none";
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const closed = new NetworkError("network.closed", "gone");

t.test("StreamWriter: what is written in one turn leaves together, in order", async (t) => {
  const fake = new FakeStream();
  const writer = new StreamWriter(fake.stream, 10_000);
  const taken: (string | undefined)[] = [];
  for (const text of ["a", "b", "c"])
    t.ok(writer.write([Buffer.from(text), Buffer.from("!")], (error) => taken.push(error?.code)));
  t.same(taken, [], "nothing before the turn is over");
  await turn();
  t.equal(fake.sentBytes.toString(), "a!b!c!");
  t.equal(fake.sent.length, 1);
  t.same(taken, [undefined, undefined, undefined]);
  t.equal(writer.queuedBytes, 0);
});

t.test("StreamWriter: waits for a stream that is full, within its bound", async (t) => {
  const fake = new FakeStream();
  fake.full = true;
  const writer = new StreamWriter(fake.stream, 10_000);
  t.ok(writer.write([Buffer.alloc(20_000)]), "one piece always");
  await turn();
  t.equal(fake.writeBufferLength, 20_000);
  let written = 0;
  while (writer.write([Buffer.alloc(1_000)])) written++;
  t.equal(written, 10);
  t.equal(writer.write([Buffer.alloc(1_000)], undefined, 1_000), true, "beyond, if it must");
  t.equal(writer.write([Buffer.alloc(1_000)], undefined, 1_000), false);
  await turn();
  t.equal(fake.writeBufferLength, 20_000, "no more is handed over while it is full");
  fake.drain(0);
  await turn();
  t.equal(fake.writeBufferLength, 20_000, "nor when it only went a little further");
  fake.full = false;
  fake.drain();
  await turn();
  t.equal(fake.sentBytes.length, 31_000);
  t.equal(writer.queuedBytes, 0);
  const empty = new StreamWriter(Object.assign(new FakeStream(), { full: true }).stream, 10_000);
  let nothing = 0;
  while (empty.write([new Uint8Array(0)])) nothing++;
  t.ok(nothing < 100, "pieces that say nothing take room too");
});

t.test("StreamWriter: everybody hears that the stream is gone, once", async (t) => {
  for (const how of ["send throws", "failed"]) {
    const fake = new FakeStream();
    const writer = new StreamWriter(fake.stream, 1_000_000);
    const taken: (string | undefined)[] = [];
    for (let n = 0; n < 3; n++)
      writer.write([Buffer.alloc(200_000)], (error) => taken.push(error?.code));
    if (how === "failed") writer.fail(closed);
    else await fake.close();
    await turn();
    t.same(taken, ["network.closed", "network.closed", "network.closed"], how);
    t.ok(writer.write([Buffer.alloc(1)], (error) => taken.push(error?.code)));
    t.equal(taken.length, 4, "and so does whoever comes later");
    t.equal(writer.queuedBytes, 0);
    t.equal(fake.sent.length, 0);
  }
});

t.test("StreamWriter: a stream that is closed by what it is sent settles each once", async (t) => {
  const fake = new FakeStream();
  const writer = new StreamWriter(fake.stream, 1_000_000);
  fake.addEventListener("close", () => writer.fail(closed));
  const send = fake.send.bind(fake);
  fake.send = (data) => {
    send(data);
    fake.abort(new Error("the muxer broke"));
    return false;
  };
  let settled = 0;
  for (let n = 0; n < 3; n++) writer.write([Buffer.alloc(10)], () => settled++);
  await turn();
  t.equal(settled, 3);
  t.equal(writer.queuedBytes, 0);
});

t.test(
  "AskingStream: a request on one that has ended fails, and keeps no process alive",
  async (t) => {
    const protocol = {
      id: "/test/1.0.0",
      messageBytesMax: 1_000,
      queueBytesMax: 1_000,
      requestsInFlightMax: 1,
    };
    const timers = (): number =>
      process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
    const before = timers();
    const fake = new FakeStream();
    const asking = new AskingStream(fake.stream, protocol, new Tally(), () => undefined);
    await fake.close();
    await t.rejects(asking.request(Buffer.from("?"), 600_000), { code: "network.closed" });
    t.equal(timers(), before);
  },
);

t.test("StreamWriter: bytes come out as they went in", async () => {
  const piece = fc.array(fc.uint8Array({ maxLength: 3_000 }), { minLength: 1, maxLength: 3 });
  const step = fc.oneof(piece, fc.constantFrom("full", "drain", "turn"));
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const fake = new FakeStream();
      const writer = new StreamWriter(fake.stream, 30_000);
      const expected: Uint8Array[] = [];
      for (const step of steps) {
        if (step === "full") fake.full = true;
        else if (step === "drain") {
          fake.full = false;
          fake.drain(1);
        } else if (step === "turn") await turn();
        else if (typeof step !== "string" && writer.write(step)) expected.push(...step);
      }
      fake.full = false;
      for (let n = 0; n < 50; n++) {
        fake.drain();
        await turn();
      }
      return fake.sentBytes.equals(Buffer.concat(expected)) && writer.queuedBytes === 0;
    }),
  );
});

const offer = { name: "x", size: 10n, sha256: new Uint8Array(32) };

t.test("TurnReader: messages and raw bytes take turns, however they are cut", async () => {
  const sizes = fc.array(fc.nat(50), { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(sizes, fc.uint8Array({ maxLength: 500 }), async (cuts, raw) => {
      const fake = new FakeStream();
      const reader = new TurnReader(fake.stream, 10_000);
      const whole = Buffer.concat([
        bulkMessage(BulkOfferSchema, offer),
        raw,
        bulkMessage(BulkReceiptSchema, { received: 7n }),
      ]);
      const got: Uint8Array[] = [];
      const reading = (async () => {
        const first = readBulkMessage(BulkOfferSchema, await reader.message());
        await reader.raw(raw.length, (bytes) => {
          got.push(Buffer.from(bytes));
          return got.length % 2 === 0 ? turn().then(() => undefined) : undefined;
        });
        return [first.name, readBulkMessage(BulkReceiptSchema, await reader.message()).received];
      })();
      let at = 0;
      for (const size of [...cuts, whole.length]) {
        const piece = whole.subarray(at, at + size);
        at += piece.length;
        const half = piece.length >> 1;
        fake.receive(
          size % 2 === 0
            ? piece
            : new Uint8ArrayList(piece.subarray(0, half), piece.subarray(half)),
        );
        if (size % 3 === 0) await turn();
      }
      const [name, received] = await reading;
      return name === "x" && received === 7n && Buffer.concat(got).equals(raw);
    }),
  );
});

t.test("TurnReader: a peer that breaks the format, or sends too much, is found out", async (t) => {
  const garbage = new FakeStream();
  const reader = new TurnReader(garbage.stream, 10_000);
  garbage.receive(Buffer.alloc(10, 0xff));
  t.equal(await offenceOf(reader.message()), "malformed");
  const huge = new FakeStream();
  const hugeReader = new TurnReader(huge.stream, 10_000);
  huge.receive(Uint8Array.of(0x81, 0x10));
  t.equal(await offenceOf(hugeReader.message()), "oversize");
  const eager = new FakeStream();
  const eagerReader = new TurnReader(eager.stream, 10_000);
  for (let n = 0; n < 11; n++) eager.receive(Buffer.alloc(1_000));
  t.ok(eager.aborted instanceof FrameError);
  const reading = eagerReader.raw(20_000, () => undefined);
  t.equal(await offenceOf(reading), "oversize");
  t.throws(() => readBulkMessage(BulkOfferSchema, Buffer.alloc(3, 0xff)), /no .*BulkOffer/);
});

t.test("TurnReader: single bytes are joined", async (t) => {
  const fake = new FakeStream();
  const reader = new TurnReader(fake.stream, 100_000);
  for (let n = 0; n < 50_000; n++) fake.receive(Uint8Array.of(n % 251));
  let pieces = 0;
  let sum = 0;
  await reader.raw(50_000, (bytes) => {
    pieces++;
    for (const byte of bytes) sum += byte;
    return undefined;
  });
  t.ok(pieces <= 4_200, `${pieces} pieces`);
  t.equal(
    sum,
    Array.from({ length: 50_000 }, (_, n) => n % 251).reduce((a, b) => a + b, 0),
  );
});

t.test("TurnReader: whoever waits hears of the end", async (t) => {
  const waits: [string, (reader: TurnReader) => Promise<unknown>][] = [
    ["for a message", (reader) => reader.message()],
    ["for raw bytes", (reader) => reader.raw(10, () => undefined)],
    ["for a sink", (reader) => reader.whileOpen(new Promise(() => undefined))],
  ];
  for (const [what, wait] of waits) {
    const fake = new FakeStream();
    const waiting = t.rejects(
      wait(new TurnReader(fake.stream, 10)),
      { code: "network.closed" },
      what,
    );
    await turn();
    fake.abort(new Error("reset"));
    await waiting;
    const late = new TurnReader(fake.stream, 10);
    await t.rejects(wait(late), { code: "network.closed" }, `${what}, on a stream that is closed`);
  }
  const fake = new FakeStream();
  const reader = new TurnReader(fake.stream, 1_000);
  fake.receive(bulkMessage(BulkReceiptSchema, { received: 1n }));
  fake.dispatchEvent(new Event("remoteCloseWrite"));
  t.equal(
    readBulkMessage(BulkReceiptSchema, await reader.message()).received,
    1n,
    "what came counts",
  );
  await t.rejects(reader.message(), { code: "network.closed" });
  await reader.end();
});
