import { Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { type BridgeCode, BridgeError, toBridgeError } from "../bridge.ts";
import { CODE_KEY, REFUSAL_KEY } from "./limits.ts";

const DETAIL_CHARACTERS_MAX = 300;

const statusOf: Readonly<Record<BridgeCode, status>> = {
  "bridge.unauthenticated": status.UNAUTHENTICATED,
  "bridge.denied": status.PERMISSION_DENIED,
  "bridge.malformed": status.INVALID_ARGUMENT,
  "bridge.not-found": status.NOT_FOUND,
  "bridge.ambiguous": status.FAILED_PRECONDITION,
  "bridge.unreachable": status.UNAVAILABLE,
  "bridge.timeout": status.DEADLINE_EXCEEDED,
  "bridge.closed": status.UNAVAILABLE,
  "bridge.too-large": status.RESOURCE_EXHAUSTED,
  "bridge.queue-full": status.RESOURCE_EXHAUSTED,
  "bridge.busy": status.RESOURCE_EXHAUSTED,
  "bridge.slow-reader": status.RESOURCE_EXHAUSTED,
  "bridge.loop": status.ABORTED,
  "bridge.conflict": status.OUT_OF_RANGE,
  "bridge.refused": status.FAILED_PRECONDITION,
  "bridge.unsupported": status.UNIMPLEMENTED,
  "bridge.failed": status.INTERNAL,
};

/** What stands behind a status that came without a code, from a library or a proxy. */
const codeOf: Readonly<Partial<Record<status, BridgeCode>>> = {
  [status.CANCELLED]: "bridge.closed",
  [status.INVALID_ARGUMENT]: "bridge.malformed",
  [status.DEADLINE_EXCEEDED]: "bridge.timeout",
  [status.NOT_FOUND]: "bridge.not-found",
  [status.PERMISSION_DENIED]: "bridge.denied",
  // The libraries say so of messages over the bound.
  [status.RESOURCE_EXHAUSTED]: "bridge.too-large",
  [status.UNIMPLEMENTED]: "bridge.unsupported",
  [status.UNAVAILABLE]: "bridge.unreachable",
  [status.UNAUTHENTICATED]: "bridge.unauthenticated",
};

/** A status as grpc-js sends it. */
export interface WireStatus {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata;
}

/** @returns the status that tells a client of an error; what is no business of a client is left out. */
export function statusFrom(error: unknown): WireStatus {
  const known = toBridgeError(error);
  const metadata = new Metadata();
  metadata.set(CODE_KEY, known.code);
  if (known.refusal !== undefined && isPlain(known.refusal))
    metadata.set(REFUSAL_KEY, known.refusal);
  const details = known.message.slice(0, DETAIL_CHARACTERS_MAX).toWellFormed();
  return { code: statusOf[known.code], details, metadata };
}

/** @returns the code behind a status that somebody else made, undefined for success */
export function codeOfStatus(code: status): BridgeCode | undefined {
  return code === status.OK ? undefined : (codeOf[code] ?? "bridge.failed");
}

/** @returns what a server's answer means */
export function errorFrom(error: ServiceError): BridgeError {
  const [said] = error.metadata?.get(CODE_KEY) ?? [];
  const [refusal] = error.metadata?.get(REFUSAL_KEY) ?? [];
  const code =
    typeof said === "string" && isCode(said)
      ? said
      : (codeOf[error.code] ?? ("bridge.failed" as const));
  return new BridgeError(code, error.details, {
    cause: error,
    refusal: typeof refusal === "string" ? refusal : undefined,
  });
}

function isCode(text: string): text is BridgeCode {
  return Object.hasOwn(statusOf, text);
}

/** Metadata are visible ASCII. */
function isPlain(text: string): boolean {
  return /^[\x21-\x7e]{1,64}$/.test(text);
}
