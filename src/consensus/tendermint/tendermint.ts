import type { Hasher } from "../../platform/hasher.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import type { Decision, RefusalKind, TendermintEffects, TendermintInput } from "./effects.ts";
import { EvidencePool } from "./evidence.ts";
import { FutureMessages } from "./future-messages.ts";
import { Height } from "./height.ts";
import type { HeightParts } from "./height-parts.ts";
import { heightOf, isWellFormed, type TendermintMessage } from "./messages.ts";
import type { TendermintOptions } from "./options.ts";
import { PastDecisions } from "./past-decisions.ts";
import { ProposerRotation } from "./proposer-rotation.ts";
import type { RoundState } from "./round-machine.ts";
import { BallotVerifier } from "./signing.ts";
import { Turn } from "./turn.ts";
import type { Validator } from "./validators.ts";
import { heightEntry, type Recovered, recover, type WalEntry } from "./wal.ts";

/** Peers whose answers are counted between two rebroadcasts; others wait for the next one. */
const ANSWERED_PEERS_MAX = 1024;
/** Peers that are asked for a decision between two rebroadcasts. */
const ASKED_PEERS_MAX = 4;

/** What a node is made of. */
export interface TendermintParts {
  readonly signer: Signer;
  readonly hasher: Hasher;
  readonly options: TendermintOptions;
  /** Names the committee and what it decides on: no signature of one instance is of use in another. */
  readonly instance: string;
  /** Of the first height. This node may be among them, or follow them. */
  readonly validators: readonly Validator[];
  readonly firstHeight: number;
  /** At the height that it begins with the node says nothing in its own name: another run may have, that it knows nothing of. */
  readonly isMute?: boolean;
  /** What an earlier run of this node wrote down, oldest first. */
  readonly log?: Iterable<WalEntry>;
}

/**
 * A node of Tendermint: Buchman, Kwon, Milosevic, "The latest gossip on BFT consensus", 2018. Decides one value at each
 * height while less than 1/3 of the voting power lies, and goes on whenever more than 2/3 hear each other in time. Pure:
 * inputs in, effects out, one `step` at a time; the caller performs the effects in their order. Never throws for anything
 * that a peer says.
 */
export class Tendermint {
  readonly #parts: HeightParts;
  readonly #past: PastDecisions;
  readonly #future: FutureMessages;
  readonly #refusals = new Map<RefusalKind, number>();
  #height: Height;
  #recovered: Recovered | undefined;
  #hasStarted = false;
  /** Answers since the last rebroadcast. */
  readonly #answers = new Map<PeerId, number>();
  /** Who was asked for the decision of this height since then. */
  readonly #asked = new Set<PeerId>();
  /** The last one who talked of a later height. */
  #ahead: { readonly peer: PeerId; readonly height: number } | undefined;
  /** The last decision is so fresh that who talks of its height is not late. */
  #isFresh = false;

