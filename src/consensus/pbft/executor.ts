import type { Checkpoints } from "./checkpoints.ts";
import type { ClientTable } from "./client-table.ts";
import type { Execution, PbftInput } from "./effects.ts";
import { NO_STATE } from "./group.ts";
import type { Log } from "./log.ts";
import type { Self } from "./self.ts";
import { joinState, type Snapshot, splitState } from "./state.ts";
import type { Turn } from "./turn.ts";
import type { WaitingRequests } from "./waiting-requests.ts";

/** What the execution is made of. */
export interface ExecutorParts {
  readonly self: Self;
  readonly log: Log;
  readonly table: ClientTable;
  readonly waiting: WaitingRequests;
  readonly checkpoints: Checkpoints;
}

/** Hands decided batches to the application, in order, one at a time, and answers clients with what comes back. */
export class Executor {
  readonly #parts: ExecutorParts;
  #executed = 0;
  #running: Execution | undefined;
  /** A state that takes the place of the application's once it is idle. */
  #arrived: Snapshot | undefined;
  /** It has a state to go on from: the group's first one, at least. */
  #isGrounded: boolean;

  constructor(parts: ExecutorParts) {
    this.#parts = parts;
    this.#isGrounded = parts.self.group.genesis === NO_STATE;
  }

  /** The last sequence number that the application has executed. */
  get executed(): number {
    return this.#executed;
  }

  /** Tells the application what comes next, when it is idle and that is known. */
  next(turn: Turn): void {
    if (this.#running !== undefined || !this.#isGrounded) return;
    const sequence = this.#executed + 1;
    const batch = this.#parts.log.get(sequence)?.decidedBatch;
    if (batch === undefined) return;
    const { self, table } = this.#parts;
    const requests = table.fresh(batch.requests);
    const wantsState = sequence % self.options.checkpointInterval === 0;
    this.#running = { sequence, requests, wantsState };
    turn.execute = this.#running;
  }

  /**
   * The application has answered. @returns whether a checkpoint has become stable by it
   * @throws Error when the answer is not to what it was told last, or breaks a bound
   */
  done(turn: Turn, input: Extract<PbftInput, { kind: "executed" }>, view: number): boolean {
    const { table, waiting, checkpoints } = this.#parts;
    const { requests, wantsState, sequence } = this.#check(input);
    this.#running = undefined;
    this.#executed = sequence;
    for (const [at, request] of requests.entries()) {
      const result = input.results[at];
      if (result === undefined) continue;
      const { client, timestamp } = request;
      table.executed(request, result);
      turn.replies.push({ kind: "executed", client, timestamp, result, view });
      waiting.executed(client, timestamp);
    }
    // What was executed before, or can not be any more, would be waited for in vain.
    for (const request of this.#parts.log.get(sequence)?.decidedBatch?.requests ?? [])
      if (table.standingOf(request) !== "new") waiting.executed(request.client, request.timestamp);
    if (!wantsState || input.state === undefined) return false;
    const state = joinState(table.encode(), input.state);
    if (state.length > this.#parts.self.options.stateBytesMax)
      throw new RangeError(`a state of ${state.length} bytes is more than stateBytesMax`);
    return checkpoints.taken(turn, sequence, state);
  }

  /** A state of the group that this replica did not reach by itself. */
  arrived(snapshot: Snapshot): void {
    this.#arrived = snapshot;
  }

  /** Puts a state that has arrived in place, if the application is idle. @returns whether it did */
  installArrived(turn: Turn): boolean {
    const snapshot = this.#arrived;
    if (snapshot === undefined || this.#running !== undefined) return false;
    this.#arrived = undefined;
    const { checkpoints } = this.#parts;
    const isWanted = checkpoints.stableSnapshot === undefined;
    if (!isWanted || snapshot.digest !== checkpoints.stable.digest) return false;
    return this.install(turn, snapshot);
  }

  /** Begins with this state. @returns false when it is none */
  install(turn: Turn, snapshot: Snapshot): boolean {
    const { table, waiting, checkpoints } = this.#parts;
    const parts = splitState(snapshot.bytes);
    if (parts === undefined || !table.install(parts.table)) return false;
    checkpoints.installed(snapshot);
    this.#executed = snapshot.sequence;
    this.#isGrounded = true;
    turn.install = { sequence: snapshot.sequence, state: parts.application };
    waiting.sweep((request) => table.standingOf(request) !== "new");
    return true;
  }

  #check({ sequence, results, state }: Extract<PbftInput, { kind: "executed" }>): Execution {
    const running = this.#running;
    if (running?.sequence !== sequence)
      throw new Error(`nobody asked for ${sequence} to be executed now`);
    if (results.length !== running.requests.length)
      throw new Error(`${running.requests.length} requests have as many results`);
    const { resultBytesMax } = this.#parts.self.options;
    if (results.some((result) => result.length > resultBytesMax))
      throw new RangeError(`a result has at most ${resultBytesMax} bytes`);
    if (running.wantsState && state === undefined)
      throw new Error(`the state after ${sequence} is missing`);
    return running;
  }
}
