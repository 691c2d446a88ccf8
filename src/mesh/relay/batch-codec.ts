import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { PeerId } from "../../platform/signer.ts";
import {
  type RelayBatch,
  RelayBatchSchema,
  type RelayStream,
  type RelayedUpdate as WireUpdate,
} from "../../wire/agent_mesh/v1/relay_pb.ts";
import type { UpdateFields } from "./relayed-update.ts";

/** Most updates of one batch. */
export const BATCH_UPDATES_MAX = 1_024;
/** Most agents that an update may have come through. */
export const PATH_MAX = 8;

const AGENT_ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;
/** Of names, content types and keys, in characters. */
const TEXT_MAX = 1_024;
const PEER_ID_MAX = 128;
/** Largest that a date can be. */
const TIME_MAX_MS = 8_640_000_000_000_000n;
/** What an update takes beside its payload, key and stream. */
const UPDATE_OVERHEAD_BYTES = 40;

/** What counts of an update before it is read in full. */
type Outline = Pick<UpdateFields, "payload" | "stream"> & { readonly key?: string | undefined };

/** @returns updates in their order, as they travel and lie on disk */
export function encodeBatch(session: number, updates: readonly UpdateFields[]): RelayBatch {
  const streams: RelayStream[] = [];
  const places = new Map<string, number>();
  const batch = create(RelayBatchSchema, { session });
  for (const update of updates) {
    const { agentId, stream, contentType, path, sequence, key } = update;
    const name = JSON.stringify([agentId, stream, contentType, path]);
    let place = places.get(name);
    if (place === undefined) {
      place = streams.length;
      places.set(name, place);
      streams.push({
        $typeName: "agent_mesh.v1.RelayStream",
        agentId,
        stream,
        contentType,
        path: [...path],
      });
    }
    batch.updates.push({
      $typeName: "agent_mesh.v1.RelayedUpdate",
      stream: place,
      sequence: BigInt(sequence),
      observedAtMs: BigInt(Math.max(0, Math.round(update.observedAtMs))),
      observedAtUntrusted: !update.observedAtTrusted,
      payload: update.payload,
      ...(key !== undefined && { key }),
    });
  }
  batch.streams = streams;
  return batch;
}

/** @returns roughly what an update adds to a batch, at most */
export function bytesInBatch(update: Outline): number {
  const names = 3 * ((update.key?.length ?? 0) + update.stream.length);
  return update.payload.length + names + UPDATE_OVERHEAD_BYTES;
}

/** @returns the updates of a batch; undefined where it holds anything that no update can be */
export function readBatch(batch: RelayBatch): UpdateFields[] | undefined {
  const { streams, updates } = batch;
  if (updates.length > BATCH_UPDATES_MAX || streams.length > BATCH_UPDATES_MAX) return undefined;
  if (!streams.every(isStream)) return undefined;
  const read: UpdateFields[] = [];
  for (const update of updates) {
    const stream = streams[update.stream];
    if (stream === undefined || !isUpdate(update)) return undefined;
    read.push({
      agentId: stream.agentId,
      stream: stream.stream,
      contentType: stream.contentType,
      path: stream.path,
      sequence: Number(update.sequence),
      observedAtMs: Number(update.observedAtMs),
      observedAtTrusted: !update.observedAtUntrusted,
      key: update.key,
      payload: update.payload,
    });
  }
  return read;
}

/** @returns a batch as it is kept on disk */
export function encodeStored(updates: readonly UpdateFields[]): Uint8Array {
  return toBinary(RelayBatchSchema, encodeBatch(0, updates));
}

/** @returns what {@link encodeStored} was given; undefined for anything else */
export function decodeStored(bytes: Uint8Array): UpdateFields[] | undefined {
  try {
    return readBatch(fromBinary(RelayBatchSchema, bytes));
  } catch {
    return undefined;
  }
}

function isStream({ agentId, stream, contentType, path }: RelayStream): boolean {
  return (
    AGENT_ID.test(agentId) &&
    isStreamName(stream) &&
    isText(contentType) &&
    path.length > 0 &&
    path.length <= PATH_MAX &&
    path.every(isPeer)
  );
}

/**
 * @returns why an update can not be relayed, now or later; undefined where it can
 * @param updateBytesMax largest payload that the host takes
 */
export function unfitness(
  update: Outline & Pick<UpdateFields, "agentId" | "contentType">,
  updateBytesMax: number,
): string | undefined {
  const { agentId, stream, contentType, key, payload } = update;
  if (payload.length > updateBytesMax)
    return `a payload of ${payload.length} bytes is over the ${updateBytesMax} that the neighbour takes`;
  if (!AGENT_ID.test(agentId)) return "its agent's id can not be relayed";
  if (!isStreamName(stream)) return "its stream has a name that can not be relayed";
  if (!isText(contentType)) return "its content type can not be relayed";
  return isKey(key) ? undefined : `its key is over ${TEXT_MAX} characters`;
}

/** It becomes part of topics and subjects at the host's own receiver: what could lead elsewhere there is none. */
function isStreamName(stream: string): boolean {
  return stream !== "" && !stream.startsWith("$") && isText(stream) && !/[+#]/.test(stream);
}

function isUpdate({ sequence, observedAtMs, key }: WireUpdate): boolean {
  return (
    sequence >= 1n &&
    sequence <= BigInt(Number.MAX_SAFE_INTEGER) &&
    observedAtMs <= TIME_MAX_MS &&
    isKey(key)
  );
}

function isKey(key: string | undefined): boolean {
  return key === undefined || key.length <= TEXT_MAX;
}

function isText(text: string): boolean {
  return text.length <= TEXT_MAX && !/\p{Cc}/u.test(text);
}

function isPeer(peer: PeerId): boolean {
  return peer !== "" && peer.length <= PEER_ID_MAX;
}
