import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { EnvelopeSchema } from "../../wire/agent_mesh/v1/messaging_pb.ts";

/** Most bytes that an envelope has beyond its payload. */
export const ENVELOPE_OVERHEAD_BYTES = 48;

/** A message with the place that its author gave it. */
export interface Envelope {
  /** Starts of the author, counted on its disk. */
  readonly epoch: number;
  /** From 1. To a peer without gaps, on topics with any. */
  readonly sequence: number;
  /** To a peer: the oldest message that the author still keeps for it. 0 on topics. */
  readonly oldest: number;
  readonly payload: Uint8Array;
}

/** @returns `agent_mesh.v1.Envelope` */
export function encodeEnvelope({ epoch, sequence, oldest, payload }: Envelope): Uint8Array {
  const numbers = { epoch, sequence: BigInt(sequence), oldest: BigInt(oldest) };
  return toBinary(EnvelopeSchema, create(EnvelopeSchema, { ...numbers, payload }));
}

/** @returns undefined for bytes that are no envelope */
export function decodeEnvelope(bytes: Uint8Array): Envelope | undefined {
  try {
    const envelope = fromBinary(EnvelopeSchema, bytes);
    const { epoch, payload } = envelope;
    const [sequence, oldest] = [Number(envelope.sequence), Number(envelope.oldest)];
    if (epoch < 1 || sequence < 1 || !Number.isSafeInteger(sequence) || oldest > sequence)
      return undefined;
    return { epoch, sequence, oldest, payload };
  } catch {
    return undefined;
  }
}
