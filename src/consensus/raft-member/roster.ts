import { fromHex, toHex } from "../../platform/hex.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { Change } from "../raft/change.ts";
import type { Configuration } from "../raft/configuration.ts";
import { MEMBERS_MAX, memberIds } from "../raft/configuration.ts";
import { PROPOSAL_ID_BYTES } from "./command.ts";
import { LOG_NUMBERS } from "./identity.ts";

/** One who belongs to a group. */
export interface Participant {
  readonly peer: PeerId;
  /** The only log that may speak under its number; 0 for a learner, whose word binds nobody yet. */
  readonly log: number;
}

/** Whose number is whose: the core knows members by numbers that are never given twice. */
export type Roster = ReadonlyMap<number, Participant>;

/** What a change of members carries along. */
export interface ChangeContext {
  /** Of the proposal. */
  readonly id: Uint8Array;
  /** Those that the change adds, or gives a vote. */
  readonly participants: Roster;
}

/** @returns the context of a change */
export function encodeContext({ id, participants }: ChangeContext): Uint8Array {
  const value = { id: toHex(id), participants: rosterJson(participants) };
  return new TextEncoder().encode(JSON.stringify(value));
}

/** @returns what a change carries; undefined when that is no such thing; never throws */
export function decodeContext({ context }: Change): ChangeContext | undefined {
  try {
    const read = JSON.parse(new TextDecoder().decode(context)) as Record<string, unknown>;
    const id = read["id"];
    const participants = rosterOf(read["participants"]);
    if (typeof id !== "string" || participants === undefined) return undefined;
    return id.length === 2 * PROPOSAL_ID_BYTES ? { id: fromHex(id), participants } : undefined;
  } catch {
    // Whatever JSON did not like about it.
    return undefined;
  }
}

/** @returns the roster after a change that led to the configuration */
export function rosterAfter(before: Roster, added: Roster, configuration: Configuration): Roster {
  const after = new Map<number, Participant>();
  for (const id of memberIds(configuration)) {
    const participant = added.get(id) ?? before.get(id);
    if (participant !== undefined) after.set(id, participant);
  }
  return after;
}

/** @returns under which number the peer belongs to the group; undefined if it does not */
export function numberOfPeer(roster: Roster, peer: PeerId): number | undefined {
  for (const [id, participant] of roster) if (participant.peer === peer) return id;
  return undefined;
}

/** @returns what JSON can hold, for {@link rosterOf} */
export function rosterJson(roster: Roster): readonly unknown[] {
  return [...roster].map(([id, { peer, log }]) => [id, peer, log]);
}

/** @returns the roster that JSON gave; undefined when it is none */
export function rosterOf(value: unknown): Roster | undefined {
  if (!Array.isArray(value) || value.length > MEMBERS_MAX) return undefined;
  const roster = new Map<number, Participant>();
  for (const triple of value as readonly unknown[]) {
    if (!Array.isArray(triple)) return undefined;
    const [id, peer, log] = triple as readonly unknown[];
    if (!isBelow(id, Number.MAX_SAFE_INTEGER) || id === 0) return undefined;
    if (typeof peer !== "string" || !isBelow(log, LOG_NUMBERS)) return undefined;
    roster.set(id, { peer, log });
  }
  return roster;
}

function isBelow(value: unknown, bound: number): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value < bound;
}
