import type { Member } from "../../mesh/membership/member.ts";
import { isLiving } from "../../mesh/membership/table.ts";
import type { KnownRecord } from "../../mesh/records/known-record.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { RoleChoice } from "./assignment.ts";
import { choose, type Eligible } from "./choice.ts";
import type { FleetMembers } from "./effects.ts";
import type { RoleOptions } from "./options.ts";
import {
  type Candidate,
  compareCandidates,
  hasSkills,
  type Standing,
  standingOf,
  suitabilityOf,
} from "./suitability.ts";

/** Looks at the members: who may lead, how many come before this agent, and who gets which role. */
export class Electorate {
  readonly #members: FleetMembers;
  readonly #options: Pick<RoleOptions, "needs" | "committeeSizes" | "marginPercent">;

  constructor(
    members: FleetMembers,
    options: Pick<RoleOptions, "needs" | "committeeSizes" | "marginPercent">,
  ) {
    this.#members = members;
    this.#options = options;
  }

  /** This agent, if it may make an assignment. @param holds it has made the one in force */
  self(holds: boolean): Candidate | undefined {
    const member = this.#members.get(this.#members.self);
    if (member === undefined) return undefined;
    const { record } = member;
    const standing = this.#leaderStanding(record, holds);
    return standing === "none"
      ? undefined
      : { peer: record.peerId, standing, score: suitabilityOf(record) };
  }

  /**
   * How many come before this agent among those who may make an assignment; an agent on battery comes after all on mains.
   * @param except is gone, whatever the table says
   */
  rankOf(self: Candidate, except: PeerId | undefined): number {
    let rank = 0;
    for (const member of this.#members.all()) {
      if (member.record.peerId === except || !isLiving(member.state)) continue;
      const { record } = member;
      if (record.peerId === self.peer) continue;
      const standing = this.#leaderStanding(record, false);
      if (standing !== "none" && precedes(record, standing, self)) rank++;
    }
    return rank;
  }

  /** Somebody other than `except` is on mains and may lead. */
  hasQuorumCandidate(except: PeerId | undefined): boolean {
    for (const member of this.#members.all())
      if (
        member.record.peerId !== except &&
        isLiving(member.state) &&
        this.#leaderStanding(member.record, false) === "quorum"
      )
        return true;
    return false;
  }

  /**
   * Who gets which role when this agent makes the assignment.
   * @param byChoice roles may be taken from those who could keep them
   */
  choose(self: Candidate, holders: RoleChoice, byChoice: boolean): RoleChoice {
    const { committeeSizes, marginPercent } = this.#options;
    const others: Eligible[] = [];
    let maker: Eligible | undefined;
    let livingCount = 0;
    for (const member of this.#members.all()) {
      if (!isLiving(member.state)) continue;
      livingCount++;
      const one = this.#eligible(member, holders);
      if (one.peer === self.peer) maker = { ...one, standing: self.standing };
      else if (one.standing !== "none") others.push(one);
    }
    if (maker === undefined) return { validators: [], aggregators: [] };
    return choose({
      maker,
      others,
      livingCount,
      holders,
      committeeSizes,
      ...(byChoice && { marginPercent }),
    });
  }

  /** What it may lead as; `none`: not at all. */
  #leaderStanding(record: KnownRecord, holds: boolean): Standing {
    const standing = standingOf(record, holds);
    return standing === "quorum" && !hasSkills(record, this.#options.needs.coordinator)
      ? "none"
      : standing;
  }

  #eligible({ record, state }: Member, { validators, aggregators }: RoleChoice): Eligible {
    const { needs } = this.#options;
    const peer = record.peerId;
    return {
      peer,
      standing: standingOf(record, validators.includes(peer) || aggregators.includes(peer)),
      score: suitabilityOf(record),
      mayValidate: hasSkills(record, needs.validator),
      mayAggregate: hasSkills(record, needs.aggregator),
      settled: state === "alive",
    };
  }
}

/** Who is on mains comes first; then it is for suitability, which costs more to look at, and the peer id. */
function precedes(record: KnownRecord, standing: Standing, self: Candidate): boolean {
  if (standing !== self.standing) return standing === "quorum";
  return compareCandidates({ peer: record.peerId, score: suitabilityOf(record) }, self) < 0;
}
