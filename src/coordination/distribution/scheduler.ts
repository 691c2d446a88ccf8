import { backoffMs } from "../../platform/backoff.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import { Agenda } from "./agenda.ts";
import type { SchedulerEffects, SchedulerInput, TaskChange, TaskFault } from "./effects.ts";
import { meets } from "./matching.ts";
import type { DistributionOptions } from "./options.ts";
import type { AgentOffer, Attempt, TaskSpec } from "./task.ts";
import { precedes, type TaskEntry } from "./task-entry.ts";
import type { TaskKind } from "./task-kind.ts";
import { TaskTable } from "./task-table.ts";
import { Worker } from "./worker.ts";

/** What a scheduler is made of. */
export interface SchedulerParts {
  readonly options: DistributionOptions;
  readonly random: Random;
}

/** Numbers since the start, for metrics. */
export interface SchedulerCounters {
  readonly taken: number;
  readonly refused: number;
  readonly assigned: number;
  readonly done: number;
  readonly failed: number;
  /** Words of agents on attempts that are not theirs, or not theirs any more. */
  readonly stale: number;
  /** Offers of agents for which there was no room. */
  readonly unknownAgents: number;
}

interface Turn {
  readonly nowMs: number;
  readonly changes: TaskChange[];
  readonly assign: { readonly attempt: Attempt; readonly task: TaskSpec }[];
  readonly revoke: Attempt[];
  /** Kinds of which a task may find an agent now. */
  readonly kinds: Set<TaskKind>;
}

/**
 * Gives tasks to agents that can do them: those of high priority first, each to an agent that meets its requirements and has
 * room, by turns among those that are equally busy. What times out or fails is tried again elsewhere, what an agent leaves
 * behind goes to another, and what nobody can do keeps nothing else waiting. Pure: inputs in, effects out; the caller
 * performs them, and brings a `tick` when `nextTickAtMs` has come.
 */
