/** What JetStream answered to a publish. */
export type PublishAck =
  | { readonly kind: "stored"; readonly streamSequence: number }
  | { readonly kind: "refused"; readonly permanent: boolean; readonly reason: string }
  /** No stream takes the subject. */
  | { readonly kind: "nobody" };

/** "message size exceeds maximum allowed": the stream's `max_msg_size`. Nothing else stays so for ever. */
const MESSAGE_TOO_LARGE = 10_054;
const NO_RESPONDERS = 503;

/**
 * Reads a publish acknowledgement (NATS, "JetStream wire API": `{"stream", "seq", "duplicate"}` or
 * `{"error": {"code", "err_code", "description"}}`).
 * @param status code of the reply's header, 0 when it has none
 */
export function readPublishAck(status: number, data: string): PublishAck {
  if (status === NO_RESPONDERS) return { kind: "nobody" };
  const ack = parse(data);
  if (typeof ack?.seq === "number" && ack.error === undefined)
    return { kind: "stored", streamSequence: ack.seq };
  const { err_code: code, description } = ack?.error ?? {};
  return {
    kind: "refused",
    permanent: code === MESSAGE_TOO_LARGE,
    reason:
      typeof description === "string" ? `JetStream: ${description}` : "not an acknowledgement",
  };
}

interface AckDocument {
  readonly seq?: unknown;
  readonly error?: { readonly err_code?: unknown; readonly description?: unknown };
}

function parse(data: string): AckDocument | undefined {
  try {
    const value = JSON.parse(data) as unknown;
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
