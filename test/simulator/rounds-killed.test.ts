// Whenever in a round its aggregator is killed, the others go on: nobody waits until what it left behind expires.
import t from "tap";
import type { AgentPlan } from "../support/rounds/plan.ts";
import { RoundsWorld, WORLD_TIMES } from "../support/rounds-world.ts";

const PACE = { agentsMin: 2, agentsMax: 1_024, deadlineMs: 2_000, takeoverMs: 150 };
/** A judge that finds nobody who has what it needs gives up after its third try; then the next candidate begins. */
const WITHIN_MS = PACE.takeoverMs + 8 * WORLD_TIMES.retryMs + 1_000;
const SEEDS = Number(process.env["SEEDS"] ?? 10);
const COMMITTEES = [
  { members: ["a", "b", "c"], quorum: 2 },
  { members: ["a", "b", "c", "d"], quorum: 3 },
  { members: ["a", "b", "c", "d", "e"], quorum: 3 },
] as const;
const KILLED_EVERY_MS = 7;

/** @returns milliseconds from the kill to the end of round 2; undefined where the round was over before */
function killedAfter(
  committee: (typeof COMMITTEES)[number],
  seed: number,
  delayMs: number,
): number | undefined {
  const agents = [...committee.members, "worker"].map(
    (name, at): AgentPlan => ({
      name,
      trains: true,
      aggregates: name !== "worker",
      trainMs: 120 + 30 * at,
      forgetful: false,
    }),
  );
  let closedBy: string | undefined;
  const world = new RoundsWorld({
    seed,
    agents,
    ...committee,
    pace: PACE,
    trace: (_, agent, what) => {
      if (what.startsWith("closes round 2")) closedBy ??= agent;
    },
  });
  world.runTo(1, 5_000);
  world.ether.run(world.ether.nowMs + 5_000, () => closedBy !== undefined);
  world.ether.run(world.ether.nowMs + delayMs);
  if (closedBy === undefined) throw new Error(`seed ${seed}: nobody has closed round 2`);
  if (world.round >= 2) return undefined;
  world.kill(world.agent(closedBy));
  const killedAtMs = world.ether.nowMs;
  world.runTo(2, 4 * PACE.deadlineMs);
  return world.ether.nowMs - killedAtMs;
}

for (const committee of COMMITTEES)
  t.test(
    `of ${committee.members.length} members, the aggregator killed at each moment`,
    async (t) => {
      const tookMs: number[] = [];
      for (let seed = 1; seed <= SEEDS; seed++)
        for (let delayMs = 0; ; delayMs += KILLED_EVERY_MS) {
          const took = killedAfter(committee, seed, delayMs);
          if (took === undefined) break;
          tookMs.push(took);
          if (took > WITHIN_MS) t.fail(`seed ${seed}, killed after ${delayMs} ms: ${took} ms`);
        }
      t.ok(tookMs.length > 3 * SEEDS, `${tookMs.length} kills`);
      t.comment(`${Math.max(...tookMs)} ms at most`);
    },
  );
