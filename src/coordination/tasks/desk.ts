import { backoffMs } from "../../platform/backoff.ts";
import type { Clock } from "../../platform/clock.ts";
import { toHex } from "../../platform/hex.ts";
import { elapsedMs, momentOf } from "../../platform/moment.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import { WakeUp } from "../../platform/wake-up.ts";
import type { CallChange, CallOutcome } from "../contract-net/effects.ts";
import type { Task, Terms } from "../contract-net/task.ts";
import { Agenda } from "../distribution/agenda.ts";
import { requirementsOf } from "./agent-offer.ts";
import type { FleetOffers } from "./fleet-offers.ts";
import { CANDIDATES_MIN, type TaskOptions } from "./options.ts";
import { isEnded, type Named, type Order, type OrderFault, type OrderSpec } from "./order.ts";
import type { OrderBook } from "./order-book.ts";
import {
  type ChangeContext,
  ended,
  restarted,
  withAttempt,
  withCallChange,
  withMoment,
} from "./order-changes.ts";
import { faultOf } from "./order-fault.ts";
import { Placement, type PlacementEnd } from "./placement.ts";
import { OrderRefused, type TasksSummary } from "./view.ts";

const ID_BYTES = 8;

/** Something that a fleet manager would want to hear of an order. */
export type OrderEvent =
  | "task.ordered"
  | "task.awarded"
  | "task.lost"
  | "task.retried"
  | "task.done"
  | "task.failed"
  | "task.cancelled";

/** What a desk is made of. */
export interface DeskParts {
  readonly self: PeerId;
  readonly clock: Clock;
  readonly random: Random;
  readonly options: TaskOptions;
  readonly fleet: FleetOffers;
  readonly nameOf: (peer: PeerId) => Named;
  readonly call: (
    task: Task,
    terms: Terms,
    candidates: readonly PeerId[] | undefined,
  ) => string | undefined;
  readonly cancel: (call: string) => void;
  readonly onEvent: (
    event: OrderEvent,
    order: Order,
    data: Readonly<Record<string, unknown>>,
  ) => void;
}

