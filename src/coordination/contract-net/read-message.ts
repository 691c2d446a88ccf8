import type { ContractMessage, FailureReason, RefuseReason } from "./messages.ts";
import {
  CALL_MS_MAX,
  CONTENT_LENGTH_MAX,
  isName,
  PATH_LENGTH_MAX,
  type Route,
  SKILLS_MAX,
  type Task,
} from "./task.ts";

const REFUSALS: ReadonlySet<unknown> = new Set<RefuseReason>([
  "not-able",
  "no-capacity",
  "unwilling",
  "loop",
  "known",
  "busy",
  "delegated",
]);
const FAILURES: ReadonlySet<unknown> = new Set<FailureReason>([
  "failed",
  "withdrawn",
  "no-capacity",
  "unknown",
  "expired",
]);
const HOPS_MAX = PATH_LENGTH_MAX - 1;

/** @returns the message that a peer sent; undefined when it is none, or out of bounds. What it has too much is dropped. */
export function readMessage(value: unknown): ContractMessage | undefined {
  const call = field(value, "call");
  if (!isName(call)) return undefined;
  const kind = field(value, "kind");
  switch (kind) {
    case "award":
    case "reject":
    case "cancel":
    case "settle":
    case "accept":
      return { kind, call };
    case "announce":
      return readAnnounce(value, call);
    case "bid": {
      const cost = field(value, "cost");
      const endsInMs = field(value, "endsInMs");
      if (!isWithin(cost, 0, Number.MAX_VALUE) || !isWithin(endsInMs, 0, CALL_MS_MAX))
        return undefined;
      return { kind, call, cost, endsInMs };
    }
    case "refuse": {
      const reason = field(value, "reason");
      return isRefusal(reason) ? { kind, call, reason } : undefined;
    }
    case "progress": {
      const percent = field(value, "percent");
      return isWithin(percent, 0, 100) ? { kind, call, percent } : undefined;
    }
    case "result": {
      const output = field(value, "output");
      return isContent(output) ? { kind, call, output } : undefined;
    }
    case "failure": {
      const reason = field(value, "reason");
      return isFailure(reason) ? { kind, call, reason } : undefined;
    }
    default:
      return undefined;
  }
}

function readAnnounce(value: unknown, call: string): ContractMessage | undefined {
  const task = readTask(field(value, "task"));
  const route = readRoute(field(value, "route"));
  const bidWithinMs = field(value, "bidWithinMs");
  const holdMs = field(value, "holdMs");
  const expiresInMs = field(value, "expiresInMs");
  if (task === undefined || route === undefined) return undefined;
  if (!isWithin(bidWithinMs, 0, CALL_MS_MAX) || !isWithin(holdMs, 0, CALL_MS_MAX)) return undefined;
  if (!isWithin(expiresInMs, 0, CALL_MS_MAX)) return undefined;
  return { kind: "announce", call, task, route, bidWithinMs, holdMs, expiresInMs };
}

function readTask(value: unknown): Task | undefined {
  const name = field(value, "name");
  const kind = field(value, "kind");
  const input = field(value, "input");
  const needs = field(value, "needs");
  const demand = field(value, "demand");
  if (!isName(name) || !isName(kind) || !isContent(input)) return undefined;
  if (!isNames(needs, SKILLS_MAX)) return undefined;
  if (!isWithin(demand, Number.MIN_VALUE, Number.MAX_VALUE)) return undefined;
  return { name, kind, input, needs: [...needs], demand };
}

function readRoute(value: unknown): Route | undefined {
  const root = field(value, "root");
  const path = field(value, "path");
  const hopsLeft = field(value, "hopsLeft");
  if (!isNames(path, PATH_LENGTH_MAX) || !isRoot(root, path[0])) return undefined;
  if (!isWithin(hopsLeft, 0, HOPS_MAX) || !Number.isInteger(hopsLeft)) return undefined;
  return { root, path: [...path], hopsLeft };
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

function isWithin(value: unknown, least: number, most: number): value is number {
  return typeof value === "number" && value >= least && value <= most;
}

function isContent(value: unknown): value is string {
  return typeof value === "string" && value.length <= CONTENT_LENGTH_MAX;
}

/** A call of the agent that announced the task first. */
function isRoot(value: unknown, first: string | undefined): value is string {
  return (
    typeof value === "string" &&
    first !== undefined &&
    value.startsWith(`${first}/`) &&
    isName(value.slice(first.length + 1))
  );
}

function isNames(value: unknown, countMax: number): value is readonly string[] {
  return Array.isArray(value) && value.length <= countMax && value.every(isName);
}

function isRefusal(value: unknown): value is RefuseReason {
  return REFUSALS.has(value);
}

function isFailure(value: unknown): value is FailureReason {
  return FAILURES.has(value);
}