  /** @throws RangeError for validators that can not be; Error for a log that no node writes */
  constructor(parts: TendermintParts) {
    const { signer, hasher, options, instance, validators, firstHeight, log = [] } = parts;
    const { isMute = false } = parts;
    this.#parts = {
      signer,
      hasher,
      options,
      instance,
      verifier: new BallotVerifier(signer, instance),
      evidence: new EvidencePool(options.offencesMax),
    };
    this.#past = new PastDecisions(
      hasher,
      options.partBytes,
      options.decisionsKeptMax,
      options.decisionsKeptBytesMax,
    );
    this.#future = new FutureMessages(options.futureMessagesOfPeerMax);
    this.#recovered = recover(log, options.decisionsKeptMax);
    for (const decision of this.#recovered?.decisions ?? []) this.#past.add(decision);
    this.#height = new Height(
      this.#parts,
      this.#recovered?.height ?? firstHeight,
      this.#recovered?.rotation ?? ProposerRotation.begin(validators),
      isMute,
    );
  }

  /** Where this node is in the current height. */
  get state(): RoundState {
    return this.#height.state;
  }

  /** Who votes at the current height, and whose turn its first round is. */
  get rotation(): ProposerRotation {
    return this.#height.rotation;
  }

  /** Whose turn the current round is, or the first one will be. */
  get proposer(): PeerId {
    return this.#height.proposers.of(Math.max(0, this.state.round));
  }

  /** Of the current height; undefined until there is one. */
  get decision(): Decision | undefined {
    return this.#height.decision;
  }

  /** What was refused since the start, by kind, for metrics. */
  refusals(): ReadonlyMap<RefusalKind, number> {
    return this.#refusals;
  }

  /**
   * Takes one input.
   * @throws Error for a second `start`, for another input before it, and for `next-height` without a decision; RangeError
   *   for a value that is too large, and for changes that no set of validators allows
   */
  step(input: TendermintInput): TendermintEffects {
    if (this.#hasStarted === (input.kind === "start"))
      throw new Error(this.#hasStarted ? "the node has started" : "the node has not started");
    const turn = new Turn();
    const wasDecided = this.decision !== undefined;
    switch (input.kind) {
      case "start":
        this.#start(turn);
        break;
      case "message":
        this.#message(turn, input.from, input.message);
        break;
      case "timeout":
        if (input.timer.height !== this.#height.number) break;
        if (input.timer.kind === "rebroadcast") this.#rebroadcast(turn);
        else if (!wasDecided) this.#height.timeout(turn, input.timer.kind, input.timer.round);
        break;
      case "value":
        if (input.height === this.#height.number && !wasDecided)
          this.#height.ownValue(turn, input.round, input.value);
        break;
      case "verdict":
        if (input.height === this.#height.number && !wasDecided)
          this.#height.verdict(turn, input.valueId, input.isValid);
        break;
      case "next-height":
        if (!wasDecided) throw new Error(`height ${this.#height.number} is not decided`);
        this.#begin(turn, this.rotation.change(input.changes).advance(), input.isMute ?? false);
        break;
    }
    if (!wasDecided || input.kind === "next-height") this.#keepDecision();
    for (const { kind } of turn.refused)
      this.#refusals.set(kind, (this.#refusals.get(kind) ?? 0) + 1);
    return turn;
  }

  #start(turn: Turn): void {
    this.#hasStarted = true;
    const recovered = this.#recovered;
    this.#recovered = undefined;
    if (recovered === undefined) {
      turn.persist.push(heightEntry(this.#height.number, this.rotation));
      this.#height.start(turn, []);
    } else if (recovered.decision !== undefined) this.#height.conclude(turn, recovered.decision);
    else this.#height.resume(turn, recovered);
  }

  #begin(turn: Turn, rotation: ProposerRotation, isMute: boolean): void {
    const height = this.#height.number + 1;
    this.#height = new Height(this.#parts, height, rotation, isMute);
    this.#answers.clear();
    this.#asked.clear();
    turn.persist.push(heightEntry(height, rotation));
    const received = this.#future.take(height);
    const votes = received.flatMap(({ from, message }) =>
      message.kind === "votes" ? [{ from, votes: message.votes }] : [],
    );
    this.#height.start(turn, votes);
    for (const { from, message } of received)
      if (message.kind !== "votes") this.#current(turn, from, message);
    this.#catchUp(turn);
  }

  #keepDecision(): void {
    const { decision } = this;
    if (decision === undefined) return;
    this.#past.add(decision);
    this.#isFresh = true;
  }

  #rebroadcast(turn: Turn): void {
    this.#answers.clear();
    this.#isFresh = false;
    this.#asked.clear();
    this.#height.rebroadcast(turn);
    this.#catchUp(turn);
  }

  #message(turn: Turn, from: PeerId, message: TendermintMessage): void {
    if (from === this.#parts.signer.peerId) return;
    if (!isWellFormed(message, this.#parts.options)) {
      turn.refuse(from, "malformed");
      return;
    }
    if (message.kind === "ask") {
      this.#answer(turn, from, message);
      return;
    }
    const height = heightOf(message);
    const { number } = this.#height;
    if (height > number) this.#later(turn, from, message, height);
    else if (height < number || this.decision !== undefined) this.#late(turn, from, height);
    else this.#current(turn, from, message);
  }

  #current(turn: Turn, from: PeerId, message: TendermintMessage): void {
    if (this.decision !== undefined) return;
    switch (message.kind) {
      case "proposal":
        this.#height.proposal(turn, from, message);
        break;
      case "part":
        this.#height.part(turn, from, message);
        break;
      case "polka":
        this.#height.polka(turn, from, message.certificate);
        break;
      case "votes":
        this.#height.votes(turn, from, message.votes);
        break;
      case "decision":
        this.#height.decided(turn, from, message);
        break;
      case "ask":
        break;
    }
  }

  #later(turn: Turn, from: PeerId, message: TendermintMessage, height: number): void {
    this.#ahead = { peer: from, height };
    this.#catchUp(turn);
    const { heightsAheadMax } = this.#parts.options;
    if (height > this.#height.number + heightsAheadMax) turn.refuse(from, "far-height");
    // What is kept unchecked comes from few, and is small: parts can be asked for again.
    else if (!this.rotation.validators.has(from)) turn.refuse(from, "not-a-validator");
    else if (message.kind === "part") turn.refuse(from, "unwanted-part");
    else if (!this.#future.add(from, message)) turn.refuse(from, "too-many");
  }

  /** One height ahead is usual: the last vote may be on its way. More is not. */
  #catchUp(turn: Turn): void {
    const { number } = this.#height;
    if (this.#ahead === undefined || this.decision !== undefined) return;
    const { peer, height } = this.#ahead;
    if (height <= number + 1 || this.#asked.size >= ASKED_PEERS_MAX || this.#asked.has(peer))
      return;
    this.#asked.add(peer);
    turn.to(peer, { kind: "ask", height: number });
  }

  #late(turn: Turn, from: PeerId, height: number): void {
    turn.refuse(from, "past-height");
    const last = this.decision === undefined ? this.#height.number - 1 : this.#height.number;
    if (height === last && this.#isFresh) return;
    this.#answer(turn, from, { kind: "ask", height });
  }

  #answer(
    turn: Turn,
    to: PeerId,
    { height, parts }: Extract<TendermintMessage, { kind: "ask" }>,
  ): void {
    const { number } = this.#height;
    if (height > number || !this.#mayAnswer(to)) return;
    const isCurrent = height === number && this.decision === undefined;
    const messages: TendermintMessage[] = [];
    if (parts !== undefined) {
      const { valueId, indexes } = parts;
      const found = isCurrent
        ? this.#height.valueParts(valueId, indexes)
        : this.#past.parts(height, valueId, indexes);
      messages.push(...found.map((part) => ({ kind: "part", height, valueId, part }) as const));
    } else if (!isCurrent) {
      const message = this.#past.message(height);
      if (message !== undefined) messages.push(message);
    }
    for (const message of messages) turn.to(to, message);
    if (messages.length === 0 && height < number)
      turn.requests.push({ kind: "history", height, peer: to, parts });
  }

  #mayAnswer(peer: PeerId): boolean {
    const answers = this.#answers.get(peer) ?? 0;
    if (answers >= this.#parts.options.answersToPeerMax) return false;
    if (answers === 0 && this.#answers.size >= ANSWERED_PEERS_MAX) return false;
    this.#answers.set(peer, answers + 1);
    return true;
  }
}
