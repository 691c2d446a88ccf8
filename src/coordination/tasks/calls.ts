import { drawSome } from "../../platform/draw-some.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { CallChange } from "../contract-net/effects.ts";
import type { Task, Terms } from "../contract-net/task.ts";
import { requirementsOf } from "./agent-offer.ts";
import { CANDIDATES_MIN, type TaskOptions } from "./options.ts";
import { MAINS_NEED, type Order, type OrderSpec } from "./order.ts";

/** Units of a contractor's capacity that every order takes. */
const DEMAND = 1;

/** What calls are made with. */
export interface CallsParts {
  readonly random: Random;
  readonly options: Pick<TaskOptions, "bidWithinMs" | "announceBytesMax">;
  /** @returns the name of the call; undefined where there are too many */
  readonly call: (
    task: Task,
    terms: Terms,
    candidates: readonly PeerId[] | undefined,
  ) => string | undefined;
  readonly cancel: (call: string) => void;
  /** What happens to the call under way for an order. */
  readonly onChange: (id: string, change: CallChange) => void;
}

/** Calls of the contract net that stand for attempts at orders, at most one for each order. */
export class Calls {
  readonly #parts: CallsParts;
  readonly #orders = new Map<string, string>();
  readonly #names = new Map<string, string>();
  /** What a call tells before its name is known. */
  #early: CallChange[] | undefined;

  constructor(parts: CallsParts) {
    this.#parts = parts;
  }

  /**
   * Calls for contractors.
   * @param candidates undefined: whoever the neighbours know
   * @returns whether a call is under way, or was
   */
  begin(
    { id, spec }: Order,
    candidates: readonly PeerId[] | undefined,
    expiresInMs: number,
  ): boolean {
    const { call, options } = this.#parts;
    const bidWithinMs = Math.min(options.bidWithinMs, Math.floor(expiresInMs / 2));
    if (bidWithinMs < 1) return false;
    const isOne = spec.method === "distribution";
    const early: CallChange[] = [];
    this.#early = early;
    let name: string | undefined;
    try {
      name = call(
        taskOf(id, spec),
        {
          agentsMin: isOne ? 1 : spec.agentsMin,
          agentsMax: isOne ? 1 : spec.agentsMax,
          bidWithinMs,
          expiresInMs,
        },
        candidates,
      );
    } finally {
      this.#early = undefined;
    }
    if (name === undefined) return false;
    this.#orders.set(name, id);
    this.#names.set(id, name);
    for (const change of early) this.changed(change);
    return true;
  }

  /** @returns whom of them a task is announced to: one with a large input not to everybody */
  drawn(able: readonly PeerId[], { agentsMax, input }: OrderSpec): readonly PeerId[] {
    const { options, random } = this.#parts;
    const fitting = Math.floor(options.announceBytesMax / Math.max(1, input.length));
    const count = Math.max(CANDIDATES_MIN, 2 * agentsMax, fitting);
    return able.length <= count ? able : drawSome(able, count, random);
  }

  /** Passes on what the contract net tells. */
  changed(change: CallChange): void {
    if (this.#early !== undefined) {
      this.#early.push(change);
      return;
    }
    const id = this.#orders.get(change.call);
    if (id === undefined) return;
    if (change.kind === "ended") this.#forget(id);
    this.#parts.onChange(id, change);
  }

  /** Ends the call for an order, if there is one; nothing more is told of it. */
  revoke(id: string): void {
    const name = this.#forget(id);
    if (name !== undefined) this.#parts.cancel(name);
  }

  #forget(id: string): string | undefined {
    const name = this.#names.get(id);
    if (name === undefined) return undefined;
    this.#names.delete(id);
    this.#orders.delete(name);
    return name;
  }
}

function taskOf(id: string, spec: OrderSpec): Task {
  const { skills, mains } = requirementsOf(spec);
  return {
    name: id,
    kind: spec.kind,
    input: spec.input,
    needs: mains ? [...skills, MAINS_NEED] : skills,
    demand: DEMAND,
  };
}
