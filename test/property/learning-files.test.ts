// Files and updates from anywhere: they come back as they were, and what is damaged is refused by name.
import * as fc from "fast-check";
import t from "tap";
import { compress, decompress } from "../../src/federated/compression/codec.ts";
import { compressOnce, ErrorFeedback } from "../../src/federated/compression/error-feedback.ts";
import { decodeGaps, encodeGaps } from "../../src/federated/compression/gaps.ts";
import { topK } from "../../src/federated/compression/top-k.ts";
import { readCsv } from "../../src/federated/data/csv.ts";
import { decodeDataset, decompressDataset } from "../../src/federated/data/dataset-file.ts";
import { readIdx } from "../../src/federated/data/idx.ts";
import { readRData } from "../../src/federated/data/r-serialization.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { smallDataFrame } from "../support/learning/r-writer.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed, numRuns: Number(process.env["FC_RUNS"] ?? 300) });

const value = fc.float({ noNaN: true, noDefaultInfinity: true });
const update = fc.array(value, { maxLength: 3_000 }).map((values) => Float32Array.from(values));
const options = fc.record(
  {
    topShare: fc.double({ min: 0.001, max: 1, noNaN: true }),
    quantize: fc.constant("int8" as const),
    rounding: fc.constantFrom("nearest" as const, "stochastic" as const),
    zstd: fc.integer({ min: 1, max: 5 }),
  },
  { requiredKeys: [] },
);
/** What reads something may refuse it, with a name; nothing else. */
const refusesByName = (read: () => unknown): boolean => {
  try {
    read();
    return true;
  } catch (error) {
    const { name, code } = error as { name: string; code?: string };
    if (
      ["DataError", "CompressionError"].includes(name) &&
      /^(data|compression)\./.test(code ?? "")
    )
      return true;
    throw error;
  }
};
const damaged = (
  bytes: Uint8Array,
  changes: readonly (readonly [number, number])[],
  cut: number,
) => {
  const copy = bytes.slice(0, Math.max(0, bytes.length - cut));
  for (const [at, byte] of changes) if (copy.length > 0) copy[at % copy.length] = byte;
  return copy;
};
/** A scale at the lower end of float32 is off by half of 2^-149, and 127 steps of it by so much. */
const VANISHING = 64 * 2 ** -149;
const changes = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 6 });
const cut = fc.oneof(fc.constant(0), fc.nat({ max: 40 }));

t.test("an update comes back as far as its compression says", async () => {
  fc.assert(
    fc.property(update, options, (update, options) => {
      const bytes = compress(update, options, new SeededRandom("rounding"));
      const back = decompress(bytes, update.length);
      if (options.topShare === undefined && options.quantize === undefined)
        return back.every((value, at) => value === update[at]);
      const largest = update.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const sent = back.filter((value) => value !== 0).length;
      const share = options.topShare ?? 1;
      return (
        sent <= Math.ceil(share * update.length) &&
        back.every((value, at) => {
          const off = Math.abs(value - update[at]!);
          // Left out, which the largest never are, or rounded by one step at most.
          return off <= (largest / 127) * 1.001 + VANISHING || (share < 1 && value === 0);
        })
      );
    }),
    { examples: [[Float32Array.of(2 ** -149), { quantize: "int8" }]] },
  );
});

t.test("the places with the largest magnitudes, as sorting finds them", async () => {
  fc.assert(
    fc.property(update, fc.nat({ max: 3_000 }), (update, k) => {
      const places = topK(update, k);
      if (places.length !== Math.min(k, update.length)) return false;
      if (places.some((place, at) => at > 0 && place <= places[at - 1]!)) return false;
      const chosen = new Set(places);
      const least = Math.min(...[...places].map((place) => Math.abs(update[place]!)), Infinity);
      // Bins are 0.8 % wide: what is left out is not above the least that was chosen by more.
      return update.every(
        (value, at) => chosen.has(at) || Math.abs(value) <= least * 1.0079 + 1e-38,
      );
    }),
  );
});

t.test("gaps come back", async () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat({ max: 49_999_999 }), { maxLength: 200 }), (values) => {
      const places = Int32Array.from(values).sort();
      const bytes = encodeGaps(places);
      const back = decodeGaps(bytes, places.length, 50_000_000);
      return back.length === bytes.length && back.places.every((place, at) => place === places[at]);
    }),
  );
});

t.test(
  "nothing is lost with error feedback: what was sent and what is left make the whole",
  async () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.array(fc.float({ min: -8, max: 8, noNaN: true }), { minLength: 40, maxLength: 40 }),
          { maxLength: 8 },
        ),
        options,
        (updates, options) => {
          const feedback = new ErrorFeedback(options, new SeededRandom("rounding"));
          const whole = new Float64Array(40);
          const sent = new Float64Array(40);
          for (const each of updates) {
            const { received } = feedback.compress(Float32Array.from(each));
            for (let at = 0; at < 40; at++) {
              whole[at]! += Math.fround(each[at]!);
              sent[at]! += received[at]!;
            }
          }
          return whole.every(
            (value, at) => Math.abs(value - sent[at]! - (feedback.residual?.[at] ?? 0)) < 1e-4,
          );
        },
      ),
    );
  },
);

t.test("hostile updates are refused by name", async () => {
  fc.assert(
    fc.property(update, options, changes, cut, (update, options, changes, cut) => {
      const { bytes } = compressOnce(update, options, new SeededRandom("rounding"));
      const copy = damaged(bytes, changes, cut);
      return refusesByName(() => {
        const back = decompress(copy, update.length);
        if (back.length !== update.length || !back.every(Number.isFinite))
          throw new Error("it was taken, and can not be used");
      });
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat({ max: 1_000 }), (bytes, length) =>
      refusesByName(() => decompress(bytes, length)),
    ),
  );
});

t.test("hostile files are refused by name", async () => {
  const frame = smallDataFrame(3);
  fc.assert(
    fc.property(changes, cut, (changes, cut) =>
      refusesByName(() => readRData(damaged(frame, changes, cut))),
    ),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) =>
      [
        () => readIdx(bytes),
        () => readRData(bytes),
        () => decodeDataset(bytes),
        () => decompressDataset(bytes),
      ].every(refusesByName),
    ),
  );
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom("a", "1", ",", ".", '"', "\r", "\n", " ") }),
      (text) => refusesByName(() => readCsv(text)),
    ),
  );
});
