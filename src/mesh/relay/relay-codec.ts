import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { Protocol } from "../../platform/network.ts";
import type { Marks, StreamMarks } from "../../platform/uplink-connection.ts";
import {
  type RelayAnswer,
  RelayAnswerSchema,
  type RelayMark,
  type RelayRequest,
  RelayRequestSchema,
} from "../../wire/agent_mesh/v1/relay_pb.ts";
import type { DeadUpdate, StreamProgress } from "./guest.ts";

/** Largest batch, in bytes of the wire. */
export const BATCH_BYTES_MAX = 1_048_576;
const REASON_MAX = 256;
/** Refusals of one stream that are told at once. */
const DEAD_MAX = 256;
/** What marks may take of an answer. */
const MARKS_BYTES_MAX = 524_288;

/** What guests ask of hosts. */
export const RELAY_PROTOCOL: Protocol = {
  id: "/agent-mesh/relay/1.0.0",
  messageBytesMax: BATCH_BYTES_MAX + 65_536,
  queueBytesMax: 4 * BATCH_BYTES_MAX,
  requestsInFlightMax: 8,
};

/** @returns a request as it travels */
export function encodeRequest(
  body: NonNullable<MessageInitShape<typeof RelayRequestSchema>["body"]>,
): Uint8Array {
  return toBinary(RelayRequestSchema, create(RelayRequestSchema, { body }));
}

/** @returns what is asked; undefined for bytes that are no request */
export function decodeRequest(bytes: Uint8Array): RelayRequest["body"] | undefined {
  try {
    return fromBinary(RelayRequestSchema, bytes).body;
  } catch {
    return undefined;
  }
}

/** @returns an answer as it travels */
export function encodeAnswer(
  body: NonNullable<MessageInitShape<typeof RelayAnswerSchema>["body"]>,
): Uint8Array {
  return toBinary(RelayAnswerSchema, create(RelayAnswerSchema, { body }));
}

/** @returns what is answered; undefined for bytes that are no answer */
export function decodeAnswer(bytes: Uint8Array): RelayAnswer["body"] | undefined {
  try {
    return fromBinary(RelayAnswerSchema, bytes).body;
  } catch {
    return undefined;
  }
}

/** How far streams have come, as it is told at once. */
export interface Told {
  readonly marks: readonly RelayMark[];
  /** Refusals that they explain. */
  readonly dead: readonly DeadUpdate[];
  /** Streams of which there is more to tell, or that did not fit. */
  readonly left: readonly StreamProgress[];
}

/** @returns as much as fits into an answer; of a stream with many refusals, no more is called settled than is explained */
export function tell(streams: Iterable<StreamProgress>): Told {
  const marks: RelayMark[] = [];
  const dead: DeadUpdate[] = [];
  const left: StreamProgress[] = [];
  let bytes = 0;
  for (const progress of streams) {
    const told = progress.dead.slice(0, DEAD_MAX);
    bytes += costOf(progress, told);
    if (marks.length > 0 && bytes > MARKS_BYTES_MAX) {
      left.push(progress);
      continue;
    }
    const next = progress.dead[DEAD_MAX];
    const settled = next === undefined ? progress.settledThrough : next.sequence - 1;
    marks.push(markOf(progress, settled, told));
    dead.push(...told);
    if (next !== undefined) left.push(progress);
  }
  return { marks, dead, left };
}

/** @returns marks as uplinks know them, by stream */
export function uplinkMarks(marks: readonly RelayMark[]): Marks {
  return new Map(marks.map(uplinkMark));
}

function markOf(
  { agentId, stream, settledObservedAtMs }: StreamProgress,
  settled: number,
  dead: readonly DeadUpdate[],
): RelayMark {
  return {
    $typeName: "agent_mesh.v1.RelayMark",
    agentId,
    stream,
    settled: BigInt(settled),
    observedAtMs: BigInt(settledObservedAtMs),
    dead: dead.map(({ sequence, reason }) => ({
      $typeName: "agent_mesh.v1.RelayDeadUpdate",
      sequence: BigInt(sequence),
      reason: reason.slice(0, REASON_MAX),
    })),
  };
}

/** A character is three bytes at most; the rest is numbers and tags. */
function costOf({ agentId, stream }: StreamProgress, dead: readonly DeadUpdate[]): number {
  let bytes = 40 + 3 * (agentId.length + stream.length);
  for (const { reason } of dead) bytes += 20 + 3 * Math.min(REASON_MAX, reason.length);
  return bytes;
}

/** @returns a mark as uplinks know it: those that were refused are no part of it */
function uplinkMark({ stream, settled, observedAtMs, dead }: RelayMark): [string, StreamMarks] {
  const through = Number(settled);
  const holes = dead.map(({ sequence }) => Number(sequence)).toSorted((a, b) => a - b);
  const ranges: [number, number][] = [];
  let from = 1;
  for (const hole of [...holes, through + 1]) {
    if (hole > from) ranges.push([from, hole - 1]);
    from = hole + 1;
  }
  const [first] = ranges;
  const fromStart = first?.[0] === 1 ? first[1] : 0;
  const lastObservedAtMs = Number(observedAtMs);
  return [
    stream,
    {
      through: fromStart,
      ranges: fromStart > 0 ? ranges.slice(1) : ranges,
      ...(lastObservedAtMs > 0 && { lastObservedAtMs }),
    },
  ];
}
