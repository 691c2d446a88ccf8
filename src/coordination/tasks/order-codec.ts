import type { Order } from "./order.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Encodes an order for the store. */
export function encodeOrder(order: Order): Uint8Array {
  return encoder.encode(JSON.stringify(order));
}

/**
 * @returns the order; undefined when the bytes are none. What this program wrote is believed in its details: the store
 *   tells damage by itself
 */
export function decodeOrder(bytes: Uint8Array): Order | undefined {
  try {
    const value: unknown = JSON.parse(decoder.decode(bytes));
    return isOrder(value) ? value : undefined;
  } catch {
    // Text that is no JSON, and bytes that are no text.
    return undefined;
  }
}

function isOrder(value: unknown): value is Order {
  if (typeof value !== "object" || value === null) return false;
  if (!("id" in value && "number" in value && "spec" in value && "orderedAt" in value))
    return false;
  return (
    typeof value.id === "string" &&
    typeof value.number === "number" &&
    typeof value.spec === "object" &&
    typeof value.orderedAt === "object" &&
    ["bids", "contractors", "results", "history"].every((name) =>
      Array.isArray(Reflect.get(value, name)),
    )
  );
}
