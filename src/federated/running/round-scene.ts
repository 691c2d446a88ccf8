import type { PeerId } from "../../platform/signer.ts";
import type { RoundHead } from "../rounds/chain.ts";
import type { Evidence } from "../rounds/evidence.ts";
import { toldOf } from "../rounds/evidence-spread.ts";
import { Reputation } from "../rounds/reputation.ts";
import type { RoundsTalk } from "../rounds/talk.ts";
import { HeldTensors } from "./held-tensors.ts";
import { ReputationKeeper } from "./reputation-keeper.ts";
import { RoundCombining } from "./round-combining.ts";
import type { RoundParts } from "./round-parts.ts";
import { RoundTensors } from "./round-tensors.ts";

/** What the three machines of one task share: where it stands, its tensors, whom they trust, and whom they talk to. */
export class RoundScene {
  readonly parts: RoundParts;
  readonly tensors: RoundTensors;
  readonly combining: RoundCombining;
  readonly held: HeldTensors;
  readonly reputation: Reputation;
  readonly #keeper: ReputationKeeper;
  readonly #stopping = new AbortController();
  #ending = new AbortController();
  #head: RoundHead;
  #isOver = false;

  constructor(parts: RoundParts) {
    this.parts = parts;
    this.tensors = new RoundTensors({
      ...parts,
      random: parts.random.fork("holders"),
      members: () => parts.committee.members(),
      modelBytes: 4 * parts.parameterCount,
      signal: this.#stopping.signal,
    });
    this.combining = new RoundCombining(parts, this.tensors);
    this.held = new HeldTensors(parts);
    this.#head = parts.head;
    this.reputation = new Reputation(parts.keptReputation);
    const { reputation } = this;
    this.#keeper = new ReputationKeeper({ ...parts, reputation, keep: parts.keepReputation });
  }

  get head(): RoundHead {
    return this.#head;
  }

  /** Its last round is over, or the agent stops: there is nothing more to do. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** This agent neither aggregates nor judges. */
  get isIdle(): boolean {
    return this.#isOver || this.parts.unable !== undefined;
  }

  /** Ends what is fetched for the round that goes on. */
  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  /** What was fetched for a round that is over would hold up what the next one wants. Asynchronous rounds may count it yet. */
  goOn(head: RoundHead): void {
    this.#head = head;
    if (this.parts.spec.pace.buffered !== undefined) return;
    this.#ending.abort();
    this.#ending = new AbortController();
  }

  /** Lets go of everything that is held for it. */
  rest(): void {
    this.#isOver = true;
    this.held.letGo();
  }

  /** Ends everything under way; resolves when what is to be kept is. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#ending.abort();
    await this.#keeper.stop();
    await this.held.kept();
  }

  /** Somebody was blamed for something. */
  blamed(): void {
    this.#keeper.changed();
  }

  /** @returns whether it was heard */
  async tell(to: PeerId, talk: RoundsTalk): Promise<boolean> {
    try {
      await this.parts.tell(to, talk);
      return true;
    } catch (error) {
      const reason = String(error);
      this.parts.logger.debug("nobody heard of a round", { peer: to, reason });
      return false;
    }
  }

  /** Tells those who have to know of a lie, and some of the others. @param trainers everybody who could train */
  spread(evidence: Evidence, trainers: readonly PeerId[]): void {
    const { committee, signer, hasher } = this.parts;
    const parts = { hasher, self: signer.peerId, members: committee.members(), trainers };
    for (const peer of toldOf(evidence, parts))
      void this.tell(peer, { kind: "evidence", evidence });
  }

  /** An update went along with its word. */
  countAlong(way: "sent" | "received", peer: PeerId, update: Uint8Array | undefined): void {
    const { exchange, signer } = this.parts;
    if (update !== undefined && peer !== signer.peerId) exchange.wentAlong(way, update.length);
  }
}
