import { create, fromBinary } from "@bufbuild/protobuf";
import { type Agent, AgentSchema } from "../../wire/agent_mesh/bridge/v1/bridge_pb.ts";
import { AgentState } from "../../wire/agent_mesh/bridge/v1/link_pb.ts";
import { AgentRecordSchema, SignedRecordSchema } from "../../wire/agent_mesh/v1/record_pb.ts";
import type { BridgeAgent, BridgeAgentState } from "../bridge.ts";

const PAGE_AGENTS = 100;
const PAGE_AGENTS_MAX = 1_000;

const stateOf: Readonly<Record<BridgeAgentState, AgentState>> = {
  alive: AgentState.ALIVE,
  suspect: AgentState.SUSPECT,
  dead: AgentState.DEAD,
  left: AgentState.LEFT,
};

/** @returns what clients see of an agent */
export function agentMessage(agent: BridgeAgent): Agent {
  const signedRecord = fromBinary(SignedRecordSchema, agent.record);
  const record = fromBinary(AgentRecordSchema, signedRecord.record);
  return create(AgentSchema, {
    peerId: agent.peerId,
    agentId: record.agentId,
    state: stateOf[agent.state],
    version: record.version,
    addresses: record.addresses,
    via: [...agent.via],
    signedRecord,
    ...(record.capabilities === undefined ? {} : { capabilities: record.capabilities }),
    ...(record.health === undefined ? {} : { health: record.health }),
  });
}

/**
 * Cuts the fleet into pages. The token is the last peer id of a page, so that agents which come and go in between
 * move nobody to another page.
 * @param agents in order of peer ids
 */
export function pageOfAgents(
  agents: readonly BridgeAgent[],
  size: number,
  after: string,
): { readonly agents: readonly BridgeAgent[]; readonly next: string } {
  const count = size === 0 ? PAGE_AGENTS : Math.min(size, PAGE_AGENTS_MAX);
  const rest = after === "" ? agents : agents.filter(({ peerId }) => peerId > after);
  const page = rest.slice(0, count);
  return { agents: page, next: rest.length > count ? (page.at(-1)?.peerId ?? "") : "" };
}
