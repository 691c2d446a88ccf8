import type { PeerId } from "../../platform/signer.ts";
import type { GroupChannel } from "../ordering/ordering.ts";
import type { Message } from "../raft/message.ts";
import type { Identity } from "./identity.ts";
import {
  decodeHeard,
  encodeAside,
  encodeMessage,
  type Greeting,
  type Notice,
} from "./message-codec.ts";
import type { Participant, Roster } from "./roster.ts";

/** Members whose numbers this one has not learnt of yet. */
const NEWCOMERS_MAX = 16;

/** What the group is, as far as this member knows. */
export interface Acquaintance {
  readonly roster: Roster;
  /** The least number that no member ever had. */
  readonly nextNumber: number;
  /** This member leads. */
  readonly isLeading: boolean;
}

/** What a line works with. */
export interface LineParts {
  readonly identity: Identity;
  readonly channel: Pick<GroupChannel, "send" | "offence">;
  /** Who may speak before this member has learnt who belongs to the group. */
  readonly sponsors: Roster;
  readonly acquaintance: () => Acquaintance;
  readonly take: (message: Message, from: PeerId) => void;
  /** A founder wants to know whose logs this one knows. */
  readonly greeted: (from: PeerId, greeting: Greeting) => void;
  /** This member's number was taken out of the group. */
  readonly left: () => void;
  /** This member's number is of another log: it has forgotten what it promised. */
  readonly forgotten: () => void;
}

/**
 * What a member says to the others, and what it hears from them: nobody is heard under the number of another, or with
 * another log than the one that has promised something. Who has no right to its number any more is told so.
 */
export class Line {
  readonly #parts: LineParts;
  /** Peers under numbers that are still unknown here: whoever lags hears the group all the same (Ongaro 2014, 4.1). */
  readonly #newcomers = new Map<number, Participant>();
  /** While leading: the first log that each learner was heard with. */
  #learnerLogs = new Map<number, number>();
  #strangers = 0;

  constructor(parts: LineParts) {
    this.#parts = parts;
  }

  /** Messages of peers that are not who they say, or that have no part in the group. */
  get strangers(): number {
    return this.#strangers;
  }

  /** @returns the log that a learner speaks with; undefined before it has been heard under this leader */
  learnerLog(id: number): number | undefined {
    return this.#learnerLogs.get(id);
  }

  /** A term begins: what is known of a learner's log is of the one before. */
  forgetLearners(): void {
    this.#learnerLogs = new Map();
  }

  /** @throws Error, by rejecting, when it can not be sent */
  async send(message: Message): Promise<void> {
    const { identity, channel } = this.#parts;
    const to = this.#participant(message.to);
    if (to === undefined) throw new Error(`nobody is known as number ${message.to}`);
    await channel.send(to.peer, encodeMessage(identity.log, message));
  }

  hear(from: PeerId, bytes: Uint8Array): void {
    const { identity, channel, take, greeted } = this.#parts;
    const heard = decodeHeard(bytes);
    if (heard === undefined) {
      channel.offence(from, "malformed");
      return;
    }
    if (heard.kind === "message") {
      const { message, log } = heard;
      if (this.#admits(from, message.from, log, true)) take(message, from);
    } else if (heard.to !== identity.number) this.#strangers++;
    else if (heard.kind === "notice") this.#hearNotice(from, heard);
    else if (this.#admits(from, heard.from, heard.log, false)) greeted(from, heard);
  }

  /** Tells the others who this is: they say so if it is not who they know. */
  present(): void {
    const { identity, sponsors, channel } = this.#parts;
    const { roster } = this.#parts.acquaintance();
    const { number: from, log } = identity;
    for (const [to, { peer }] of roster.size > 0 ? roster : sponsors)
      if (to !== from) {
        const said = { kind: "greeting", from, to, log, logs: [], asks: false } as const;
        channel.send(peer, encodeAside(said)).catch(() => undefined);
      }
  }

  /** @returns whether the peer may speak under that number; if it never may again, it is told */
  #admits(peer: PeerId, number: number, log: number, isMember: boolean): boolean {
    const { roster, nextNumber } = this.#parts.acquaintance();
    if (!roster.has(number) && number < nextNumber) this.#notify(peer, number, log, false);
    else if (this.#isKnownAs(peer, number, log, isMember)) return true;
    // Only who is known by its peer is told: the number of another is none of its own.
    else if (roster.get(number)?.peer === peer) this.#notify(peer, number, log, true);
    else this.#strangers++;
    return false;
  }

  #isKnownAs(peer: PeerId, number: number, log: number, isMember: boolean): boolean {
    const { identity, acquaintance } = this.#parts;
    const known = this.#participant(number);
    const { nextNumber, isLeading } = acquaintance();
    if (known === undefined) {
      if (number >= Math.max(nextNumber, identity.number) + NEWCOMERS_MAX) return false;
      if (isMember) this.#remember(number, { peer, log });
      return true;
    }
    if (known.peer !== peer) return false;
    if (known.log !== 0) return known.log === log;
    // What a learner says counts for the leader alone: what it has is the reason to give it a vote.
    if (!isLeading) return true;
    const before = this.#learnerLogs.get(number) ?? log;
    this.#learnerLogs.set(number, before);
    return before === log;
  }

  #remember(number: number, newcomer: Participant): void {
    this.#newcomers.set(number, newcomer);
    if (this.#newcomers.size <= NEWCOMERS_MAX) return;
    for (const oldest of this.#newcomers.keys()) {
      this.#newcomers.delete(oldest);
      break;
    }
  }

  #participant(number: number): Participant | undefined {
    const { sponsors, acquaintance } = this.#parts;
    return acquaintance().roster.get(number) ?? sponsors.get(number) ?? this.#newcomers.get(number);
  }

  #notify(peer: PeerId, to: number, heardLog: number, otherLog: boolean): void {
    const { identity, channel } = this.#parts;
    const { number: from, log } = identity;
    const notice = encodeAside({ kind: "notice", from, to, log, heardLog, otherLog });
    // It speaks again if this does not arrive, and is told again.
    channel.send(peer, notice).catch(() => undefined);
  }

  #hearNotice(from: PeerId, { from: number, heardLog, otherLog }: Notice): void {
    const { identity, forgotten, left } = this.#parts;
    if (this.#participant(number)?.peer !== from) this.#strangers++;
    else if (heardLog !== identity.log) return;
    else if (otherLog) forgotten();
    else left();
  }
}
