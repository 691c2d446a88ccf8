import { ByteWriter, decodeAll, MalformedError } from "../pbft/bytes.ts";
import { readSigned, type SignedHandover, writeSigned } from "./handover.ts";

/** Handovers in one message. */
export const HANDOVERS_MAX = 16;
const CODES = { replica: 0, handovers: 1, ask: 2 } as const;
const HEAD_BYTES = 9;

/** What members say to each other. */
export type Envelope =
  /** A word of the core in one epoch. */
  | { readonly kind: "replica"; readonly epoch: number; readonly bytes: Uint8Array }
  /** How epochs ended, one after the other. */
  | { readonly kind: "handovers"; readonly handovers: readonly SignedHandover[] }
  /** How did this epoch end, and those after it? */
  | { readonly kind: "ask"; readonly epoch: number };

/** @returns the message as it travels */
export function encodeEnvelope(envelope: Envelope): Uint8Array {
  const { kind } = envelope;
  if (kind === "replica") {
    const { epoch, bytes } = envelope;
    const writer = new ByteWriter(HEAD_BYTES + bytes.length).u8(CODES.replica);
    return writer.u53(epoch).raw(bytes).finish();
  }
  const writer = new ByteWriter().u8(CODES[kind]);
  if (kind === "ask") return writer.u53(envelope.epoch).finish();
  writer.u8(envelope.handovers.length);
  for (const one of envelope.handovers) writeSigned(writer, one);
  return writer.finish();
}

/** @returns undefined when the bytes are no message; never throws */
export function decodeEnvelope(bytes: Uint8Array): Envelope | undefined {
  return decodeAll(bytes, (reader): Envelope => {
    const code = reader.u8();
    if (code === CODES.replica)
      return { kind: "replica", epoch: reader.u53(), bytes: reader.rest() };
    if (code === CODES.ask) return { kind: "ask", epoch: reader.u53() };
    if (code !== CODES.handovers) throw new MalformedError("no such message");
    const count = reader.u8();
    if (count > HANDOVERS_MAX) throw new MalformedError("too many at once");
    const handovers: SignedHandover[] = [];
    while (handovers.length < count) handovers.push(readSigned(reader));
    return { kind: "handovers", handovers };
  });
}
