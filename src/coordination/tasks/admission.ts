import { requirementsOf } from "./agent-offer.ts";
import type { FleetOffers } from "./fleet-offers.ts";
import { isEnded, type OrderSpec } from "./order.ts";
import type { OrderBook } from "./order-book.ts";
import { faultOf } from "./order-fault.ts";
import { OrderRefused } from "./view.ts";

/** @returns why an order is not taken; undefined when it is */
export function refusalOf(
  spec: OrderSpec,
  book: OrderBook,
  fleet: FleetOffers,
): OrderRefused | undefined {
  const fault = faultOf(spec);
  if (fault !== undefined) return new OrderRefused("tasks.invalid", fault);
  for (const id of spec.after) {
    const other = book.get(id);
    if (other === undefined)
      return new OrderRefused("tasks.dependency", `there is no order "${id}" to wait for`);
    if (isEnded(other) && other.state !== "done")
      return new OrderRefused("tasks.dependency", `the order "${id}" has failed`);
  }
  if (!book.hasRoomFor(spec.input.length))
    return new OrderRefused("tasks.full", "too many orders are under way; wait for some to end");
  const isMet = fleet.able(requirementsOf(spec)).length >= spec.agentsMin;
  if (isMet || mayDelegate(spec, fleet)) return undefined;
  return new OrderRefused("tasks.unmet", missingFor(spec, fleet));
}

/** @returns what the fleet lacks for an order that it can not do now */
export function missingFor(spec: OrderSpec, fleet: FleetOffers): string {
  const needs = requirementsOf(spec);
  const able = fleet.able(needs).length;
  return able === 0
    ? `nobody in the fleet has: ${fleet.missing(needs)}`
    : `${spec.agentsMin} agents are needed at least, and ${able} can do it`;
}

/** Others may know agents that this one knows nothing of. */
export function mayDelegate(
  { method, agentsMin }: Pick<OrderSpec, "method" | "agentsMin">,
  fleet: Pick<FleetOffers, "isPartial">,
): boolean {
  return method === "contract-net" && agentsMin === 1 && fleet.isPartial;
}
