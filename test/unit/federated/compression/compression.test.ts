import t from "tap";
import { compress, decompress } from "../../../../src/federated/compression/codec.ts";
import {
  compressOnce,
  ErrorFeedback,
} from "../../../../src/federated/compression/error-feedback.ts";
import { standardNormal } from "../../../../src/federated/strategies/elementary.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";

const LENGTH = 200_000;
const random = new SeededRandom("compression");
const update = Float32Array.from({ length: LENGTH }, () => 0.01 * standardNormal(random));
const ratio = (bytes: Uint8Array) => (4 * LENGTH) / bytes.length;

t.test("sizes and what is lost, of Gaussian updates", async (t) => {
  const none = compressOnce(update, {});
  t.equal(none.error, 0);
  t.equal(none.bytes.length, 4 * LENGTH + 14);
  const bytes = compressOnce(update, { quantize: "int8" });
  t.ok(ratio(bytes.bytes) > 3.97 && bytes.error < 0.01, `${ratio(bytes.bytes)} ${bytes.error}`);
  const packed = compressOnce(update, { quantize: "int8", zstd: 1 });
  t.ok(ratio(packed.bytes) > 4.2 && packed.error === bytes.error, `${ratio(packed.bytes)}`);
  const top = compressOnce(update, { topShare: 0.01, quantize: "int8", zstd: 3 });
  t.ok(ratio(top.bytes) > 150, `${ratio(top.bytes)}`);
  const kept = top.received.filter((value) => value !== 0);
  t.equal(kept.length, LENGTH / 100);
});

t.test("int8 rounds to the nearest step, halves away from zero, whatever the sign", async (t) => {
  // The largest magnitude is 127 steps of one.
  const values = Float32Array.of(
    127,
    0.5,
    -0.5,
    0.4999,
    -0.4999,
    -0,
    1.5,
    -1.5,
    126.5,
    -126.5,
    -127,
  );
  const back = decompress(compress(values, { quantize: "int8" }), values.length);
  t.same([...back], [127, 1, -1, 0, 0, 0, 2, -2, 127, -127, -127]);
  // So small that float32 has no scale between: one step is the least number, and 127 of them are the most.
  const tiny = Float32Array.of(2 ** -149 * 150, 2 ** -149 * -150, 2 ** -149);
  const kept = decompress(compress(tiny, { quantize: "int8" }), 3);
  t.same([...kept], [2 ** -149 * 127, 2 ** -149 * -127, 2 ** -149]);
});

t.test("stochastic rounding keeps the mean where rounding to the nearest does not", async (t) => {
  // One large value makes the steps so large that the others lie between zero and the first.
  const values = new Float32Array(1_000).fill(0.3);
  values[0] = 127;
  const chance = new SeededRandom("rounding");
  const mean = (rounding: "nearest" | "stochastic") => {
    const back = decompress(compress(values, { quantize: "int8", rounding }, chance), 1_000);
    return back.subarray(1).reduce((sum, value) => sum + value, 0) / 999;
  };
  t.equal(mean("nearest"), 0);
  t.ok(Math.abs(mean("stochastic") - 0.3) < 0.05);
  t.throws(() => compress(values, { rounding: "stochastic" }), /needs chance/);
});

t.test("with error feedback everything arrives in the end", async (t) => {
  const options = { topShare: 0.1, quantize: "int8" } as const;
  const steady = update.subarray(0, 1_000);
  const total = (send: (values: Float32Array) => Float32Array) => {
    const sum = new Float64Array(1_000);
    for (let round = 0; round < 200; round++)
      for (const [at, value] of send(steady).entries()) sum[at]! += value;
    return sum.reduce((off, value, at) => off + Math.abs(value / 200 - steady[at]!), 0) / 1_000;
  };
  const feedback = new ErrorFeedback(options);
  const forgetful = total((values) => compressOnce(values, options).received);
  const remembering = total((values) => feedback.compress(values).received);
  t.ok(remembering < forgetful / 10, `${remembering} ${forgetful}`);
  const later = new ErrorFeedback(options, undefined, feedback.residual);
  t.same(later.compress(steady).bytes, feedback.compress(steady).bytes, "and goes on elsewhere");
});

t.test("what can not be packed or unpacked is named", async (t) => {
  for (const [options, told] of [
    [{ topShare: 0 }, /topShare: above 0/],
    [{ topShare: Number.NaN }, /topShare: above 0/],
    [{ zstd: 20 }, /zstd: a level from 1 to 19/],
  ] as const)
    t.throws(() => compress(update, options), { code: "compression.input", message: told });
  t.throws(() => compress(Float32Array.of(1, Number.NaN), {}), /value 1 is NaN/);
  t.throws(() => compress(Float32Array.of(Infinity), { quantize: "int8" }), /value 0 is Infinity/);
  const bytes = compress(update, { topShare: 0.01, zstd: 1 });
  t.throws(() => decompress(bytes, LENGTH - 1), /200000 values, 199999 are asked for/);
  const other = bytes.slice();
  other[0] = 9;
  t.throws(() => decompress(other, LENGTH), /version 9/);
  // A frame that would unpack to far more than its header says.
  const bomb = compress(new Float32Array(1_000_000), { zstd: 19 });
  new DataView(bomb.buffer).setUint32(2, 10, true);
  new DataView(bomb.buffer).setUint32(6, 10, true);
  new DataView(bomb.buffer).setUint32(10, 40, true);
  t.throws(() => decompress(bomb, 10), /no zstd frame/);
  t.same(
    decompress(compress(new Float32Array(0), { topShare: 0.5, quantize: "int8" }), 0),
    new Float32Array(0),
  );
  const extreme = Float32Array.of(3.4028234663852886e38, -3.4028234663852886e38);
  t.ok(decompress(compress(extreme, { quantize: "int8" }), 2).every(Number.isFinite));
});
