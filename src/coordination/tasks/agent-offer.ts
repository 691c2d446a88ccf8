import type { Member } from "../../mesh/membership/member.ts";
import { isLiving } from "../../mesh/membership/table.ts";
import { PowerSupply } from "../../wire/agent_mesh/v1/record_pb.ts";
import type { AgentOffer, Requirements } from "../distribution/task.ts";
import { featureOf, MAINS_NEED, type OrderSpec } from "./order.ts";

/** Feature of agents that take tasks; others are never asked. */
export const TASKS_FEATURE = "tasks";

/** In these modes of the power policy an agent takes nothing. */
const IDLE_MODES: ReadonlySet<string> = new Set(["aggressive", "critical"]);
/** Share that an agent on battery gets, of what one on mains would. */
const BATTERY_SHARE = 0.5;

/**
 * What an agent offers, by its own record: nothing where it takes no part, is failing, or saves its power; half of its
 * share on battery. Its load is that of its processor.
 * @param tasksMax tasks that it is given at once, which its record does not tell
 */
export function offerOf({ record, state }: Member, tasksMax: number): AgentOffer | undefined {
  const { peerId, capabilities, health, leaving } = record;
  if (!isLiving(state) || leaving || capabilities === undefined || health === undefined)
    return undefined;
  const { features, cpuCores, memoryBytes, powerSupply } = capabilities;
  if (!features.includes(TASKS_FEATURE) || health.status === "failing") return undefined;
  if (!takesTasks(health.powerMode)) return undefined;
  const mains = powerSupply === PowerSupply.MAINS;
  const cores = Math.max(1, cpuCores);
  return {
    peer: peerId,
    skills: features,
    memoryBytes: Number(memoryBytes) * (1 - (health.memoryPercent ?? 0) / 100),
    cpuShare: cores,
    mains,
    tasksMax,
    weight: cores * (mains ? 1 : BATTERY_SHARE),
    load: (health.cpuPercent ?? 0) / 100,
  };
}

/** @returns whether an agent in that mode of the power policy takes tasks */
export function takesTasks(powerMode: string): boolean {
  return !IDLE_MODES.has(powerMode);
}

/** What an order wants of an agent. */
export function requirementsOf({
  kind,
  needs,
  memoryBytes,
}: Pick<OrderSpec, "kind" | "needs" | "memoryBytes">): Requirements {
  return {
    skills: [featureOf(kind), ...needs.filter((need) => need !== MAINS_NEED)],
    memoryBytes,
    cpuShare: 0,
    mains: needs.includes(MAINS_NEED),
  };
}
