import { isLiving } from "../../mesh/membership/table.ts";
import type { KnownAssignment } from "./assignment.ts";
import type { Renewal } from "./assignment-codec.ts";
import type { FleetMembers } from "./effects.ts";
import { standingOf } from "./suitability.ts";

/** An assignment with its maker's last sign of life. */
export interface Holding {
  readonly assignment: KnownAssignment;
  readonly renewal: Renewal;
  /** When the maker signed that, as far as was told. Travels as an age, so that what has ended can not go round for ever. */
  readonly renewedAtMs: number;
}

/**
 * Why an assignment is not in force. `resigned`: its maker gave it up; `silent`: no sign of life for as long as the lease;
 * `gone`: the maker is dead or has left, or nobody of the fleet knows it; `unfit`: it may not hold it any more.
 */
export type EndReason = "resigned" | "silent" | "gone" | "unfit";

/**
 * @param leaseUntilMs when the maker's silence has lasted too long
 * @returns why the assignment is not in force now; undefined while it is
 */
export function endOf(
  { assignment, renewal }: Holding,
  members: FleetMembers,
  nowMs: number,
  leaseUntilMs: number,
): EndReason | undefined {
  if (renewal.resigned) return "resigned";
  const { maker, quorum } = assignment;
  const member = members.get(maker);
  // A full table does not hold everybody. One that is not full does, sooner or later.
  if (member === undefined && !members.isPartial()) return "gone";
  if (member !== undefined && !isLiving(member.state)) return "gone";
  const standing = standingOf(member?.record ?? assignment.record, true);
  if (standing === "none" || (quorum && standing !== "quorum")) return "unfit";
  return maker !== members.self && nowMs >= leaseUntilMs ? "silent" : undefined;
}
