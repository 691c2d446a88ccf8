// The test of the tests: each bug planted in a fleet is found by the simulator.
import t from "tap";
import { fleetBugs } from "../planted/bugs.ts";
import { catchEach } from "../support/planted-seeds.ts";

t.setTimeout(880_000);

t.test("each is caught within three seeds", async (t) => {
  t.ok(fleetBugs.length >= 20);
  await catchEach(t, fleetBugs);
});
