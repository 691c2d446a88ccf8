// Some seeds of a world in which agents train, lie, crash and are cut off: whatever goes wrong, what the rounds promise holds, and when
// all is well again they go on. ROUNDS_SEEDS= runs as many as one likes.
import t from "tap";
import { HEALED_DEADLINES, HEALED_ROUNDS, runChaos } from "../support/rounds/chaos.ts";
import type { PlantedBug } from "../support/rounds/plan.ts";

const FIRST_SEED = Number(process.env["ROUNDS_FIRST_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const SEEDS = Number(process.env["ROUNDS_SEEDS"] ?? 80);
t.setTimeout(300_000);
t.comment(`ROUNDS_FIRST_SEED=${FIRST_SEED} ROUNDS_SEEDS=${SEEDS} repeats these`);

t.test(`${SEEDS} seeds are well`, async (t) => {
  let [rounds, counted, events, faults, worst] = [0, 0, 0, 0, 0];
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    const run = runChaos(seed);
    const again = `ROUNDS_FIRST_SEED=${seed} ROUNDS_SEEDS=1`;
    if (run.violation !== undefined) t.fail(`seed ${seed}: ${run.violation}; again: ${again}`);
    rounds += run.rounds;
    counted += run.counted;
    events += run.events;
    faults += run.faults;
    worst = Math.max(worst, run.healedIn);
  }
  t.ok(
    rounds > SEEDS && counted > rounds && faults > 0,
    "rounds came about, and things went wrong",
  );
  t.comment(`${events} events, ${faults} faults, ${rounds} rounds of ${counted} updates`);
  t.comment(
    `${HEALED_ROUNDS} rounds after all was well: ${worst.toFixed(1)} deadlines at worst, ${HEALED_DEADLINES} allowed`,
  );
});

t.test("a seed is the same world each time", async (t) => {
  t.same(runChaos(FIRST_SEED), runChaos(FIRST_SEED));
});

/** Seeds until each was noticed, from 1 on; fixed, so that a slow day changes nothing. */
const PLANTED: Readonly<Record<PlantedBug, RegExp>> = {
  "forgets-its-word": /said two things/,
  "tells-too-soon": /said two things/,
  "votes-too-soon": /is on no disk/,
  "blind-to-counts": /counted twice|has an update of/,
  "blind-to-bases": /has another base|has another sheet/,
  "blind-to-models": /another model/,
  "blind-to-numbers": /has 1 updates/,
  "blind-to-order": /was decided behind/,
  "no-takeover": /did not come about/,
};

for (const [bug, sign] of Object.entries(PLANTED))
  t.test(`planted: ${bug}`, async (t) => {
    for (let seed = 1; seed <= 60; seed++) {
      const { violation } = runChaos(seed, new Set([bug as PlantedBug]));
      if (violation === undefined) continue;
      t.match(violation, sign);
      t.comment(`noticed in seed ${seed}: ${violation}`);
      return;
    }
    t.fail("not noticed");
  });
