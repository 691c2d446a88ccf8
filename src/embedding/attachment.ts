import type { LearningPrograms } from "../federated/running/learning-programs.ts";
import type { OwnSamples } from "../federated/running/task-trainer.ts";
import { CustomRuleBook, customRuleIn } from "../federated/strategies/custom-rules.ts";
import type { TaskState } from "../federated/tasks/control.ts";
import { LearningError } from "../federated/tasks/learning-error.ts";
import { completeSpec, type TaskSpec } from "../federated/tasks/task-spec.ts";
import type { LearningRound, LearningTask, LearningView } from "../federated/view.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import type { EventLog } from "../telemetry/event-log.ts";
import { strategyOf } from "./aggregations.ts";
import { ownSamples } from "./program-samples.ts";
import type { TaskDefinition } from "./task-definition.ts";

/** Of a round, how long its model's evaluation is waited for. */
const JUDGED_WITHIN_MS = 5_000;
const LOOK_EVERY_MS = 50;

/** What an attachment knows of the agent. */
export interface AttachmentParts {
  readonly agentId: string;
  readonly learning: LearningView;
  readonly programs: LearningPrograms;
  readonly events: Pick<EventLog, "subscribe">;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * A program's task at one agent: gives it samples and rule, and follows the oldest task of its name, so that programs which start one at the
 * same time come together on one of them.
 */
export class Attachment {
  readonly #parts: AttachmentParts;
  readonly #definition: TaskDefinition;
  /** Undefined for a program that only takes part in what others start. */
  readonly #spec: TaskSpec | undefined;
  readonly #rules = new CustomRuleBook();
  readonly #takeBacks: (() => void)[] = [];
  readonly #waiting = new Set<() => void>();
  #id: string | undefined;
  #hasTest = true;
  isOver = false;

  /** @throws LearningError `learning.spec` naming what can not be learned */
  constructor(parts: AttachmentParts, definition: TaskDefinition) {
    this.#parts = parts;
    this.#definition = definition;
    this.#spec = specOf(definition);
  }

  /** As the agent sees it; undefined while none of that name is known. */
  get task(): LearningTask | undefined {
    return this.#id === undefined ? undefined : this.#parts.learning.task(this.#id);
  }

  /**
   * Begins: with a task of that name that is known within a while, or with one that it starts.
   * @param lookMs how long it looks
   * @throws LearningError `learning.spec` where the fleet means another task by that name
   * @throws DataError where another program has offered samples by that name
   */
  async open(lookMs: number): Promise<void> {
    const { programs, events } = this.#parts;
    const { name, dataName = name, datasetFn, refresh = "once", aggregation } = this.#definition;
    const { custom } = strategyOf(aggregation ?? "mean");
    if (datasetFn !== undefined)
      this.#takeBacks.push(
        programs.offer({
          name: dataName,
          refresh,
          samples: (spec, task) => this.#samples(spec, task),
        }),
      );
    if (custom !== undefined) {
      this.#rules.add(custom);
      this.#takeBacks.push(programs.bring(custom));
    }
    this.#takeBacks.push(
      events.subscribe(({ type }) => {
        if (!type.startsWith("learning.")) return;
        if (type === "learning.task-known" || type === "learning.task-state") this.#lookAgain();
        this.#notify();
      }),
    );
    this.#look();
    const { clock } = this.#parts;
    const untilMs = clock.monotonicMs() + lookMs;
    while (this.#id === undefined && !this.isOver) {
      const leftMs = untilMs - clock.monotonicMs();
      if (leftMs <= 0) break;
      await this.#soon(leftMs);
      this.#look();
    }
    if (this.#id !== undefined || this.#spec === undefined || this.isOver) return;
    this.#id = (await this.#parts.learning.start(this.#spec)).task;
    // One that came meanwhile may be older.
    this.#look();
  }

