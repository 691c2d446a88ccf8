import t from "tap";
import { latestKey } from "../../../src/outbox/keys.ts";
import { LatestTable } from "../../../src/outbox/latest-table.ts";

const NAME = latestKey(1, "on");

/** A table in which update 1 is the newest of its key, on disk too. */
function tableOfOne(): LatestTable {
  const table = new LatestTable();
  table.write(new Map([[NAME, 1]]));
  table.committed(new Map([[NAME, 1]]));
  return table;
}

t.test("what was delivered last is forgotten on disk, once", async (t) => {
  const table = tableOfOne();
  t.equal(table.isSuperseded(1, "on", 1), false);
  table.left(1, "on", 1);
  t.strictSame(table.takeDelivered(), [{ type: "del", key: NAME }]);
  t.strictSame(table.takeDelivered(), []);
  t.equal(table.size, 0);
});

t.test(
  "a newest that is written in the batch after its predecessor left stays on disk",
  async (t) => {
    const table = tableOfOne();
    table.left(1, "on", 1);
    t.equal(table.write(new Map([[NAME, 6]])).length, 1);
    t.strictSame(table.takeDelivered(), []);
    table.committed(new Map([[NAME, 6]]));
    t.equal(table.isSuperseded(1, "on", 5), true);
  },
);

t.test("a newest that is being written while its predecessor leaves stays on disk", async (t) => {
  const table = tableOfOne();
  table.write(new Map([[NAME, 6]]));
  table.left(1, "on", 1);
  table.committed(new Map([[NAME, 6]]));
  t.strictSame(table.takeDelivered(), []);
  t.equal(table.isSuperseded(1, "on", 5), true);
});

t.test(
  "what left before it was read back is forgotten on disk, unless it is written anew",
  async (t) => {
    const table = new LatestTable();
    const other = latestKey(2, "on");
    const value = Buffer.from((5).toString(36));
    table.load(
      [
        [NAME, value],
        [other, value],
      ],
      6,
    );
    table.write(new Map([[other, 9]]));
    t.strictSame(table.takeDelivered(), [{ type: "del", key: NAME }]);
  },
);
