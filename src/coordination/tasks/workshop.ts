import type { Clock, Timer } from "../../platform/clock.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { Estimate } from "../contract-net/contract.ts";
import { keyOf } from "../contract-net/contract.ts";
import type { ContractChange, ContractName } from "../contract-net/effects.ts";
import { CONTENT_BYTES_MAX } from "../contract-net/message-codec.ts";
import type { Task } from "../contract-net/task.ts";
import { ORDER_ID_PATTERN } from "./order.ts";

/** Share of the last duration in what the next one is expected to be. */
const LEARNING_RATE = 0.25;
const FIRST_ESTIMATE_MS = 1_000;
const ORDER_ID = new RegExp(ORDER_ID_PATTERN);

/** Work that a program on this device is to do. */
export interface WorkOffer {
  /** Of the order, as the agent that took it calls it. */
  readonly id: string;
  readonly kind: string;
  /** JSON. */
  readonly input: string;
  /** Who wants it done. */
  readonly from: PeerId;
  /** Wall clock, ms since 1970. */
  readonly offeredAtMs: number;
  readonly percent: number;
}

/** How work goes on: `output` is JSON. */
export type Answer =
  | { readonly kind: "done"; readonly output: string }
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "progress"; readonly percent: number };

/** Performs tasks of one kind. */
export interface Handler {
  /** For work that says nothing for this long. */
  readonly timeoutMs: number;
  /**
   * Begins; what comes of it is told with `answer`, sooner or later, or never.
   * @returns whether programs on this device may answer for it
   */
  begin(offer: WorkOffer, answer: (answer: Answer) => void): boolean;
}

/** What a workshop is made of. */
export interface WorkshopParts {
  readonly clock: Clock;
  readonly handlers: ReadonlyMap<string, Handler>;
  /** Tells the contract net how the work goes on. */
  readonly work: (
    input: ContractName &
      (
        | { readonly kind: "progress"; readonly percent: number }
        | { readonly kind: "done"; readonly output: string }
        | { readonly kind: "failed"; readonly reason: "failed" }
      ),
  ) => void;
  /** Hears of work that begins and ends here. */
  readonly onWork: (
    what: "begun" | "done" | "failed" | "stopped",
    offer: WorkOffer,
    reason?: string,
  ) => void;
  /** How much more this agent asks, for being busy or on battery; 1 for one that is idle, on mains. */
  readonly burden: () => number;
}

interface Bench {
  readonly name: ContractName;
  offer: WorkOffer;
  readonly isOpen: boolean;
  readonly begunAtMs: number;
  timer: Timer;
}

/** Where tasks of others, and of this agent, are worked on: each kind by its handler. */
export class Workshop {
  readonly #parts: WorkshopParts;
  readonly #benches = new Map<string, Bench>();
  /** Benches by order id, for programs that answer. */
  readonly #byId = new Map<string, Bench>();
  readonly #durationsMs = new Map<string, number>();
  readonly #counters = { begun: 0, done: 0, failed: 0 };

  constructor(parts: WorkshopParts) {
    this.#parts = parts;
  }

