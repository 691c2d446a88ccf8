import type { SimulatedAgent } from "../simulated-agent.ts";
import type { SimulatedFleet } from "../simulated-fleet.ts";
import type { Deliberation } from "./deliberation.ts";

/** @returns what the committee lacks when nothing goes wrong any more; undefined: nothing, or there is none to be */
export function undecided(
  fleet: SimulatedFleet,
  deliberation: Deliberation | undefined,
  sinceMs: number,
): string | undefined {
  const { agents } = fleet;
  if (deliberation === undefined) return undefined;
  const known = new Set(agents.map(committeeOf));
  if (known.size > 1) return `the agents go by ${known.size} committees: ${[...known].join(", ")}`;
  if (known.has("none")) return canFound(fleet) ? "there is no committee" : undefined;
  for (const agent of agents) {
    const why = lacking(agent, fleet);
    if (why !== undefined) return `${agent.agentId}: ${why}`;
  }
  return deliberation.lastDecidedAtMs > sinceMs ? undefined : "nothing has been decided since";
}

function committeeOf({ agent }: SimulatedAgent): string {
  const committee = agent?.context.consensus.status().committee;
  return committee === undefined ? "none" : `${committee.group.slice(0, 6)}/${committee.epoch}`;
}

function canFound({ agents, scenario }: SimulatedFleet): boolean {
  const wanted = agents.map(({ agent }) => agent?.context.roles.summary().assignment);
  const founders = Math.max(0, ...wanted.map((each) => (each?.validators.length ?? -1) + 1));
  return founders >= (scenario.consensus === "raft" ? 3 : 4);
}

function lacking({ agent, signer }: SimulatedAgent, fleet: SimulatedFleet): string | undefined {
  const { standing, committee, seat } = agent?.context.consensus.status() ?? {};
  const isMember = committee?.members.some(({ peerId }) => peerId === signer.peerId) === true;
  if (isMember && standing !== "seated") return "it is a member, and has no seat";
  // With PBFT a single one may suspect its primary, and follow what is decided all the same.
  if (isMember && seat?.leader === undefined && committee?.protocol !== "pbft")
    return "it knows of no leader";
  const gone = committee?.members.find(({ peerId }) => fleet.byPeer(peerId)?.agent === undefined);
  return gone && `${gone.peerId} is a member, and does not run`;
}
