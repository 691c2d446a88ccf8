import type { PowerMode } from "../device/view.ts";
import type { Presence } from "../uplink/uplink.ts";

/** What `agent-mesh/{agentId}/$state` says of an agent. */
interface AgentState {
  readonly presence: Presence;
  readonly agentId: string;
  readonly version: string;
  readonly startedAtMs: number;
  readonly mode: PowerMode;
}

/** @returns the retained state document: one short JSON object. */
export function stateDocument(state: AgentState): Uint8Array {
  const { presence, agentId, version, startedAtMs, mode } = state;
  const document =
    presence === "offline"
      ? { state: presence, agentId, version }
      : { state: presence, agentId, version, startedAtMs, powerMode: mode };
  return Buffer.from(JSON.stringify(document));
}
