import type { Clock } from "../../platform/clock.ts";
import type { Hasher } from "../../platform/hasher.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import type { GroupChannel } from "../ordering/ordering.ts";
import { heightOf, type TendermintMessage } from "../tendermint/messages.ts";
import type { BallotVerifier } from "../tendermint/signing.ts";
import { Strangers, ticketFor } from "./admission.ts";
import { isInBounds } from "./block.ts";
import type { Engine } from "./engine.ts";
import { Followers } from "./followers.ts";
import type { GroupState } from "./group-state.ts";
import { decodeMessage } from "./message-codec.ts";
import type { GroupMessage, HouseMessage } from "./messages.ts";
import { named, type Operation } from "./operation.ts";
import type { TendermintMemberOptions } from "./options.ts";
import type { Pool } from "./pool.ts";
import type { SnapshotDesk } from "./snapshot-desk.ts";
import { StateFetch } from "./state-fetch.ts";
import type { SignedTicket, Ticket } from "./ticket.ts";

/** What nobody says who keeps to the protocol. */
const OFFENCES: ReadonlySet<string> = new Set([
  "malformed",
  "bad-signature",
  "bad-manifest",
  "bad-certificate",
  "bad-part",
]);

/** What a house is made of. */
export interface HouseParts {
  readonly group: string;
  readonly signer: Signer;
  readonly hasher: Hasher;
  readonly clock: Clock;
  readonly channel: Pick<GroupChannel, "offence">;
  readonly options: TendermintMemberOptions;
  readonly verifier: BallotVerifier;
  readonly state: GroupState;
  readonly pool: Pool;
  readonly snapshots: SnapshotDesk;
  readonly engine: Engine;
  /** That this member came with. */
  readonly ticket: Ticket | undefined;
  readonly signedTicket: SignedTicket | undefined;
  /** What was not taken, by reason. */
  readonly refused: Map<string, number>;
  readonly send: (to: readonly PeerId[], message: GroupMessage) => void;
}

/**
 * Everything that members tell each other beside the protocol: who may say what, operations for the pool, states for those
 * who are far behind, and those who are to be added.
 */
export class House {
  readonly #parts: HouseParts;
  readonly #followers = new Followers();
  readonly #strangers = new Strangers();
  readonly #fetch: StateFetch;
  #greetedAtMs: number;
  #asked = 0;
  #statesFetched = 0;

