import { CONTENT_BYTES_MAX } from "../contract-net/message-codec.ts";
import { AGENTS_MAX, CALL_MS_MAX } from "../contract-net/task.ts";
import { PRIORITY_MAX } from "../distribution/task.ts";
import { AFTER_MAX, KIND_PATTERN, NEEDS_MAX, type OrderSpec, RETRIES_MAX } from "./order.ts";

const NAME = new RegExp(KIND_PATTERN);

/** @returns what is wrong with an order by itself; undefined when nothing is */
export function faultOf(spec: OrderSpec): string | undefined {
  const { kind, input, needs, memoryBytes, agentsMin, agentsMax, method } = spec;
  if (!NAME.test(kind)) return `a kind looks like ${KIND_PATTERN}`;
  if (needs.length > NEEDS_MAX || needs.some((need) => !NAME.test(need)))
    return `there are at most ${NEEDS_MAX} needs, each like ${KIND_PATTERN}`;
  if (Buffer.byteLength(input) > CONTENT_BYTES_MAX)
    return `an input has at most ${CONTENT_BYTES_MAX} bytes`;
  if (!(memoryBytes >= 0)) return "memory is a number from 0";
  if (!isWhole(agentsMin, 1, AGENTS_MAX) || !isWhole(agentsMax, agentsMin, AGENTS_MAX))
    return `there are 1 to ${AGENTS_MAX} agents, and no fewer at most than at least`;
  if (method === "distribution" && agentsMax !== 1)
    return "distribution gives an order to one agent; use the contract net for several";
  return timeFault(spec);
}

function timeFault({ deadlineMs, timeoutMs, priority, after, retriesMax }: OrderSpec) {
  if (!isWhole(deadlineMs, 1, CALL_MS_MAX)) return `a deadline is 1 to ${CALL_MS_MAX} ms away`;
  if (!isWhole(timeoutMs, 1, CALL_MS_MAX)) return `an attempt takes 1 to ${CALL_MS_MAX} ms`;
  if (!isWhole(priority, 0, PRIORITY_MAX)) return `a priority is 0 to ${PRIORITY_MAX}`;
  if (!isWhole(retriesMax, 0, RETRIES_MAX)) return `there are 0 to ${RETRIES_MAX} retries`;
  if (after.length > AFTER_MAX) return `an order waits for at most ${AFTER_MAX} others`;
  return undefined;
}

function isWhole(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}
