import t from "tap";
import { packExactly, unpackExactly } from "../../../../src/federated/combining/exact-packing.ts";
import { bytesOfWeights } from "../../../../src/federated/combining/weights-codec.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";

/** Differences of two models, as training leaves them. */
function update(count: number): Float32Array {
  const random = new SeededRandom("update");
  return Float32Array.from({ length: count }, (_, at) => {
    const before = Math.fround(random.next() - 0.5);
    return at % 7 === 0 ? 0 : Math.fround(before + 0.01 * (random.next() - 0.5)) - before;
  });
}

t.test("an update gets shorter, and comes back bit for bit", async (t) => {
  const values = update(10_000);
  const packed = packExactly(values);
  t.ok(packed.length < 0.8 * 4 * values.length, `${packed.length} of ${4 * values.length} bytes`);
  t.equal(packed.byteLength, packed.buffer.byteLength, "nothing is held beside it");
  t.same(unpackExactly(packed, values.length), values);
});

t.test("minus zero, the smallest, the largest and NaN stay what they are", async (t) => {
  const odd = [-0, 1e-45, -1e-45, 3.4e38, Number.NaN, Number.NEGATIVE_INFINITY];
  const values = new Float32Array(600).map((_, at) => odd[at % odd.length] ?? 0);
  const packed = packExactly(values);
  t.ok(packed.length < 4 * values.length);
  const back = unpackExactly(packed, values.length) ?? new Float32Array(0);
  t.same(bytesOfWeights(back), bytesOfWeights(values));
});

t.test("what does not get shorter travels as it is", async (t) => {
  const random = new SeededRandom("noise");
  const noise = new Float32Array(random.bytes(64).buffer.slice(0, 64));
  for (const values of [noise, Float32Array.of(1), new Float32Array(0)]) {
    const packed = packExactly(values);
    t.same(packed, bytesOfWeights(values));
    t.same(bytesOfWeights(unpackExactly(packed, values.length) ?? noise), bytesOfWeights(values));
  }
});

t.test(
  "what is none, or of another length, is refused, and nobody makes us reserve more",
  async (t) => {
    const packed = packExactly(update(1_000));
    t.equal(unpackExactly(packed, 999), undefined, "one value fewer");
    t.equal(unpackExactly(packed, 1_001), undefined, "one more");
    t.equal(unpackExactly(packed, 10), undefined, "longer than the values");
    t.equal(unpackExactly(packed.slice(0, -3), 1_000), undefined, "cut off");
    t.equal(
      unpackExactly(
        packed.map((byte) => byte ^ 255),
        1_000,
      ),
      undefined,
      "noise",
    );
    t.equal(unpackExactly(new Uint8Array(0), 1_000), undefined, "nothing");
    const bomb = packExactly(new Float32Array(1_000_000));
    t.ok(bomb.length < 4_000);
    t.equal(unpackExactly(bomb, 1_000), undefined, "a bomb");
  },
);
