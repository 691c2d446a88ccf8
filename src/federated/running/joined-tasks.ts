import { OwnModelMemory } from "../personalization/own-model-memory.ts";
import { firstHead, headOf } from "../rounds/chain.ts";
import type { RoundRecord } from "../rounds/round-record.ts";
import { type KnownTask, stateOf } from "../tasks/known-task.ts";
import { sharedValues } from "../tasks/shared-values.ts";
import type { TaskSpec } from "../tasks/task-spec.ts";
import { firstWeights } from "./first-weights.ts";
import type { HeardRound } from "./heard-rounds.ts";
import { JoinedTask } from "./joined-task.ts";
import type { LearningDeskParts } from "./learning-desk-parts.ts";
import type { LearningGround } from "./learning-ground.ts";
import { ProgramDesk } from "./program-desk.ts";
import type { RoundEvent } from "./round-parts.ts";
import { ServingDesk } from "./serving-desk.ts";
import { sweepStreams } from "./stream-memory.ts";
import { TaskMemory } from "./task-memory.ts";
import { withTransferHash } from "./transfer-samples.ts";

/** Tasks that this agent takes part in at once; of more it is told how far they are. */
const JOINED_MAX = 8;

/** What the desk has to do with tasks that are joined. */
export interface JoinedTasksParts extends LearningDeskParts {
  /** What a certified decision says; undefined where it is none on a round. */
  readonly recordIn: (decision: Uint8Array) => RoundRecord | undefined;
  /** A task has been joined, and begins: it is to be told what came about meanwhile. */
  readonly onJoined: (joined: JoinedTask, known: KnownTask) => void;
  readonly onEvent: (known: KnownTask, event: RoundEvent) => void;
}

