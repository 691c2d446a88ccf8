import type { SimulatedAgent } from "../simulated-agent.ts";
import type { SimulatedFleet } from "../simulated-fleet.ts";

/**
 * @returns what the table of an agent has wrong when nothing goes wrong; undefined: all who are there live in it, suspected
 *   or not, and nobody else does
 */
export function untrueTable({ agent }: SimulatedAgent, fleet: SimulatedFleet): string | undefined {
  if (agent === undefined) return "does not run";
  const { agents } = fleet;
  const { mesh } = agent.context;
  const { alive, suspect } = mesh.counts();
  const living = alive + suspect;
  if (living !== agents.length) return `it knows ${living} of ${agents.length} agents to be alive`;
  // As many as there are need not be those who are.
  const stranger = mesh
    .agents()
    .find(
      ({ state, peerId = "" }) =>
        (state === "alive" || state === "suspect") && fleet.byPeer(peerId) === undefined,
    );
  return stranger && `it holds ${stranger.agentId} to be alive, which is gone for good`;
}