export class Scheduler {
  readonly #options: DistributionOptions;
  readonly #random: Random;
  readonly #workers = new Map<PeerId, Worker>();
  readonly #tasks: TaskTable;
  /** Deadlines, timeouts and ends of rests, by task; and of patience, by kind. */
  readonly #agenda = new Agenda<string>();
  readonly #patience = new Agenda<string>();
  readonly #counters = {
    taken: 0,
    refused: 0,
    assigned: 0,
    done: 0,
    failed: 0,
    stale: 0,
    unknownAgents: 0,
  };

  constructor({ options, random }: SchedulerParts) {
    this.#options = options;
    this.#random = random;
    this.#tasks = new TaskTable({ options, random, workers: this.#workers });
  }

  /** Tasks that are not finished. */
  get size(): number {
    return this.#tasks.size;
  }

  counters(): SchedulerCounters {
    return { ...this.#counters };
  }

  /** What an agent works on. */
  tasksOf(peer: PeerId): readonly string[] {
    return [...(this.#workers.get(peer)?.tasks ?? [])];
  }

  /** Takes one input. @throws RangeError for an offer with a weight that is not above 0, or a load below 0 */
  step(input: SchedulerInput): SchedulerEffects {
    const turn: Turn = {
      nowMs: input.nowMs,
      changes: [],
      assign: [],
      revoke: [],
      kinds: new Set(),
    };
    switch (input.kind) {
      case "tick":
        this.#tick(turn);
        break;
      case "submit":
        this.#submit(turn, input.tasks);
        break;
      case "cancel": {
        const entry = this.#tasks.get(input.id);
        if (entry !== undefined) this.#fail(turn, entry, "cancelled", "");
        break;
      }
      case "offer":
        this.#offered(turn, input.offer);
        break;
      case "gone":
        this.#gone(turn, input.peer);
        break;
      case "done": {
        const entry = this.#current(input.attempt);
        if (entry !== undefined) this.#done(turn, entry);
        break;
      }
      case "failed": {
        const entry = this.#current(input.attempt);
        if (entry !== undefined) this.#attemptFailed(turn, entry, input.reason);
        break;
      }
      case "declined": {
        const entry = this.#current(input.attempt);
        if (entry !== undefined) this.#declined(turn, entry);
        break;
      }
    }
    this.#dispatch(turn);
    const { changes, assign, revoke } = turn;
    const nextTickAtMs = Math.min(this.#agenda.nextAtMs, this.#patience.nextAtMs);
    return { changes, assign, revoke, nextTickAtMs };
  }

  #submit(turn: Turn, tasks: readonly TaskSpec[]): void {
    const { taken, refused } = this.#tasks.admit(tasks, turn.nowMs);
    this.#counters.taken += taken.length;
    this.#counters.refused += refused.length;
    for (const { id, reason, detail } of refused)
      turn.changes.push({ kind: "refused", id, reason, detail });
    for (const entry of taken) {
      turn.changes.push({ kind: "taken", id: entry.task.id });
      if (entry.waitsFor === 0) this.#makeReady(turn, entry);
      else this.#agenda.set(entry.task.id, entry.deadlineAtMs);
    }
  }

  #offered(turn: Turn, offer: AgentOffer): void {
    if (!(offer.weight > 0 && offer.load >= 0))
      throw new RangeError("a weight has to be above 0, and a load a number from 0");
    let worker = this.#workers.get(offer.peer);
    if (worker === undefined) {
      if (this.#workers.size >= this.#options.agentsMax) {
        this.#counters.unknownAgents++;
        return;
      }
      worker = new Worker(offer);
      this.#workers.set(offer.peer, worker);
      this.#forgetAble();
    } else {
      const isSame = canDoTheSame(worker.offer, offer);
      worker.report(offer);
      if (!isSame) this.#forgetAble();
    }
    this.#hasRoom(turn, worker);
  }

  #gone(turn: Turn, peer: PeerId): void {
    const worker = this.#workers.get(peer);
    if (worker === undefined) return;
    this.#workers.delete(peer);
    this.#forgetAble();
    for (const kind of this.#tasks.kinds()) {
      kind.balancer.remove(peer);
      if (kind.ready.size > 0 && kind.able(this.#workers).length === 0) turn.kinds.add(kind);
    }
    for (const id of worker.tasks) {
      const entry = this.#tasks.get(id);
      if (entry?.attempt === undefined) continue;
      const { attempt } = entry;
      entry.attempt = undefined;
      entry.returns++;
      if (entry.returns > this.#options.returnsMax) this.#fail(turn, entry, "returned", peer);
      else {
        turn.changes.push({ kind: "returned", id, attempt });
        this.#makeReady(turn, entry);
      }
    }
  }

  #done(turn: Turn, entry: TaskEntry): void {
    const { task, attempt } = entry;
    if (attempt === undefined) return;
    this.#release(turn, entry);
    this.#finish(entry, "done");
    turn.changes.push({ kind: "done", id: task.id, attempt });
    for (const waiter of entry.waiters) {
      waiter.waitsFor--;
      if (waiter.waitsFor === 0 && waiter.state === "blocked") this.#makeReady(turn, waiter);
    }
  }

  #attemptFailed(turn: Turn, entry: TaskEntry, reason: string): void {
    const { task, attempt } = entry;
    if (attempt === undefined) return;
    this.#release(turn, entry);
    entry.failures++;
    if (entry.failures >= task.attemptsMax) {
      this.#fail(turn, entry, "attempts", reason);
      return;
    }
    turn.changes.push({ kind: "attempt-failed", id: task.id, attempt, reason });
    this.#rest(turn, entry, attempt.peer, entry.failures);
  }

  #declined(turn: Turn, entry: TaskEntry): void {
    const { task, attempt } = entry;
    if (attempt === undefined) return;
    this.#release(turn, entry);
    entry.returns++;
    if (entry.returns > this.#options.returnsMax) {
      this.#fail(turn, entry, "returned", attempt.peer);
      return;
    }
    turn.changes.push({ kind: "returned", id: task.id, attempt });
    this.#rest(turn, entry, attempt.peer, entry.returns);
  }

  /** It is left alone for a while, the longer the more often that happened. */
  #rest(turn: Turn, entry: TaskEntry, avoided: PeerId, times: number): void {
    entry.state = "resting";
    entry.avoided = avoided;
    const restMs = backoffMs(times, this.#options, this.#random);
    this.#agenda.set(entry.task.id, Math.min(turn.nowMs + restMs, entry.deadlineAtMs));
  }

  /** The task has failed, and with it all that wait for it. */
  #fail(turn: Turn, first: TaskEntry, reason: TaskFault, detail: string): void {
    const failing = [{ entry: first, reason, detail }];
    for (const { entry, reason, detail } of failing) {
      const { id } = entry.task;
      if (this.#tasks.get(id) !== entry) continue;
      if (entry.attempt !== undefined) turn.revoke.push(entry.attempt);
      this.#release(turn, entry);
      this.#finish(entry, "failed");
      for (const other of entry.task.after) this.#tasks.get(other)?.waiters.delete(entry);
      turn.changes.push({ kind: "failed", id, reason, detail });
      for (const waiter of entry.waiters)
        failing.push({ entry: waiter, reason: "dependency", detail: id });
    }
  }

  #finish(entry: TaskEntry, end: "done" | "failed"): void {
    this.#counters[end]++;
    this.#agenda.delete(entry.task.id);
    this.#tasks.finish(entry, end);
    if (this.#tasks.kind(entry.kindKey) === undefined) this.#patience.delete(entry.kindKey);
  }

  #makeReady(turn: Turn, entry: TaskEntry): void {
    const kind = this.#tasks.kind(entry.kindKey);
    if (kind === undefined) return;
    entry.state = "ready";
    entry.slot = kind.ready.add(entry);
    this.#agenda.set(entry.task.id, entry.deadlineAtMs);
    turn.kinds.add(kind);
  }

  /** The agent that has it, has not any more. */
  #release(turn: Turn, entry: TaskEntry): void {
    const worker = this.#workers.get(entry.attempt?.peer ?? "");
    entry.attempt = undefined;
    if (worker === undefined) return;
    worker.take(entry.task.id, entry.task.needs);
    this.#hasRoom(turn, worker);
  }

  #hasRoom(turn: Turn, worker: Worker): void {
    for (const kind of this.#tasks.kinds())
      if (kind.ready.size > 0 && meets(worker.offer, kind.needs) && worker.hasRoomFor(kind.needs))
        turn.kinds.add(kind);
  }

  /** An attempt as its agent names it, if that is the one under way. */
  #current({ id, peer, number }: Attempt): TaskEntry | undefined {
    const entry = this.#tasks.get(id);
    if (entry?.attempt?.peer === peer && entry.attempt.number === number) return entry;
    this.#counters.stale++;
    return undefined;
  }

  #tick(turn: Turn): void {
    const { nowMs } = turn;
    for (let id = this.#agenda.take(nowMs); id !== undefined; id = this.#agenda.take(nowMs)) {
      const entry = this.#tasks.get(id);
      if (entry === undefined) continue;
      if (entry.deadlineAtMs <= nowMs) this.#fail(turn, entry, "deadline", "");
      else if (entry.attempt !== undefined) {
        turn.revoke.push(entry.attempt);
        this.#attemptFailed(turn, entry, "timeout");
      } else if (entry.state === "resting") this.#makeReady(turn, entry);
    }
    for (
      let key = this.#patience.take(nowMs);
      key !== undefined;
      key = this.#patience.take(nowMs)
    ) {
      const kind = this.#tasks.kind(key);
      if (kind === undefined || kind.able(this.#workers).length > 0) continue;
      for (let entry = kind.ready.first; entry !== undefined; entry = kind.ready.first)
        this.#fail(turn, entry, "unmet", "");
    }
  }

  /** Gives away what can be given away, the most urgent of all kinds first. */
  #dispatch(turn: Turn): void {
    const kinds = [...turn.kinds];
    for (;;) {
      const kind = mostUrgent(kinds);
      const entry = kind?.ready.first;
      if (kind === undefined || entry === undefined) return;
      if (!this.#place(turn, kind, entry)) kinds.splice(kinds.indexOf(kind), 1);
    }
  }

  #place(turn: Turn, kind: TaskKind, entry: TaskEntry): boolean {
    const able = kind.able(this.#workers);
    if (able.length === 0) {
      kind.unmetSinceMs ??= turn.nowMs;
      this.#patience.set(kind.key, kind.unmetSinceMs + this.#options.unmetPatienceMs);
      return false;
    }
    const { task } = entry;
    const worker = kind.balancer.choose(able, task.needs, entry.avoided);
    if (worker === undefined) return false;
    if (entry.slot !== undefined) kind.ready.remove(entry.slot);
    entry.slot = undefined;
    worker.give(task.id, task.needs);
    entry.attempts++;
    const attempt = { id: task.id, peer: worker.peer, number: entry.attempts };
    entry.attempt = attempt;
    entry.state = "assigned";
    this.#agenda.set(task.id, Math.min(turn.nowMs + task.timeoutMs, entry.deadlineAtMs));
    this.#counters.assigned++;
    turn.assign.push({ attempt, task });
    return true;
  }

  #forgetAble(): void {
    for (const kind of this.#tasks.kinds()) {
      kind.forgetAble();
      if (kind.unmetSinceMs === undefined || kind.able(this.#workers).length === 0) continue;
      kind.unmetSinceMs = undefined;
      this.#patience.delete(kind.key);
    }
  }
}

function mostUrgent(kinds: readonly TaskKind[]): TaskKind | undefined {
  let chosen: TaskKind | undefined;
  let first: TaskEntry | undefined;
  for (const kind of kinds) {
    const entry = kind.ready.first;
    if (entry === undefined || (first !== undefined && !precedes(entry, first))) continue;
    chosen = kind;
    first = entry;
  }
  return chosen;
}

/** Nothing has changed but its load and its weight. */
function canDoTheSame(one: AgentOffer, other: AgentOffer): boolean {
  return (
    one.memoryBytes === other.memoryBytes &&
    one.cpuShare === other.cpuShare &&
    one.mains === other.mains &&
    one.tasksMax === other.tasksMax &&
    one.skills.length === other.skills.length &&
    one.skills.every((skill) => other.skills.includes(skill))
  );
}
