// The test of the tests: each bug planted in rounds of learning is found by the simulator.
import t from "tap";
import { learningBugs } from "../planted/learning-bugs.ts";
import { catchEach } from "../support/planted-seeds.ts";

t.setTimeout(880_000);

t.test("each is caught within three seeds", async (t) => {
  await catchEach(t, learningBugs);
});
