import * as fc from "fast-check";
import t from "tap";
import { Entry } from "../../../src/outbox/entry.ts";
import { Leases } from "../../../src/outbox/leases.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);

function entry(ordinal: number): Entry {
  const content = { payload: Buffer.from("1"), contentType: "text/plain" };
  const made = new Entry("pi", { stream: "sensors/a", priority: 5 }, content);
  made.ordinal = ordinal;
  return made;
}

t.test("leases are those that were added and not deleted, oldest first", async (t) => {
  const step = fc.oneof(
    fc.constant("add" as const),
    fc.constant("clear" as const),
    fc.nat({ max: 60 }).map((at) => ({ at })),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const leases = new Leases();
      let model: Entry[] = [];
      const left: Entry[] = [];
      for (const [ordinal, what] of steps.entries()) {
        if (what === "add") {
          const added = entry(ordinal);
          leases.add(added);
          model.push(added);
        } else if (what === "clear") {
          leases.clear();
          left.push(...model);
          model = [];
        } else {
          const gone = model[what.at] ?? left[what.at];
          if (gone !== undefined) {
            leases.delete(gone);
            model = model.filter((other) => other !== gone);
            left.push(gone);
          }
        }
        const same =
          leases.size === model.length &&
          leases.oldest === model[0] &&
          [...leases].every((other, at) => other === model[at]) &&
          model.every((other) => leases.has(other)) &&
          left.every((other) => !leases.has(other));
        if (!same) throw new Error(`differs after step ${ordinal}`);
      }
    }),
    { seed, numRuns: 300 },
  );
  t.pass("they were the same after every step");
});

t.test(
  "one that is never acknowledged holds up the rest before they fill the memory",
  async (t) => {
    const leases = new Leases();
    leases.add(entry(0));
    let leased = 1;
    for (; !leases.isFull && leased < 1_000_000; leased++) {
      const next = entry(leased);
      leases.add(next);
      leases.delete(next);
    }
    t.equal(leased, 65_536);
    t.equal(leases.size, 1);
    const stuck = leases.oldest;
    if (stuck !== undefined) leases.delete(stuck);
    t.notOk(leases.isFull);
    t.equal(leases.oldest, undefined);
  },
);
