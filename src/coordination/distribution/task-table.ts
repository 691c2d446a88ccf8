import type { Random } from "../../platform/random.ts";
import { sorted } from "./dependencies.ts";
import type { RefusalReason } from "./effects.ts";
import { keyOf, unmet } from "./matching.ts";
import type { DistributionOptions } from "./options.ts";
import { faultOf, type TaskSpec } from "./task.ts";
import type { TaskEntry } from "./task-entry.ts";
import { TaskKind } from "./task-kind.ts";
import type { Worker } from "./worker.ts";

/** Why a task is not taken. */
export interface Refusal {
  readonly id: string;
  readonly reason: RefusalReason;
  readonly detail: readonly string[];
}

/** What the table is made of. */
export interface TaskTableParts {
  readonly options: DistributionOptions;
  readonly random: Random;
  readonly workers: ReadonlyMap<string, Worker>;
}

/** Tasks that are not finished, by id and by kind, and how the last finished ones ended. Decides what is taken. */
export class TaskTable {
  readonly #parts: TaskTableParts;
  readonly #tasks = new Map<string, TaskEntry>();
  readonly #kinds = new Map<string, TaskKind>();
  readonly #finished = new Map<string, "done" | "failed">();
  #order = 0;

  constructor(parts: TaskTableParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#tasks.size;
  }

  get(id: string): TaskEntry | undefined {
    return this.#tasks.get(id);
  }

  kind(key: string): TaskKind | undefined {
    return this.#kinds.get(key);
  }

  kinds(): MapIterator<TaskKind> {
    return this.#kinds.values();
  }

  /** Takes what can be taken. @returns the new entries, dependencies first, and why the others are none */
  admit(
    tasks: readonly TaskSpec[],
    nowMs: number,
  ): { readonly taken: readonly TaskEntry[]; readonly refused: readonly Refusal[] } {
    const refused: Refusal[] = [];
    const batch = new Map<string, TaskSpec>();
    for (const task of tasks) {
      const { id } = task;
      const fault = faultOf(task);
      if (fault !== undefined) refused.push({ id, reason: "invalid", detail: [fault] });
      else if (batch.has(id) || this.#tasks.has(id) || this.#finished.has(id))
        refused.push({ id, reason: "duplicate", detail: [] });
      else batch.set(id, task);
    }
    const { order, cycles } = sorted(batch);
    for (const cycle of cycles)
      for (const id of cycle) {
        refused.push({ id, reason: "cycle", detail: cycle });
        batch.delete(id);
      }
    const taken: TaskEntry[] = [];
    for (const id of [...order, ...batch.keys()]) {
      const task = batch.get(id);
      if (task === undefined) continue;
      batch.delete(id);
      const entry = this.#take(task, nowMs);
      if ("reason" in entry) refused.push(entry);
      else taken.push(entry);
    }
    return { taken, refused };
  }

  finish(entry: TaskEntry, end: "done" | "failed"): void {
    const { task, kindKey } = entry;
    this.#tasks.delete(task.id);
    const kind = this.#kinds.get(kindKey);
    if (kind !== undefined) {
      if (entry.slot !== undefined) kind.ready.remove(entry.slot);
      kind.count--;
      if (kind.count === 0) this.#rest(kind);
    }
    this.#finished.set(task.id, end);
    if (this.#finished.size <= this.#parts.options.finishedMax) return;
    for (const oldest of this.#finished.keys()) {
      this.#finished.delete(oldest);
      return;
    }
  }

  #take(task: TaskSpec, nowMs: number): TaskEntry | Refusal {
    const { id, needs } = task;
    const dependencies = [...new Set(task.after)];
    for (const other of dependencies) {
      if (this.#tasks.has(other)) continue;
      const end = this.#finished.get(other);
      if (end === "failed") return { id, reason: "failed-dependency", detail: [other] };
      if (end === undefined) return { id, reason: "unknown-dependency", detail: [other] };
    }
    if (this.#tasks.size >= this.#parts.options.tasksMax)
      return { id, reason: "full", detail: ["tasks"] };
    const isKnown = this.#kinds.has(keyOf(needs));
    const kind = this.#kindOf(task);
    if (kind === undefined) return { id, reason: "full", detail: ["kinds"] };
    if (kind.able(this.#parts.workers).length === 0) {
      if (!isKnown) this.#kinds.delete(kind.key);
      const offers = [...this.#parts.workers.values()].map(({ offer }) => offer);
      return { id, reason: "unmet", detail: unmet(needs, offers) };
    }
    kind.count++;
    const waitedFor = dependencies.flatMap((other) => this.#tasks.get(other) ?? []);
    const entry: TaskEntry = {
      task,
      kindKey: kind.key,
      order: this.#order++,
      deadlineAtMs: nowMs + (task.deadlineMs ?? Number.POSITIVE_INFINITY),
      state: "blocked",
      slot: undefined,
      attempt: undefined,
      attempts: 0,
      failures: 0,
      returns: 0,
      avoided: undefined,
      waitsFor: waitedFor.length,
      waiters: new Set(),
    };
    for (const other of waitedFor) other.waiters.add(entry);
    this.#tasks.set(id, entry);
    return entry;
  }

  /** Nothing of the kind is left to do; whose turn it is next stays known, as long as there is room. */
  #rest(kind: TaskKind): void {
    kind.unmetSinceMs = undefined;
    this.#kinds.delete(kind.key);
    this.#kinds.set(kind.key, kind);
  }

  /** Makes room for another kind. @returns false when there is something to do for each */
  #forgetResting(): boolean {
    for (const [key, { count }] of this.#kinds) if (count === 0) return this.#kinds.delete(key);
    return false;
  }

  #kindOf({ needs }: TaskSpec): TaskKind | undefined {
    const { options, random } = this.#parts;
    const key = keyOf(needs);
    const known = this.#kinds.get(key);
    if (known !== undefined) return known;
    if (this.#kinds.size >= options.kindsMax && !this.#forgetResting()) return undefined;
    const kind = new TaskKind(key, needs, random, options.loadMargin);
    this.#kinds.set(key, kind);
    return kind;
  }
}
