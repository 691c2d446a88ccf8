import { fromHex, toHex } from "../../platform/hex.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { Change } from "../raft/change.ts";
import type { Configuration } from "../raft/configuration.ts";
import { memberIds } from "../raft/configuration.ts";
import { PROPOSAL_ID_BYTES } from "./command.ts";

/** Whose number is whose: the core knows members by numbers that are never given twice. */
export type Roster = ReadonlyMap<number, PeerId>;

/** What a change of members carries along. */
export interface ChangeContext {
  /** Of the proposal. */
  readonly id: Uint8Array;
  /** Those that the change adds. */
  readonly peers: Roster;
}

/** @returns the context of a change */
export function encodeContext({ id, peers }: ChangeContext): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ id: toHex(id), peers: [...peers] }));
}

/** @returns what a change carries; undefined when that is no such thing; never throws */
export function decodeContext({ context }: Change): ChangeContext | undefined {
  try {
    const { id, peers } = JSON.parse(new TextDecoder().decode(context)) as Record<string, unknown>;
    const roster = rosterOf(peers);
    if (typeof id !== "string" || id.length !== 2 * PROPOSAL_ID_BYTES || roster === undefined)
      return undefined;
    return { id: fromHex(id), peers: roster };
  } catch {
    // Whatever JSON did not like about it.
    return undefined;
  }
}

/** @returns the roster after a change that led to the configuration */
export function rosterAfter(before: Roster, added: Roster, configuration: Configuration): Roster {
  const all = new Map([...before, ...added]);
  return new Map(
    memberIds(configuration).flatMap((id) => {
      const peer = all.get(id);
      return peer === undefined ? [] : [[id, peer] as const];
    }),
  );
}

/** @returns the roster that JSON gave; undefined when it is none */
export function rosterOf(value: unknown): Roster | undefined {
  if (!Array.isArray(value)) return undefined;
  const roster = new Map<number, PeerId>();
  for (const pair of value as readonly unknown[]) {
    if (!Array.isArray(pair)) return undefined;
    const [id, peer] = pair as readonly unknown[];
    if (!Number.isSafeInteger(id) || typeof peer !== "string") return undefined;
    roster.set(id as number, peer);
  }
  return roster;
}
