import type { Link } from "../../platform/network.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { MembershipOptions } from "../membership/options.ts";
import { isLiving } from "../membership/table.ts";
import type { BootstrapNeed } from "./bootstrap-dialer.ts";
import type { Fleet } from "./fleet.ts";

/** What tells whether an address to begin with is of use. */
interface Surroundings {
  readonly links: readonly Link[];
  /** Undefined before the start. */
  readonly fleet: Pick<Fleet, "member" | "isPartial"> | undefined;
  readonly options: Pick<MembershipOptions, "neighboursWanted">;
}

/**
 * @param who answered there last, and should be there by its address, as far as either is known
 * @returns whether to dial it: while it is not linked, or while nobody is. Where nobody has ever answered, and there are links enough, it is
 * not given up all the same: it may have lost what it knew, and know nobody but those who come to it
 */
export function needOfBootstrap(
  who: { readonly peer: PeerId | undefined; readonly named: PeerId | undefined },
  around: Surroundings,
): BootstrapNeed {
  const { peer, named } = who;
  const { links, fleet, options } = around;
  if (links.length === 0) return "now";
  if (peer !== undefined) return isMember(peer, around) ? "none" : "now";
  if (links.length < options.neighboursWanted) return "now";
  const isKnown = named === undefined ? fleet?.isPartial() === true : isMember(named, around);
  return isKnown ? "none" : "someday";
}

function isMember(peer: PeerId, { links, fleet }: Surroundings): boolean {
  if (links.some((link) => link.peer === peer)) return true;
  const member = fleet?.member(peer);
  // A mesh that knows the node needs no link to it; one that lost it does. A fleet larger than the table does not know
  // everybody, and would dial those for ever.
  if (member === undefined) return fleet?.isPartial() === true;
  return isLiving(member.state);
}