  counters(): Readonly<Record<"begun" | "done" | "failed", number>> {
    return { ...this.#counters };
  }

  /** What this agent asks for a task; undefined for one that it does not perform, or that is under way here. */
  appraise({ name, kind }: Pick<Task, "name" | "kind">): Estimate | undefined {
    if (!this.#parts.handlers.has(kind) || !ORDER_ID.test(name) || this.#byId.has(name))
      return undefined;
    const burden = this.#parts.burden() + this.#benches.size;
    const endsInMs = (this.#durationsMs.get(kind) ?? FIRST_ESTIMATE_MS) * burden;
    return { cost: burden, endsInMs };
  }

  /** Takes what the contract net says of contracts that are worked on here. */
  take(change: ContractChange): void {
    if (change.kind === "begin") this.#begin(change, change.task);
    if (change.kind === "stop") {
      const bench = this.#benches.get(keyOf(change.initiator, change.call));
      if (bench !== undefined) this.#clear(bench, "stopped", change.reason);
    }
  }

  /** Work that programs may answer for, oldest first. */
  offers(): readonly WorkOffer[] {
    return [...this.#benches.values()].flatMap(({ offer, isOpen }) => (isOpen ? [offer] : []));
  }

  /** A program answers. @returns false where no such work waits for one */
  answer(id: string, answer: Answer): boolean {
    const bench = this.#byId.get(id);
    if (bench?.isOpen !== true) return false;
    this.#answered(bench, answer);
    return true;
  }

  /** Nothing is worked on any more. */
  stop(): void {
    for (const bench of this.#benches.values()) this.#clear(bench, "stopped", "the agent stops");
  }

  #begin(name: ContractName, { name: id, kind, input }: Task): void {
    const { clock, handlers, work } = this.#parts;
    const handler = handlers.get(kind);
    if (handler === undefined || this.#byId.has(id)) {
      work({ kind: "failed", reason: "failed", initiator: name.initiator, call: name.call });
      return;
    }
    const offer: WorkOffer = {
      id,
      kind,
      input,
      from: name.initiator,
      offeredAtMs: clock.wallMs(),
      percent: 0,
    };
    const { initiator, call } = name;
    // It may answer before it is known whether others may.
    let bench: Bench | undefined;
    const early: Answer[] = [];
    const isOpen = handler.begin(offer, (answer) => {
      if (bench === undefined) early.push(answer);
      else this.#answered(bench, answer);
    });
    bench = {
      name: { initiator, call },
      offer,
      isOpen,
      begunAtMs: clock.monotonicMs(),
      timer: this.#timer(handler.timeoutMs, id),
    };
    this.#benches.set(keyOf(initiator, call), bench);
    this.#byId.set(id, bench);
    this.#counters.begun++;
    this.#parts.onWork("begun", offer);
    for (const answer of early) this.#answered(bench, answer);
  }

  #timer(timeoutMs: number, id: string): Timer {
    return this.#parts.clock.setTimer("tasks.work", timeoutMs, () => {
      const bench = this.#byId.get(id);
      if (bench !== undefined)
        this.#answered(bench, { kind: "failed", reason: `nothing was said for ${timeoutMs} ms` });
    });
  }

  #answered(bench: Bench, answer: Answer): void {
    const { name, offer } = bench;
    if (this.#byId.get(offer.id) !== bench) return;
    const { work, handlers, clock } = this.#parts;
    if (answer.kind === "progress") {
      const { percent } = answer;
      bench.offer = { ...offer, percent };
      bench.timer.cancel();
      bench.timer = this.#timer(handlers.get(offer.kind)?.timeoutMs ?? 0, offer.id);
      work({ kind: "progress", percent, ...name });
      return;
    }
    if (answer.kind === "failed" || Buffer.byteLength(answer.output) > CONTENT_BYTES_MAX) {
      const reason =
        answer.kind === "failed"
          ? answer.reason
          : `an output has at most ${CONTENT_BYTES_MAX} bytes`;
      this.#counters.failed++;
      this.#clear(bench, "failed", reason);
      work({ kind: "failed", reason: "failed", ...name });
      return;
    }
    const tookMs = clock.monotonicMs() - bench.begunAtMs;
    const before = this.#durationsMs.get(offer.kind) ?? tookMs;
    this.#durationsMs.set(offer.kind, before + LEARNING_RATE * (tookMs - before));
    this.#counters.done++;
    this.#clear(bench, "done");
    work({ kind: "done", output: answer.output, ...name });
  }

  #clear(bench: Bench, what: "done" | "failed" | "stopped", reason?: string): void {
    bench.timer.cancel();
    this.#benches.delete(keyOf(bench.name.initiator, bench.name.call));
    this.#byId.delete(bench.offer.id);
    this.#parts.onWork(what, bench.offer, reason);
  }
}
