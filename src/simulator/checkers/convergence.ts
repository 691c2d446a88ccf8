import type { SimulatedAgent } from "../simulated-agent.ts";
import type { SimulatedFleet } from "../simulated-fleet.ts";
import { untrueTable } from "./table.ts";

/** In a fleet larger than the tables, what an agent may miss of those it knew. */
const PARTITION_SCORE_MAX = 0.05;

/** Devices go on to tell how they are, so that one or two updates are always on their way. */
const ON_THEIR_WAY_MAX = 3;

/** @returns what is not as it should be when nothing goes wrong any more; undefined: everything is */
export function unconverged(fleet: SimulatedFleet): string | undefined {
  for (const agent of fleet.agents) {
    const why = lacking(agent, fleet);
    if (why !== undefined) return `${agent.agentId}: ${why}`;
  }
  const leaders = new Set(fleet.agents.map(leaderOf));
  if (leaders.size > 1) return `the agents go by ${leaders.size} assignments of roles`;
  const { owed } = fleet.ledger;
  return owed > 0 ? `${owed} acknowledged readings have not arrived` : undefined;
}

function leaderOf({ agent }: SimulatedAgent): string {
  const assignment = agent?.context.roles.summary().assignment;
  const maker = assignment?.coordinator ?? assignment?.caretaker;
  return `${assignment?.term} of ${maker?.peerId}`;
}

function lacking(simulated: SimulatedAgent, fleet: SimulatedFleet): string | undefined {
  const { agent, config } = simulated;
  if (agent === undefined) return "does not run";
  const { queue, mesh, uplinks, roles } = agent.context;
  const { updates, storeFault } = queue.status();
  if (storeFault !== undefined) return `its store fails: ${storeFault}`;
  if (updates > ON_THEIR_WAY_MAX && uplinks.status().length > 0)
    return `${updates} updates wait to be sent`;
  const { enabled, assignment } = roles.summary();
  if (enabled && assignment === undefined) return "it knows of no assignment of roles";
  const maker = (assignment?.coordinator ?? assignment?.caretaker)?.peerId;
  if (maker !== undefined && fleet.byPeer(maker)?.agent === undefined)
    return `it goes by roles that ${maker} gave, which does not run`;
  if (fleet.agents.length <= config.mesh.limits.membersMax) {
    const { suspect } = mesh.counts();
    return suspect > 0 ? `it suspects ${suspect} agents` : untrueTable(simulated, fleet);
  }
  const { partitionScore, links } = mesh.status();
  if (links === 0) return "it has no link";
  return partitionScore > PARTITION_SCORE_MAX
    ? `it misses ${Math.round(100 * partitionScore)} % of those it knows`
    : undefined;
}
