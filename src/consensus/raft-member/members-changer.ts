import type { PeerId } from "../../platform/signer.ts";
import type { MembersStep } from "../ordering/ordering.ts";
import { AgreementError, type Patience } from "../ordering/waiting.ts";
import type { RaftMember } from "./member.ts";
import { numberOfPeer } from "./roster.ts";
import { decodeTicket } from "./ticket.ts";
import type { Watches } from "./watches.ts";

interface Parts {
  readonly member: RaftMember;
  readonly self: PeerId;
  readonly watches: Watches;
  readonly nowMs: () => number;
  /** This member was taken out of the group. */
  readonly hasLeft: () => boolean;
  /** How long a leader that hands over is waited for before it is asked again. */
  readonly retryAfterMs: number;
}

/**
 * Makes one change of members after the other until the one that was asked for has come about. Who comes is a learner
 * first (Ongaro 2014, 4.2.1), and given a vote by the leader, see `Steward`; who leads hands over before it goes (4.2.2).
 */
export class MembersChanger {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** @throws AgreementError */
  async change(step: MembersStep, patience: Patience): Promise<void> {
    const { nowMs } = this.#parts;
    const untilMs = nowMs() + patience.timeoutMs;
    const left = (): Patience => ({ ...patience, timeoutMs: untilMs - nowMs() });
    if (step.kind === "add") await this.#add(step.peer, step.ticket, left);
    else await this.#remove(step.peer, left);
  }

  async #add(peer: PeerId, bytes: Uint8Array, left: () => Patience): Promise<void> {
    const { member, watches } = this.#parts;
    const ticket = decodeTicket(bytes);
    if (ticket?.peer !== peer) throw refused("this is no ticket of the peer");
    const { number } = ticket;
    for (;;) {
      const known = numberOfPeer(member.roster, peer);
      if (known === number) break;
      if (known !== undefined)
        throw refused("the peer belongs to the group under another number: take it out first");
      if (number < member.nextNumber) throw refused("the ticket is out of date: ask for another");
      const participants = new Map([[number, { peer, log: 0 }]]);
      const step = { kind: "add-learner", id: number } as const;
      const decided = await member.change([step], participants, left());
      if (decided.refused !== undefined) throw refused(decided.refused);
    }
    await watches.until(() => {
      if (!member.roster.has(number)) throw refused("the peer did not catch up in time");
      return member.configuration.voters.includes(number);
    }, left());
  }

  async #remove(peer: PeerId, left: () => Patience): Promise<void> {
    const { member, self, hasLeft } = this.#parts;
    try {
      for (;;) {
        let number = numberOfPeer(member.roster, peer);
        if (number === undefined) {
          // It may have come without this member knowing of it yet.
          await member.read(left());
          number = numberOfPeer(member.roster, peer);
          if (number === undefined) return;
        }
        const { voters } = member.configuration;
        if (voters.length === 1 && voters[0] === number)
          throw refused("nobody would be left to agree to anything");
        if (member.leader === number) {
          await this.#handOver(number, left());
          continue;
        }
        const decided = await member.change([{ kind: "remove", id: number }], new Map(), left());
        if (decided.refused === undefined) return;
        throw refused(decided.refused);
      }
    } catch (error) {
      // It is not told by the others that they have decided what it is taken out by.
      if (!hasLeft() || peer !== self) throw error;
    }
  }

  /** Asks until somebody else leads, or a while is over. */
  async #handOver(leader: number, patience: Patience): Promise<void> {
    const { member, watches, retryAfterMs } = this.#parts;
    const target = successorOf(member, leader);
    if (target !== undefined) member.transferTo(target);
    const timeoutMs = Math.min(retryAfterMs, patience.timeoutMs);
    try {
      await watches.until(() => member.leader !== leader && member.leader !== 0, {
        ...patience,
        timeoutMs,
      });
    } catch (error) {
      const isWhile = error instanceof AgreementError && error.code === "consensus.timeout";
      if (!isWhile || patience.timeoutMs <= retryAfterMs) throw error;
    }
  }
}

/** @returns who should lead in place of that one: this member, or who has most of the log as far as is known */
function successorOf(member: RaftMember, leader: number): number | undefined {
  const { id, configuration, members } = member.status();
  const { voters } = configuration;
  if (id !== leader && voters.includes(id)) return id;
  const matchOf = (other: number): number => members.get(other)?.match ?? 0;
  const others = voters.filter((other) => other !== leader);
  return others.toSorted((a, b) => matchOf(b) - matchOf(a))[0];
}

function refused(message: string): AgreementError {
  return new AgreementError("consensus.refused", message);
}
