import { resolveConfig } from "../../config/resolve.ts";
import type { Config } from "../../config/schema.ts";
import type { Scenario } from "./scenario.ts";

/** Configurations of the agents of a world. */
export interface FleetConfigs {
  readonly withUplink: Config;
  readonly without: Config;
}

const NEIGHBOUR = ["uplinks.0.name=neighbour", "uplinks.0.kind=neighbour"];
const UPDATE_BYTES_MAX = 65_536;
const UPLINK = [
  "uplinks.0.name=cloud",
  "uplinks.0.kind=mqtt",
  "uplinks.0.url=mqtt://receiver.example:1883",
];

/** @returns what the agents of the scenario are configured with; what it does not speak of is as by default */
export function fleetConfigs(scenario: Scenario): FleetConfigs {
  const { membersMax, outboxBytesMax, outboxEvict, consensus, learning } = scenario;
  const base = [
    "mesh.enabled=true",
    `mesh.limits.membersMax=${membersMax}`,
    `outbox.bytesMax=${outboxBytesMax}`,
    `outbox.evict=${outboxEvict}`,
    `outbox.updateBytesMax=${Math.min(UPDATE_BYTES_MAX, Math.floor(outboxBytesMax / 4))}`,
    ...(consensus === "off" ? [] : ["consensus.enabled=true", `consensus.protocol=${consensus}`]),
    ...(learning.trains === "nothing"
      ? []
      : ["learning.enabled=true", `learning.gatherMs=${1_000 * learning.gatherSeconds}`]),
  ];
  return {
    withUplink: resolveConfig({ sets: [...base, ...UPLINK] }),
    without: resolveConfig({ sets: [...base, ...NEIGHBOUR] }),
  };
}
