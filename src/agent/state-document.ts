import type { PowerMode } from "../device/view.ts";

/** What `agent-mesh/{agentId}/$state` says of an agent. */
interface AgentState {
  readonly online: boolean;
  readonly agentId: string;
  readonly version: string;
  readonly startedAtMs: number;
  readonly mode: PowerMode;
}

/** @returns the retained state document: one short JSON object. */
export function stateDocument(state: AgentState): Uint8Array {
  const { online, agentId, version, startedAtMs, mode } = state;
  const document = online
    ? { state: "online", agentId, version, startedAtMs, powerMode: mode }
    : { state: "offline", agentId, version };
  return Buffer.from(JSON.stringify(document));
}
