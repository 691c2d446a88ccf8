import type { PeerId, Signer } from "../../platform/signer.ts";
import type { SignedTicket, Ticket } from "./ticket.ts";
import { isSignedTicket, readTicket } from "./ticket.ts";

/** Strangers that are asked for what was decided, at a time. */
const STRANGERS_MAX = 8;
const ASKED_EVERY_MS = 1_000;

/** @returns what a ticket says that a member gave to that peer; undefined for any other one */
export function ticketFor(
  peer: PeerId,
  signed: SignedTicket,
  group: string,
  isMember: (issuer: PeerId) => boolean,
  verifier: Pick<Signer, "verify" | "publicKeyOf">,
): Ticket | undefined {
  const ticket = readTicket(signed);
  if (ticket === undefined || ticket.peer !== peer || ticket.group !== group) return undefined;
  return isMember(signed.issuer) && isSignedTicket(signed, verifier) ? ticket : undefined;
}

/**
 * Peers that this member does not know and that speak as members do: while it was away others may have taken the place of
 * those that it knows. They are asked, seldom, and what they answer proves itself.
 */
export class Strangers {
  readonly #asked = new Map<PeerId, number>();

  /** @returns whether the peer may be asked now; then it may answer */
  ask(peer: PeerId, nowMs: number): boolean {
    const lastMs = [...this.#asked.values()].at(-1) ?? Number.NEGATIVE_INFINITY;
    if (nowMs - lastMs < ASKED_EVERY_MS) return false;
    this.#asked.delete(peer);
    this.#asked.set(peer, nowMs);
    for (const oldest of this.#asked.keys()) {
      if (this.#asked.size <= STRANGERS_MAX) break;
      this.#asked.delete(oldest);
    }
    return true;
  }

  mayAnswer(peer: PeerId): boolean {
    return this.#asked.has(peer);
  }
}
