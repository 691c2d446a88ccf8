import type { sendUnaryData } from "@grpc/grpc-js";
import {
  type BridgeAction,
  BridgeError,
  type BridgeHandler,
  type BridgePrincipal,
} from "../bridge.ts";
import type { Logger } from "../logger.ts";
import type { Door } from "./door.ts";
import { statusFrom, type WireStatus } from "./status.ts";

/** Bounds of what a server takes. */
export interface CallLimits {
  /** Largest payload either way. */
  readonly messageBytesMax: number;
  /** Most that waits for one client that reads slowly. */
  readonly queueBytesMax: number;
  /** For requests without a deadline. */
  readonly timeoutMs: number;
  /** Whatever the deadline is. */
  readonly timeoutMsMax: number;
}

/** What the handlers of calls share. */
export interface Parts {
  readonly handler: BridgeHandler;
  readonly door: Door;
  readonly limits: CallLimits;
  readonly gzip: boolean;
  readonly makeId: () => string;
  readonly onReceived: (bytes: number) => void;
  readonly onSent: (bytes: number) => void;
  /** Logs errors that are nobody's refusal. @returns the status */
  readonly tell: (error: unknown, status: WireStatus) => WireStatus;
}

/** @returns what tells of errors that clients hear nothing about */
export function teller(logger: Logger): Parts["tell"] {
  return (error, said) => {
    const reason = error instanceof Error ? error.message : String(error);
    if (said.metadata.get("agent-mesh-code")[0] === "bridge.failed")
      logger.error("a call over the bridge failed", { reason });
    return said;
  };
}

/** Answers a call with what comes of some work, or with the status that tells of its error. */
export async function reply(
  parts: Parts,
  work: Promise<Buffer>,
  done: sendUnaryData<Buffer>,
): Promise<void> {
  let answer: Buffer;
  try {
    answer = await work;
  } catch (error) {
    done(parts.tell(error, statusFrom(error)));
    return;
  }
  done(null, answer);
}

/** @throws BridgeError when the principal may not */
export function permit(principal: BridgePrincipal, action: BridgeAction, object: string): void {
  if (!principal.allows(action, object))
    throw new BridgeError("bridge.denied", `${principal.name} may not ${action} ${object}`.trim());
}
