import type { Clock } from "../../platform/clock.ts";
import type { EventSink } from "../../platform/event-sink.ts";
import type { Hasher } from "../../platform/hasher.ts";
import type { KeyValueStore } from "../../platform/key-value-store.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Random } from "../../platform/random.ts";
import { SeededRandom } from "../../platform/seeded-random.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import { initialWeights } from "../../platform/training-initial-weights.ts";
import { layOut } from "../../platform/training-layout.ts";
import { bytesOfWeights } from "../combining/weights-codec.ts";
import { OwnModelMemory } from "../personalization/own-model-memory.ts";
import { firstHead, headOf } from "../rounds/chain.ts";
import type { RoundTimes } from "../rounds/options.ts";
import { type RoundRecord, readRecord } from "../rounds/round-record.ts";
import type { RoundsTalk } from "../rounds/talk.ts";
import { type Control, signControl, type TaskState } from "../tasks/control.ts";
import { type KnownTask, type Statement, stateOf } from "../tasks/known-task.ts";
import { LearningError } from "../tasks/learning-error.ts";
import { signManifest } from "../tasks/manifest.ts";
import type { TaskBook } from "../tasks/task-book.ts";
import { completeSpec, type TaskSpec } from "../tasks/task-spec.ts";
import type { TensorExchange } from "../tensors/tensor-exchange.ts";
import type { TensorShelf } from "../tensors/tensor-shelf.ts";
import type {
  LearningAgent,
  LearningCounters,
  LearningRound,
  LearningStatus,
  LearningTask,
  LearningView,
} from "../view.ts";
import { type HeardRound, JoinedTask } from "./joined-task.ts";
import type { LearningGround } from "./learning-ground.ts";
import { ProgramDesk } from "./program-desk.ts";
import type { ReadingsSource } from "./readings-source.ts";
import type { RoundEvent, RoundsCommittee } from "./round-parts.ts";
import { type Finding, ServingDesk } from "./serving-desk.ts";
import { sweepStreams } from "./stream-memory.ts";
import { TaskMemory } from "./task-memory.ts";

/** Tasks that this agent takes part in at once; of more it is told how far they are. */
const JOINED_MAX = 8;
/** Values of one request to run a model. */
const PREDICT_VALUES_MAX = 1_000_000;

/** What a desk works with. */
export interface LearningDeskParts {
  readonly signer: Signer;
  readonly hasher: Hasher;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly events: EventSink;
  readonly store: KeyValueStore;
  readonly book: TaskBook;
  readonly shelf: TensorShelf;
  readonly exchange: TensorExchange;
  readonly committee: RoundsCommittee;
  /** What a certified decision of the topic `learning/round` says; undefined for anything else. */
  readonly readDecision: (bytes: Uint8Array) => Uint8Array | undefined;
  readonly openGround: () => Promise<LearningGround>;
  readonly datasets: readonly string[];
  /** What this device's sensors say. */
  readonly readings: ReadingsSource;
  /** Where what is found in it goes. Never throws. */
  readonly publish: (finding: Finding) => void;
  readonly times: RoundTimes;
  readonly tell: (to: PeerId, talk: RoundsTalk) => Promise<void>;
  /** Something came about here. */
  readonly announce: (news: Statement) => void;
  readonly nameOf: (peer: PeerId) => LearningAgent;
  /** Who aggregates, and who could train. */
  readonly roles: () => {
    readonly aggregators: readonly PeerId[];
    readonly trainers: readonly PeerId[];
  };
}

