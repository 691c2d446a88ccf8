import type { Clock } from "../../platform/clock.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { TaskOptions } from "./options.ts";
import type { Named, Order, OrderMoment } from "./order.ts";
import type { OrderBook } from "./order-book.ts";
import { type ChangeContext, withMoment } from "./order-changes.ts";

/** Something that a fleet manager would want to hear of an order. */
export type OrderEvent =
  | "task.ordered"
  | "task.awarded"
  | "task.lost"
  | "task.retried"
  | "task.done"
  | "task.failed"
  | "task.cancelled";

/** What a log is made of. */
export interface OrderLogParts {
  readonly clock: Clock;
  readonly options: TaskOptions;
  readonly nameOf: (peer: PeerId) => Named;
  readonly onEvent: (
    event: OrderEvent,
    order: Order,
    data: Readonly<Record<string, unknown>>,
  ) => void;
}

/** Writes into the book what becomes of orders, and tells those who listen. Orders that are not there are left alone. */
export class OrderLog {
  readonly #parts: OrderLogParts;
  readonly #book: OrderBook;

  constructor(parts: OrderLogParts, book: OrderBook) {
    this.#parts = parts;
    this.#book = book;
  }

  /** What changes are made with, now. */
  context(): ChangeContext {
    const { clock, nameOf, options } = this.#parts;
    return { wallMs: clock.wallMs(), nameOf, options };
  }

  change(id: string, change: Partial<Pick<Order, "state" | "failures">>): void {
    const order = this.#book.get(id);
    if (order !== undefined) this.#book.set({ ...order, ...change });
  }

  note(id: string, moment: Omit<OrderMoment, "atMs">): void {
    const order = this.#book.get(id);
    if (order !== undefined) this.#book.set(withMoment(order, this.context(), moment));
  }

  tell(event: OrderEvent, id: string, data: Readonly<Record<string, unknown>>): void {
    const order = this.#book.get(id);
    if (order !== undefined) this.#parts.onEvent(event, order, data);
  }
}
