import { backoffMs } from "../../platform/backoff.ts";
import { toHex } from "../../platform/hex.ts";
import { elapsedMs, momentOf } from "../../platform/moment.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import { WakeUp } from "../../platform/wake-up.ts";
import type { CallChange, CallOutcome } from "../contract-net/effects.ts";
import { Agenda } from "../distribution/agenda.ts";
import { mayDelegate, missingFor, refusalOf } from "./admission.ts";
import { requirementsOf } from "./agent-offer.ts";
import { Calls, type CallsParts } from "./calls.ts";
import type { FleetOffers } from "./fleet-offers.ts";
import { isEnded, type Order, type OrderFault, type OrderSpec } from "./order.ts";
import type { OrderBook } from "./order-book.ts";
import { ended, restarted, withAttempt, withCallChange, withMoment } from "./order-changes.ts";
import { OrderLog, type OrderLogParts } from "./order-log.ts";
import { Placement, type PlacementEnd } from "./placement.ts";
import type { TasksSummary } from "./view.ts";
import { Waiters } from "./waiters.ts";

const ID_BYTES = 8;
/** Without an open order for so long, nothing is kept of the fleet any more. Until then turns go on where they were. */
const ATTENTION_MS = 600_000;

/** What a desk is made of. */
export interface DeskParts extends OrderLogParts, Pick<CallsParts, "call" | "cancel"> {
  readonly random: Random;
  readonly fleet: FleetOffers;
}

/** What is known of an open order beyond the order itself; not kept across restarts. */
interface Course {
  /** Monotonic. */
  readonly deadlineAtMs: number;
  readonly takenAtMs: number;
  /** Orders that are not done, for which it waits. */
  readonly waitsFor: Set<string>;
  /** Since when too few agents can do it. */
  unmetSinceMs: number | undefined;
  /** Calls for which too few bid: they were busy, and it costs no attempt. */
  declines: number;
  assigned: boolean;
}

/**
 * Takes orders, has them done, and tells what became of them: each order ends exactly once, by its deadline at the
 * latest. One attempt is one call of the contract net, to all that can do it, or to the one that the scheduler chose.
 */
