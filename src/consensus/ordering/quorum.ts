import type { OrderingProtocol } from "./ordering.ts";

/**
 * How many members decide: with Raft a majority, of which any two share a member; with the others more than two thirds, of
 * which any two share an honest one.
 */
export function quorumOf(protocol: OrderingProtocol, members: number): number {
  return Math.floor(protocol === "raft" ? members / 2 : (2 * members) / 3) + 1;
}
