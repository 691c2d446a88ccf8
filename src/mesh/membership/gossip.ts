import type { PeerId } from "../../platform/signer.ts";
import type { BroadcastQueue } from "./broadcast-queue.ts";
import { type MessageBody, newsBytes } from "./codec.ts";
import type { MembershipPace } from "./options.ts";
import type { Roster } from "./roster.ts";
import type { Turn } from "./turn.ts";

/** News in one message of gossip. */
const GOSSIP_BYTES_MAX = 8_192 - 64;
/** News that rides on a probe or its answer. */
const PIGGYBACK_BYTES_MAX = 1_024;

/** Sends news to neighbours: in rounds while some has to go, and along with what is said to them anyway. */
export class Gossip {
  readonly #queue: BroadcastQueue;
  readonly #roster: Pick<Roster, "noticeFor">;
  #roundAtMs = 0;

  constructor(queue: BroadcastQueue, roster: Pick<Roster, "noticeFor">) {
    this.#queue = queue;
    this.#roster = roster;
  }

  /** When the next round is due; infinity while there is no news. */
  get nextAtMs(): number {
    return Math.max(this.#roundAtMs, this.#queue.dueAtMs);
  }

  tick(turn: Turn, pace: MembershipPace): void {
    if (this.nextAtMs > turn.nowMs) return;
    for (const peer of this.#queue.due(turn.nowMs)) {
      const news = this.#queue.take(peer, GOSSIP_BYTES_MAX, turn.nowMs);
      if (news.length > 0) turn.send(peer, undefined, news);
    }
    this.#roundAtMs = turn.nowMs + pace.gossipIntervalMs;
  }

  /** Sends a message with what news fits beside it, first of all a suspicion of the receiver itself. */
  send(turn: Turn, to: PeerId, body: MessageBody): void {
    const notice = this.#roster.noticeFor(to);
    const room = PIGGYBACK_BYTES_MAX - (notice === undefined ? 0 : newsBytes(notice));
    const news = this.#queue.take(to, room, turn.nowMs);
    turn.send(to, body, notice === undefined ? news : [notice, ...news]);
  }
}
