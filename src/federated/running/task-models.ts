import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import { WakeUp } from "../../platform/wake-up.ts";
import { bytesOfWeights, weightsOfBytes } from "../combining/weights-codec.ts";
import type { OwnModelMemory } from "../personalization/own-model-memory.ts";
import type { RoundHead } from "../rounds/chain.ts";
import type { TensorShelf } from "../tensors/tensor-shelf.ts";
import type { HeardRounds } from "./heard-rounds.ts";
import type { ModelKeeper } from "./model-keeper.ts";
import type { OwnData } from "./own-data.ts";
import { PersonalTask } from "./personal-task.ts";
import type { RoundRunner } from "./round-runner.ts";
import { scaleIn } from "./scale-round.ts";
import type { StreamPart } from "./stream-part.ts";
import { releaseTaskStreams, servingOwner } from "./task-streams.ts";

/**
 * A model is written to flash no more often than this, but by members of the committee: they write each, since a round that nobody
 * has any more after a power cut is the end of its task.
 */
const KEEP_EVERY_MS = 300_000;

/** What {@link TaskModels} work with. */
export interface TaskModelsParts {
  /** 32 hexadecimal digits. */
  readonly task: string;
  readonly data: OwnData;
  readonly keeper: ModelKeeper;
  /** Has, or gets, the models that the rounds come to. */
  readonly runner: Pick<RoundRunner, "model" | "state">;
  readonly rounds: HeardRounds;
  readonly head: () => RoundHead;
  readonly shelf: TensorShelf;
  readonly committee: { members(): readonly PeerId[] };
  readonly signer: Signer;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly ownMemory: OwnModelMemory;
  /** How many numbers a model has. */
  readonly parameterCount: number;
  /** The agent's part of the task ends. */
  readonly signal: AbortSignal;
  /** What samples are normalised by has become known. */
  readonly onScaled: () => void;
}

/** Answers of one model. */
export interface Predicted {
  /** One sample's after the other's. */
  readonly outputs: Float32Array;
  readonly round: number;
  readonly model: "own" | "global";
}

/**
 * What an agent does with the models that a task's rounds come to: it keeps the newest, judges it, lets it serve on its streams, goes on
 * from it to its own, and answers by it.
 */
export class TaskModels {
  readonly #parts: TaskModelsParts;
  readonly #keeping: WakeUp;
  #personal: PersonalTask | undefined;
  /** Another committee has gone on with the task: what agents normalise by may be another. */
  #isScaleOld = false;

  constructor(parts: TaskModelsParts) {
    this.#parts = parts;
    this.#keeping = new WakeUp(parts.clock, "learning.keep", () => this.#keep());
  }

