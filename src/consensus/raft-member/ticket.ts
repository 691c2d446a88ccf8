import type { PeerId } from "../../platform/signer.ts";
import { type Roster, rosterJson, rosterOf } from "./roster.ts";

/** What a peer that is to be added has to begin with. */
export interface Ticket {
  readonly peer: PeerId;
  /** Its number: the next one that the group has not given to anybody. */
  readonly number: number;
  /** Who belongs to the group now: they may speak to it before it has learnt more. */
  readonly roster: Roster;
}

const TICKET_BYTES_MAX = 65_536;

/** @returns a ticket as it is handed on */
export function encodeTicket({ peer, number, roster }: Ticket): Uint8Array {
  const value = { peer, number, roster: rosterJson(roster) };
  return new TextEncoder().encode(JSON.stringify(value));
}

/** @returns the ticket; undefined when it is none; never throws */
export function decodeTicket(bytes: Uint8Array): Ticket | undefined {
  if (bytes.length > TICKET_BYTES_MAX) return undefined;
  try {
    const read = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
    const { peer, number } = read;
    const roster = rosterOf(read["roster"]);
    if (typeof peer !== "string" || roster === undefined) return undefined;
    if (typeof number !== "number" || !Number.isSafeInteger(number) || number < 1) return undefined;
    return { peer, number, roster };
  } catch {
    // Whatever JSON did not like about it.
    return undefined;
  }
}