export class OrderDesk {
  readonly #parts: DeskParts;
  readonly #book: OrderBook;
  readonly #courses = new Map<string, Course>();
  readonly #log: OrderLog;
  readonly #waiters = new Waiters();
  readonly #calls: Calls;
  readonly #agenda = new Agenda<string>();
  readonly #wakeUp: WakeUp;
  /** There while the fleet is looked at: most agents never order anything. */
  #placement: Placement | undefined;
  readonly #inattention: WakeUp;
  #running = false;
  readonly #counters = {
    ordered: 0,
    refused: 0,
    done: 0,
    failed: 0,
    cancelled: 0,
    retries: 0,
    assigned: 0,
    assignedAfterMs: 0,
  };

  /** @param book loaded; with {@link OrderDesk.isAwaited} as what it asks */
  constructor(parts: DeskParts, book: OrderBook) {
    this.#parts = parts;
    this.#book = book;
    this.#log = new OrderLog(parts, book);
    this.#wakeUp = new WakeUp(parts.clock, "tasks.orders", () => this.#tick());
    this.#calls = new Calls({
      random: parts.random.fork("candidates"),
      options: parts.options,
      call: parts.call,
      cancel: parts.cancel,
      onChange: (id, change) => this.#changed(id, change),
    });
    this.#inattention = new WakeUp(parts.clock, "tasks.inattention", () => this.#lookAway());
  }

  counters(): TasksSummary["counters"] {
    return { ...this.#counters };
  }

  isAwaited(id: string): boolean {
    return this.#waiters.has(id);
  }

  /** Goes on with what the last run left. */
  start(): void {
    this.#running = true;
    for (const order of this.#book.all()) {
      if (isEnded(order)) continue;
      this.#attend();
      const { spec, orderedAt } = order;
      const leftMs = spec.deadlineMs - elapsedMs(orderedAt, this.#parts.clock);
      this.#book.set(restarted(order, this.#log.context()));
      if (leftMs <= 0) this.#end(order.id, "deadline", "");
      else this.#begin(order.id, leftMs);
    }
    this.#plan();
  }

  /** Orders stay as they are. Idempotent. */
  stop(): void {
    this.#running = false;
    this.#wakeUp.cancel();
    this.#inattention.cancel();
    this.#placement?.stop();
  }

  /** Takes an order. @returns it, once it is on disk @throws OrderRefused, StoreError */
  async order(spec: OrderSpec): Promise<Order> {
    this.#attend();
    const refusal = refusalOf(spec, this.#book, this.#parts.fleet);
    if (refusal !== undefined) {
      this.#counters.refused++;
      throw refusal;
    }
    const { clock, random } = this.#parts;
    const order = withMoment(
      {
        id: toHex(random.bytes(ID_BYTES)),
        number: this.#book.nextNumber,
        spec,
        orderedAt: momentOf(clock),
        state: "waiting",
        attempts: 0,
        failures: 0,
        bids: [],
        contractors: [],
        results: [],
        history: [],
      },
      this.#log.context(),
      { what: "ordered" },
    );
    this.#book.set(order);
    try {
      await this.#book.written();
    } catch (error) {
      this.#book.drop(order.id);
      throw error;
    }
    this.#counters.ordered++;
    this.#log.tell("task.ordered", order.id, { method: spec.method });
    if (this.#running && !isEnded(this.#book.get(order.id) ?? order))
      this.#begin(order.id, spec.deadlineMs - elapsedMs(order.orderedAt, clock));
    this.#plan();
    return this.#book.get(order.id) ?? order;
  }

  /** @returns the order; undefined for one that is not known */
  cancel(id: string): Order | undefined {
    const order = this.#book.get(id);
    if (order !== undefined && !isEnded(order)) this.#end(id, "cancelled", "");
    this.#plan();
    return this.#book.get(id);
  }

  /** Passes on what happened to a member, once the members show it. */
  member(peer: PeerId): void {
    if (!this.#running || this.#placement === undefined) return;
    this.#placement.offered(peer, this.#parts.fleet.update(peer));
    this.#plan();
  }

  /** Passes on what the contract net tells of calls. */
  callChanged(change: CallChange): void {
    this.#calls.changed(change);
    this.#plan();
  }

  /** Looks at the fleet from now on, and keeps up with it. */
  #attend(): Placement {
    const { clock, random, options, fleet } = this.#parts;
    if (this.#running) this.#inattention.at(clock.monotonicMs() + ATTENTION_MS);
    if (this.#placement !== undefined) return this.#placement;
    const placement = new Placement({
      clock,
      random: random.fork("placement"),
      options,
      engage: (id, peer, expiresInMs) => this.#engage(id, peer, expiresInMs),
      revoke: (id) => this.#calls.revoke(id),
      onEnd: (id, end) => this.#placed(id, end),
    });
    this.#placement = placement;
    for (const offer of fleet.refresh()) placement.offered(offer.peer, offer);
    return placement;
  }

  #lookAway(): void {
    if (this.#courses.size > 0) {
      this.#attend();
      return;
    }
    this.#placement?.stop();
    this.#placement = undefined;
    this.#parts.fleet.forget();
  }

  #changed(id: string, change: CallChange): void {
    const order = this.#book.get(id);
    if (order === undefined || change.kind === "bids-ready") return;
    if (change.kind === "ended") {
      this.#callEnded(order, change.outcome);
      return;
    }
    this.#book.set(withCallChange(order, change, this.#log.context()));
    if (change.kind === "awarded") this.#awarded(id, change.peer);
    if (change.kind === "lost")
      this.#log.tell("task.lost", id, { peerId: change.peer, reason: change.reason });
  }

  #begin(id: string, leftMs: number): void {
    const order = this.#book.get(id);
    if (order === undefined) return;
    const nowMs = this.#parts.clock.monotonicMs();
    const others = order.spec.after.map((other) => this.#book.get(other));
    this.#courses.set(id, {
      deadlineAtMs: nowMs + leftMs,
      takenAtMs: nowMs,
      waitsFor: new Set(
        others.flatMap((other) => (other?.state === "done" ? [] : (other?.id ?? []))),
      ),
      unmetSinceMs: undefined,
      declines: 0,
      assigned: false,
    });
    const failed = others.findIndex(
      (other) => other === undefined || (isEnded(other) && other.state !== "done"),
    );
    if (failed >= 0) this.#end(id, "dependency", order.spec.after[failed] ?? "");
    else this.#proceed(id);
  }

  /** As far as it goes: waits for others, for agents, or has it done. */
  #proceed(id: string): void {
    const order = this.#book.get(id);
    const course = this.#courses.get(id);
    if (order === undefined || course === undefined) return;
    const { spec } = order;
    this.#agenda.set(id, course.deadlineAtMs);
    if (course.waitsFor.size > 0) {
      for (const other of course.waitsFor) this.#waiters.add(other, id);
      this.#log.change(id, { state: "waiting" });
      return;
    }
    const { clock, fleet } = this.#parts;
    const nowMs = clock.monotonicMs();
    const needs = requirementsOf(spec);
    const able = fleet.able(needs);
    if (able.length < spec.agentsMin && !mayDelegate(spec, fleet)) {
      this.#unmet(id, course, nowMs, missingFor(spec, fleet));
      return;
    }
    course.unmetSinceMs = undefined;
    if (spec.method === "distribution") {
      this.#log.change(id, { state: "queued" });
      this.#attend().submit(id, spec, needs, course.deadlineAtMs - nowMs);
      return;
    }
    const candidates = able.length >= spec.agentsMin ? able : undefined;
    if (!this.#call(order, course, candidates, spec.timeoutMs)) this.#rest(id, course, 1);
  }

  /** Waits for agents to come, with patience. */
  #unmet(id: string, course: Course, nowMs: number, reason: string): void {
    const { unmetPatienceMs } = this.#parts.options;
    if (course.unmetSinceMs === undefined) this.#log.note(id, { what: "unmet", reason });
    course.unmetSinceMs ??= nowMs;
    if (nowMs - course.unmetSinceMs >= unmetPatienceMs) this.#end(id, "unmet", reason);
    else this.#rest(id, course, 1);
  }

  /** @returns whether a call is under way */
  #call(
    order: Order,
    { deadlineAtMs }: Course,
    candidates: readonly PeerId[] | undefined,
    timeoutMs: number,
  ): boolean {
    const leftMs = deadlineAtMs - this.#parts.clock.monotonicMs();
    const drawn = candidates && this.#calls.drawn(candidates, order.spec);
    // Before the call, which may tell of bids at once.
    this.#book.set(withAttempt(order, this.#log.context(), drawn?.length ?? 0));
    const isBegun = this.#calls.begin(order, drawn, Math.floor(Math.min(timeoutMs, leftMs)));
    if (!isBegun) this.#book.set(order);
    return isBegun;
  }

  #callEnded(order: Order, { fault, results }: CallOutcome): void {
    const { id, spec, contractors } = order;
    const course = this.#courses.get(id);
    if (course === undefined) return;
    const reason = contractors.findLast((one) => one.reason !== undefined)?.reason ?? fault ?? "";
    if (spec.method === "distribution") {
      this.#placement?.ended(id, fault === undefined && results.length > 0, fault, reason);
      return;
    }
    if (fault === undefined) this.#end(id, undefined, "");
    else if (fault === "cancelled") this.#end(id, "cancelled", "");
    else if (course.deadlineAtMs <= this.#parts.clock.monotonicMs())
      this.#end(id, "deadline", reason);
    else if (fault === "too-few-bids") {
      course.declines++;
      this.#rest(id, course, course.declines);
    } else this.#attemptFailed(order, course, fault === "expired" ? "timeout" : reason);
  }

  #attemptFailed({ id, spec, failures }: Order, course: Course, reason: string): void {
    this.#log.change(id, { failures: failures + 1 });
    if (failures + 1 > spec.retriesMax) {
      this.#end(id, "attempts", reason);
      return;
    }
    this.#retried(id, reason);
    this.#rest(id, course, failures + 1);
  }

  #retried(id: string, reason: string): void {
    this.#counters.retries++;
    this.#log.note(id, { what: "retry", reason });
    this.#log.tell("task.retried", id, { reason });
  }

  #rest(id: string, course: Course, times: number): void {
    const { clock, options, random } = this.#parts;
    this.#log.change(id, { state: "resting" });
    const restMs = Math.max(1, backoffMs(times, options, random));
    this.#agenda.set(id, Math.min(clock.monotonicMs() + restMs, course.deadlineAtMs));
  }

  /** The scheduler chose an agent. @returns whether it is asked */
  #engage(id: string, peer: PeerId, expiresInMs: number): boolean {
    const order = this.#book.get(id);
    const course = this.#courses.get(id);
    if (order === undefined || course === undefined) return false;
    return this.#call(order, course, [peer], expiresInMs);
  }

  #placed(id: string, end: PlacementEnd): void {
    const order = this.#book.get(id);
    if (order === undefined) return;
    if (end.kind === "retry") {
      this.#log.change(id, { state: "queued", failures: order.failures + (end.isFailure ? 1 : 0) });
      this.#retried(id, end.reason);
    } else {
      if (end.fault === "attempts") this.#log.change(id, { failures: order.failures + 1 });
      this.#end(id, end.fault, end.detail);
    }
    this.#plan();
  }

  #awarded(id: string, peer: PeerId): void {
    const course = this.#courses.get(id);
    this.#log.tell("task.awarded", id, { peerId: peer });
    if (course === undefined || course.assigned) return;
    course.assigned = true;
    this.#counters.assigned++;
    this.#counters.assignedAfterMs += this.#parts.clock.monotonicMs() - course.takenAtMs;
  }

  /** It has ended, and with it or after it those that wait for it. @param fault undefined: it is done */
  #end(first: string, fault: OrderFault | undefined, detail: string): void {
    const ending = [{ id: first, fault, detail }];
    for (const { id, fault, detail } of ending) {
      const order = this.#book.get(id);
      if (order === undefined || isEnded(order)) continue;
      const after = ended(order, this.#log.context(), fault, detail);
      this.#calls.revoke(id);
      this.#placement?.cancel(id);
      this.#courses.delete(id);
      this.#agenda.delete(id);
      for (const other of order.spec.after) this.#waiters.remove(other, id);
      this.#book.set(after);
      const end = fault === undefined ? "done" : fault === "cancelled" ? "cancelled" : "failed";
      this.#counters[end]++;
      this.#log.tell(`task.${end}`, id, fault === undefined ? {} : { reason: fault, detail });
      for (const waiter of this.#waiters.take(id)) {
        const course = this.#courses.get(waiter);
        if (fault !== undefined) ending.push({ id: waiter, fault: "dependency", detail: id });
        else if (course?.waitsFor.delete(id) && course.waitsFor.size === 0) this.#proceed(waiter);
      }
    }
  }

  #tick(): void {
    const nowMs = this.#parts.clock.monotonicMs();
    for (let id = this.#agenda.take(nowMs); id !== undefined; id = this.#agenda.take(nowMs)) {
      const course = this.#courses.get(id);
      if (course === undefined) continue;
      if (course.deadlineAtMs <= nowMs) this.#end(id, "deadline", "");
      else this.#proceed(id);
    }
    this.#placement?.tick();
    this.#plan();
  }

  #plan(): void {
    const placedAtMs = this.#placement?.nextAtMs ?? Number.POSITIVE_INFINITY;
    if (this.#running) this.#wakeUp.at(Math.min(this.#agenda.nextAtMs, placedAtMs));
  }
}