/** The tasks that this agent takes part in: joined as soon as they are known, left when they have been stopped. */
export class JoinedTasks {
  readonly #parts: JoinedTasksParts;
  readonly #memory: TaskMemory;
  readonly #ownMemory: OwnModelMemory;
  /** What programs of this process bring along. */
  readonly programs = new ProgramDesk((isMeant) => this.#joinAnew(isMeant));
  readonly serving: ServingDesk;
  readonly #joined = new Map<string, JoinedTask | "opening">();
  #leaving: Promise<unknown> = Promise.resolve();
  /** Programs offered something while it was opened. */
  readonly #again = new Set<string>();
  /** Rounds of tasks that are joined anew. */
  readonly #earlier = new Map<string, readonly HeardRound[]>();
  #ground: Promise<LearningGround> | undefined;
  #mayTrain = true;
  #running = false;

  constructor(parts: JoinedTasksParts) {
    this.#parts = parts;
    this.#memory = new TaskMemory(parts);
    this.#ownMemory = new OwnModelMemory(parts.store);
    this.serving = new ServingDesk({
      ...parts,
      isKnown: (task) => parts.book.get(task) !== undefined,
    });
  }

  /** Joins what the last run left. @throws StoreError */
  async open(): Promise<void> {
    const { book } = this.#parts;
    const tasks = Array.from(book.all(), ({ manifest }) => manifest.task);
    await this.#memory.sweep(tasks);
    const goesOn = (task: string): boolean => {
      const known = book.get(task);
      return known !== undefined && stateOf(known) !== "stopped";
    };
    await this.#ownMemory.sweep(goesOn);
    await sweepStreams(this.#parts.store, goesOn);
    this.#running = true;
    for (const known of book.all()) this.join(known);
  }

  async close(): Promise<void> {
    this.#running = false;
    for (const joined of this.all()) await this.#stopped(joined);
    await this.#leaving;
    for (const task of this.#joined.keys()) this.serving.left(task);
    this.#joined.clear();
    // One that could not be opened was told of by the task that wanted it.
    const ground = await this.#ground?.catch(() => undefined);
    await ground?.close();
  }

  /** @returns undefined for one that this agent takes no part in, or not yet */
  get(task: string): JoinedTask | undefined {
    const joined = this.#joined.get(task);
    return joined === "opening" ? undefined : joined;
  }

  all(): JoinedTask[] {
    return [...this.#joined.values()].filter((joined) => joined !== "opening");
  }

  /** Whether power and budget allow to train. @returns whether that is another answer than before */
  mayTrain(allowed: boolean): boolean {
    if (allowed === this.#mayTrain) return false;
    this.#mayTrain = allowed;
    for (const joined of this.all()) joined.mayTrain(allowed);
    return true;
  }

  /** @returns a task with what only an agent that has samples can say of it @throws LearningError `learning.spec` where this one can not */
  complete(spec: TaskSpec): Promise<TaskSpec> {
    return withTransferHash(() => this.#openedGround(), this.#parts.hasher, spec);
  }

  /** Takes part, or takes part no more, as the task's state has it. */
  join(known: KnownTask): void {
    const { task } = known.manifest;
    const joined = this.#joined.get(task);
    const state = stateOf(known);
    const isWanted = state !== "stopped";
    if (joined instanceof JoinedTask) joined.pause(state === "paused");
    if (joined instanceof JoinedTask && !isWanted) {
      this.#joined.delete(task);
      this.serving.left(task);
      // What was recorded for it goes with it.
      this.#leave(
        joined.stop().then(async () => {
          await this.#ownMemory.forget(task);
          await joined.streams?.erase();
        }),
      );
    }
    if (joined !== undefined || !isWanted || !this.#running) return;
    // Others are further, and it can not be told yet how far.
    if (this.#parts.book.isUncertain(task)) return;
    if (this.#joined.size >= JOINED_MAX) return;
    this.#joined.set(task, "opening");
    this.#open(known).catch((error: unknown) => {
      this.#joined.delete(task);
      this.#parts.logger.error("a task can not be joined", { task, error });
      this.#parts.events.emit("learning.failed", { task, reason: (error as Error).message });
    });
  }

  async #open(known: KnownTask): Promise<void> {
    const { book, shelf, random, roles, recordIn, onEvent, onJoined } = this.#parts;
    const { task, spec, firstModelHash } = known.manifest;
    const ground = await this.#openedGround();
    // The same bits wherever they are drawn; where they are not, whoever started the task has them.
    if (known.head === undefined && shelf.sizeOf(firstModelHash) === undefined)
      shelf.put(firstWeights(spec));
    shelf.pin(`${task}/head`, [firstModelHash]);
    const memory = this.#memory;
    const keptWord = await memory.word(task);
    const record = known.head && recordIn(known.head.bytes);
    const joined = await JoinedTask.open(
      {
        ...this.#parts,
        ground: this.programs.over(ground),
        random: random.fork(`task/${task}`),
        parameterCount: sharedValues(spec),
        head: record === undefined ? firstHead(firstModelHash) : headOf(record),
        keepWord: (kept) => memory.keepWord(task, kept),
        ...(keptWord !== undefined && { keptWord }),
        damages: await memory.damages(task),
        keptSheets: await memory.sheets(task),
        keptReputation: await memory.reputation(task),
        keepReputation: (scores) => memory.keepReputation(task, scores),
        keepSheets: (hashes) => memory.keepSheets(task, hashes),
        kept: await memory.kept(task),
        rememberKept: (hashes) => memory.keep(task, hashes),
        ownMemory: this.#ownMemory,
        earlier: this.#earlier.get(task) ?? [],
        ...this.programs.for(spec),
        onEvent: (event) => onEvent(known, event),
        streamNews: this.serving.news(task, spec.name),
      },
      known,
    );
    const now = book.get(task);
    if (!this.#running || now === undefined || stateOf(now) === "stopped") {
      this.#joined.delete(task);
      await joined.stop();
      return;
    }
    this.#joined.set(task, joined);
    this.#earlier.delete(task);
    if (this.#again.delete(task)) {
      this.#joinAnew((each) => each === spec);
      return;
    }
    if (joined.streams !== undefined) this.serving.joined(task, spec.name, joined.streams);
    joined.roles(roles());
    joined.mayTrain(this.#mayTrain);
    joined.pause(stateOf(now) === "paused");
    joined.start();
    onJoined(joined, now);
  }

  #openedGround(): Promise<LearningGround> {
    this.#ground ??= this.#parts.openGround();
    return this.#ground;
  }

  /** Leaves tasks and joins them again, with what programs offer now. */
  #joinAnew(isMeant: (spec: TaskSpec) => boolean): void {
    for (const known of this.#parts.book.all()) {
      const { task, spec } = known.manifest;
      if (!isMeant(spec)) continue;
      const joined = this.#joined.get(task);
      if (joined === "opening") this.#again.add(task);
      if (!(joined instanceof JoinedTask)) continue;
      this.#joined.set(task, "opening");
      this.#earlier.set(task, joined.rounds(0, Number.POSITIVE_INFINITY));
      this.serving.left(task);
      this.#leave(
        this.#stopped(joined).then(() => {
          this.#joined.delete(task);
          const now = this.#parts.book.get(task);
          if (now !== undefined) this.join(now);
        }),
      );
    }
  }

  /** Closing waits for it. */
  #leave(left: Promise<unknown>): void {
    left.catch((error: unknown) => this.#parts.logger.warn("learning", { error }));
    this.#leaving = Promise.allSettled([this.#leaving, left]);
  }

  async #stopped(joined: JoinedTask): Promise<void> {
    const { logger } = this.#parts;
    await joined
      .stop()
      .catch((error: unknown) => logger.warn("a task did not end in order", { error }));
  }
}