  constructor(parts: HouseParts) {
    const { hasher, verifier, options, clock, send } = parts;
    this.#parts = parts;
    this.#greetedAtMs = clock.monotonicMs();
    this.#fetch = new StateFetch({
      hasher,
      verifier,
      limits: options,
      partBytes: options.tendermint.partBytes,
      nowMs: () => clock.monotonicMs(),
      send: (to, message) => send([to], message),
    });
  }

  /** Peers that are to be added and follow already. */
  get learners(): PeerId[] {
    const { validators } = this.#parts.state.rotation;
    return this.#followers.all().filter((peer) => !validators.has(peer));
  }

  get statesFetched(): number {
    return this.#statesFetched;
  }

  /** @returns how far a peer is that is to be added; undefined for who was not heard lately */
  heightOf(peer: PeerId, ticketId: string): number | undefined {
    const { clock, options } = this.#parts;
    const sinceMs = clock.monotonicMs() - 2 * options.idleAskMs;
    return this.#followers.heightOf(peer, ticketId, sinceMs);
  }

  /** Takes what a peer sends. */
  take(from: PeerId, bytes: Uint8Array): void {
    if (from === this.#parts.signer.peerId) return;
    const message = decodeMessage(bytes);
    if (message === undefined) {
      this.refuse(from, "malformed");
      return;
    }
    switch (message.kind) {
      case "core":
        this.#core(from, message.message);
        break;
      case "pool":
        if (this.#isMember(from)) this.#pool(from, message.operations);
        else this.refuse(from, "not-a-member");
        break;
      case "join":
        this.#join(from, message);
        break;
      case "offer":
        if (this.#isMember(from) || this.#strangers.mayAnswer(from)) this.#offered(from, message);
        else this.refuse(from, "not-a-member");
        break;
      case "state-ask":
        if (this.#mayAsk(from)) this.#stateAsked(from, message);
        else this.refuse(from, "not-a-member");
        break;
      case "state-part":
        this.#statePart(from, message);
        break;
    }
  }

  /** A peer asks for what is too old: it needs a state. */
  offer(peer: PeerId): void {
    const { snapshots, clock, send } = this.#parts;
    if (!this.#mayAsk(peer)) return;
    const offer = snapshots.offerTo(peer, clock.monotonicMs());
    if (offer !== undefined) send([peer], { kind: "offer", offer });
  }

  /** Something that was said is not taken. */
  refuse(from: PeerId, kind: string): void {
    const { refused, channel } = this.#parts;
    refused.set(kind, (refused.get(kind) ?? 0) + 1);
    if (OFFENCES.has(kind)) channel.offence(from, kind);
  }

  tick(): void {
    const nowMs = this.#parts.clock.monotonicMs();
    this.#fetch.tick();
    if (nowMs - this.#greetedAtMs >= this.#parts.options.idleAskMs) this.greet();
  }

  /** Asks one of the others whether there is more than is known here; with a ticket, says how far this one is. */
  greet(): void {
    const { clock, engine, signer, state, ticket, signedTicket, send } = this.#parts;
    this.#greetedAtMs = clock.monotonicMs();
    const known = new Set([...state.members, ...(ticket?.validators ?? [])]);
    const others = [...known].filter((peer) => peer !== signer.peerId);
    const isMember = state.rotation.validators.has(signer.peerId) && !engine.isMute;
    if (!isMember && signedTicket !== undefined) {
      send(others, { kind: "join", ticket: signedTicket, height: state.height });
    }
    const peer = others[this.#asked++ % Math.max(1, others.length)];
    if (peer !== undefined) engine.askNext(peer);
  }

  #isMember(peer: PeerId): boolean {
    const { state, engine, ticket } = this.#parts;
    return (
      state.rotation.validators.has(peer) ||
      engine.node?.rotation.validators.has(peer) === true ||
      ticket?.validators.includes(peer) === true
    );
  }

  /** What was decided is for members, for those who are to be it, and for those who have to learn that they are not. */
  #mayAsk(peer: PeerId): boolean {
    return this.#isMember(peer) || this.#followers.has(peer) || this.#parts.state.isFormer(peer);
  }

  #core(from: PeerId, message: TendermintMessage): void {
    const { engine, state, clock } = this.#parts;
    if (this.#mayAsk(from) || (message.kind !== "ask" && this.#strangers.mayAnswer(from))) {
      engine.take(from, message);
      return;
    }
    this.refuse(from, "not-a-member");
    const isLater = message.kind !== "ask" && heightOf(message) > state.height + 1;
    if (isLater && this.#strangers.ask(from, clock.monotonicMs()))
      this.#parts.send([from], {
        kind: "core",
        message: { kind: "ask", height: state.height + 1 },
      });
  }

  #pool(from: PeerId, operations: readonly Operation[]): void {
    const { pool, state, hasher, options, engine, clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    const { length } = state.rotation.validators.all;
    for (const operation of operations) {
      if (!isInBounds(operation, options)) {
        this.refuse(from, "malformed");
        return;
      }
      const one = named(operation, hasher);
      if (state.hasDecided(one.name) || !pool.add(from, one, nowMs, length))
        this.refuse(from, "duplicate");
    }
    if (pool.size > 0) engine.poke();
  }

  #join(from: PeerId, { ticket: signed, height }: Extract<HouseMessage, { kind: "join" }>): void {
    const { group, signer, state, clock } = this.#parts;
    const isMember = (issuer: PeerId): boolean => state.rotation.validators.has(issuer);
    const ticket = ticketFor(from, signed, group, isMember, signer);
    if (ticket === undefined) {
      this.refuse(from, "bad-ticket");
      return;
    }
    this.#followers.heard(from, ticket.id, height, clock.monotonicMs());
    if (ticket.height > 0 && height === 0) this.offer(from);
  }

  #offered(from: PeerId, { offer }: Extract<HouseMessage, { kind: "offer" }>): void {
    const { state, ticket } = this.#parts;
    // Whoever has a state knows more than its ticket says.
    const digest = state.height === 0 ? ticket?.digest : undefined;
    const trust = { validators: state.rotation.validators, digest };
    if (!this.#fetch.offered(from, offer, state.height, trust)) this.refuse(from, "bad-offer");
  }

  #stateAsked(
    from: PeerId,
    { digest, indexes }: Extract<HouseMessage, { kind: "state-ask" }>,
  ): void {
    const { snapshots, clock, send } = this.#parts;
    const parts = snapshots.parts(from, digest, indexes, clock.monotonicMs());
    for (const part of parts) send([from], { kind: "state-part", digest, part });
    // It asks for a state that gave way to a later one.
    if (parts.length === 0 && snapshots.proven?.digest !== digest) this.offer(from);
  }

  #statePart(from: PeerId, { digest, part }: Extract<HouseMessage, { kind: "state-part" }>): void {
    const { engine, state } = this.#parts;
    const taken = this.#fetch.part(digest, part);
    if (taken === "refused") this.refuse(from, "unwanted-part");
    else if (taken !== undefined && taken.offer.height > state.height) {
      this.#statesFetched++;
      engine.replace(taken);
    }
  }
}
