import type { KeyValueStore } from "../../platform/key-value-store.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { OwnModelMemory } from "../personalization/own-model-memory.ts";
import { headOf, RoundChain, type RoundHead } from "../rounds/chain.ts";
import type { RoundRecord } from "../rounds/round-record.ts";
import type { RoundsTalk } from "../rounds/talk.ts";
import type { KnownTask } from "../tasks/known-task.ts";
import type { LearningActivity } from "../view.ts";
import { type HeardRound, HeardRounds } from "./heard-rounds.ts";
import type { LearningGround } from "./learning-ground.ts";
import { type KeptModels, ModelKeeper } from "./model-keeper.ts";
import { type OwnData, openOwnData } from "./own-data.ts";
import type { DataOffer } from "./program-data.ts";
import type { ReadingsSource } from "./readings-source.ts";
import type { LearningRoles, RoundParts } from "./round-parts.ts";
import { RoundRunner } from "./round-runner.ts";
import type { StreamNews, StreamPart } from "./stream-part.ts";
import { combiningOf, correctedBy } from "./task-combining.ts";
import { type Predicted, TaskModels } from "./task-models.ts";
import { openingOf, openTaskStreams } from "./task-streams.ts";

/** What a task's part of an agent works with, besides what its rounds want. */
export interface JoinedTaskParts
  extends Omit<
    RoundParts,
    | "task"
    | "spec"
    | "trainer"
    | "samples"
    | "opening"
    | "variateIn"
    | "combine"
    | "inspect"
    | "head"
    | "decision"
    | "keepVoted"
  > {
  readonly store: KeyValueStore;
  readonly readings: ReadingsSource;
  /** Where a task's findings on streams go. */
  readonly streamNews: StreamNews;
  readonly ground: LearningGround;
  /** Samples of a program of this process. */
  readonly offer?: DataOffer;
  /** Which network this agent trains, of tasks that name several. */
  readonly architecture?: string | undefined;
  readonly ownMemory: OwnModelMemory;
  /** Rounds that were heard of before it was joined anew. */
  readonly earlier?: readonly HeardRound[];
  readonly head: RoundHead;
  /** Remembers which models are kept on the shelf. @throws StoreError */
  readonly rememberKept: (models: KeptModels) => Promise<void>;
  /** What the last run kept there. */
  readonly kept: KeptModels;
}

/** One task that this agent takes part in: its rounds, its training, and what is shown of both. */
export class JoinedTask {
  readonly #parts: JoinedTaskParts;
  readonly #chain: RoundChain;
  readonly #runner: RoundRunner;
  readonly #data: OwnData;
  readonly #roundsMax: number;
  readonly #rounds: HeardRounds;
  #decision: Uint8Array | undefined;
  readonly #models: TaskModels;
  readonly #stopping: AbortController;
  #mayTrain = false;
  #isPaused = false;
  #progress: { readonly step: number; readonly steps: number } | undefined;
  #failure: string | undefined;
  readonly task: string;

