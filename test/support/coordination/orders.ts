import type { OrderSpec } from "../../../src/coordination/tasks/order.ts";

/** An order of one agent, with what a test changes of it. */
export function orderOf(changes: Partial<OrderSpec> = {}): OrderSpec {
  return {
    kind: "measure",
    input: '{"room":7}',
    needs: [],
    memoryBytes: 0,
    agentsMin: 1,
    agentsMax: 1,
    deadlineMs: 300_000,
    timeoutMs: 300_000,
    priority: 5,
    after: [],
    retriesMax: 3,
    method: "contract-net",
    ...changes,
  };
}
