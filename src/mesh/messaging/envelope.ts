import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { PeerId } from "../../platform/signer.ts";
import {
  EnvelopeSchema,
  type Origin as WireOrigin,
} from "../../wire/agent_mesh/v1/messaging_pb.ts";

/** Most bytes that an envelope has beyond its payload. */
export const ENVELOPE_OVERHEAD_BYTES = 48;

const ID_CHARACTERS_MAX = 64;
const VIA_MAX = 16;

/** Where a message was before a bridge published it here; the bridge says so, and nobody else vouches for it. */
export interface Origin {
  /** At most 64 characters; kept on the whole way. */
  readonly id: string;
  /** Its author; undefined when a client of a cluster published it. */
  readonly from?: PeerId;
  /** Ids of the bridges it came over, in order; at most 16. */
  readonly via: readonly string[];
}

/** A message with the place that its author gave it. */
export interface Envelope {
  /** Starts of the author, counted on its disk. */
  readonly epoch: number;
  /** From 1. To a peer without gaps, on topics with any. */
  readonly sequence: number;
  /** To a peer: the oldest message that the author still keeps for it. 0 on topics. */
  readonly oldest: number;
  readonly payload: Uint8Array;
  /** On topics, from a bridge. */
  readonly origin?: Origin;
}

/** @returns `agent_mesh.v1.Envelope` */
export function encodeEnvelope(envelope: Envelope): Uint8Array {
  const { epoch, sequence, oldest, payload, origin } = envelope;
  const numbers = { epoch, sequence: BigInt(sequence), oldest: BigInt(oldest) };
  const said = origin === undefined ? {} : { origin: { ...origin, via: [...origin.via] } };
  return toBinary(EnvelopeSchema, create(EnvelopeSchema, { ...numbers, payload, ...said }));
}

/** @returns undefined for bytes that are no envelope */
export function decodeEnvelope(bytes: Uint8Array): Envelope | undefined {
  try {
    const envelope = fromBinary(EnvelopeSchema, bytes);
    const { epoch, payload } = envelope;
    const origin = envelope.origin === undefined ? undefined : checkedOrigin(envelope.origin);
    if (origin === "malformed") return undefined;
    const [sequence, oldest] = [Number(envelope.sequence), Number(envelope.oldest)];
    if (epoch < 1 || sequence < 1 || !Number.isSafeInteger(sequence) || oldest > sequence)
      return undefined;
    return { epoch, sequence, oldest, payload, ...(origin !== undefined && { origin }) };
  } catch {
    return undefined;
  }
}

function checkedOrigin({ id, from, via }: WireOrigin): Origin | "malformed" {
  const names = [id, ...(from === "" ? [] : [from]), ...via];
  if (via.length > VIA_MAX || !names.every(isName)) return "malformed";
  return { id, via, ...(from !== "" && { from }) };
}

function isName(name: string): boolean {
  return name !== "" && name.length <= ID_CHARACTERS_MAX && !/\p{Cc}/u.test(name);
}
