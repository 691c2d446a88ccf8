import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { fromHex, toHex } from "../../platform/hex.ts";
import {
  TensorAnswerSchema,
  TensorRefusalReason,
  TensorRequestSchema,
} from "../../wire/agent_mesh/v1/tensors_pb.ts";
import { INLINE_BYTES_MAX, TENSOR_BYTES_MAX } from "./bounds.ts";

/** Largest message either way: the rest of a tensor, with what is around it. */
export const MESSAGE_BYTES_MAX = INLINE_BYTES_MAX + 1_024;

const HASH_BYTES = 32;
const RETRY_MS_MAX = 3_600_000;
const READ_OPTIONS = { readUnknownFields: false } as const;

/** A question for a tensor. */
export interface TensorQuestion {
  readonly hash: string;
  readonly sizeBytes: number;
  /** How many bytes the asker has already; less than all. */
  readonly offset: number;
}

/** Why a holder does not send it. */
export type TensorRefusal = "unknown" | "other-size" | "busy" | "unwilling";

/** What a holder says. */
export type TensorReply =
  | { readonly kind: "rest"; readonly bytes: Uint8Array }
  | { readonly kind: "push" }
  | {
      readonly kind: "refusal";
      readonly reason: TensorRefusal;
      readonly retryAfterMs: number;
      /** With `other-size`: how long it is, as the holder says; 0 otherwise. */
      readonly sizeBytes: number;
    };

const REASONS: Readonly<Record<TensorRefusal, TensorRefusalReason>> = {
  unknown: TensorRefusalReason.UNKNOWN,
  "other-size": TensorRefusalReason.OTHER_SIZE,
  busy: TensorRefusalReason.BUSY,
  unwilling: TensorRefusalReason.UNWILLING,
};
const REASON_NAMES = new Map(
  Object.entries(REASONS).map(([name, value]) => [value, name as TensorRefusal]),
);

/** @returns `agent_mesh.v1.TensorRequest` */
export function encodeQuestion({ hash, sizeBytes, offset }: TensorQuestion): Uint8Array {
  const [size, from] = [BigInt(sizeBytes), BigInt(offset)];
  const init = { sha256: fromHex(hash), size, offset: from };
  return toBinary(TensorRequestSchema, create(TensorRequestSchema, init));
}

/** @returns the question; undefined when the bytes are none; never throws */
export function decodeQuestion(bytes: Uint8Array): TensorQuestion | undefined {
  try {
    const { sha256, size, offset } = fromBinary(TensorRequestSchema, bytes, READ_OPTIONS);
    if (sha256.length !== HASH_BYTES || size < 1n || size > TENSOR_BYTES_MAX || offset >= size)
      return undefined;
    return { hash: toHex(sha256), sizeBytes: Number(size), offset: Number(offset) };
  } catch {
    return undefined;
  }
}

/** @returns `agent_mesh.v1.TensorAnswer` */
export function encodeReply(reply: TensorReply): Uint8Array {
  return toBinary(TensorAnswerSchema, create(TensorAnswerSchema, { body: bodyOf(reply) }));
}

/** @returns the reply; undefined when the bytes are none; never throws */
export function decodeReply(bytes: Uint8Array): TensorReply | undefined {
  try {
    const { body } = fromBinary(TensorAnswerSchema, bytes, READ_OPTIONS);
    if (body.case === "push") return { kind: "push" };
    if (body.case === "rest") return { kind: "rest", bytes: body.value };
    if (body.case !== "refusal") return undefined;
    // A reason of a later version is as good as any.
    const reason = REASON_NAMES.get(body.value.reason) ?? "unwilling";
    const retryAfterMs = Math.min(RETRY_MS_MAX, body.value.retryAfterMs);
    const sizeBytes = body.value.size > TENSOR_BYTES_MAX ? 0 : Number(body.value.size);
    return { kind: "refusal", reason, retryAfterMs, sizeBytes };
  } catch {
    return undefined;
  }
}

type Body = NonNullable<MessageInitShape<typeof TensorAnswerSchema>["body"]>;

function bodyOf(reply: TensorReply): Body {
  if (reply.kind === "rest") return { case: "rest", value: reply.bytes };
  if (reply.kind === "push") return { case: "push", value: {} };
  const { reason, retryAfterMs, sizeBytes } = reply;
  const size = BigInt(sizeBytes);
  return { case: "refusal", value: { reason: REASONS[reason], retryAfterMs, size } };
}
