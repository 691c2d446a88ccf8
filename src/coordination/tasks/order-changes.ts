import type { PeerId } from "../../platform/signer.ts";
import type { CallChange } from "../contract-net/effects.ts";
import type { TaskOptions } from "./options.ts";
import type { Named, Order, OrderContractor, OrderFault, OrderMoment } from "./order.ts";

/** What changes of orders are made with. */
export interface ChangeContext {
  /** Wall clock. */
  readonly wallMs: number;
  readonly nameOf: (peer: PeerId) => Named;
  readonly options: Pick<TaskOptions, "historyMax" | "resultBytesMax">;
}

/** @returns the order with one more moment in its history, of which the oldest are dropped */
export function withMoment(
  order: Order,
  context: ChangeContext,
  moment: Omit<OrderMoment, "atMs">,
): Order {
  const { historyMax } = context.options;
  const history = [...order.history, { atMs: context.wallMs, ...moment }].slice(-historyMax);
  return { ...order, history };
}

/** @returns the order with a new attempt begun: bids, contractors and results are those of that one */
export function withAttempt(order: Order, context: ChangeContext, asked: number): Order {
  const begun: Order = {
    ...order,
    state: "bidding",
    attempts: order.attempts + 1,
    bids: [],
    contractors: [],
    results: [],
  };
  const agents = `${asked} ${asked === 1 ? "agent" : "agents"}`;
  return withMoment(begun, context, { what: "announced", reason: agents });
}

/** @returns the order after something happened to the call that stands for its attempt, its end apart */
export function withCallChange(
  order: Order,
  change: Exclude<CallChange, { kind: "ended" } | { kind: "bids-ready" }>,
  context: ChangeContext,
): Order {
  const agent = context.nameOf(change.peer);
  const tell = (next: Order, moment: Omit<OrderMoment, "atMs" | "agent">): Order =>
    withMoment(next, context, { agent, ...moment });
  switch (change.kind) {
    case "bid": {
      const { cost, endsInMs } = change;
      return tell(
        { ...order, bids: [...order.bids, { ...agent, cost, endsInMs }] },
        { what: "bid" },
      );
    }
    case "refused":
      return tell(order, { what: "refused", reason: change.reason });
    case "awarded": {
      const contractor: OrderContractor = { ...agent, state: "awarded", percent: 0 };
      const contractors = [...order.contractors, contractor];
      return tell({ ...order, state: "working", contractors }, { what: "awarded" });
    }
    case "accepted":
      return tell(withContractor(order, change.peer, { state: "working" }), { what: "accepted" });
    case "progress":
      return withContractor(order, change.peer, { percent: change.percent });
    case "result": {
      const done = withContractor(order, change.peer, { state: "done", percent: 100 });
      const kept = order.results.reduce((sum, { output = "" }) => sum + output.length, 0);
      const fits = kept + change.output.length <= context.options.resultBytesMax;
      const result = { ...agent, ...(fits && { output: change.output }) };
      return tell({ ...done, results: [...order.results, result] }, { what: "result" });
    }
    case "lost":
      break;
  }
  const { peer, reason } = change;
  return tell(withContractor(order, peer, { state: "lost", reason }), { what: "lost", reason });
}

/** @returns the order as it was when it was taken, since what had begun is forgotten by everybody */
export function restarted(order: Order, context: ChangeContext): Order {
  return withMoment({ ...order, state: "waiting" }, context, { what: "restarted" });
}

/** @returns the order, at its end. @param fault undefined: it is done */
export function ended(
  order: Order,
  context: ChangeContext,
  fault: OrderFault | undefined,
  detail: string,
): Order {
  const state = fault === undefined ? "done" : fault === "cancelled" ? "cancelled" : "failed";
  const reason =
    fault === undefined || fault === "cancelled" ? detail : `${fault} ${detail}`.trim();
  return withMoment(
    {
      ...order,
      state,
      endedAtMs: context.wallMs,
      ...(fault !== undefined && { fault }),
      ...(detail !== "" && { detail }),
    },
    context,
    { what: state, ...(reason !== "" && { reason }) },
  );
}

function withContractor(order: Order, peer: PeerId, change: Partial<OrderContractor>): Order {
  // The last one of that name: an agent may be awarded a later attempt again.
  const at = order.contractors.findLastIndex((contractor) => contractor.peer === peer);
  const before = order.contractors[at];
  if (before === undefined) return order;
  return { ...order, contractors: order.contractors.with(at, { ...before, ...change }) };
}
