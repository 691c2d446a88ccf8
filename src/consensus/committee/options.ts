import type { OrderingProtocol } from "../ordering/ordering.ts";
import type { ChangePatience } from "./next-step.ts";

/** Bounds and rhythm of a committee. Times in milliseconds. */
export interface CommitteeOptions extends ChangePatience {
  /** Of committees that this agent founds; it takes a seat in no other. */
  readonly protocol: OrderingProtocol;
  /** No committee is founded by fewer. */
  readonly foundersMin: number;
  /** The roles have to want the same committee for this long before it is founded. */
  readonly foundAfterMs: number;
  /** Between two attempts to found, or to change members. */
  readonly retryAfterMs: number;
  /** Between two looks whether anything is to be done. */
  readonly lookIntervalMs: number;
  /** Between two questions to a neighbour drawn at random which committee it knows. */
  readonly compareIntervalMs: number;
  /** The next member proposes a change when the one before it has not done so for this long. */
  readonly standInAfterMs: number;
  /** Whom a founder has signed for waits for the beginning this long, and signs for nobody else. */
  readonly promiseMs: number;
}

/** Options that fit a committee of small devices in one network. */
export const defaultCommitteeOptions: Omit<CommitteeOptions, "protocol" | "foundersMin"> = {
  foundAfterMs: 10_000,
  replaceAfterMs: 60_000,
  removeAfterMs: 600_000,
  retryAfterMs: 10_000,
  lookIntervalMs: 2_000,
  compareIntervalMs: 60_000,
  standInAfterMs: 20_000,
  promiseMs: 30_000,
};
