import type { Message } from "../../../src/consensus/raft/message.ts";
import type { RaftNode } from "../../../src/consensus/raft/node.ts";
import type { Refusal } from "../../../src/consensus/raft/refusals.ts";

/** What of a message came from the leader of the term. */
const FROM_LEADER = new Set<Message["kind"]>(["append", "heartbeat", "snapshot"]);

/**
 * With `checkQuorum`, nobody votes while it hears the leader (Ongaro 2014, section 4.2.3): that is what leases rely on.
 * Counts for itself how long ago each node heard one.
 */
export class Stickiness {
  readonly #electionTicks: number;
  readonly #silentTicks = new Map<number, number>();

  constructor(electionTicks: number) {
    this.#electionTicks = electionTicks;
  }

  ticked(id: number): void {
    const silent = this.#silentTicks.get(id);
    if (silent !== undefined) this.#silentTicks.set(id, silent + 1);
  }

  restarted(id: number): void {
    this.#silentTicks.delete(id);
  }

  /** @throws Error when a node that hears its leader looks at somebody else's campaign */
  step(raft: RaftNode, message: Message): void {
    const { id, role, leader, term } = raft.status();
    const isCampaign = message.kind === "vote" || message.kind === "pre-vote";
    const isSettled = role === "follower" && leader !== 0 && message.from !== leader;
    const isHeard = (this.#silentTicks.get(id) ?? this.#electionTicks) < this.#electionTicks;
    const refusal = raft.step(message);
    this.#note(raft, message, refusal);
    if (!isCampaign || !isSettled || !isHeard || message.transfer || message.term <= term) return;
    if (refusal === undefined)
      throw new Error(
        `stickiness: ${id} hears ${leader} and answers the campaign of ${message.from}`,
      );
  }

  #note(raft: RaftNode, message: Message, refusal: Refusal | undefined): void {
    if (refusal !== undefined || !FROM_LEADER.has(message.kind)) return;
    const { id, leader } = raft.status();
    if (leader === message.from) this.#silentTicks.set(id, 0);
  }
}
