import type { Member, MemberChange } from "../../mesh/membership/member.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { KnownAssignment } from "./assignment.ts";
import type { AssignmentFault } from "./assignment-codec.ts";
import type { AgentRoles } from "./own-roles.ts";

/** The members as the negotiation sees them. */
export interface FleetMembers {
  readonly self: PeerId;
  /** Everybody known, this agent included. */
  all(): Iterable<Member>;
  get(peer: PeerId): Member | undefined;
  /** The table is full: there are others beyond those in it. */
  isPartial(): boolean;
}

/** What happens to the negotiation. `nowMs` is monotonic and never goes back. */
export type RoleInput = { readonly nowMs: number } & (
  | { readonly kind: "tick" }
  | { readonly kind: "message"; readonly from: PeerId; readonly bytes: Uint8Array }
  | { readonly kind: "link-up"; readonly peer: PeerId }
  | { readonly kind: "link-down"; readonly peer: PeerId }
  /** Something happened to a member, this agent's own record included. The members show it already. */
  | { readonly kind: "member"; readonly peer: PeerId; readonly change: MemberChange["kind"] }
  /** The agent stops. Nothing is asked for after that. */
  | { readonly kind: "leave" }
);

/**
 * Why a neighbour is complained of. `malformed-message`: bytes that are no message; `forged-renewal`: a sign of life that
 * the maker did not sign; `roles-flood`: more than anybody needs to say; for the others see {@link AssignmentFault}.
 */
export type OffenceKind = "malformed-message" | "forged-renewal" | "roles-flood" | AssignmentFault;

/**
 * Something changed. `assignment`: another one is in force, or none any more. `roles`: this agent has other roles than
 * before.
 */
export type RoleChange =
  | { readonly kind: "assignment"; readonly assignment: KnownAssignment | undefined }
  | { readonly kind: "roles"; readonly before: AgentRoles; readonly after: AgentRoles };

/** What is to be done. */
export interface RoleEffects {
  readonly changes: readonly RoleChange[];
  /** Messages to linked neighbours. */
  readonly send: readonly { readonly to: PeerId; readonly bytes: Uint8Array }[];
  readonly offences: readonly { readonly peer: PeerId; readonly kind: OffenceKind }[];
  /** When a `tick` is due, unless something else comes first. */
  readonly nextTickAtMs: number;
}
