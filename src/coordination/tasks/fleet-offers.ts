import type { Member } from "../../mesh/membership/member.ts";
import type { PeerId } from "../../platform/signer.ts";
import { meets, unmet } from "../distribution/matching.ts";
import type { AgentOffer, Requirements } from "../distribution/task.ts";
import { offerOf } from "./agent-offer.ts";
import { featureOf } from "./order.ts";

/** The members as orders see them. */
export interface FleetMembers {
  /** Everybody known, this agent included. */
  all(): Iterable<Member>;
  get(peer: PeerId): Member | undefined;
  /** The table is full: there are others beyond those in it. */
  isPartial(): boolean;
}

/** What the agents of the fleet offer, kept up as their records change. */
export class FleetOffers {
  readonly #members: FleetMembers;
  readonly #tasksMax: number;
  readonly #offers = new Map<PeerId, AgentOffer>();

  /** @param tasksMax tasks that an agent is given at once */
  constructor(members: FleetMembers, tasksMax: number) {
    this.#members = members;
    this.#tasksMax = tasksMax;
  }

  /** Looks at all members anew. @returns what they offer */
  refresh(): Iterable<AgentOffer> {
    this.#offers.clear();
    for (const member of this.#members.all()) this.#take(member);
    return this.#offers.values();
  }

  /** Until the next look. */
  forget(): void {
    this.#offers.clear();
  }

  /** Something happened to a member. @returns what it offers now; undefined for nothing */
  update(peer: PeerId): AgentOffer | undefined {
    this.#offers.delete(peer);
    const member = this.#members.get(peer);
    return member === undefined ? undefined : this.#take(member);
  }

  /** Agents that meet the requirements when idle. */
  able(needs: Requirements): readonly PeerId[] {
    const able: PeerId[] = [];
    for (const offer of this.#offers.values()) if (meets(offer, needs)) able.push(offer.peer);
    return able;
  }

  /** There may be agents that this one knows nothing of. */
  get isPartial(): boolean {
    return this.#members.isPartial();
  }

  /** Which requirements nobody meets, in words. */
  missing(needs: Requirements): string {
    const prefix = `skill ${featureOf("")}`;
    return unmet(needs, [...this.#offers.values()])
      .map((what) => (what.startsWith(prefix) ? `kind ${what.slice(prefix.length)}` : what))
      .join(", ");
  }

  #take(member: Member): AgentOffer | undefined {
    const offer = offerOf(member, this.#tasksMax);
    if (offer !== undefined) this.#offers.set(offer.peer, offer);
    return offer;
  }
}
