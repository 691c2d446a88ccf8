// The worked example of docs/roles.md is what happens.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import type { AgentRoles } from "../../src/coordination/roles/own-roles.ts";
import type { PeerId } from "../../src/platform/signer.ts";
import { RolesWorld } from "./roles-world.ts";

const names = ["jetson", "pi-1", "pi-2", "pi-3", "pi-4", "sensor"];

/** What was told, a line each. */
function trace(world: RolesWorld): string[] {
  const name = (peer: PeerId): string => names[world.indexOf(peer)] ?? "?";
  const list = (peers: readonly PeerId[]): string => peers.map(name).sort().join(" ") || "none";
  const roles = ({ coordination, learning }: AgentRoles): string =>
    `${coordination}; in learning ${learning.join(", ") || "nothing"}`;
  return world.told.flatMap(({ atMs, by, change }) => {
    const at = `${(atMs / 1_000).toFixed(2).padStart(7)} s  ${(names[by] ?? "").padEnd(6)}`;
    if (change.kind === "roles") return [`${at}  is ${roles(change.after)}`];
    const { assignment } = change;
    if (assignment === undefined) return [`${at}  knows nobody who leads`];
    const { term, maker, reason, validators, aggregators } = assignment;
    if (world.indexOf(maker) !== by) return [`${at}  goes by ${name(maker)}, term ${term}`];
    return [
      `${at}  leads: term ${term}, ${reason}; validators ${list(validators)}; aggregators ${list(aggregators)}`,
    ];
  });
}

t.test("the worked example", async (t) => {
  const world = new RolesWorld({ seed: "worked example" });
  const pi = { supply: "mains", cores: 4, memoryGiB: 4 } as const;
  world.populate([
    { supply: "mains", cores: 6, memoryGiB: 8 },
    pi,
    pi,
    pi,
    pi,
    { supply: "battery", cores: 1, memoryGiB: 0.5, batteryPercent: 80 },
  ]);
  world.run(30_000);
  world.change(0, { supply: "battery", batteryPercent: 90 });
  world.run(60_000);
  const text = readFileSync(join(import.meta.dirname, "../../docs/roles.md"), "utf8");
  const documented = text.split("```text\n")[1]?.split("```")[0]?.trimEnd().split("\n");
  t.same(documented, trace(world), "docs/roles.md tells what happens");
});
