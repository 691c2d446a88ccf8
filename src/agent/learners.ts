import type { Member, MemberChange } from "../mesh/membership/member.ts";
import { isLiving } from "../mesh/membership/table.ts";
import type { Clock } from "../platform/clock.ts";
import type { PeerId } from "../platform/signer.ts";
import type { MeshPart } from "./mesh-part.ts";

/** What an agent tells the fleet that it does. */
export const LEARNING_FEATURE = "learning";
/** All members are looked at this often; between, only those that something happens to. */
const LOOK_AT_ALL_MS = 60_000;

/** @returns whether an agent takes part in learning */
export function learns({ record }: Member): boolean {
  return record.capabilities?.features.includes(LEARNING_FEATURE) === true;
}

/**
 * A newer record of one that is there as before is no news: to take it for a return would have everybody say everything again, and in a
 * large fleet all at once.
 * @returns whether the agent is there, where it was not before, or has begun anew; undefined where nothing follows, as where it
 *   gave way to others in the table
 */
export function livingNews({ kind, before, after }: MemberChange): boolean | undefined {
  if (kind === "dead" || kind === "left") return false;
  if (kind === "joined" || kind === "back") return true;
  const hasBegunAnew = before !== undefined && before.record.epoch !== after.record.epoch;
  return kind === "updated" && hasBegunAnew ? true : undefined;
}

/** Who of the fleet learns, known without looking at everybody each time: a fleet may be large. */
export class Learners {
  readonly #node: MeshPart["node"];
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #known = new Set<PeerId>();
  #all: readonly PeerId[] | undefined;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(node: MeshPart["node"], clock: Pick<Clock, "monotonicMs">) {
    this.#node = node;
    this.#clock = clock;
    node.onMember(({ peer }) => this.#look(peer, node.member(peer)));
  }

  has(peer: PeerId): boolean {
    this.#lookAtAll();
    return this.#known.has(peer);
  }

  /** Living ones in the table: the very same list until one comes or goes. */
  all(): readonly PeerId[] {
    this.#lookAtAll();
    this.#all ??= [...this.#known];
    return this.#all;
  }

  /** How many there are in the fleet: of those that are not known as many learn as of those that are. */
  inFleet(): number {
    const { alive, suspect } = this.#node.memberCounts();
    const living = Math.max(1, alive + suspect);
    const fleet = Math.max(living, this.#node.fleetSize().agents);
    return Math.round((this.all().length * fleet) / living);
  }

  #lookAtAll(): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#lookedAtMs < LOOK_AT_ALL_MS) return;
    this.#lookedAtMs = nowMs;
    const gone = new Set(this.#known);
    for (const member of this.#node.members()) {
      gone.delete(member.record.peerId);
      this.#look(member.record.peerId, member);
    }
    for (const peer of gone) this.#look(peer, undefined);
  }

  #look(peer: PeerId, member: Member | undefined): void {
    const isOne = member !== undefined && isLiving(member.state) && learns(member);
    if (isOne === this.#known.has(peer)) return;
    if (isOne) this.#known.add(peer);
    else this.#known.delete(peer);
    this.#all = undefined;
  }
}
