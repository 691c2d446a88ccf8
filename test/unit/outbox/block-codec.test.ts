import * as fc from "fast-check";
import t from "tap";
import type { BlockHeader, BlockRecord } from "../../../src/outbox/block.ts";
import { BlockWriter, decodeBlock, recordBytesMax } from "../../../src/outbox/block-codec.ts";

const header: BlockHeader = {
  boot: 3,
  observedAtMs: 1_790_000_000_123,
  observedAtTrusted: true,
  monotonicMs: 12_345,
  thinned: 0,
};
const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed });

const record = fc.record({
  step: fc.integer({ min: 0, max: 1e6 }),
  streamId: fc.integer({ min: 1, max: 1e5 }),
  sequence: fc.oneof(fc.integer({ min: 1, max: 1e4 }), fc.constant(2 ** 40 + 7)),
  contentType: fc.constantFrom("text/plain", "application/json", "image/png", ""),
  expiresAfterMs: fc.constantFrom(0, 1, 86_400_000),
  key: fc.option(fc.string(), { nil: undefined }),
  payload: fc.uint8Array({ maxLength: 400 }),
});

function write(records: readonly BlockRecord[], first: number, compress: boolean): Uint8Array {
  const writer = new BlockWriter();
  writer.start(first);
  for (const { streamId, ...rest } of records) writer.add(rest, streamId);
  return writer.finish(header, compress);
}

t.test("a block is read as it was written, whatever is in it", async (t) => {
  fc.assert(
    fc.property(
      fc.array(record, { minLength: 1, maxLength: 30 }),
      fc.integer({ min: 1, max: 2 ** 40 }),
      fc.boolean(),
      (parts, first, compress) => {
        let ordinal = first;
        const records = parts.map(({ step, ...part }) => ({ ...part, ordinal: (ordinal += step) }));
        const { records: read, ...shared } = decodeBlock(write(records, first, compress), first);
        const plain = read.map(
          ({ ordinal, streamId, sequence, contentType, expiresAfterMs, key, payload }) => ({
            ordinal,
            streamId,
            sequence,
            contentType,
            expiresAfterMs,
            key,
            payload: Uint8Array.from(payload),
          }),
        );
        t.same(shared, header);
        t.same(plain, records);
      },
    ),
  );
});

t.test("no update takes more of the disk than it was admitted for", async (t) => {
  fc.assert(
    fc.property(record, ({ step, ...part }) => {
      const ordinal = 36 ** 9 + step;
      const value = write([{ ...part, ordinal }], ordinal, false);
      // The key of a block, and the store's checksum.
      t.ok(value.length + 12 <= recordBytesMax(part));
    }),
  );
});

t.test("bytes that are no block are refused, not misread", async (t) => {
  const good = write(
    [
      {
        ordinal: 9,
        streamId: 1,
        sequence: 1,
        contentType: "text/plain",
        expiresAfterMs: 0,
        key: undefined,
        payload: Buffer.from("21.5"),
      },
    ],
    9,
    false,
  );
  t.throws(() => decodeBlock(good.subarray(0, good.length - 1), 9), /too early/);
  t.throws(() => decodeBlock(Buffer.from([0x50, 1, 2]), 9), /unknown block version 5/);
  t.throws(() => decodeBlock(new Uint8Array(), 9));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        decodeBlock(bytes, 1);
      } catch (error) {
        t.ok(error instanceof Error);
      }
    }),
  );
});

t.test("what version 0.1.0 queued is read", async (t) => {
  // The record of `21.5` on stream 1, sequence 7, boot 2, as that version wrote it.
  const bytes = Buffer.from([0x11, 1, 7, 2, 1, 0x80, 0x01, 5, ...Buffer.from("21.5")]);
  const { records, ...shared } = decodeBlock(bytes, 44);
  t.match(shared, { boot: 2, observedAtMs: 128, observedAtTrusted: true, monotonicMs: 5 });
  t.match(records, [
    { ordinal: 44, streamId: 1, sequence: 7, contentType: "text/plain", expiresAfterMs: 0 },
  ]);
  t.equal(Buffer.from(records[0]?.payload ?? []).toString(), "21.5");
});
