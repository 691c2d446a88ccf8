// The test of the tests: each bug planted in one of the three protocols is found by the hunt.
import t from "tap";
import { consensusBugs } from "../planted/consensus-bugs.ts";
import { huntInProtocol } from "../planted/consensus-hunt.ts";

/** A bug that takes more seeds than this is not caught; most are by the first twenty. */
const SEEDS_MAX = 150;
const JOBS = 2;
// Every hunt is a process of its own, on a machine that may be busy.
t.setTimeout(880_000);

t.test(`each is caught within ${SEEDS_MAX} seeds`, async (t) => {
  t.ok(consensusBugs.length >= 40);
  t.equal(new Set(consensusBugs.map(({ name }) => name)).size, consensusBugs.length);
  const rest = [...consensusBugs];
  const work = async (): Promise<void> => {
    for (let bug = rest.shift(); bug !== undefined; bug = rest.shift()) {
      const { seed, how } = await huntInProtocol(bug, 1, SEEDS_MAX);
      t.ok(seed !== undefined, `${bug.name}: ${bug.about}`);
      t.comment(`${bug.name}: seed ${seed}, ${how}`);
    }
  };
  await Promise.all(Array.from({ length: JOBS }, work));
});
