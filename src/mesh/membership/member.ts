import type { PeerId } from "../../platform/signer.ts";
import type { KnownRecord } from "../records/known-record.ts";

/**
 * `suspect`: somebody got no answer, and it has not yet said that it is well; counts as living. `dead`: it did not say so
 * in time. `left`: it said good-bye.
 */
export type MemberState = "alive" | "suspect" | "dead" | "left";

/** What is known of an agent of the fleet. Times are the monotonic milliseconds of the inputs. */
export interface Member {
  readonly record: KnownRecord;
  readonly state: MemberState;
  /** Since when it is in that state. */
  readonly sinceMs: number;
  /** When it last gave a sign of life, as far as was told. */
  readonly heardOfAtMs: number;
  /** When the record came as news; long before all times when it came in a comparison of tables, where old ones come too. */
  readonly recordAtMs: number;
}

/**
 * Something happened to a member. `before` is missing when it was unknown. `updated`: a newer record, or a suspicion that
 * is over. `back`: it was dead or had left. `forgotten`: it gave way to others, or was gone for long.
 */
export interface MemberChange {
  readonly kind: "joined" | "updated" | "suspect" | "dead" | "left" | "back" | "forgotten";
  readonly peer: PeerId;
  readonly before?: Pick<Member, "record" | "state">;
  readonly after: Pick<Member, "record" | "state">;
}

/** Members by state; this agent counts as alive. */
export type MemberCounts = Readonly<Record<MemberState, number>>;
