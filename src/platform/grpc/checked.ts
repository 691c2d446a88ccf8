import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import type { Content } from "../../wire/agent_mesh/bridge/v1/bridge_pb.ts";
import { type BridgeContent, BridgeError } from "../bridge.ts";

const ID_BYTES_MAX = 64;
const NAME_BYTES_MAX = 256;
const TARGET_BYTES_MAX = 128;
const TOPIC_BYTES_MAX = 512;
const VIA_MAX = 16;
const FILTERS_MAX = 64;
const CONTENT_BYTES_MAX = 2 ** 40;

const utf8 = new TextEncoder();

/** @returns the decoded message @throws BridgeError when the bytes are none of that kind */
export function decode<T extends DescMessage>(schema: T, bytes: Uint8Array): MessageShape<T> {
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    throw new BridgeError("bridge.malformed", `not a ${schema.typeName}`, { cause: error });
  }
}

/** @throws BridgeError when `text` is empty or too long; both bounds are ours, not the wire's */
function text(what: string, value: string, bytesMax: number): string {
  if (value === "") throw new BridgeError("bridge.malformed", `${what} is empty`);
  // A character is a byte at least.
  if (value.length > bytesMax || utf8.encode(value).length > bytesMax)
    throw new BridgeError("bridge.malformed", `${what} is over ${bytesMax} bytes`);
  if (/\p{Cc}/u.test(value))
    throw new BridgeError("bridge.malformed", `${what} has control characters`);
  return value;
}

/** @throws BridgeError */
export function checkedTarget(target: string): string {
  return text("target", target, TARGET_BYTES_MAX);
}

/** @throws BridgeError */
export function checkedTask(task: string): string {
  return text("task", task, NAME_BYTES_MAX);
}

/** @throws BridgeError */
export function checkedName(name: string): string {
  return text("name", name, NAME_BYTES_MAX);
}

/** @param make makes one up where the client gave none @throws BridgeError */
export function checkedId(id: string, make: () => string): string {
  return id === "" ? make() : text("id", id, ID_BYTES_MAX);
}

/** @throws BridgeError when it is no name of a topic (MQTT 5 section 4.7) */
export function checkedTopic(topic: string): string {
  text("topic", topic, TOPIC_BYTES_MAX);
  if (/[+#]/.test(topic)) throw new BridgeError("bridge.malformed", "topic has wildcards");
  return topic;
}

/** @throws BridgeError when one is no topic filter (MQTT 5 section 4.7) */
export function checkedFilters(filters: readonly string[]): readonly string[] {
  if (filters.length === 0 || filters.length > FILTERS_MAX)
    throw new BridgeError("bridge.malformed", `1 to ${FILTERS_MAX} filters are wanted`);
  for (const filter of filters) {
    const levels = text("filter", filter, TOPIC_BYTES_MAX).split("/");
    levels.forEach((level, at) => {
      const open = level === "#" && at === levels.length - 1;
      if (!open && level !== "+" && /[+#]/.test(level))
        throw new BridgeError("bridge.malformed", `"${filter}": a wildcard stands alone`);
    });
  }
  return filters;
}

/** @throws BridgeError */
export function checkedVia(via: readonly string[]): readonly string[] {
  if (via.length > VIA_MAX)
    throw new BridgeError("bridge.loop", `over more than ${VIA_MAX} bridges`);
  for (const bridge of via) text("via", bridge, ID_BYTES_MAX);
  return via;
}

/** @throws BridgeError */
export function checkedContent(content: Content | undefined): BridgeContent {
  if (content === undefined) throw new BridgeError("bridge.malformed", "content is missing");
  if (content.sha256.length !== 32)
    throw new BridgeError("bridge.malformed", "sha256 does not have 32 bytes");
  return {
    name: checkedName(content.name),
    sizeBytes: checkedOffset(content.size, CONTENT_BYTES_MAX),
    sha256: content.sha256,
  };
}

/** @throws BridgeError when it is beyond the size */
export function checkedOffset(offset: bigint, sizeBytes: number): number {
  if (offset > BigInt(sizeBytes))
    throw new BridgeError("bridge.conflict", `${offset} is beyond ${sizeBytes} bytes`);
  return Number(offset);
}
