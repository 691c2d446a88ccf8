// The worked example of docs/rounds.md is what happens.
import t from "tap";
import { sameAsDocumented } from "../support/consensus/documented-trace.ts";
import type { AgentPlan } from "../support/rounds/plan.ts";
import { RoundsWorld } from "../support/rounds-world.ts";

const TRAIN_MS = { a: 120, b: 150, c: 180, d: 210 };

t.test("two rounds; the second one's aggregator is killed", async (t) => {
  const lines: string[] = [];
  const agents = Object.entries(TRAIN_MS).map(
    ([name, trainMs]): AgentPlan => ({
      name,
      trains: true,
      aggregates: name !== "d",
      trainMs,
      forgetful: false,
    }),
  );
  const say = (atMs: number, agent: string, what: string): void =>
    void lines.push(`${String(atMs).padStart(4)} ms  ${agent}  ${what}`);
  const world = new RoundsWorld({
    seed: 9,
    agents,
    members: ["a", "b", "c"],
    quorum: 2,
    pace: { agentsMin: 2, agentsMax: 1_024, deadlineMs: 600, takeoverMs: 150 },
    trace: (atMs, agent, what) => {
      // What an agent tells itself, and how the news get about, would fill the page.
      if (what.startsWith(`→ ${agent} `) || what.endsWith("is decided")) return;
      say(atMs, agent, what);
    },
  });
  world.runTo(1, 2_000);
  world.ether.run(5_000, () =>
    lines.some((line) => line.endsWith("closes round 2 with 4 updates")),
  );
  const closing = lines.findLast((line) => line.includes("closes round 2"));
  const name = closing?.split("  ")[1] ?? "";
  say(world.ether.nowMs, name, "is killed");
  world.kill(world.agent(name));
  world.runTo(2, 3_000);
  world.ether.run(world.ether.nowMs + 45);
  t.equal(world.ledger.heads[2]?.aggregator === world.agent(name).peer, false, "by another");
  sameAsDocumented(t, "rounds.md", lines);
});