  private constructor(
    parts: JoinedTaskParts,
    known: KnownTask,
    data: OwnData,
    stopping: AbortController,
  ) {
    const { task, spec } = known.manifest;
    const { head, clock } = parts;
    this.task = task;
    this.#roundsMax = spec.rounds;
    const keeper = new ModelKeeper({ ...parts, remember: parts.rememberKept });
    this.#stopping = stopping;
    this.#rounds = new HeardRounds(clock, parts.earlier);
    this.#parts = parts;
    this.#data = data;
    this.#decision = known.head?.bytes;
    this.#chain = new RoundChain(task, head);
    this.#runner = new RoundRunner({
      ...parts,
      task,
      spec,
      head,
      ...("trainer" in data && { trainer: data.trainer, samples: data.samples }),
      ...openingOf(known, parts.signer, "streams" in data ? data.streams : undefined),
      ...correctedBy(known, parts.parameterCount),
      combine: combiningOf(known, parts.ground),
      inspect: (bytes, form) => parts.ground.inspect(bytes, form),
      keepVoted: (round, hashes) => keeper.keepVoted({ round, hashes }),
      decision: () => this.#decision,
      onEvent: (event) => {
        if (event.by === "trainer" && event.event.kind === "failed" && event.event.givenUp)
          this.#failure = event.event.reason;
        parts.onEvent(event);
      },
    });
    this.#models = new TaskModels({
      ...parts,
      task,
      data,
      keeper,
      runner: this.#runner,
      rounds: this.#rounds,
      head: () => this.head,
      signal: stopping.signal,
      onScaled: () => this.#allow(),
    });
  }

  /** Looks for samples, and begins where the task stands. */
  static async open(parts: JoinedTaskParts, known: KnownTask): Promise<JoinedTask> {
    let joined: JoinedTask | undefined;
    const stopping = new AbortController();
    const data = await openOwnData(parts.ground, known.manifest.spec, {
      random: parts.random,
      onProgress: (progress) => joined?.progressed(progress),
      task: known.manifest.task,
      hasher: parts.hasher,
      architecture: parts.architecture,
      ...(parts.offer !== undefined && { offer: parts.offer }),
      openStreams: () =>
        openTaskStreams(known, {
          ...parts,
          kept: parts.kept.hashes,
          signal: stopping.signal,
          aggregator: () => joined?.head.aggregator,
          onReady: () => void (joined !== undefined && joined.#allow()),
          onModels: () => void (joined !== undefined && joined.#models.keepServed()),
        }),
    });
    joined = new JoinedTask(parts, known, data, stopping);
    await joined.#models.open();
    return joined;
  }

  /** Where samples come from, with a task on streams. */
  get streams(): StreamPart | undefined {
    return "streams" in this.#data ? this.#data.streams : undefined;
  }

  get head(): RoundHead {
    return this.#chain.head;
  }

  /** Samples that it trains on. */
  get samples(): number {
    const { streams } = this;
    // Not cut for whoever looks: the history goes on all the time.
    if (streams !== undefined) return streams.lacking === undefined ? streams.source.trainCount : 0;
    return "samples" in this.#data ? this.#data.samples.train.count : 0;
  }

  /** Name of the network that it trains, where the task has several. */
  get network(): string | undefined {
    return "trainer" in this.#data ? this.#data.trainer.network : undefined;
  }

  get progress():
    | { readonly round: number; readonly step: number; readonly steps: number }
    | undefined {
    const base = this.#runner.training;
    return base && this.#progress && { round: base.baseRound + 1, ...this.#progress };
  }

  /** What it does, and why in words where that wants any. */
  activity(): { readonly activity: LearningActivity; readonly because?: string } {
    const { unable } = this.#parts;
    return { ...(unable !== undefined && { because: unable }), ...this.#activity() };
  }

  #activity(): { readonly activity: LearningActivity; readonly because?: string } {
    if ("lacking" in this.#data) return { activity: "no-data", because: this.#data.lacking };
    const state = this.#runner.trainerState;
    if (this.#isOver) return { activity: "resting" };
    const lacking = this.streams?.lacking;
    if (lacking !== undefined) return { activity: "no-data", because: lacking };
    if (!this.#models.hasScale)
      return { activity: "fetching", because: "what the agents agreed to normalise by" };
    if (this.#isPaused)
      return { activity: "held", because: "whoever started the task lets it rest" };
    if (state === "paused" || !this.#mayTrain)
      return { activity: "held", because: "the power policy does not let it train for now" };
    if (state === "fetching" || state === "training") return { activity: state };
    if (state === "keeping" || state === "telling") return { activity: "telling" };
    return this.#failure === undefined
      ? { activity: "resting" }
      : { activity: "failed", because: this.#failure };
  }

  /** With larger numbers, oldest first. */
  rounds(after: number, limit: number): readonly HeardRound[] {
    return this.#rounds.after(after, limit);
  }

  get latest(): HeardRound | undefined {
    return this.#rounds.latest;
  }

  start(): void {
    this.#runner.start();
    this.#models.keepServed();
    this.#models.goOn();
  }

  /** Ends its part; the newest model is kept. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#runner.stop();
    await this.#models.stop();
    if ("trainer" in this.#data) await this.#data.trainer.dispose();
  }

  progressed(progress: { readonly step: number; readonly steps: number }): void {
    this.#progress = progress;
  }

  /**
   * A committee has decided a round.
   * @param bytes the decision with its certificate; undefined while there is none: this agent has seen the vote itself
   * @returns whether the task has gone on by it
   */
  decided(record: RoundRecord, bytes: Uint8Array | undefined): boolean {
    if (bytes !== undefined && record.modelHash === this.head.modelHash) this.#decision = bytes;
    let taken = this.#chain.take(record);
    if (taken.kind === "fault") {
      const { fault } = taken;
      this.#parts.logger.warn("another committee has gone on with a task", { fault });
      this.#models.distrustScale();
      taken = this.#chain.replace(record);
    }
    if (taken.kind !== "next" && taken.kind !== "jump") return false;
    this.#decision = bytes;
    this.#failure = undefined;
    // What it begins with, for others and after a restart.
    const { modelHash, baseHash, stateHash } = record;
    this.#parts.shelf.pin(`${this.task}/head`, [
      modelHash,
      baseHash,
      ...(stateHash === undefined ? [] : [stateHash]),
    ]);
    this.#runner.goOn(headOf(record));
    this.#allow();
    this.#rounds.hear(record, taken.kind === "next");
    this.#models.decided();
    return true;
  }

  roles(roles: LearningRoles): void {
    this.#runner.roles(roles);
  }

  committee(): void {
    this.#runner.committee();
  }

  living(peer: PeerId, alive: boolean): void {
    this.#runner.living(peer, alive);
  }

  /** Whether power and budget allow to train. */
  mayTrain(allowed: boolean): void {
    this.#mayTrain = allowed;
    this.#allow();
  }

  /** Whether whoever started the task lets it rest. */
  pause(isPaused: boolean): void {
    this.#isPaused = isPaused;
    this.mayTrain(this.#mayTrain);
  }

  #allow(): void {
    const hasSamples = this.streams?.lacking === undefined;
    const mayTrain = this.#mayTrain && !this.#isPaused && hasSamples && this.#models.hasScale;
    this.#runner.mayTrain(mayTrain);
    this.#models.mayTrain(mayTrain);
  }

  get #isOver(): boolean {
    return this.head.round >= this.#roundsMax;
  }

  hear(from: PeerId, talk: Extract<RoundsTalk, { kind: "begun" | "word" | "evidence" }>): void {
    this.#runner.hear(from, talk);
  }

  proposed(id: string, value: Uint8Array, proposer: PeerId): void {
    this.#runner.proposed(id, value, proposer);
  }

  ended(id: string, accepted: boolean): void {
    this.#runner.ended(id, accepted);
  }

  /** @see TaskModels.predict */
  predict(
    features: Float32Array,
    count: number,
    asked?: "own" | "global",
  ): Promise<Predicted | undefined> {
    return this.#models.predict(features, count, asked);
  }
}
