import type { PeerId } from "../../platform/signer.ts";
import type { BroadcastQueue } from "./broadcast-queue.ts";
import { type MessageBody, newsBytes } from "./codec.ts";
import type { LinkState } from "./links.ts";
import type { MembershipPace } from "./options.ts";
import type { Roster } from "./roster.ts";
import type { MemberTable } from "./table.ts";
import type { Turn } from "./turn.ts";

/** News in one message of gossip. */
const GOSSIP_BYTES_MAX = 8_192 - 64;
/**
 * Records go at once to a neighbour that was told nothing lately; else they wait, so that in a fleet where much happens
 * they go in few messages.
 */
const RECORDS_GAP_MS = 1_000;
/** Among fewer there is little to gain, and liars are a larger part: what refutes them had better be quick. */
const RECORDS_WAIT_FROM = 64;
/** News that rides on a probe or its answer. */
const PIGGYBACK_BYTES_MAX = 1_024;

/** What {@link Gossip} is made of. */
interface GossipParts {
  readonly queue: BroadcastQueue;
  readonly links: ReadonlyMap<PeerId, LinkState>;
  readonly table: MemberTable;
  readonly roster: Pick<Roster, "noticeFor">;
}

/** Sends news to neighbours: in rounds while there is any, and along with what is said to them anyway. */
export class Gossip {
  readonly #parts: GossipParts;
  #roundAtMs = 0;

  constructor(parts: GossipParts) {
    this.#parts = parts;
  }

  /** When the next round is due; infinity while there is no news. */
  get nextAtMs(): number {
    return this.#parts.queue.idle ? Number.POSITIVE_INFINITY : this.#roundAtMs;
  }

  tick(turn: Turn, pace: MembershipPace): void {
    if (this.nextAtMs > turn.nowMs) return;
    const { queue, links, table } = this.#parts;
    const large = table.livingCount >= RECORDS_WAIT_FROM;
    for (const [peer, link] of links) {
      if (!queue.hasNewsFor(peer)) continue;
      const canWait = large && !queue.hasPromptNewsFor(peer);
      if (canWait && turn.nowMs - link.gossipedAtMs < RECORDS_GAP_MS) continue;
      const news = queue.take(peer, GOSSIP_BYTES_MAX);
      if (news.length === 0) continue;
      link.gossipedAtMs = turn.nowMs;
      turn.send(peer, undefined, news);
    }
    this.#roundAtMs = turn.nowMs + pace.gossipIntervalMs;
  }

  /** Sends a message with what news fits beside it, first of all a suspicion of the receiver itself. */
  send(turn: Turn, to: PeerId, body: MessageBody): void {
    const { queue, roster } = this.#parts;
    const notice = roster.noticeFor(to);
    const first = notice === undefined ? [] : [notice];
    const room = PIGGYBACK_BYTES_MAX - first.reduce((sum, one) => sum + newsBytes(one), 0);
    turn.send(to, body, [...first, ...queue.take(to, room)]);
  }
}
