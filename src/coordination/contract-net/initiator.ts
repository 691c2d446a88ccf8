import type { PeerId } from "../../platform/signer.ts";
import { Call, type CallTurn } from "./call.ts";
import type { InitiatorEffects, InitiatorInput } from "./effects.ts";
import type { ParticipantMessage } from "./messages.ts";
import type { InitiatorOptions } from "./options.ts";
import type { Reputation } from "./reputation.ts";
import type { BidWeights } from "./score.ts";
import { CALL_MS_MAX, checkTask, checkTerms, PATH_LENGTH_MAX } from "./task.ts";

/** What an initiator is made of. */
export interface InitiatorParts {
  readonly self: PeerId;
  /** Larger than at any start before: calls of before are not mistaken for those of now. */
  readonly epoch: number;
  readonly options: InitiatorOptions;
  readonly weights: BidWeights;
  readonly reputation: Reputation;
}

/** Numbers since the start, for metrics. */
export interface InitiatorCounters {
  readonly called: number;
  readonly ended: number;
  /** Calls that were not begun, since there were too many. */
  readonly refused: number;
  /** Messages on calls that are over, or were never made, and of agents that were not asked. */
  readonly stray: number;
}

/**
 * Calls for contractors: announces, takes bids, awards to the best ones, watches them, and puts the next best bid in the
 * place of a contractor that fails. Pure: inputs in, effects out; the caller sends the messages, and brings a `tick` when
 * `nextTickAtMs` has come. Every call ends by its time, and tells so once.
 */
export class Initiator {
  readonly #parts: InitiatorParts;
  readonly #calls = new Map<string, Call>();
  #called = 0;
  #ended = 0;
  #refused = 0;
  #stray = 0;

  constructor(parts: InitiatorParts) {
    this.#parts = parts;
  }

  /** Calls under way. */
  get size(): number {
    return this.#calls.size;
  }

  counters(): InitiatorCounters {
    return {
      called: this.#called,
      ended: this.#ended,
      refused: this.#refused,
      stray: this.#stray,
    };
  }

  /** Takes one input. @throws RangeError for a `call` with a task or terms that nobody could keep; then nothing has changed */
  step(input: InitiatorInput): InitiatorEffects {
    const turn: CallTurn = { nowMs: input.nowMs, changes: [], send: [] };
    let called: string | undefined;
    switch (input.kind) {
      case "tick":
        for (const call of this.#calls.values()) if (call.nextAtMs <= turn.nowMs) call.tick(turn);
        break;
      case "call":
        called = this.#call(turn, input);
        break;
      case "award":
        this.#calls.get(input.call)?.award(turn);
        break;
      case "cancel":
        this.#calls.get(input.call)?.cancel(turn);
        break;
      case "message":
        this.#take(turn, input.from, input.message);
        break;
      case "gone":
        for (const call of this.#calls.values()) call.gone(turn, input.peer);
        break;
    }
    for (const change of turn.changes)
      if (change.kind === "ended" && this.#calls.delete(change.call)) this.#ended++;
    let nextTickAtMs = Number.POSITIVE_INFINITY;
    for (const call of this.#calls.values()) nextTickAtMs = Math.min(nextTickAtMs, call.nextAtMs);
    return { called, changes: turn.changes, send: turn.send, nextTickAtMs };
  }

  #call(turn: CallTurn, input: Extract<InitiatorInput, { kind: "call" }>): string | undefined {
    const { self, epoch, options, weights, reputation } = this.#parts;
    const { task, terms } = input;
    checkTask(task);
    checkTerms(terms);
    if (this.#calls.size >= options.callsMax) {
      this.#refused++;
      return undefined;
    }
    this.#called++;
    const id = `${epoch}-${this.#called}`;
    const route = input.route ?? {
      root: `${self}/${id}`,
      path: [self],
      hopsLeft: PATH_LENGTH_MAX - 1,
    };
    const candidates = this.#best([...new Set(input.candidates)], turn.nowMs);
    const waits = input.holdMs !== undefined;
    const holdMs = Math.min(input.holdMs ?? options.holdMs, CALL_MS_MAX);
    const parts = {
      id,
      task,
      terms,
      route,
      candidates,
      waits,
      holdMs,
      options,
      weights,
      reputation,
    };
    this.#calls.set(id, new Call(parts, turn));
    return id;
  }

  #best(candidates: readonly PeerId[], nowMs: number): readonly PeerId[] {
    const { options, reputation } = this.#parts;
    if (candidates.length <= options.candidatesMax) return candidates;
    return candidates
      .map((peer) => ({ peer, standing: reputation.of(peer, nowMs) }))
      .sort((a, b) => b.standing - a.standing)
      .slice(0, options.candidatesMax)
      .map(({ peer }) => peer);
  }

  #take(turn: CallTurn, from: PeerId, message: ParticipantMessage): void {
    if (this.#calls.get(message.call)?.take(turn, from, message) === true) return;
    this.#stray++;
    // Whoever still works on what is over is told, once for every word.
    if (message.kind === "refuse") return;
    const isEnd = message.kind === "result" || message.kind === "failure";
    const kind = message.kind === "bid" ? "reject" : isEnd ? "settle" : "cancel";
    turn.send.push({ to: from, message: { kind, call: message.call } });
  }
}