  /** Takes back samples and rule; whoever waits is told. Idempotent. */
  close(): void {
    this.isOver = true;
    for (const takeBack of this.#takeBacks.splice(0)) takeBack();
    this.#notify();
  }

  /** @returns the next rounds with larger numbers */
  rounds(after: number): readonly LearningRound[] {
    return this.#id === undefined ? [] : (this.#parts.learning.rounds(this.#id, after, 1) ?? []);
  }

  /** Resolves when something has come about, or the signal says so. */
  async changed(signal?: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    signal?.addEventListener("abort", () => resolve(), { once: true });
    if (this.isOver || signal?.aborted === true) resolve();
    await promise;
    this.#waiting.delete(resolve);
  }

  /** @returns the round with what this agent found of its models, where that comes soon */
  async judged(round: LearningRound): Promise<LearningRound> {
    const { clock } = this.#parts;
    const untilMs = clock.monotonicMs() + JUDGED_WITHIN_MS;
    let now = round;
    for (;;) {
      const { task } = this;
      const hasOwn = task?.spec.personalization !== undefined;
      const isJudged = now.evaluation !== undefined && (!hasOwn || now.ownEvaluation !== undefined);
      const isOld = (task?.latest?.round ?? 0) > round.round;
      const isWorthIt = this.#hasTest && (task?.samples ?? 0) > 0 && !this.isOver;
      if (isJudged || isOld || !isWorthIt || clock.monotonicMs() >= untilMs) return now;
      await this.#soon(LOOK_EVERY_MS);
      now = this.rounds(round.round - 1)[0] ?? now;
    }
  }

  /** @throws LearningError */
  predict(features: readonly (readonly number[])[], model?: "own" | "global") {
    return this.#parts.learning.predict(this.#known(), features, model);
  }

  /** @throws LearningError */
  control(state: TaskState): Promise<LearningTask> {
    return this.#parts.learning.control(this.#known(), state);
  }

  #known(): string {
    if (this.#id !== undefined) return this.#id;
    throw new LearningError(
      "learning.unknown-task",
      `no agent has started a task ${this.#definition.name} yet`,
    );
  }

  async #samples(spec: TaskSpec, task: string): Promise<OwnSamples> {
    const { agentId } = this.#parts;
    const given = await this.#definition.datasetFn?.({ agentId, task, spec });
    if (given === undefined) throw new Error("datasetFn gave nothing");
    const samples = ownSamples(given, spec);
    this.#hasTest = samples.test.count > 0;
    return samples;
  }

  /** Goes over to the oldest task of the name. @throws LearningError where that is another than the program means */
  #look(): void {
    const { learning, logger } = this.#parts;
    const { name } = this.#definition;
    const [oldest] = learning
      .tasks()
      .filter(({ spec, state }) => spec.name === name && state !== "stopped")
      .toSorted(
        (one, other) => one.createdAtMs - other.createdAtMs || (one.task < other.task ? -1 : 1),
      );
    if (oldest === undefined || oldest.task === this.#id) return;
    const fault = this.#faultOf(oldest);
    if (fault !== undefined) throw new LearningError("learning.spec", fault);
    const { task: left } = this;
    this.#id = oldest.task;
    if (left?.author.self !== true || left.state === "stopped") return;
    // Programs that started one each come together on the oldest.
    learning
      .control(left.task, "stopped")
      .catch((error: unknown) =>
        logger.warn("a task that another takes the place of was not stopped", { error }),
      );
  }

  #lookAgain(): void {
    try {
      this.#look();
    } catch (error) {
      this.#parts.logger.warn("a task of the same name was not joined", { error });
    }
  }

  /** @returns in words why a task that the fleet knows is not the one that the program means */
  #faultOf({ spec, author }: LearningTask): string | undefined {
    const whose = `the task ${spec.name} that ${author.agentId ?? author.peerId} started`;
    if (this.#spec !== undefined && !isSame(this.#spec.model, spec.model))
      return `${whose} has another model; give one of them another name`;
    const { dataName = spec.name } = this.#definition;
    if (spec.data.kind !== "dataset" || spec.data.name !== dataName)
      return `${whose} does not learn from samples named ${dataName}; set dataName, or another name`;
    const custom = customRuleIn(spec.strategy);
    const brings = customRuleIn(this.#spec?.strategy ?? {});
    if (custom === undefined)
      return brings === undefined
        ? undefined
        : `${whose} is not aggregated by ${brings.name}; give one of them another name`;
    // Without it the agent follows, and says why.
    if (this.#definition.aggregation === undefined) return undefined;
    const found = this.#rules.find(custom);
    return typeof found === "string" ? `${whose}: ${found}` : undefined;
  }

  /** Waits for something to come about, or a while. */
  async #soon(withinMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    const timer = this.#parts.clock.setTimer("learning.attached", withinMs, resolve);
    await promise;
    timer.cancel();
    this.#waiting.delete(resolve);
  }

  #notify(): void {
    for (const resolve of this.#waiting) resolve();
  }
}

/** @throws LearningError `learning.spec` */
function specOf(definition: TaskDefinition): TaskSpec | undefined {
  const { name, dataName = name, modelFn, aggregation, rounds = 10, client } = definition;
  const { seed, pace, compression, personalization, teaching } = definition;
  if (modelFn === undefined) return undefined;
  return completeSpec({
    name,
    model: modelFn(),
    data: { kind: "dataset", name: dataName },
    client: { kind: "local", learningRate: 0.05, ...client },
    strategy: strategyOf(aggregation ?? "mean").strategy,
    rounds,
    ...(seed !== undefined && { seed }),
    ...(pace !== undefined && { pace }),
    ...(compression !== undefined && { compression }),
    ...(personalization !== undefined && { personalization }),
    ...(teaching !== undefined && { teaching }),
  });
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));
}

/** The order in which keys were written says nothing. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(entries.map(([key, part]) => [key, sorted(part)]));
}
