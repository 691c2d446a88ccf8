import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  type BridgeAgent,
  type BridgeAgentState,
  BridgeError,
  type BridgeMessage,
} from "../../platform/bridge.ts";
import type { Signer } from "../../platform/signer.ts";
import { LinkRequestSchema } from "../../wire/agent_mesh/bridge/v1/bridge_pb.ts";
import {
  AgentState,
  type FleetAgent,
  FleetAgentSchema,
  type LinkFrame,
  type LinkFrameSchema,
  type TopicMessage,
  TopicMessageSchema,
} from "../../wire/agent_mesh/bridge/v1/link_pb.ts";
import { AgentRecordSchema, SignedRecordSchema } from "../../wire/agent_mesh/v1/record_pb.ts";

const ID_CHARACTERS_MAX = 64;
const TOPIC_CHARACTERS_MAX = 512;
const NAME_CHARACTERS_MAX = 256;
const VIA_MAX = 16;
const FILTERS_MAX = 64;
const RECORD_BYTES_MAX = 65_536;
const RECORD_PURPOSE = "agent-mesh/record/1";

/** @returns the message that carries a frame; `LinkRequest` and `LinkResponse` look alike on the wire */
export function encodeFrame(
  body: NonNullable<MessageInitShape<typeof LinkFrameSchema>["body"]>,
): Uint8Array {
  return toBinary(LinkRequestSchema, create(LinkRequestSchema, { frame: { body } }));
}

/** @returns the frame; undefined for one of a kind that is not known yet @throws BridgeError when it is none */
export function decodeFrame(bytes: Uint8Array): LinkFrame["body"] | undefined {
  try {
    const body = fromBinary(LinkRequestSchema, bytes).frame?.body;
    return body?.case === undefined ? undefined : body;
  } catch (error) {
    throw new BridgeError("bridge.malformed", "no frame", { cause: error });
  }
}

/** An envelope for topics of the mesh that two bridges stand at. @returns an encoded `TopicMessage` */
export function encodeTopicMessage(message: BridgeMessage): Uint8Array {
  const { via, ...rest } = message;
  return toBinary(TopicMessageSchema, create(TopicMessageSchema, { ...rest, via: [...via] }));
}

/** @returns what is in such an envelope @throws BridgeError when it is none */
export function decodeTopicMessage(bytes: Uint8Array): BridgeMessage {
  let message: TopicMessage;
  try {
    message = fromBinary(TopicMessageSchema, bytes);
  } catch (error) {
    throw new BridgeError("bridge.malformed", "no message of a topic", { cause: error });
  }
  return checkedMessage(message);
}

/** @throws BridgeError */
export function checkedMessage({ id, topic, payload, from, via }: TopicMessage): BridgeMessage {
  if (/[+#]/.test(topic)) throw new BridgeError("bridge.malformed", "topic has wildcards");
  const author = from === "" ? {} : { from: checkedText("from", from, ID_CHARACTERS_MAX) };
  return {
    id: checkedText("id", id, ID_CHARACTERS_MAX),
    topic: checkedText("topic", topic, TOPIC_CHARACTERS_MAX),
    payload,
    via: checkedVia(via),
    ...author,
  };
}

/** @throws BridgeError */
export function checkedVia(via: readonly string[]): readonly string[] {
  if (via.length > VIA_MAX)
    throw new BridgeError("bridge.malformed", `over more than ${VIA_MAX} bridges`);
  for (const bridge of via) checkedText("via", bridge, ID_CHARACTERS_MAX);
  return via;
}

/** @throws BridgeError */
export function checkedName(what: string, name: string): string {
  return checkedText(what, name, NAME_CHARACTERS_MAX);
}

/** @throws BridgeError */
export function checkedId(what: string, id: string): string {
  return checkedText(what, id, ID_CHARACTERS_MAX);
}

/** @throws BridgeError */
export function checkedFilters(filters: readonly string[]): readonly string[] {
  if (filters.length > FILTERS_MAX)
    throw new BridgeError("bridge.malformed", `more than ${FILTERS_MAX} filters`);
  for (const filter of filters) checkedText("filter", filter, TOPIC_CHARACTERS_MAX);
  return filters;
}

/** @returns what is told of an agent over a link */
export function fleetAgent({ record, state, via }: BridgeAgent): FleetAgent {
  return create(FleetAgentSchema, {
    record: fromBinary(SignedRecordSchema, record),
    state: wireStates[state],
    via: [...via],
  });
}

/** An agent that somebody told of, and its agent id. */
interface ToldAgent {
  readonly agent: BridgeAgent;
  readonly agentId: string;
}

/**
 * @param known a record that was found good before: the same one is not looked at again
 * @throws BridgeError when a bound is broken or the signature is wrong
 */
export function checkedAgent(
  { record: signed, state, via }: FleetAgent,
  signer: Signer,
  isKnown: (peerId: string, record: Uint8Array) => boolean,
): ToldAgent {
  const name = stateNames.get(state);
  if (signed === undefined || name === undefined || signed.record.length > RECORD_BYTES_MAX)
    throw new BridgeError("bridge.malformed", "no agent");
  const { agentId, publicKey, peerId } = readRecord(signed.record, signer);
  const record = toBinary(SignedRecordSchema, signed);
  if (
    !isKnown(peerId, record) &&
    !signer.verify(publicKey, RECORD_PURPOSE, signed.record, signed.signature)
  )
    throw new BridgeError("bridge.malformed", "the signature of a record is wrong");
  return { agentId, agent: { peerId, state: name, record, via: checkedVia(via) } };
}

/** @returns the agent id in an encoded `SignedRecord` that was checked @throws BridgeError when it is none */
export function agentIdIn(record: Uint8Array): string {
  try {
    return fromBinary(AgentRecordSchema, fromBinary(SignedRecordSchema, record).record).agentId;
  } catch (error) {
    throw new BridgeError("bridge.malformed", "no record of an agent", { cause: error });
  }
}

function readRecord(
  bytes: Uint8Array,
  signer: Signer,
): { agentId: string; publicKey: Uint8Array; peerId: string } {
  try {
    const { agentId, publicKey } = fromBinary(AgentRecordSchema, bytes);
    return {
      agentId: checkedText("agent id", agentId, ID_CHARACTERS_MAX * 2),
      publicKey,
      peerId: signer.peerIdOf(publicKey),
    };
  } catch (error) {
    throw new BridgeError("bridge.malformed", "no record of an agent", { cause: error });
  }
}

const wireStates: Readonly<Record<BridgeAgentState, AgentState>> = {
  alive: AgentState.ALIVE,
  suspect: AgentState.SUSPECT,
  dead: AgentState.DEAD,
  left: AgentState.LEFT,
};

const stateNames = new Map(
  Object.entries(wireStates).map(([name, state]) => [state, name as BridgeAgentState]),
);

function checkedText(what: string, text: string, charactersMax: number): string {
  if (text === "" || text.length > charactersMax || /\p{Cc}/u.test(text))
    throw new BridgeError("bridge.malformed", `${what} is empty, too long or not plain`);
  return text;
}
