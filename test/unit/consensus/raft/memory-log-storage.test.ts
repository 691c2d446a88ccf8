import t from "tap";
import { NO_MEMBERS } from "../../../../src/consensus/raft/configuration.ts";
import type { Entry } from "../../../../src/consensus/raft/entry.ts";
import { ENTRY_OVERHEAD_BYTES, NO_DATA } from "../../../../src/consensus/raft/entry.ts";
import { MemoryLogStorage } from "../../../../src/consensus/raft/memory-log-storage.ts";

const entry = (index: number, term: number): Entry => ({
  index,
  term,
  kind: "normal",
  data: NO_DATA,
});
const unlimited = Number.POSITIVE_INFINITY;

t.test("entries take the place of those from the first of them on", async (t) => {
  const storage = new MemoryLogStorage();
  storage.append([entry(1, 1), entry(2, 1), entry(3, 1)]);
  storage.append([entry(2, 2)]);
  t.same(storage.entries(1, 3, unlimited), [entry(1, 1), entry(2, 2)]);
  t.equal(storage.lastIndex(), 2);
  t.throws(() => storage.append([entry(4, 2)]), /gap/);
});

t.test("what is compacted is gone, but for the term of the last", async (t) => {
  const storage = new MemoryLogStorage();
  storage.append([entry(1, 1), entry(2, 1), entry(3, 2), entry(4, 2)]);
  storage.createSnapshot(3, NO_MEMBERS, NO_DATA);
  storage.compact(3);
  t.equal(storage.firstIndex(), 4);
  t.equal(storage.term(3), 2);
  t.equal(storage.term(2), undefined);
  t.equal(storage.entries(3, 5, unlimited), undefined);
  storage.append([entry(3, 2), entry(4, 3)]);
  t.same(storage.entries(4, 5, unlimited), [entry(4, 3)], "what is compacted is left out");
  t.throws(() => storage.compact(3), /after 3/);
  t.throws(() => storage.createSnapshot(3, NO_MEMBERS, NO_DATA), /newer/);
  t.throws(() => storage.createSnapshot(9, NO_MEMBERS, NO_DATA), /no entry 9/);
});

t.test("as much is given as fits, and one at least", async (t) => {
  const storage = new MemoryLogStorage();
  storage.append([entry(1, 1), entry(2, 1), entry(3, 1)]);
  t.equal(storage.entries(1, 4, 2 * ENTRY_OVERHEAD_BYTES)?.length, 2);
  t.equal(storage.entries(1, 4, 0)?.length, 1);
});