/** Learning for REST, CLI, page and metrics: joins every task that runs, and shows how far each is. */
export class LearningDesk implements LearningView {
  readonly #parts: LearningDeskParts;
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
  readonly #counters = {
    rounds: 0,
    updatesSent: 0,
    aggregations: 0,
    accepted: 0,
    rejected: 0,
    trainingFailures: 0,
  };
  readonly #evidence: Record<string, number> = {};

  constructor(parts: LearningDeskParts) {
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
    for (const known of book.all()) this.#join(known);
  }

  async close(): Promise<void> {
    this.#running = false;
    const { logger } = this.#parts;
    for (const joined of this.#joined.values())
      if (joined !== "opening")
        await joined
          .stop()
          .catch((error: unknown) => logger.warn("a task did not end in order", { error }));
    await this.#leaving;
    for (const task of this.#joined.keys()) this.serving.left(task);
    this.#joined.clear();
    // One that could not be opened was told of by the task that wanted it.
    const ground = await this.#ground?.catch(() => undefined);
    await ground?.close();
  }

  /** Something is known of a task that was not. */
  heard(known: KnownTask, news: Statement): void {
    const { events } = this.#parts;
    const { task, spec, author } = known.manifest;
    if (news.manifest !== undefined)
      events.emit("learning.task-known", { task, name: spec.name, peerId: author });
    if (news.control !== undefined)
      events.emit("learning.task-state", { task, name: spec.name, state: stateOf(known) });
    if (news.head !== undefined) {
      const record = this.#recordIn(news.head);
      if (record !== undefined) this.#decided(known, record, news.head);
    }
    this.#join(known);
  }

  /** A member put its certificate under a record here. */
  certified(record: RoundRecord, bytes: Uint8Array): void {
    const taken = this.#parts.book.take({ task: record.task, head: bytes });
    if (taken.kind !== "news") return;
    this.heard(taken.task, taken.news);
    this.#parts.announce(taken.news);
  }

  /** Somebody said something about rounds. @returns false for what is about no task that is known */
  hear(from: PeerId, talk: RoundsTalk): void {
    switch (talk.kind) {
      case "begun":
        this.#get(talk.task)?.hear(from, talk);
        break;
      case "word":
        this.#get(talk.word.task)?.hear(from, talk);
        break;
      case "evidence":
        this.#get(talk.evidence.first.task)?.hear(from, talk);
        break;
      case "head": {
        const taken = this.#parts.book.take({ task: talk.task, head: talk.decision });
        if (taken.kind === "news") this.heard(taken.task, taken.news);
        break;
      }
      case "wanted":
      case "submit":
        // Heads go about with the tasks, and records are put before the committee by itself.
        break;
      default:
        talk satisfies never;
    }
  }

  /** A record was accepted, as this member has seen itself; its certificate may follow. */
  accepted(record: RoundRecord): void {
    const known = this.#parts.book.get(record.task);
    if (known !== undefined) this.#decided(known, record, undefined);
  }

  /** A record is before the committee. */
  proposed(id: string, value: Uint8Array, proposer: PeerId): void {
    const record = readRecord(this.#parts.signer, value);
    if (typeof record === "string") {
      this.#parts.committee.vote(id, { reject: `the record is ${record}` });
      return;
    }
    const joined = this.#get(record.task);
    if (joined !== undefined) joined.proposed(id, value, proposer);
  }

  /** It is not any more. */
  ended(id: string, value: Uint8Array, accepted: boolean): void {
    const record = readRecord(this.#parts.signer, value);
    if (typeof record === "string") return;
    this.#counters[accepted ? "accepted" : "rejected"]++;
    this.#get(record.task)?.ended(id, accepted);
    if (accepted) this.accepted(record);
  }

  /** It is not any more, and how it ended is not known here; a head that comes of it gets here in other ways. */
  withdrawn(id: string, value: Uint8Array): void {
    const record = readRecord(this.#parts.signer, value);
    if (typeof record !== "string") this.#get(record.task)?.ended(id, false);
  }

  /** Another committee, or another member of it, is known now. */
  committeeChanged(): void {
    for (const taken of this.#parts.book.judgeAgain()) {
      if (taken.kind === "news") this.heard(taken.task, taken.news);
    }
    // What is certain now without any news.
    for (const known of this.#parts.book.all()) this.#join(known);
    this.rolesChanged();
  }

  /** Who has which role, who decides, and who is there may be others than before. */
  rolesChanged(): void {
    const { aggregators, trainers } = this.#parts.roles();
    for (const joined of this.#all()) {
      joined.roles(aggregators, trainers);
      joined.committee();
    }
  }

  living(peer: PeerId, alive: boolean): void {
    for (const joined of this.#all()) joined.living(peer, alive);
  }

  /** Whether power and budget allow to train. */
  mayTrain(allowed: boolean): void {
    if (allowed === this.#mayTrain) return;
    this.#mayTrain = allowed;
    this.#parts.events.emit(allowed ? "learning.resumed" : "learning.held", {});
    for (const joined of this.#all()) joined.mayTrain(allowed);
  }

  status(): LearningStatus {
    const tasks = { running: 0, paused: 0, stopped: 0, finished: 0 };
    for (const known of this.#parts.book.all()) tasks[shownState(known)]++;
    return {
      enabled: true,
      tasks,
      datasets: [...this.#parts.datasets, ...this.programs.datasets],
      counters: this.#totals(),
    };
  }

  tasks(): readonly LearningTask[] {
    return Array.from(this.#parts.book.all(), (known) => this.#show(known)).reverse();
  }

  task(id: string): LearningTask | undefined {
    const known = this.#parts.book.get(id);
    return known && this.#show(known);
  }

  rounds(id: string, after: number, limit: number): readonly LearningRound[] | undefined {
    if (this.#parts.book.get(id) === undefined) return undefined;
    return (
      this.#get(id)
        ?.rounds(after, limit)
        .map((round) => this.#showRound(round)) ?? []
    );
  }

  async start(document: unknown): Promise<LearningTask> {
    const { book, clock, shelf, announce } = this.#parts;
    const spec = completeSpec(document);
    const firstModelHash = shelf.put(firstWeights(spec));
    const content = { spec, createdAtMs: clock.wallMs(), firstModelHash };
    const manifest = signManifest(this.#parts, content);
    const taken = book.take({ task: manifest.task, manifest: manifest.proof });
    if (taken.kind === "full")
      throw new LearningError("learning.full", "too many tasks are known; stop one first");
    if (taken.kind !== "news")
      throw new LearningError("learning.busy", "this very task was started a moment ago");
    await book.written();
    this.heard(taken.task, taken.news);
    announce(taken.news);
    return this.#show(taken.task);
  }

  async control(id: string, state: TaskState): Promise<LearningTask> {
    const { book, signer, announce } = this.#parts;
    const known = book.get(id);
    if (known === undefined)
      throw new LearningError("learning.unknown-task", `no task ${id} is known here`);
    const { author } = known.manifest;
    if (author !== signer.peerId) {
      const { agentId = author } = this.#parts.nameOf(author);
      throw new LearningError(
        "learning.not-the-author",
        `only ${agentId}, which started the task, can do that`,
      );
    }
    if (stateOf(known) === "stopped" && state !== "stopped")
      throw new LearningError(
        "learning.ended",
        "a task that was stopped stays so; start a new one",
      );
    if (stateOf(known) === state) return this.#show(known);
    const serial = (known.control?.serial ?? 0) + 1;
    const control: Control = signControl(signer, { task: id, serial, state });
    const taken = book.take({ task: id, control: control.proof });
    await book.written();
    if (taken.kind === "news") {
      this.heard(taken.task, taken.news);
      announce(taken.news);
    }
    return this.#show(book.get(id) ?? known);
  }

  async predict(id: string, features: readonly (readonly number[])[], model?: "own" | "global") {
    const known = this.#parts.book.get(id);
    if (known === undefined)
      throw new LearningError("learning.unknown-task", `no task ${id} is known here`);
    const { inputSize, outputSize } = layOut(known.manifest.spec.model);
    const wrong = features.findIndex((each) => each.length !== inputSize);
    if (wrong !== -1)
      throw new LearningError(
        "learning.spec",
        `features ${wrong} has ${features[wrong]?.length} values, the model takes ${inputSize}`,
      );
    if (features.length * inputSize > PREDICT_VALUES_MAX)
      throw new LearningError("learning.spec", `${PREDICT_VALUES_MAX} values at most`);
    const values = Float32Array.from(features.flat());
    const predicted = await this.#get(id)?.predict(values, features.length, model);
    if (predicted === undefined)
      throw new LearningError(
        "learning.no-model",
        model === "own"
          ? "this agent has no model of its own for the task: see its personalization, and whether it trains"
          : "the model can not be run here: see the task",
      );
    const { outputs, ...by } = predicted;
    return {
      ...by,
      outputs: features.map((_, at) =>
        Array.from(outputs.subarray(at * outputSize, (at + 1) * outputSize)),
      ),
    };
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
      const { logger } = this.#parts;
      const stopped = joined
        .stop()
        .catch((error: unknown) => logger.warn("a task did not end in order", { error }));
      const left = stopped.then(() => {
        this.#joined.delete(task);
        const now = this.#parts.book.get(task);
        if (now !== undefined) this.#join(now);
      });
      this.#quietly(left);
      this.#leaving = Promise.allSettled([this.#leaving, left]);
    }
  }

  #get(task: string): JoinedTask | undefined {
    const joined = this.#joined.get(task);
    return joined === "opening" ? undefined : joined;
  }

  #all(): JoinedTask[] {
    return [...this.#joined.values()].filter((joined) => joined !== "opening");
  }

  /** Takes part, or takes part no more, as the task's state has it. */
  #join(known: KnownTask): void {
    const { task } = known.manifest;
    const joined = this.#joined.get(task);
    const state = stateOf(known);
    const isWanted = state !== "stopped";
    if (joined instanceof JoinedTask) joined.pause(state === "paused");
    if (joined instanceof JoinedTask && !isWanted) {
      this.#joined.delete(task);
      this.serving.left(task);
      // What was recorded for it goes with it.
      const left = joined.stop().then(async () => {
        await this.#ownMemory.forget(task);
        await joined.streams?.erase();
      });
      this.#quietly(left);
      this.#leaving = Promise.allSettled([this.#leaving, left]);
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
    const { book, shelf, signer, clock, random, roles } = this.#parts;
    const { task, spec, firstModelHash } = known.manifest;
    this.#ground ??= this.#parts.openGround();
    const ground = await this.#ground;
    // The same bits wherever they are drawn; where they are not, whoever started the task has them.
    if (known.head === undefined && shelf.sizeOf(firstModelHash) === undefined)
      shelf.put(firstWeights(spec));
    shelf.pin(`${task}/head`, [firstModelHash]);
    const memory = this.#memory;
    const keptWord = await memory.word(task);
    const record = known.head && this.#recordIn(known.head.bytes);
    const joined = await JoinedTask.open(
      {
        ...this.#parts,
        ground: this.programs.over(ground),
        random: random.fork(`task/${task}`),
        wallMs: () => clock.wallMs(),
        parameterCount: layOut(spec.model).parameterCount,
        head: record === undefined ? firstHead(firstModelHash) : headOf(record),
        keepWord: (kept) => memory.keepWord(task, kept),
        ...(keptWord !== undefined && { keptWord }),
        keptSheets: await memory.sheets(task),
        keptReputation: await memory.reputation(task),
        keepReputation: (scores) => memory.keepReputation(task, scores),
        keepSheets: (hashes) => memory.keepSheets(task, hashes),
        kept: await memory.kept(task),
        rememberKept: (hashes) => memory.keep(task, hashes),
        ownMemory: this.#ownMemory,
        earlier: this.#earlier.get(task) ?? [],
        ...this.programs.for(spec),
        onEvent: (event) => this.#onEvent(known, event),
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
    const { aggregators, trainers } = roles();
    joined.roles(aggregators, trainers);
    joined.mayTrain(this.#mayTrain);
    joined.pause(stateOf(now) === "paused");
    joined.start();
    // What was decided while it was opened, and what this agent's seat has seen: first what ended, then what is open.
    if (now.head !== undefined && now.head.round > joined.head.round)
      this.heard(now, { task, head: now.head.bytes });
    const { committee } = this.#parts;
    for (const value of committee.accepted()) {
      const record = readRecord(signer, value);
      if (typeof record !== "string" && record.task === task) this.#decided(now, record, undefined);
    }
    for (const { id, value, proposer } of committee.open()) {
      const record = readRecord(signer, value);
      if (typeof record !== "string" && record.task === task) joined.proposed(id, value, proposer);
    }
  }

  /** @returns what a certified decision says; undefined where it is none on a round */
  #recordIn(decision: Uint8Array): RoundRecord | undefined {
    const value = this.#parts.readDecision(decision);
    const record = value && readRecord(this.#parts.signer, value);
    return typeof record === "string" ? undefined : record;
  }

  #decided(known: KnownTask, record: RoundRecord, bytes: Uint8Array | undefined): void {
    const { task, spec } = known.manifest;
    const joined = this.#get(task);
    if (joined?.decided(record, bytes) !== true) return;
    this.#counters.rounds++;
    const { round, updates, samples, modelHash } = record;
    this.#parts.events.emit("learning.round", {
      task,
      name: spec.name,
      round,
      rounds: spec.rounds,
      updates,
      samples,
      modelHash,
    });
  }

  #onEvent({ manifest: { task } }: KnownTask, { by, event }: RoundEvent): void {
    const { logger, events } = this.#parts;
    if (event.kind === "delivered" && by === "trainer") this.#counters.updatesSent++;
    if (event.kind === "closed") this.#counters.aggregations++;
    if (event.kind === "failed") {
      this.#counters.trainingFailures++;
      if (event.givenUp) events.emit("learning.failed", { task, reason: event.reason });
    }
    if (event.kind === "blamed") {
      const { peer, misdeed, round } = event;
      this.#evidence[misdeed] = (this.#evidence[misdeed] ?? 0) + 1;
      events.emit("learning.evidence", { task, round, peerId: peer, misdeed });
    }
    logger.debug("learning", { task, by, ...event });
  }

  #totals(): LearningCounters {
    const { sentBytes, receivedBytes } = this.#parts.exchange.counters();
    return { ...this.#counters, sentBytes, receivedBytes, evidence: { ...this.#evidence } };
  }

  #show(known: KnownTask): LearningTask {
    const { task, spec, author, createdAtMs } = known.manifest;
    const joined = this.#get(task);
    const { activity, because } = joined?.activity() ?? { activity: "following" as const };
    const { progress, latest } = joined ?? {};
    return {
      task,
      spec,
      author: this.#parts.nameOf(author),
      createdAtMs,
      state: shownState(known),
      round: known.head?.round ?? 0,
      activity,
      ...(because !== undefined && { because }),
      ...(progress !== undefined && { progress }),
      samples: joined?.samples ?? 0,
      ...(latest !== undefined && { latest: this.#showRound(latest) }),
    };
  }

  #showRound({ aggregator, ...rest }: HeardRound): LearningRound {
    return { ...rest, aggregator: this.#parts.nameOf(aggregator) };
  }

  #quietly(work: Promise<unknown>): void {
    work.catch((error: unknown) => this.#parts.logger.warn("learning", { error }));
  }
}

/** @returns whether it goes on, as people see it */
function shownState(known: KnownTask): TaskState | "finished" {
  const isDone = (known.head?.round ?? 0) >= known.manifest.spec.rounds;
  return isDone && stateOf(known) !== "stopped" ? "finished" : stateOf(known);
}

/** The weights that a task begins with, drawn from its seed. */
function firstWeights(spec: TaskSpec): Uint8Array {
  return bytesOfWeights(
    initialWeights(layOut(spec.model), new SeededRandom(`learning/${spec.seed}`)),
  );
}