  /** Goes on with the agent's own model, where the task has such. @throws StoreError */
  async open(): Promise<void> {
    const { data, rounds, ownMemory } = this.#parts;
    if (!("trainer" in data)) return;
    const { trainer, samples } = data;
    const { own } = trainer;
    if (own === undefined) return;
    this.#personal = await PersonalTask.open({
      ...this.#parts,
      trainer,
      own,
      samples,
      memory: ownMemory,
      newest: () => this.#newest(),
      onMade: (round, weights) => this.#serveOwn(round, weights),
      // Where agents agree on no model, their own is the one that is followed.
      onJudged: (round, evaluation) =>
        rounds.judged(round, trainer.agreesOnModel ? "ownEvaluation" : "evaluation", evaluation),
    });
  }

  /** Round 1 is what the scale comes of. */
  get hasScale(): boolean {
    const streams = this.#streams;
    return this.#parts.head().round === 0 || streams === undefined || streams.isScaled;
  }

  /** What agents normalise by has to be looked for anew. */
  distrustScale(): void {
    this.#isScaleOld = true;
  }

  mayTrain(allowed: boolean): void {
    this.#personal?.mayTrain(allowed);
  }

  /** A round has been decided, and is among those that were heard of. */
  decided(): void {
    const { keeper, clock } = this.#parts;
    this.goOn();
    this.#judgeNewest();
    this.#keeping.at(this.#isMember ? clock.monotonicMs() : keeper.headAtMs + KEEP_EVERY_MS);
  }

  /** The newest model is to be served, what it is normalised by to be known, and the own model to follow it. */
  goOn(): void {
    const { head } = this.#parts;
    this.#goOnWithStreams(head());
    this.#personal?.follow(head().round);
  }

  /** What serves on this device outlasts a restart, and what is on trial stays in memory. */
  keepServed(): void {
    const { shelf, task, keeper } = this.#parts;
    const streams = this.#streams;
    if (streams === undefined) return;
    shelf.pin(servingOwner(task), streams.pinned);
    void keeper.keepServed(streams.durable);
  }

  /** Keeps the newest. */
  async stop(): Promise<void> {
    const { keeper, head, shelf, task } = this.#parts;
    const streams = this.#streams;
    this.#keeping.cancel();
    await streams?.stop();
    await keeper.keepHead(head);
    if (streams !== undefined) releaseTaskStreams(shelf, task);
    await this.#personal?.stop();
  }

  /**
   * @param asked for which model; as the task has it unless given
   * @returns outputs of the newest model; undefined where model or samples are not to be had
   */
  async predict(
    features: Float32Array,
    count: number,
    asked?: "own" | "global",
  ): Promise<Predicted | undefined> {
    const { data } = this.#parts;
    if (!("trainer" in data)) return undefined;
    if (asked === "global" && !data.trainer.agreesOnModel) return undefined;
    const newest = await this.#newest();
    if (newest === undefined) return undefined;
    const own =
      (asked ?? this.#personal?.answersBy) === "own"
        ? this.#personal?.weights(newest.weights, newest.round)
        : undefined;
    if (asked === "own" && own === undefined) return undefined;
    const { weights, round } = own ?? newest;
    const outputs = await data.trainer.predict(weights, features, count);
    return { outputs, round, model: own === undefined ? "global" : "own" };
  }

  get #streams(): StreamPart | undefined {
    const { data } = this.#parts;
    return "streams" in data ? data.streams : undefined;
  }

  get #isMember(): boolean {
    const { committee, signer } = this.#parts;
    return committee.members().includes(signer.peerId);
  }

  async #newest(): Promise<{ readonly round: number; readonly weights: Float32Array } | undefined> {
    const { runner, head, parameterCount } = this.#parts;
    const { round } = head();
    const bytes = await runner.model();
    const weights = bytes && weightsOfBytes(bytes, parameterCount);
    return weights && { round, weights };
  }

  #goOnWithStreams({ round, modelHash }: RoundHead): void {
    const streams = this.#streams;
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
    const { runner, signal, onScaled } = this.#parts;
    const state = await runner.state();
    const scale = state && scaleIn(state, streams.binding.channels.length);
    // With the next round it is looked for again.
    if (scale === undefined || signal.aborted) return;
    this.#isScaleOld = false;
    await streams.normalizeBy(scale);
    onScaled();
  }

  /** Streams are judged by this agent's own model, where the task says so. Its hash is told to nobody. */
  #serveOwn(round: number, weights: Float32Array): void {
    if (this.#personal?.answersBy !== "own") return;
    this.#streams?.offer(round, this.#parts.shelf.put(bytesOfWeights(weights)));
  }

  /** A member has what it takes to go on, whoever falls out. */
  #keep(): void {
    const { keeper, runner, head } = this.#parts;
    const had = this.#isMember ? Promise.all([runner.model(), runner.state()]) : Promise.resolve();
    void keeper.keepHead(head, had);
  }

  /** Tells how good the newest model is on what was kept back here. */
  #judgeNewest(): void {
    const { data, head, logger } = this.#parts;
    // Before the scale is known a loss would say nothing.
    if (this.#streams?.isScaled === false) return;
    if (!("samples" in data) || data.samples.test.count === 0) return;
    this.#judge(head().round).catch((error: unknown) =>
      logger.debug("a model was not judged", { error }),
    );
  }

  async #judge(round: number): Promise<void> {
    const { data, head, rounds } = this.#parts;
    if (!("trainer" in data) || !data.trainer.agreesOnModel) return;
    const newest = await this.#newest();
    if (newest === undefined || head().round !== round) return;
    const evaluation = await data.trainer.evaluate(newest.weights, data.samples.test);
    rounds.judged(round, "evaluation", evaluation);
  }
}
