import type { PeerId } from "../../platform/signer.ts";
import type { ParticipantMessage } from "./messages.ts";
import type { Task } from "./task.ts";

/** What an agent asks for a task, and in what time it promises to end it. */
export interface Estimate {
  readonly cost: number;
  readonly endsInMs: number;
}

/**
 * A bid or a contract of a participant. `asked`: whether others would do it is being found out; `bid`: room is kept for it;
 * `working`; `ending`: the end was told, but not settled yet.
 */
export interface Contract {
  readonly key: string;
  readonly initiator: PeerId;
  readonly call: string;
  readonly task: Task;
  readonly root: string;
  /** Units of the own capacity that it takes; 0 where others do it. */
  readonly demand: number;
  readonly expiresAtMs: number;
  /** While asked: when bidding is over. */
  readonly bidByMs: number;
  /** When a bid no longer has to hold. */
  readonly holdUntilMs: number;
  state: "asked" | "bid" | "working" | "ending";
  estimate: Estimate | undefined;
  percent: number;
  /** What is said again when `resendAtMs` has come: while working a sign of life, while ending the end. */
  resendAtMs: number;
  end: ParticipantMessage | undefined;
  sends: number;
}

/** Name of a bid or contract among those of all initiators. */
export function keyOf(initiator: PeerId, call: string): string {
  return `${initiator}\n${call}`;
}

/** When something is due. */
export function dueAtMs(contract: Contract): number {
  const { state, bidByMs, holdUntilMs, resendAtMs, expiresAtMs } = contract;
  if (state === "asked") return bidByMs;
  return state === "bid" ? holdUntilMs : Math.min(resendAtMs, expiresAtMs);
}