/** What is known of an open order beyond the order itself; not kept across restarts. */
interface Course {
  /** Monotonic. */
  readonly deadlineAtMs: number;
  readonly takenAtMs: number;
  /** Orders that are not done, for which it waits. */
  readonly waitsFor: Set<string>;
  call: string | undefined;
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
  readonly #waiters = new Map<string, Set<string>>();
  /** Orders by the call that is under way for them. */
  readonly #calls = new Map<string, string>();
  readonly #agenda = new Agenda<string>();
  readonly #wakeUp: WakeUp;
  readonly #placement: Placement;
  /** What a call tells before its name is known. */
  #early: CallChange[] | undefined;
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
    this.#wakeUp = new WakeUp(parts.clock, "tasks.orders", () => this.#tick());
    this.#placement = new Placement({
      clock: parts.clock,
      random: parts.random.fork("placement"),
      options: parts.options,
      engage: (id, peer, expiresInMs) => this.#engage(id, peer, expiresInMs),
      revoke: (id) => this.#revoke(id),
      onEnd: (id, end) => this.#placed(id, end),
    });
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
    for (const offer of this.#parts.fleet.refresh()) this.#placement.offered(offer.peer, offer);
    for (const order of [...this.#book.all()]) {
      if (isEnded(order)) continue;
      const { spec, orderedAt } = order;
      const leftMs = spec.deadlineMs - elapsedMs(orderedAt, this.#parts.clock);
      this.#book.set(restarted(order, this.#context()));
      if (leftMs <= 0) this.#end(order.id, "deadline", "");
      else this.#begin(order.id, leftMs);
    }
    this.#plan();
  }

  /** Orders stay as they are. Idempotent. */
  stop(): void {
    this.#running = false;
    this.#wakeUp.cancel();
    this.#placement.stop();
  }

  /** Takes an order. @returns it, once it is on disk @throws OrderRefused, StoreError */
  async order(spec: OrderSpec): Promise<Order> {
    const refusal = this.#refusal(spec);
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
      this.#context(),
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
    this.#tell("task.ordered", order.id, { method: spec.method });
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
    if (!this.#running) return;
    this.#placement.offered(peer, this.#parts.fleet.update(peer));
    this.#plan();
  }

  /** Passes on what the contract net tells of calls. */
  callChanged(change: CallChange): void {
    if (this.#early !== undefined) {
      this.#early.push(change);
      return;
    }
    const id = this.#calls.get(change.call);
    const order = id === undefined ? undefined : this.#book.get(id);
    if (id === undefined || order === undefined || change.kind === "bids-ready") return;
    if (change.kind === "ended") {
      this.#calls.delete(change.call);
      this.#callEnded(order, change.outcome);
    } else {
      this.#book.set(withCallChange(order, change, this.#context()));
      if (change.kind === "awarded") this.#awarded(id, change.peer);
      if (change.kind === "lost")
        this.#tell("task.lost", id, { peerId: change.peer, reason: change.reason });
    }
    this.#plan();
  }

  #context(): ChangeContext {
    const { clock, nameOf, options } = this.#parts;
    return { wallMs: clock.wallMs(), nameOf, options };
  }

  #refusal(spec: OrderSpec): OrderRefused | undefined {
    const fault = faultOf(spec);
    if (fault !== undefined) return new OrderRefused("tasks.invalid", fault);
    for (const id of spec.after) {
      const other = this.#book.get(id);
      if (other === undefined)
        return new OrderRefused("tasks.dependency", `there is no order "${id}" to wait for`);
      if (isEnded(other) && other.state !== "done")
        return new OrderRefused("tasks.dependency", `the order "${id}" has failed`);
    }
    if (!this.#book.hasRoomFor(spec.input.length))
      return new OrderRefused("tasks.full", "too many orders are under way; wait for some to end");
    const { fleet } = this.#parts;
    const needs = requirementsOf(spec);
    const able = fleet.able(needs).length;
    if (able >= spec.agentsMin || this.#mayDelegate(spec)) return undefined;
    const what =
      able === 0
        ? `nobody in the fleet has: ${fleet.missing(needs)}`
        : `${spec.agentsMin} agents are needed at least, and ${able} can do it`;
    return new OrderRefused("tasks.unmet", what);
  }

  /** Others may know agents that this one knows nothing of. */
  #mayDelegate({ method, agentsMin }: OrderSpec): boolean {
    return method === "contract-net" && agentsMin === 1 && this.#parts.fleet.isPartial;
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
      call: undefined,
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
      for (const other of course.waitsFor) this.#waitersOf(other).add(id);
      this.#change(id, { state: "waiting" });
      return;
    }
    const { clock, fleet } = this.#parts;
    const nowMs = clock.monotonicMs();
    const needs = requirementsOf(spec);
    const able = fleet.able(needs);
    if (able.length < spec.agentsMin && !this.#mayDelegate(spec)) {
      this.#unmet(order, course, nowMs, fleet.missing(needs));
      return;
    }
    course.unmetSinceMs = undefined;
    if (spec.method === "distribution") {
      this.#change(id, { state: "queued" });
      this.#placement.submit(id, spec, needs, course.deadlineAtMs - nowMs);
      return;
    }
    const candidates = able.length >= spec.agentsMin ? this.#drawn(able, spec) : undefined;
    if (!this.#call(order, course, candidates, spec.timeoutMs)) this.#rest(id, course, 1);
  }

  /** Waits for agents to come, with patience. */
  #unmet(order: Order, course: Course, nowMs: number, missing: string): void {
    const { unmetPatienceMs } = this.#parts.options;
    if (course.unmetSinceMs === undefined)
      this.#book.set(withMoment(order, this.#context(), { what: "unmet", reason: missing }));
    course.unmetSinceMs ??= nowMs;
    if (nowMs - course.unmetSinceMs >= unmetPatienceMs) this.#end(order.id, "unmet", missing);
    else this.#rest(order.id, course, 1);
  }

  /** A large input is not sent to everybody. */
  #drawn(able: readonly PeerId[], { agentsMax, input }: OrderSpec): readonly PeerId[] {
    const { announceBytesMax } = this.#parts.options;
    const most = Math.floor(announceBytesMax / Math.max(1, input.length));
    const count = Math.max(CANDIDATES_MIN, 2 * agentsMax, most);
    if (able.length <= count) return able;
    const drawn = [...able];
    for (let at = 0; at < count; at++) {
      const other = at + Math.floor(this.#parts.random.next() * (drawn.length - at));
      const [one, two] = [drawn[at], drawn[other]];
      if (one !== undefined && two !== undefined) [drawn[at], drawn[other]] = [two, one];
    }
    return drawn.slice(0, count);
  }

  /** @returns whether a call is under way */
  #call(
    order: Order,
    course: Course,
    candidates: readonly PeerId[] | undefined,
    timeoutMs: number,
  ): boolean {
    const { clock, call, options } = this.#parts;
    const { id, spec } = order;
    const leftMs = course.deadlineAtMs - clock.monotonicMs();
    const expiresInMs = Math.floor(Math.min(timeoutMs, leftMs));
    const bidWithinMs = Math.min(options.bidWithinMs, Math.floor(expiresInMs / 2));
    if (bidWithinMs < 1) return false;
    const task: Task = {
      name: id,
      kind: spec.kind,
      input: spec.input,
      needs: [...requirementsOf(spec).skills, ...(spec.needs.includes("mains") ? ["mains"] : [])],
      demand: 1,
    };
    const one = spec.method === "distribution";
    const terms: Terms = {
      agentsMin: one ? 1 : spec.agentsMin,
      agentsMax: one ? 1 : spec.agentsMax,
      bidWithinMs,
      expiresInMs,
    };
    this.#book.set(withAttempt(order, this.#context(), candidates?.length ?? 0));
    const early: CallChange[] = [];
    this.#early = early;
    let name: string | undefined;
    try {
      name = call(task, terms, candidates);
    } finally {
      this.#early = undefined;
    }
    if (name === undefined) return false;
    course.call = name;
    this.#calls.set(name, id);
    for (const change of early) this.callChanged(change);
    return true;
  }

  #callEnded(order: Order, { fault, results }: CallOutcome): void {
    const { id, spec, contractors } = order;
    const course = this.#courses.get(id);
    if (course === undefined) return;
    course.call = undefined;
    const reason = contractors.findLast((one) => one.reason !== undefined)?.reason ?? fault ?? "";
    if (spec.method === "distribution") {
      this.#placement.ended(id, fault === undefined && results.length > 0, fault, reason);
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
    this.#change(id, { failures: failures + 1 });
    if (failures + 1 > spec.retriesMax) {
      this.#end(id, "attempts", reason);
      return;
    }
    this.#retried(id, reason);
    this.#rest(id, course, failures + 1);
  }

  #retried(id: string, reason: string): void {
    const order = this.#book.get(id);
    if (order === undefined) return;
    this.#counters.retries++;
    this.#book.set(withMoment(order, this.#context(), { what: "retry", reason }));
    this.#tell("task.retried", id, { reason });
  }

  #rest(id: string, course: Course, times: number): void {
    const { clock, options, random } = this.#parts;
    this.#change(id, { state: "resting" });
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

  #revoke(id: string): void {
    const course = this.#courses.get(id);
    const name = course?.call;
    if (course === undefined || name === undefined) return;
    course.call = undefined;
    this.#calls.delete(name);
    this.#parts.cancel(name);
  }

  #placed(id: string, end: PlacementEnd): void {
    const order = this.#book.get(id);
    if (order === undefined) return;
    if (end.kind === "retry") {
      this.#change(id, { state: "queued", failures: order.failures + (end.isFailure ? 1 : 0) });
      this.#retried(id, end.reason);
    } else {
      if (end.fault === "attempts") this.#change(id, { failures: order.failures + 1 });
      this.#end(id, end.fault, end.detail);
    }
    this.#plan();
  }

  #awarded(id: string, peer: PeerId): void {
    const course = this.#courses.get(id);
    this.#tell("task.awarded", id, { peerId: peer });
    if (course === undefined || course.assigned) return;
    course.assigned = true;
    this.#counters.assigned++;
    this.#counters.assignedAfterMs += this.#parts.clock.monotonicMs() - course.takenAtMs;
  }

  #change(id: string, change: Partial<Pick<Order, "state" | "failures">>): void {
    const order = this.#book.get(id);
    if (order !== undefined) this.#book.set({ ...order, ...change });
  }

  /** It has ended, and with it or after it those that wait for it. @param fault undefined: it is done */
  #end(first: string, fault: OrderFault | undefined, detail: string): void {
    const ending = [{ id: first, fault, detail }];
    for (const { id, fault, detail } of ending) {
      const order = this.#book.get(id);
      if (order === undefined || isEnded(order)) continue;
      const after = ended(order, this.#context(), fault, detail);
      this.#revoke(id);
      this.#placement.cancel(id);
      this.#courses.delete(id);
      this.#agenda.delete(id);
      for (const other of order.spec.after) this.#waiters.get(other)?.delete(id);
      this.#book.set(after);
      const end = fault === undefined ? "done" : fault === "cancelled" ? "cancelled" : "failed";
      this.#counters[end]++;
      this.#tell(`task.${end}`, id, fault === undefined ? {} : { reason: fault, detail });
      const waiters = this.#waiters.get(id) ?? new Set();
      this.#waiters.delete(id);
      for (const waiter of waiters) {
        const course = this.#courses.get(waiter);
        if (fault !== undefined) ending.push({ id: waiter, fault: "dependency", detail: id });
        else if (course?.waitsFor.delete(id) && course.waitsFor.size === 0) this.#proceed(waiter);
      }
    }
  }

  #waitersOf(id: string): Set<string> {
    const known = this.#waiters.get(id);
    if (known !== undefined) return known;
    const waiters = new Set<string>();
    this.#waiters.set(id, waiters);
    return waiters;
  }

  #tell(event: OrderEvent, id: string, data: Readonly<Record<string, unknown>>): void {
    const order = this.#book.get(id);
    if (order !== undefined) this.#parts.onEvent(event, order, data);
  }

  #tick(): void {
    const nowMs = this.#parts.clock.monotonicMs();
    for (let id = this.#agenda.take(nowMs); id !== undefined; id = this.#agenda.take(nowMs)) {
      const course = this.#courses.get(id);
      if (course === undefined) continue;
      if (course.deadlineAtMs <= nowMs) this.#end(id, "deadline", "");
      else this.#proceed(id);
    }
    this.#placement.tick();
    this.#plan();
  }

  #plan(): void {
    if (this.#running) this.#wakeUp.at(Math.min(this.#agenda.nextAtMs, this.#placement.nextAtMs));
  }
}
