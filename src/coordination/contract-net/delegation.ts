import type { PeerId } from "../../platform/signer.ts";
import { keyOf } from "./contract.ts";
import type {
  CallChange,
  ContractChange,
  ContractName,
  InitiatorInput,
  ParticipantInput,
} from "./effects.ts";
import { PATH_LENGTH_MAX, type Route } from "./task.ts";

/** How an agent passes on what it can not do itself. */
export interface DelegationOptions {
  /** Tasks of others that are passed on at once; 0: none ever is. */
  readonly delegatedMax: number;
  /** Share of the time that is left for bids, and for the whole, that others get; the rest is for the way back. */
  readonly timeShare: number;
  /** What is asked on top of the cost that another agent asks, as a share of it. */
  readonly surcharge: number;
}

/** Half of the time is for those who are asked next; a tenth of the cost is for passing on. */
export const defaultDelegationOptions: DelegationOptions = {
  delegatedMax: 16,
  timeShare: 0.5,
  surcharge: 0.1,
};

/** What a delegation is made of. */
export interface DelegationParts {
  readonly self: PeerId;
  readonly options: DelegationOptions;
  /** Whom a task could be passed on to. */
  readonly neighbours: () => readonly PeerId[];
  /** Tells the initiator of this agent. @returns the name of the call, where it began one */
  readonly call: (
    input: Extract<InitiatorInput, { kind: "call" | "award" | "cancel" }>,
  ) => string | undefined;
  /** Tells the participant of this agent. */
  readonly answer: (input: Extract<ParticipantInput, { initiator: PeerId }>) => void;
}

/**
 * Passes tasks on: asks others, bids with what they bid, and awards when it is awarded. A task carries its way, so it comes
 * by no agent twice; hops are bounded. What the contractor comes back with is handed on as it is.
 */
export class Delegation {
  readonly #parts: DelegationParts;
  /** Calls by contract, and contracts by call. */
  readonly #calls = new Map<string, string>();
  readonly #contracts = new Map<string, ContractName>();

  constructor(parts: DelegationParts) {
    this.#parts = parts;
  }

  /** Tasks that are passed on now. */
  get size(): number {
    return this.#calls.size;
  }

  /** Whether a task that came this way may be passed on. */
  passesOn({ path, hopsLeft }: Route): boolean {
    return (
      hopsLeft > 0 &&
      path.length < PATH_LENGTH_MAX &&
      this.#calls.size < this.#parts.options.delegatedMax &&
      this.#others(path).length > 0
    );
  }

  /** @returns whether the change is a matter of what is passed on, and nobody else's */
  contractChanged(change: ContractChange, nowMs: number): boolean {
    if (change.kind === "asked") {
      this.#ask(change, nowMs);
      return true;
    }
    const { initiator, call } = change;
    const passedOn = this.#calls.get(keyOf(initiator, call));
    if (passedOn === undefined) return false;
    if (change.kind === "begin") this.#parts.call({ kind: "award", call: passedOn, nowMs });
    else this.#parts.call({ kind: "cancel", call: passedOn, nowMs });
    return true;
  }

  /** @returns whether the call is one that passes a task on */
  callChanged(change: CallChange, nowMs: number): boolean {
    const name = this.#contracts.get(change.call);
    if (name === undefined) return false;
    const { answer, options } = this.#parts;
    if (change.kind === "bids-ready") {
      const [best] = change.bids;
      if (best === undefined) return true;
      const cost = Math.min(best.cost * (1 + options.surcharge), Number.MAX_VALUE);
      answer({ kind: "offer", ...name, cost, endsInMs: best.endsInMs / options.timeShare, nowMs });
    } else if (change.kind === "progress")
      answer({ kind: "progress", ...name, percent: change.percent, nowMs });
    else if (change.kind === "ended") {
      this.#calls.delete(keyOf(name.initiator, name.call));
      this.#contracts.delete(change.call);
      const [result] = change.outcome.results;
      // One of them is heard: while bids were out the first, afterwards the second.
      answer({ kind: "decline", ...name, nowMs });
      if (change.outcome.fault === undefined && result !== undefined)
        answer({ kind: "done", ...name, output: result.output, nowMs });
      else answer({ kind: "failed", ...name, reason: "failed", nowMs });
    }
    return true;
  }

  #ask(change: Extract<ContractChange, { kind: "asked" }>, nowMs: number): void {
    const { initiator, call, task, route, bidWithinMs, holdMs, expiresInMs } = change;
    const { self, options } = this.#parts;
    const terms = {
      agentsMin: 1,
      agentsMax: 1,
      bidWithinMs: bidWithinMs * options.timeShare,
      expiresInMs: Math.max(expiresInMs * 0.9, bidWithinMs),
    };
    const passedOn =
      bidWithinMs > 0 && expiresInMs > 0
        ? this.#parts.call({
            kind: "call",
            task,
            terms,
            candidates: this.#others(route.path),
            route: {
              root: route.root,
              path: [...route.path, self],
              hopsLeft: route.hopsLeft - 1,
            },
            holdMs: bidWithinMs * (1 - options.timeShare) + holdMs,
            nowMs,
          })
        : undefined;
    if (passedOn === undefined) {
      this.#parts.answer({ kind: "decline", initiator, call, nowMs });
      return;
    }
    this.#calls.set(keyOf(initiator, call), passedOn);
    this.#contracts.set(passedOn, { initiator, call });
  }

  #others(path: readonly PeerId[]): readonly PeerId[] {
    const { neighbours, self } = this.#parts;
    return neighbours().filter((peer) => peer !== self && !path.includes(peer));
  }
}
