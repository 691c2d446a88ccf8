import type { ContractCounters } from "../contract-net/agent.ts";
import type { Order, OrderSpec, OrderState } from "./order.ts";
import type { Answer, WorkOffer } from "./workshop.ts";

/**
 * Why an order is not taken. `unmet`: the detail names what nobody has; `dependency`: what it should wait for is not known,
 * or has failed; `full`: there are too many; `off`: this agent takes no part; `invalid`: the detail says why.
 */
export type RefusalCode =
  | "tasks.unmet"
  | "tasks.dependency"
  | "tasks.full"
  | "tasks.off"
  | "tasks.invalid";

/** An order was not taken. */
export class OrderRefused extends Error {
  override readonly name = "OrderRefused";
  readonly code: RefusalCode;
  constructor(code: RefusalCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Orders and work in numbers. */
export interface TasksSummary {
  readonly enabled: boolean;
  /** Orders that are kept, by state. */
  readonly orders: Readonly<Record<OrderState, number>>;
  /** Since the start. */
  readonly counters: {
    readonly ordered: number;
    readonly refused: number;
    readonly done: number;
    readonly failed: number;
    readonly cancelled: number;
    readonly retries: number;
    /** Orders that were awarded to somebody, and how long that took them, all together. */
    readonly assigned: number;
    readonly assignedAfterMs: number;
  };
  readonly work: {
    /** Kinds that are performed here. */
    readonly kinds: readonly string[];
    readonly capacity: number;
    /** Units of it that bids and work take. */
    readonly taken: number;
    readonly begun: number;
    readonly done: number;
    readonly failed: number;
  };
  /** Of the contract net; absent where it is off. */
  readonly net?: ContractCounters;
}

/** Tasks, for REST, CLI and metrics. */
export interface TasksView {
  summary(): TasksSummary;
  /** Takes an order; it is on disk when this resolves. @throws OrderRefused, StoreError */
  order(spec: OrderSpec): Promise<Order>;
  get(id: string): Order | undefined;
  /** Newest first. */
  orders(): readonly Order[];
  /** @returns undefined for an order that is not known; one that has ended stays as it is */
  cancel(id: string): Order | undefined;
  /** Work that waits for programs on this device, oldest first. */
  offers(): readonly WorkOffer[];
  /** What a program says of work that it was offered. @returns false where there is none of that id */
  answer(id: string, answer: Answer): boolean;
}

const OFF: TasksSummary = {
  enabled: false,
  orders: {
    waiting: 0,
    queued: 0,
    bidding: 0,
    working: 0,
    resting: 0,
    done: 0,
    failed: 0,
    cancelled: 0,
  },
  counters: {
    ordered: 0,
    refused: 0,
    done: 0,
    failed: 0,
    cancelled: 0,
    retries: 0,
    assigned: 0,
    assignedAfterMs: 0,
  },
  work: { kinds: [], capacity: 0, taken: 0, begun: 0, done: 0, failed: 0 },
};

/** Tasks are off. */
export const noTasks: TasksView = {
  summary: () => OFF,
  order: () =>
    Promise.reject(
      new OrderRefused(
        "tasks.off",
        "tasks need a mesh (mesh.enabled) and coordination.tasks.enabled",
      ),
    ),
  get: () => undefined,
  orders: () => [],
  cancel: () => undefined,
  offers: () => [],
  answer: () => false,
};
