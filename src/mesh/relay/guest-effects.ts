import type { PeerId } from "../../platform/signer.ts";
import type { Marks } from "../../platform/uplink-connection.ts";
import type { Sending, Settled } from "./handed-over.ts";
import type { HostCandidate } from "./host-choice.ts";

/** What happens to a guest. `nowMs` is monotonic. */
export type GuestInput = { readonly nowMs: number } & (
  | { readonly kind: "connect"; readonly candidates: Iterable<HostCandidate> }
  | { readonly kind: "disconnect" }
  /** Updates that are to be handed over, in order. */
  | { readonly kind: "send"; readonly sendings: readonly Sending[] }
  | { readonly kind: "ask-marks"; readonly streams: readonly string[] }
  | { readonly kind: "answered"; readonly attempt: number; readonly bytes: Uint8Array }
  | { readonly kind: "failed"; readonly attempt: number; readonly reason: string }
  | { readonly kind: "link-down"; readonly peer: PeerId }
  /** An agent that relays is linked now, or says `anew` that it does. */
  | { readonly kind: "seen"; readonly candidate: HostCandidate; readonly anew: boolean }
  | { readonly kind: "tick"; readonly candidates: Iterable<HostCandidate> }
);

/** What is to be done, in this order. */
export type GuestEffect =
  /** The answer, or that there is none, is an input with the same `attempt`. */
  | {
      readonly kind: "ask";
      readonly to: PeerId;
      readonly bytes: Uint8Array;
      readonly attempt: number;
      readonly timeoutMs: number;
    }
  | ({ readonly kind: "settle" } & Settled)
  | { readonly kind: "marks"; readonly marks: Marks | undefined }
  | { readonly kind: "chosen"; readonly host: HostCandidate }
  | { readonly kind: "up" }
  | { readonly kind: "down"; readonly reason: string; readonly retryAfterMs?: number }
  /** The host is at it. */
  | { readonly kind: "progress" }
  /** Connecting again is of use at once. */
  | { readonly kind: "retry" }
  /** A `tick` is due then, in place of the one asked for before. */
  | { readonly kind: "wake"; readonly inMs: number };

/** One step in the making: its moment, and the effects so far. */
export interface GuestTurn {
  readonly nowMs: number;
  readonly effects: GuestEffect[];
}
