import { DirtyWriter } from "../../platform/dirty-writer.ts";
import type { KeyValueStore, StoreOperation } from "../../platform/key-value-store.ts";
import type { Logger } from "../../platform/logger.ts";
import type { TaskOptions } from "./options.ts";
import { isEnded, type Order } from "./order.ts";
import { decodeOrder, encodeOrder } from "./order-codec.ts";

const PREFIX = "t/";
const PREFIX_END = "t0";
const READ_MAX = 2_048;

/** What a book is made of. */
export interface OrderBookParts {
  readonly store: KeyValueStore;
  readonly logger: Logger;
  readonly options: Pick<TaskOptions, "openMax" | "keptMax" | "bytesMax">;
  /** Others wait for it, so it is kept. */
  readonly isAwaited: (id: string) => boolean;
}

/**
 * All orders of this agent, in memory and on disk. What is new and what has ended is written, durably; what happens between
 * is not, since after a restart an order is begun again anyway, and flash wears. When there is no more room, those that
 * ended longest ago are forgotten.
 */
export class OrderBook {
  readonly #parts: OrderBookParts;
  /** In the order of their numbers. */
  readonly #orders = new Map<string, Order>();
  readonly #writer: DirtyWriter;
  #open = 0;
  #bytes = 0;
  #openBytes = 0;
  #number = 0;

  constructor(parts: OrderBookParts) {
    this.#parts = parts;
    const operation = (id: string): StoreOperation => this.#operation(id);
    this.#writer = new DirtyWriter({ ...parts, what: "orders", operation });
  }

  get openCount(): number {
    return this.#open;
  }

  /** Of the next order. */
  get nextNumber(): number {
    return this.#number + 1;
  }

  get(id: string): Order | undefined {
    return this.#orders.get(id);
  }

  /** Oldest first. */
  all(): MapIterator<Order> {
    return this.#orders.values();
  }

  /** Reads what the last run left. @throws StoreError */
  async load(): Promise<void> {
    const { store, logger } = this.#parts;
    const entries = await store.range({ gte: PREFIX, lt: PREFIX_END, limit: READ_MAX });
    const orders = entries.flatMap(([key, value]) => {
      const order = decodeOrder(value);
      if (order !== undefined) return [order];
      logger.warn("an order could not be read and is forgotten", { key });
      this.#writer.mark(key.slice(PREFIX.length));
      return [];
    });
    for (const order of orders.sort((a, b) => a.number - b.number)) this.#put(order);
  }

  /** Whether another order with an input of that size has room. */
  hasRoomFor(bytes: number): boolean {
    const { openMax, bytesMax } = this.#parts.options;
    return this.#open < openMax && this.#openBytes + bytes <= bytesMax;
  }

  /** Takes a new order, or another state of one. */
  set(order: Order): void {
    const isNew = !this.#orders.has(order.id);
    this.#put(order);
    if (isNew) this.#forget();
    if (isNew || isEnded(order)) this.#writer.write(order.id);
  }

  /** It was not taken after all. */
  drop(id: string): void {
    const order = this.#orders.get(id);
    if (order === undefined) return;
    this.#remove(order);
    this.#writer.write(id);
  }

  /** Until everything so far is on disk. @throws StoreError */
  async written(): Promise<void> {
    await this.#writer.written();
  }

  #put(order: Order): void {
    const before = this.#orders.get(order.id);
    if (before !== undefined) this.#count(before, -1);
    this.#orders.set(order.id, order);
    this.#count(order, 1);
    this.#number = Math.max(this.#number, order.number);
  }

  #remove(order: Order): void {
    this.#count(order, -1);
    this.#orders.delete(order.id);
  }

  #count(order: Order, sign: 1 | -1): void {
    const bytes = sign * sizeOf(order);
    this.#bytes += bytes;
    if (isEnded(order)) return;
    this.#open += sign;
    this.#openBytes += bytes;
  }

  #forget(): void {
    const { keptMax, bytesMax } = this.#parts.options;
    for (const order of this.#orders.values()) {
      if (this.#orders.size - this.#open <= keptMax && this.#bytes <= bytesMax) return;
      if (!isEnded(order) || this.#parts.isAwaited(order.id)) continue;
      this.#remove(order);
      this.#writer.mark(order.id);
    }
  }

  #operation(id: string): StoreOperation {
    const order = this.#orders.get(id);
    const key = PREFIX + id;
    return order === undefined
      ? { type: "del", key }
      : { type: "put", key, value: encodeOrder(order) };
  }
}

function sizeOf({ spec, results }: Order): number {
  return results.reduce((sum, { output = "" }) => sum + output.length, spec.input.length);
}
