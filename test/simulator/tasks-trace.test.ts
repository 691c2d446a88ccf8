// The worked example of docs/tasks.md is what happens.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import type { Sent } from "../../src/coordination/contract-net/effects.ts";
import { ContractWorld } from "../support/coordination/contract-world.ts";

const SKILLS = ["task:photo", "camera"];

/** @returns what it says, in words */
function wordsOf({ message }: Sent): string {
  switch (message.kind) {
    case "announce":
      return `announces ${message.task.kind}, for ${message.task.needs.join(" and ")}; bids within ${message.bidWithinMs} ms`;
    case "bid":
      return `bids ${message.cost}, done in ${message.endsInMs} ms`;
    case "refuse":
    case "failure":
      return `${message.kind}: ${message.reason}`;
    case "result":
      return `result: ${message.output}`;
    case "accept":
    case "award":
    case "cancel":
    case "progress":
    case "reject":
    case "settle":
      break;
  }
  return message.kind;
}

t.test("the worked example", async (t) => {
  const lines: string[] = [];
  const world: ContractWorld = new ContractWorld(
    {
      seed: "worked example",
      delegation: { delegatedMax: 0 },
      onSaid: (from, sent) => {
        const at = `${(world.nowMs / 1_000).toFixed(3).padStart(7)} s`;
        lines.push(`${at}  ${from.padEnd(7)} to ${sent.to.padEnd(7)} ${wordsOf(sent)}`);
      },
    },
    [
      { name: "gateway" },
      { name: "pi-1", skills: SKILLS, estimate: { cost: 1, endsInMs: 3_000 }, manner: "fails" },
      { name: "pi-2", skills: SKILLS, estimate: { cost: 1.6, endsInMs: 3_000 }, workMs: 3_000 },
      { name: "jetson", skills: SKILLS, estimate: { cost: 2.4, endsInMs: 9_000 } },
      { name: "sensor" },
    ],
  );
  world.submit("gateway", { kind: "photo", needs: SKILLS });
  world.run(20_000);
  t.match(world.outcome(world.followed[0]), { results: [{ peer: "pi-2" }] });
  t.same(world.violations, []);
  const text = readFileSync(join(import.meta.dirname, "../../docs/tasks.md"), "utf8");
  const example = text.split("## An example")[1]?.split("```text\n")[1]?.split("```")[0];
  const documented = example?.trimEnd().split("\n");
  t.same(documented, lines, "docs/tasks.md tells what happens");
});
