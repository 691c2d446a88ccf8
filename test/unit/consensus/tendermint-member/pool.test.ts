import t from "tap";
import { type Named, named } from "../../../../src/consensus/tendermint-member/operation.ts";
import { Pool } from "../../../../src/consensus/tendermint-member/pool.ts";
import { plainHasher } from "../../../../src/simulator/plain-hasher.ts";

const limits = { poolBytesMax: 400, poolOperationsOfMemberMax: 5, poolKeptMs: 1_000 };
const MEMBERS = 2;
let count = 0;

function operation(text: string, kind: "value" | "add" = "value"): Named {
  const id = new Uint8Array(16).fill(++count);
  return named({ kind, id, data: Buffer.from(text) }, plainHasher);
}

function texts(pool: Pool, bytesMax = 10_000, operationsMax = 100): string[] {
  return pool.pack(bytesMax, operationsMax).map(({ data }) => Buffer.from(data).toString());
}

t.test("blocks take from all members in turn, the oldest first", async (t) => {
  const pool = new Pool(limits);
  for (const text of ["a1", "a2", "a3"]) pool.add("a", operation(text), 0, MEMBERS);
  pool.add("b", operation("b1"), 0, MEMBERS);
  t.same(texts(pool), ["a1", "b1", "a2", "a3"]);
  t.same(texts(pool, 10_000, 2), ["a1", "b1"], "so many operations");
  t.same(texts(pool, 60), ["a1", "b1"], "so many bytes");
  t.equal(pool.size, 4, "what is packed stays until it is decided");
});

t.test("a member that floods crowds out its own", async (t) => {
  const pool = new Pool(limits);
  pool.add("b", operation("b1"), 0, MEMBERS);
  for (let at = 0; at < 20; at++) pool.add("a", operation(`a${at}`), 0, MEMBERS);
  t.equal(pool.size, 6);
  t.equal(pool.dropped, 15);
  t.same(texts(pool), ["b1", "a15", "a16", "a17", "a18", "a19"]);
  pool.add("a", operation("x".repeat(150)), 0, MEMBERS);
  t.same(texts(pool).slice(1).length, 2, "bytes as well");
});

t.test("what comes in twice is there once, and stays for longer", async (t) => {
  const pool = new Pool(limits);
  const one = operation("one");
  t.equal(pool.add("a", one, 0, MEMBERS), true);
  t.equal(pool.add("b", one, 900, MEMBERS), false, "whoever says it");
  pool.expire(1_500);
  t.equal(pool.size, 1);
  pool.expire(2_600);
  t.equal(pool.size, 0);
  t.same(texts(pool), []);
});

t.test("one change of members in a block", async (t) => {
  const pool = new Pool(limits);
  const first = operation("first", "add");
  pool.add("a", first, 0, MEMBERS);
  pool.add("a", operation("value"), 0, MEMBERS);
  pool.add("b", operation("second", "add"), 0, MEMBERS);
  t.same(texts(pool), ["first", "value"]);
  pool.delete(first.name);
  t.same(texts(pool), ["value", "second"]);
});
