import * as fc from "fast-check";
import t from "tap";
import {
  type Block,
  decodeBlock,
  encodeBlock,
  isInBounds,
} from "../../../../src/consensus/tendermint-member/block.ts";
import {
  decodeOperations,
  encodeOperations,
  named,
  type Operation,
} from "../../../../src/consensus/tendermint-member/operation.ts";
import { plainHasher } from "../../../../src/simulator/plain-hasher.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed, numRuns: Number(process.env["FC_RUNS"] ?? 200) });

const limits = { blockBytesMax: 2_000, blockOperationsMax: 20, valueBytesMax: 100 };
const digest = (digit: string): string => digit.repeat(64);
const basis = { head: digest("a"), snapshotHeight: 7, snapshotDigest: digest("b") };
const operation = (kind: Operation["kind"], text: string, id = 1): Operation => ({
  kind,
  id: new Uint8Array(16).fill(id),
  data: Buffer.from(text),
});
const any = fc.record({
  kind: fc.constant("value" as const),
  id: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  data: fc.uint8Array({ maxLength: 60 }),
});

t.test("a block is read as it was made, and has one form", async (t) => {
  fc.assert(
    fc.property(fc.array(any, { maxLength: 15 }), (operations) => {
      const bytes = encodeBlock({ basis, operations });
      const read = decodeBlock(bytes, limits);
      t.same(read?.basis, basis);
      t.same(read?.operations.map(hexes), operations.map(hexes));
      if (read !== undefined) t.same(encodeBlock(read), bytes);
    }),
  );
  const first: Block = {
    basis: { head: digest("c"), snapshotHeight: 0, snapshotDigest: undefined },
    operations: [],
  };
  t.same(decodeBlock(encodeBlock(first), limits), first, "an empty one, before any snapshot");
});

t.test("what is out of bounds is no block", async (t) => {
  const block = (...operations: Operation[]) =>
    decodeBlock(encodeBlock({ basis, operations }), limits);
  t.ok(block(operation("add", "ticket and peer"), operation("value", "1")));
  t.equal(block(operation("add", "a"), operation("remove", "b")), undefined, "two changes");
  t.equal(block(operation("value", "x".repeat(101))), undefined, "a value that is too large");
  t.equal(block(operation("nothing", "x")), undefined, "nothing has no data");
  const many = Array.from({ length: 21 }, (_, id) => operation("value", "", id));
  t.equal(block(...many), undefined, "too many operations");
  const large = Array.from({ length: 19 }, (_, id) => operation("value", "x".repeat(90), id));
  t.equal(block(...large), undefined, "too many bytes");
  t.equal(isInBounds(operation("value", "x".repeat(101)), limits), false);
});

t.test("bytes that are no block throw nothing", async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      decodeBlock(bytes, limits);
      decodeOperations(bytes, 20);
    }),
  );
  const bytes = encodeBlock({ basis, operations: [operation("value", "abc")] });
  t.equal(decodeBlock(bytes.subarray(0, -1), limits), undefined, "cut off");
  bytes[0] = 9;
  t.equal(decodeBlock(bytes, limits), undefined, "of another version");
});

t.test("the name of an operation is of all that it is", async (t) => {
  const names = [
    operation("value", "x"),
    operation("value", "y"),
    operation("remove", "x"),
    operation("value", "x", 2),
  ].map((one) => named(one, plainHasher).name);
  t.equal(new Set(names).size, 4);
  t.throws(
    () => encodeOperations([{ ...operation("value", "x"), id: new Uint8Array(3) }]),
    /16 bytes/,
  );
});

function hexes({ kind, id, data }: Operation): readonly string[] {
  return [kind, Buffer.from(id).toString("hex"), Buffer.from(data).toString("hex")];
}
