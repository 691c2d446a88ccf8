import type { Moment } from "../../platform/moment.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { LossReason } from "../contract-net/effects.ts";

/** What a name of a kind of task, and of a skill, looks like, as a regular expression. */
export const KIND_PATTERN = "^[a-z][a-z0-9-]{0,31}$";
/** What an order's id looks like: of this agent's making here, of others' making where their tasks are worked on. */
export const ORDER_ID_PATTERN = "^[A-Za-z0-9_-]{1,64}$";
/** Needs, beside the kind, that one order can have. */
export const NEEDS_MAX = 12;
/** Orders that one order can wait for. */
export const AFTER_MAX = 64;
/** Times that an order can be tried again. */
export const RETRIES_MAX = 100;
/** The need of an agent on mains power; all other needs are skills. */
export const MAINS_NEED = "mains";

/**
 * How the agents are found. `contract-net`: those that can do it bid, and the best bids are taken; `distribution`: it is
 * given to one agent by turns and by load.
 */
export type OrderMethod = "contract-net" | "distribution";

/** What is ordered. */
export interface OrderSpec {
  readonly kind: string;
  /** JSON. */
  readonly input: string;
  /** Skills, and `mains`. */
  readonly needs: readonly string[];
  readonly memoryBytes: number;
  readonly agentsMin: number;
  readonly agentsMax: number;
  /** Counted from the order. */
  readonly deadlineMs: number;
  /** For one attempt. */
  readonly timeoutMs: number;
  /** 0 … 9; tells what goes first where one waits for the other's room. */
  readonly priority: number;
  /** Orders that have to be done first. */
  readonly after: readonly string[];
  readonly retriesMax: number;
  readonly method: OrderMethod;
}

/**
 * `waiting`: for other orders; `queued`: for an agent with room; `bidding`; `working`: somebody was awarded it; `resting`:
 * between two attempts, or until somebody can do it. The last three are ends.
 */
export type OrderState =
  | "waiting"
  | "queued"
  | "bidding"
  | "working"
  | "resting"
  | "done"
  | "failed"
  | "cancelled";

/**
 * Why an order has failed. `attempts`: as often as it may; `deadline`; `dependency`: another one that it waits for has
 * failed; `unmet`: nobody can do it any more; `returned`: agents left or declined too often; `refused`: there was no room.
 */
export type OrderFault =
  | "attempts"
  | "deadline"
  | "dependency"
  | "unmet"
  | "returned"
  | "refused"
  | "cancelled";

/** An agent, as it was called when something happened. */
export interface Named {
  readonly peer: PeerId;
  readonly agentId?: string;
}

/** Something that happened to an order. */
export interface OrderMoment {
  /** Wall clock, ms since 1970. */
  readonly atMs: number;
  readonly what:
    | "ordered"
    | "announced"
    | "bid"
    | "refused"
    | "awarded"
    | "accepted"
    | "result"
    | "lost"
    | "retry"
    | "restarted"
    | "unmet"
    | "done"
    | "failed"
    | "cancelled";
  readonly agent?: Named;
  readonly reason?: string;
}

/** What an agent bid for the attempt under way, or the last one. */
export interface OrderBid extends Named {
  readonly cost: number;
  readonly endsInMs: number;
}

/** Who was awarded the attempt under way, or the last one. */
export interface OrderContractor extends Named {
  readonly state: "awarded" | "working" | "done" | "lost";
  readonly percent: number;
  readonly reason?: LossReason | "restarted";
}

/** What an agent came back with. */
export interface OrderResult extends Named {
  /** JSON; absent where there was no more room for it. */
  readonly output?: string;
}

/** An order with all that became of it; a new object for every change. */
export interface Order {
  readonly id: string;
  /** Grows with each order of this agent. */
  readonly number: number;
  readonly spec: OrderSpec;
  readonly orderedAt: Moment;
  readonly state: OrderState;
  /** Set when it has failed, or was cancelled. */
  readonly fault?: OrderFault;
  /** In words, where there is more to say of the fault. */
  readonly detail?: string;
  /** Attempts that were begun. */
  readonly attempts: number;
  /** Those that came to nothing. */
  readonly failures: number;
  readonly bids: readonly OrderBid[];
  readonly contractors: readonly OrderContractor[];
  readonly results: readonly OrderResult[];
  /** The newest ones. */
  readonly history: readonly OrderMoment[];
  /** Wall clock. */
  readonly endedAtMs?: number;
}

/** @returns whether nothing more will become of it */
export function isEnded({ state }: Pick<Order, "state">): boolean {
  return state === "done" || state === "failed" || state === "cancelled";
}

/** Feature of agents that perform tasks of a kind; no skill can be called so. */
export function featureOf(kind: string): string {
  return `task:${kind}`;
}
