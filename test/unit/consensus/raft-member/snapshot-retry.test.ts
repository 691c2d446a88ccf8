import t from "tap";
import { RaftMemberWorld } from "../../../support/raft-member-world.ts";

const FOUNDERS = [1, 2, 3];
const NEW = 4;
/** Enough for some entries, and not for a snapshot of what was decided. */
const ROOM_BYTES = 2_000;
const VALUE_BYTES = 200;

t.test("who is taken in while no snapshot can be kept gets one once it can", async (t) => {
  const world = new RaftMemberWorld("snapshot-retry", FOUNDERS, { keptEntries: 0 });
  for (const id of FOUNDERS) await world.add(id);
  await world.until("somebody leads", () => world.leader() !== 0);
  for (let count = 0; count < 30; count++)
    await world.propose(1, String(count).padStart(VALUE_BYTES, "x"));
  // The leader's log begins behind what the new one would need.
  for (const id of [5, 6]) await world.change(1, [{ kind: "add-learner", id }], [id]);
  await world.run(1_000);
  for (const id of FOUNDERS) {
    const { disk } = world.device(id);
    disk.bytesMax = disk.bytes + ROOM_BYTES;
  }
  await world.add(NEW);
  await world.change(1, [{ kind: "add-voter", id: NEW }], [NEW]);
  await world.run(5_000);
  t.equal(world.journal(NEW).length, 0, "there is no snapshot in which it is a member");
  for (const id of FOUNDERS) world.device(id).disk.bytesMax = Number.POSITIVE_INFINITY;
  await world.until("it has caught up", () => world.journal(NEW).length === 30, 20_000);
  t.same(world.journal(NEW), world.journal(1));
});
