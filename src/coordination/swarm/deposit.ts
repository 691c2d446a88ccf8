import type { PeerId } from "../../platform/signer.ts";

/** Longest name of a trail, in UTF-16 code units. */
export const TRAIL_LENGTH_MAX = 128;
const ORIGIN_LENGTH_MAX = 128;

/** What one agent had on one trail at the tick of its last deposit, earlier deposits included as far as they had not evaporated. */
export interface Deposit {
  readonly trail: string;
  readonly origin: PeerId;
  readonly tick: number;
  readonly amount: number;
  /** What its agent signed; absent on this agent's own until it is told to others. */
  readonly proof?: DepositProof | undefined;
}

/** Signed words of an agent on its own deposit, as they are passed on; meaningless to a map of trails. */
export interface DepositProof {
  readonly publicKey: Uint8Array;
  readonly deposit: Uint8Array;
  readonly signature: Uint8Array;
}

/**
 * Of two deposits of one agent on one trail the newer one holds, and in one tick the larger one, since an agent only adds.
 * That is a total order, so merging is a join: idempotent, commutative, associative (a state-based CRDT, Shapiro et al.,
 * "Conflict-free Replicated Data Types", 2011).
 */
export function supersedes(
  one: Pick<Deposit, "tick" | "amount">,
  other: Pick<Deposit, "tick" | "amount">,
): boolean {
  return one.tick === other.tick ? one.amount > other.amount : one.tick > other.tick;
}

/** @returns whether it can name a trail */
export function isTrailName(value: unknown): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= TRAIL_LENGTH_MAX;
}

/** @returns whether what a peer sent has the shape of a deposit; nothing is said of its amount's size */
export function isDeposit(value: unknown): value is Deposit {
  if (typeof value !== "object" || value === null) return false;
  if (!("trail" in value && "origin" in value && "tick" in value && "amount" in value))
    return false;
  const { trail, origin, tick, amount } = value;
  return (
    isTrailName(trail) &&
    typeof origin === "string" &&
    origin.length > 0 &&
    origin.length <= ORIGIN_LENGTH_MAX &&
    typeof tick === "number" &&
    Number.isSafeInteger(tick) &&
    tick >= 0 &&
    typeof amount === "number" &&
    amount > 0 &&
    Number.isFinite(amount)
  );
}
