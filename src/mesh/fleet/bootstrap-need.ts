import type { Link } from "../../platform/network.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { MembershipOptions } from "../membership/options.ts";
import { isLiving } from "../membership/table.ts";
import type { Fleet } from "./fleet.ts";

/** What tells whether an address to begin with is of use. */
interface Surroundings {
  readonly links: readonly Link[];
  /** Undefined before the start. */
  readonly fleet: Pick<Fleet, "member" | "counts"> | undefined;
  readonly options: Pick<MembershipOptions, "neighboursWanted" | "membersMax">;
}

/**
 * @param peer who answered there last; undefined where nobody has
 * @returns whether to dial it: while it is not linked, or while nobody is
 */
export function wantsBootstrap(peer: PeerId | undefined, around: Surroundings): boolean {
  const { links, options } = around;
  if (peer === undefined) return links.length < options.neighboursWanted;
  return links.length === 0 || !isMember(peer, around);
}

function isMember(peer: PeerId, { links, fleet, options }: Surroundings): boolean {
  if (links.some((link) => link.peer === peer)) return true;
  const member = fleet?.member(peer);
  // A mesh that knows the node needs no link to it; one that lost it does. A fleet larger than the table does not know
  // everybody, and would dial those for ever.
  if (member === undefined) return isFull(fleet, options.membersMax);
  return isLiving(member.state);
}

function isFull(fleet: Surroundings["fleet"], membersMax: number): boolean {
  if (fleet === undefined) return false;
  const { alive, suspect, dead, left } = fleet.counts();
  return alive + suspect + dead + left >= membersMax;
}
