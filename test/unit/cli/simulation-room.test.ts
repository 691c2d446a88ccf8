import t from "tap";
import { heapGrowthPercent, lackOfRoom, thisMachine } from "../../../src/cli/simulate/room.ts";

const large = { freeBytes: 256e9, heapBytesMax: 256e9, piecesMax: 65_530 };

t.test("there is room for a small fleet on the machine that runs this", (t) => {
  t.same(lackOfRoom({ agents: 10, membersMax: 256 }, thisMachine()), []);
  t.end();
});

t.test("ten thousand agents fit where four gigabytes are free", (t) => {
  const machine = { ...large, freeBytes: 4e9, heapBytesMax: 4e9 };
  t.same(lackOfRoom({ agents: 10_000, membersMax: 256 }, machine), []);
  t.end();
});

t.test("a hundred thousand need more pieces of memory than Linux allows by itself", (t) => {
  const fleet = { agents: 100_000, membersMax: 32 };
  t.match(lackOfRoom(fleet, large), [/^100,000 agents .* sysctl vm\.max_map_count=131072$/]);
  t.same(lackOfRoom(fleet, { ...large, piecesMax: 131_072 }), []);
  const { freeBytes, heapBytesMax } = large;
  t.same(lackOfRoom(fleet, { freeBytes, heapBytesMax }), [], "no such limit elsewhere");
  t.end();
});

t.test("what is short is named, and what would help", (t) => {
  const lacks = lackOfRoom(
    { agents: 100_000, membersMax: 256 },
    { ...large, freeBytes: 8e9, heapBytesMax: 16e9, piecesMax: 1e6 },
  );
  t.match(lacks, [/membersMax/, /--max-old-space-size/]);
  t.end();
});

t.test("the heap may grow as far as memory goes", (t) => {
  const growth = (agents: number, freeBytes: number): number =>
    heapGrowthPercent({ agents, membersMax: 256 }, { freeBytes });
  t.equal(growth(10, 8e9), 50);
  t.equal(growth(10_000, 64e9), 50, "but no further than helps");
  t.equal(growth(10_000, 4e9), 20);
  t.equal(growth(100_000, 4e9), 20, "and never less than that");
  const [least, most] = [growth(20_000, 12e9), growth(20_000, 13e9)];
  t.ok(least > 20 && least < most && most < 50, `${least} and ${most}`);
  t.end();
});
