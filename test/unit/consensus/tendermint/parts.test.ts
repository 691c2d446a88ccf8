// Values in parts, and the trees that hold them together.
import t from "tap";
import { isInTree, merkleTree } from "../../../../src/consensus/tendermint/merkle.ts";
import {
  PARTS_MAX,
  PartAssembler,
  split,
  valueIdOf,
} from "../../../../src/consensus/tendermint/parts.ts";
import { ValueStore } from "../../../../src/consensus/tendermint/value-store.ts";
import { nodeHasher as hasher } from "../../../../src/platform/node/hasher.ts";

/** The entries and roots of the public tests of Certificate Transparency (RFC 6962). */
const LEAVES = [
  "",
  "00",
  "10",
  "2021",
  "3031",
  "40414243",
  "5051525354555657",
  "606162636465666768696a6b6c6d6e6f",
].map((hex) => Buffer.from(hex, "hex"));
const ROOTS = [
  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
  "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];
const PROOF_0_OF_8 = [
  "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
  "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
  "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
];

t.test("trees are those of RFC 6962", async (t) => {
  for (const [at, root] of ROOTS.entries())
    t.equal(merkleTree(LEAVES.slice(0, at + 1), hasher).root, root, `${at + 1} leaves`);
  t.same(merkleTree(LEAVES, hasher).proofs[0], PROOF_0_OF_8);
  t.throws(() => merkleTree([], hasher), /has leaves/u);
});

t.test("a proof shows one leaf at one place, and nothing else", async (t) => {
  for (let count = 1; count <= 20; count++) {
    const leaves = Array.from({ length: count }, (_, at) => Buffer.from(`leaf ${at}`));
    const { root, proofs } = merkleTree(leaves, hasher);
    for (const [index, leaf] of leaves.entries()) {
      const proof = proofs[index] ?? [];
      const holds = (at: number, of: number, bytes: Uint8Array, way: readonly string[]): boolean =>
        isInTree(root, bytes, { index: at, count: of }, way, hasher);
      if (!holds(index, count, leaf, proof)) t.fail(`${index} of ${count}`);
      if (holds((index + 1) % count, count, leaf, proof) && count > 1)
        t.fail(`${index} of ${count} in another place`);
      if (holds(index, count, Buffer.from("other"), proof)) t.fail("another leaf");
      if (holds(index, count, leaf, [...proof, root])) t.fail("a longer proof");
      if (count > 1 && holds(index, count, leaf, proof.slice(1))) t.fail("a shorter proof");
      if (holds(count, count, leaf, proof)) t.fail("a place beyond the end");
    }
  }
  t.pass("20 trees");
});

t.test("a node of the tree can not pass for a leaf", async (t) => {
  const { root } = merkleTree(LEAVES.slice(0, 2), hasher);
  const [left, right] = LEAVES.slice(0, 2).map((leaf) =>
    hasher.sha256Hex(Buffer.concat([Buffer.from([0]), leaf])),
  );
  const joined = Buffer.from(`${left}${right}`, "hex");
  t.notOk(isInTree(root, joined, { index: 0, count: 1 }, [], hasher));
});

t.test("a value comes together from parts in any order", async (t) => {
  const value = Buffer.from("x".repeat(95) + "end");
  const { valueId, manifest, parts } = split(value, 10, hasher);
  t.equal(parts.length, 10);
  t.equal(valueIdOf(manifest, hasher), valueId);
  const assembler = new PartAssembler(manifest, hasher);
  for (const part of parts.slice(1).reverse()) t.equal(assembler.add(part), "taken");
  t.same(assembler.missing(), [0]);
  t.throws(() => assembler.value(), /part 0 is missing/u);
  const [first, second] = parts;
  if (first === undefined || second === undefined) throw new Error("no parts");
  t.equal(assembler.add(second), "duplicate");
  t.equal(assembler.add(first), "complete");
  t.same(Buffer.from(assembler.value()), value);
});

t.test("bad parts are refused", async (t) => {
  const { manifest, parts } = split(Buffer.alloc(35, 1), 10, hasher);
  const assembler = new PartAssembler(manifest, hasher);
  const [first, , , last] = parts;
  if (first === undefined || last === undefined) throw new Error("no parts");
  t.equal(assembler.add({ ...first, index: 4 }), "bad-part", "beyond the end");
  t.equal(assembler.add({ ...first, index: 3 }), "bad-part", "of the wrong length");
  t.equal(assembler.add({ ...last, bytes: Buffer.alloc(5, 2) }), "bad-part", "of other bytes");
  t.equal(assembler.add({ ...first, proof: [] }), "bad-part", "without a proof");
  t.equal(assembler.add({ ...first, proof: last.proof }), "bad-part", "with another proof");
  t.equal(assembler.missing().length, 4);
});

t.test("an empty value is one empty part; one that is too large is none", async (t) => {
  const { manifest, parts } = split(new Uint8Array(), 10, hasher);
  t.equal(parts.length, 1);
  const assembler = new PartAssembler(manifest, hasher);
  t.equal(assembler.add({ index: 0, bytes: new Uint8Array(), proof: [] }), "complete");
  t.equal(assembler.value().length, 0);
  t.throws(() => split(Buffer.alloc(10 * PARTS_MAX + 1), 10, hasher), /the most/u);
});

t.test("values that are put together are bounded in number", async (t) => {
  const store = new ValueStore(hasher, 2);
  const values = ["one", "two", "three"].map((text) => split(Buffer.from(text), 10, hasher));
  const [one, two, three] = values;
  if (one === undefined || two === undefined || three === undefined) throw new Error("no values");
  const kept = new Set([one.valueId]);
  for (const { valueId, manifest } of values) store.expect(valueId, manifest, kept);
  t.ok(store.addWhole(one.valueId, Buffer.from("one")), "what is kept stays");
  t.notOk(store.addWhole(two.valueId, Buffer.from("two")), "the oldest other one gave way");
  t.notOk(store.addWhole(three.valueId, Buffer.from("thref")), "another value");
  t.same([...store.incomplete()], [{ valueId: three.valueId, indexes: [0] }]);
  t.ok(store.isToBeAsked(one.valueId));
  t.notOk(store.isToBeAsked(one.valueId), "the host is asked once");
});
