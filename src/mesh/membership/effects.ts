import type { PeerId } from "../../platform/signer.ts";
import type { SelfDescription } from "../records/record-codec.ts";
import type { MemberChange } from "./member.ts";

/** What happens to the membership. `nowMs` is monotonic and never goes back. */
export type MembershipInput = { readonly nowMs: number } & (
  | { readonly kind: "tick" }
  | { readonly kind: "message"; readonly from: PeerId; readonly bytes: Uint8Array }
  | {
      readonly kind: "link-up";
      readonly peer: PeerId;
      readonly direction: "inbound" | "outbound";
    }
  | { readonly kind: "link-down"; readonly peer: PeerId }
  /** Somebody may be reachable there. */
  | {
      readonly kind: "discovered";
      readonly peer: PeerId;
      readonly addresses: readonly string[];
    }
  /** What a `connect` asked for could not be done. */
  | { readonly kind: "connect-failed"; readonly peer: PeerId }
  /**
   * The agent has something else to tell of itself: at once, or with the next refresh where it is `slow`.
   * @throws RangeError as `signRecord` does
   */
  | { readonly kind: "self-changed"; readonly self: SelfDescription; readonly slow?: boolean }
  /** A link is not needed any more: it is closed, and the neighbour told that this is on purpose. */
  | { readonly kind: "part"; readonly peer: PeerId }
  /** Members that this agent has to know, in place of those before. */
  | { readonly kind: "seek"; readonly peers: readonly PeerId[] }
  /** The agent stops. Its neighbours are told; nothing is asked for after that. */
  | { readonly kind: "leave" }
);

/**
 * Why a neighbour is complained of. `malformed-message`: bytes that are no membership message, or one with values out of
 * range; `malformed-record`, `forged-record`: a record that is none, or not signed by its key; `record-flood`,
 * `accusation-flood`, `sync-flood`: more than anybody needs to say.
 */
export type OffenceKind =
  | "malformed-message"
  | "malformed-record"
  | "forged-record"
  | "record-flood"
  | "accusation-flood"
  | "sync-flood";

/** What is to be done, in this order. */
export interface MembershipEffects {
  readonly changes: readonly MemberChange[];
  /** Messages to linked neighbours. Those to a peer in `disconnect` go out before its link is closed. */
  readonly send: readonly { readonly to: PeerId; readonly bytes: Uint8Array }[];
  /** Links to open; each is answered by `link-up` or `connect-failed`. There may be no addresses. */
  readonly connect: readonly { readonly peer: PeerId; readonly addresses: readonly string[] }[];
  readonly disconnect: readonly { readonly peer: PeerId }[];
  readonly offences: readonly { readonly peer: PeerId; readonly kind: OffenceKind }[];
  /** When a `tick` is due, unless something else comes first. */
  readonly nextTickAtMs: number;
}
