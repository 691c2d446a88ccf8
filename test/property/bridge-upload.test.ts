// Content that is pushed in pieces and pulled in others comes out as it went in, whoever is faster.
import { hash } from "node:crypto";
import * as fc from "fast-check";
import t from "tap";
import { openUpload, probeUpload } from "../../src/mesh/bridge/upload-pipe.ts";
import { decodeEnvelope, encodeEnvelope } from "../../src/mesh/messaging/envelope.ts";
import { type BulkSource, NetworkError } from "../../src/platform/network.ts";

const contentOf = (bytes: Uint8Array) => ({
  name: "model",
  sizeBytes: bytes.length,
  sha256: new Uint8Array(hash("sha256", bytes, "buffer")),
});

/** The mesh's side: takes from `there` on, in reads of these lengths. */
function puller(there: number, lengths: readonly number[], failAt = Number.POSITIVE_INFINITY) {
  const got: Buffer[] = [];
  const send = async (source: BulkSource): Promise<void> => {
    for (let at = there, turn = 0; at < source.sizeBytes; turn++) {
      const wanted = Math.min(lengths[turn % lengths.length] ?? 1, source.sizeBytes - at);
      if (at + wanted > failAt) throw new NetworkError("network.closed", "the link broke");
      const bytes = await source.read(at, wanted);
      if (bytes.length < 1 || bytes.length > wanted) throw new Error(`${bytes.length}/${wanted}`);
      got.push(Buffer.from(bytes));
      at += bytes.length;
    }
  };
  return { got, send };
}

const lengths = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 });
const content = fc.uint8Array({ minLength: 0, maxLength: 300 });

t.test("every byte from the offset on, in order, and no more than a piece is held", async (t) => {
  await fc.assert(
    fc.asyncProperty(content, lengths, lengths, fc.nat(), async (bytes, pieces, reads, seed) => {
      const there = bytes.length === 0 ? 0 : seed % (bytes.length + 1);
      const { got, send } = puller(there, reads);
      t.equal(await probeUpload(contentOf(bytes), puller(there, reads).send), there);
      const sink = await openUpload(contentOf(bytes), send);
      if (sink.offset !== there) return false;
      for (let at = there, turn = 0; at < bytes.length; turn++) {
        const next = Math.min(bytes.length, at + (pieces[turn % pieces.length] ?? 1));
        await sink.write(bytes.subarray(at, next));
        at = next;
        if (Buffer.concat(got).length < at - there - 40) return false;
      }
      await sink.done();
      return Buffer.concat(got).equals(bytes.subarray(there));
    }),
    { numRuns: 200 },
  );
});

t.test("whichever side breaks off, the other hears of it", async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 200 }), lengths, async (failAt, reads) => {
      const bytes = new Uint8Array(201);
      const { send } = puller(0, reads, failAt);
      let outcome: unknown;
      try {
        const sink = await openUpload(contentOf(bytes), send);
        await sink.write(bytes);
        await sink.done();
      } catch (error) {
        outcome = error;
      }
      return outcome instanceof NetworkError && outcome.code === "network.closed";
    }),
    { numRuns: 100 },
  );
  let heard: unknown;
  const sink = await openUpload(contentOf(new Uint8Array(10)), (source) =>
    puller(0, [4])
      .send(source)
      .catch((error: unknown) => {
        heard = error;
        throw error;
      }),
  );
  await sink.write(new Uint8Array(6));
  sink.broken(new NetworkError("network.closed", "the client went away"));
  await t.rejects(Promise.resolve(sink.done()), { message: "the client went away" });
  t.match(heard, { message: "the client went away" });
  await t.rejects(Promise.resolve(sink.write(new Uint8Array(1))), { code: "network.closed" });
  await t.rejects(
    openUpload(contentOf(new Uint8Array(1)), () =>
      Promise.reject(new NetworkError("network.refused", "no", { refusal: "content.unwanted" })),
    ),
    { code: "network.refused" },
  );
});

t.test("an envelope keeps where its message is from, and no more than it may say", async (t) => {
  const name = fc.string({ minLength: 1, maxLength: 64 }).filter((text) => !/\p{Cc}/u.test(text));
  const origin = fc.record({ id: name, via: fc.array(name, { maxLength: 16 }) });
  const said = fc.option(fc.tuple(origin, fc.option(name)), { nil: undefined });
  fc.assert(
    fc.property(said, fc.uint8Array({ maxLength: 50 }), (from, payload) => {
      const place = { epoch: 1, sequence: 2, oldest: 0, payload };
      const whole =
        from === undefined
          ? place
          : { ...place, origin: { ...from[0], ...(from[1] !== null && { from: from[1] }) } };
      t.same(decodeEnvelope(encodeEnvelope(whole)), whole);
    }),
    { numRuns: 200 },
  );
  const place = { epoch: 1, sequence: 2, oldest: 0, payload: new Uint8Array(1) };
  for (const bad of [
    { id: "", via: [] },
    { id: "x".repeat(65), via: [] },
    { id: "a", via: [""] },
    { id: "a", via: Array.from({ length: 17 }, () => "b") },
    { id: "a\n", via: [] },
    { id: "a", from: "y".repeat(65), via: [] },
  ])
    t.equal(decodeEnvelope(encodeEnvelope({ ...place, origin: bad })), undefined);
});
