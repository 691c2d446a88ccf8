import type { KeyValueStore } from "../../platform/key-value-store.ts";
import type { PeerId } from "../../platform/signer.ts";
import { WakeUp } from "../../platform/wake-up.ts";
import { bytesOfWeights, weightsOfBytes } from "../combining/weights-codec.ts";
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
import { PersonalTask } from "./personal-task.ts";
import type { DataOffer } from "./program-data.ts";
import type { ReadingsSource } from "./readings-source.ts";
import type { LearningRoles, RoundParts } from "./round-parts.ts";
import { RoundRunner } from "./round-runner.ts";
import { scaleIn } from "./scale-round.ts";
import type { StreamNews, StreamPart } from "./stream-part.ts";
import { combiningOf, correctedBy } from "./task-combining.ts";
import { openingOf, openTaskStreams, releaseTaskStreams, servingOwner } from "./task-streams.ts";

/**
 * A model is written to flash no more often than this, but by members of the committee: they write each, since a round that nobody
 * has any more after a power cut is the end of its task.
 */
const KEEP_EVERY_MS = 300_000;

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
  readonly #keeping: WakeUp;
  readonly #roundsMax: number;
  readonly #rounds: HeardRounds;
  #decision: Uint8Array | undefined;
  readonly #keeper: ModelKeeper;
  readonly #stopping: AbortController;
  #personal: PersonalTask | undefined;
  /** Another committee has gone on with the task: what agents normalise by may be another. */
  #isScaleOld = false;
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
    this.#keeper = new ModelKeeper({ ...parts, remember: parts.rememberKept });
    this.#stopping = stopping;
    this.#rounds = new HeardRounds(clock, parts.earlier);
    this.#parts = parts;
    this.#data = data;
    this.#decision = known.head?.bytes;
    this.#chain = new RoundChain(task, head);
    this.#keeping = new WakeUp(clock, "learning.keep", () => this.#keep());
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
      keepVoted: (round, hashes) => this.#keeper.keepVoted({ round, hashes }),
      decision: () => this.#decision,
      onEvent: (event) => {
        if (event.by === "trainer" && event.event.kind === "failed" && event.event.givenUp)
          this.#failure = event.event.reason;
        parts.onEvent(event);
      },
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
          onModels: () => void (joined !== undefined && joined.#keepServed()),
        }),
    });
    joined = new JoinedTask(parts, known, data, stopping);
    await joined.#openPersonal();
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
    if (!this.#hasScale)
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
    this.#keepServed();
    this.#goOnWithStreams();
    this.#personal?.follow(this.head.round);
  }

  /** Ends its part; the newest model is kept. */
  async stop(): Promise<void> {
    this.#keeping.cancel();
    this.#stopping.abort();
    await this.#runner.stop();
    await this.streams?.stop();
    await this.#keeper.keepHead(() => this.head);
    if (this.streams !== undefined) releaseTaskStreams(this.#parts.shelf, this.task);
    await this.#personal?.stop();
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
      this.#isScaleOld = true;
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
    this.#goOnWithStreams();
    this.#rounds.hear(record, taken.kind === "next");
    this.#judgeNewest();
    this.#personal?.follow(record.round);
    const nowMs = this.#parts.clock.monotonicMs();
    this.#keeping.at(this.#isMember ? nowMs : this.#keeper.headAtMs + KEEP_EVERY_MS);
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
    const mayTrain = this.#mayTrain && !this.#isPaused && hasSamples && this.#hasScale;
    this.#runner.mayTrain(mayTrain);
    this.#personal?.mayTrain(mayTrain);
  }

  /** Round 1 is what the scale comes of. */
  get #hasScale(): boolean {
    return this.head.round === 0 || this.streams === undefined || this.streams.isScaled;
  }

  /** The newest model is to be served, and what it is normalised by to be known. */
  #goOnWithStreams(): void {
    const { streams } = this;
    const { round, modelHash } = this.head;
    if (streams === undefined || round === 0) return;
    if (!streams.isScaled || this.#isScaleOld)
      this.#fetchScale(streams).catch((error: unknown) =>
        this.#parts.logger.warn("what agents normalise by could not be taken", { error }),
      );
    if (this.#personal?.answersBy === "own") return;
    // The model of a round that agreed on the scale has learned nothing.
    if (round > 1 || streams.binding.normalize !== "federated") streams.offer(round, modelHash);
  }

  async #fetchScale(streams: StreamPart): Promise<void> {
    const state = await this.#runner.state();
    const scale = state && scaleIn(state, streams.binding.channels.length);
    // With the next round it is looked for again.
    if (scale === undefined || this.#stopping.signal.aborted) return;
    this.#isScaleOld = false;
    await streams.normalizeBy(scale);
    this.#allow();
  }

  get #isMember(): boolean {
    const { committee, signer } = this.#parts;
    return committee.members().includes(signer.peerId);
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

  /**
   * @param asked for which model; as the task has it unless given
   * @returns outputs of the newest model, one after the other; undefined where model or samples are not to be had
   */
  async predict(
    features: Float32Array,
    count: number,
    asked?: "own" | "global",
  ): Promise<
    | {
        readonly outputs: Float32Array;
        readonly round: number;
        readonly model: "own" | "global";
      }
    | undefined
  > {
    if (!("trainer" in this.#data)) return undefined;
    if (asked === "global" && !this.#data.trainer.agreesOnModel) return undefined;
    const newest = await this.#newest();
    if (newest === undefined) return undefined;
    const own =
      (asked ?? this.#personal?.answersBy) === "own"
        ? this.#personal?.weights(newest.weights, newest.round)
        : undefined;
    if (asked === "own" && own === undefined) return undefined;
    const { weights, round } = own ?? newest;
    const outputs = await this.#data.trainer.predict(weights, features, count);
    return { outputs, round, model: own === undefined ? "global" : "own" };
  }

  async #newest() {
    const { round } = this.head;
    const bytes = await this.#runner.model();
    const weights = bytes && weightsOfBytes(bytes, this.#parts.parameterCount);
    return weights && { round, weights };
  }

  /** Streams are judged by this agent's own model, where the task says so. Its hash is told to nobody. */
  #serveOwn(round: number, weights: Float32Array): void {
    if (this.streams === undefined || this.#personal?.answersBy !== "own") return;
    this.streams.offer(round, this.#parts.shelf.put(bytesOfWeights(weights)));
  }

  async #openPersonal(): Promise<void> {
    if (!("trainer" in this.#data)) return;
    const { trainer, samples } = this.#data;
    const { own } = trainer;
    if (own === undefined) return;
    this.#personal = await PersonalTask.open({
      ...this.#parts,
      task: this.task,
      trainer,
      own,
      samples,
      memory: this.#parts.ownMemory,
      newest: () => this.#newest(),
      onMade: (round, weights) => this.#serveOwn(round, weights),
      // Where agents agree on no model, their own is the one that is followed.
      onJudged: (round, evaluation) =>
        this.#rounds.judged(
          round,
          trainer.agreesOnModel ? "ownEvaluation" : "evaluation",
          evaluation,
        ),
    });
  }

  /** A member has what it takes to go on, whoever falls out. */
  #keep(): void {
    const had = this.#isMember
      ? Promise.all([this.#runner.model(), this.#runner.state()])
      : Promise.resolve();
    void this.#keeper.keepHead(() => this.head, had);
  }

  /** What serves on this device outlasts a restart, and what is on trial stays in memory. */
  #keepServed(): void {
    const { streams } = this;
    if (streams === undefined) return;
    this.#parts.shelf.pin(servingOwner(this.task), streams.pinned);
    void this.#keeper.keepServed(streams.durable);
  }

  /** Tells how good the newest model is on what was kept back here. */
  #judgeNewest(): void {
    // Before the scale is known a loss would say nothing.
    if (this.streams?.isScaled === false) return;
    if (!("samples" in this.#data) || this.#data.samples.test.count === 0) return;
    this.#judge(this.head.round).catch((error: unknown) =>
      this.#parts.logger.debug("a model was not judged", { error }),
    );
  }

  async #judge(round: number): Promise<void> {
    if (!("trainer" in this.#data) || !this.#data.trainer.agreesOnModel) return;
    const { trainer, samples } = this.#data;
    const newest = await this.#newest();
    if (newest === undefined || this.head.round !== round) return;
    const evaluation = await trainer.evaluate(newest.weights, samples.test);
    this.#rounds.judged(round, "evaluation", evaluation);
  }
}
