import type { MeshNode } from "../mesh/node.ts";
import type { MeshView } from "../mesh/view.ts";
import { Refused } from "../platform/network.ts";

/**
 * Offers the task `describe` to the mesh: whoever asks gets, as JSON, what this agent tells the fleet of itself, in
 * the form that `GET /v1/fleet/agents` has it.
 */
export function attachDescribe(node: Pick<MeshNode, "attachTask">, view: MeshView): void {
  node.attachTask("describe", () => {
    const own = view.agents().find(({ self }) => self);
    if (own === undefined) throw new Refused("describe.not-ready", "the agent is starting");
    const { self: _, linked: __, ...said } = own;
    return Buffer.from(JSON.stringify(said));
  });
}
