import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import { WakeUp } from "../../platform/wake-up.ts";
import { weightsOfBytes } from "../combining/weights-codec.ts";
import { headOf, RoundChain, type RoundHead } from "../rounds/chain.ts";
import type { RoundRecord } from "../rounds/round-record.ts";
import type { RoundsTalk } from "../rounds/talk.ts";
import type { KnownTask } from "../tasks/known-task.ts";
import type { LearningActivity, LearningRound } from "../view.ts";
import type { LearningGround } from "./learning-ground.ts";
import { type OwnData, openOwnData } from "./own-data.ts";
import type { RoundParts } from "./round-parts.ts";
import { RoundRunner } from "./round-runner.ts";

/** Rounds that are shown. */
const ROUNDS_KEPT_MAX = 1_024;
/**
 * A model is written to flash no more often than this, but by members of the committee: they write each, since a round that nobody
 * has any more after a power cut is the end of its task.
 */
const KEEP_EVERY_MS = 300_000;

/** What a task's part of an agent works with, besides what its rounds want. */
export interface JoinedTaskParts
  extends Omit<
    RoundParts,
    "task" | "spec" | "trainer" | "samples" | "combine" | "head" | "decision"
  > {
  readonly random: Random;
  readonly ground: LearningGround;
  readonly head: RoundHead;
  readonly wallMs: () => number;
  /** Remembers which models are kept on the shelf. @throws StoreError */
  readonly rememberKept: (hashes: readonly string[]) => Promise<void>;
  /** What the last run kept there. */
  readonly kept: readonly string[];
}

/** A round as it was heard of. */
export type HeardRound = Omit<LearningRound, "aggregator"> & { readonly aggregator: PeerId };

/** One task that this agent takes part in: its rounds, its training, and what is shown of both. */
export class JoinedTask {
  readonly #parts: JoinedTaskParts;
  readonly #chain: RoundChain;
  readonly #runner: RoundRunner;
  readonly #data: OwnData;
  readonly #keeping: WakeUp;
  readonly #roundsMax: number;
  readonly #rounds: HeardRound[] = [];
  #heardAtMs: number | undefined;
  #decision: Uint8Array | undefined;
  /** On the shelf's flash. */
  #kept: readonly string[];
  #turn: Promise<unknown> = Promise.resolve();
  #keptAtMs: number | undefined;
  #mayTrain = false;
  #isPaused = false;
  #progress: { readonly step: number; readonly steps: number } | undefined;
  #failure: string | undefined;
  readonly task: string;

  private constructor(parts: JoinedTaskParts, known: KnownTask, data: OwnData) {
    const { task, spec } = known.manifest;
    const { head, clock } = parts;
    this.task = task;
    this.#roundsMax = spec.rounds;
    this.#kept = parts.kept;
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
      ...("trainer" in data && data),
      combine: (job, seed) => parts.ground.combine(job, seed),
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
    const data = await openOwnData(parts.ground, known.manifest.spec, {
      random: parts.random,
      onProgress: (progress) => joined?.progressed(progress),
    });
    joined = new JoinedTask(parts, known, data);
    return joined;
  }

  get head(): RoundHead {
    return this.#chain.head;
  }

  /** Samples that it trains on. */
  get samples(): number {
    return "samples" in this.#data ? this.#data.samples.train.count : 0;
  }

  get progress():
    | { readonly round: number; readonly step: number; readonly steps: number }
    | undefined {
    const base = this.#runner.training;
    return base && this.#progress && { round: base.baseRound + 1, ...this.#progress };
  }

  /** What it does, and why in words where that wants any. */
  activity(): { readonly activity: LearningActivity; readonly because?: string } {
    if ("lacking" in this.#data) return { activity: "no-data", because: this.#data.lacking };
    const state = this.#runner.trainerState;
    if (this.#isOver) return { activity: "resting" };
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
    return this.#rounds.filter(({ round }) => round > after).slice(0, limit);
  }

  get latest(): HeardRound | undefined {
    return this.#rounds.at(-1);
  }

  start(): void {
    this.#runner.start();
  }

  /** Ends its part; the newest model is kept. */
  async stop(): Promise<void> {
    this.#keeping.cancel();
    await this.#runner.stop();
    await this.#turn;
    await this.#keepNow();
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
    this.#note(record, taken.kind === "next");
    const { committee, signer, clock } = this.#parts;
    const isMember = committee.members().includes(signer.peerId);
    this.#keeping.at(isMember ? clock.monotonicMs() : (this.#keptAtMs ?? 0) + KEEP_EVERY_MS);
    return true;
  }

  roles(aggregators: readonly PeerId[], trainers: readonly PeerId[]): void {
    this.#runner.roles(aggregators, trainers);
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
    this.#runner.mayTrain(allowed && !this.#isPaused);
  }

  /** Whether whoever started the task lets it rest. */
  pause(isPaused: boolean): void {
    this.#isPaused = isPaused;
    this.mayTrain(this.#mayTrain);
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

  /** @returns outputs of the newest model, one after the other; undefined where model or samples are not to be had */
  async predict(features: Float32Array, count: number): Promise<Float32Array | undefined> {
    if (!("trainer" in this.#data)) return undefined;
    const bytes = await this.#runner.model();
    const weights = bytes && weightsOfBytes(bytes, this.#parts.parameterCount);
    return weights && this.#data.trainer.predict(weights, features, count);
  }

  /** A member has what it takes to go on, whoever falls out. */
  #keep(): void {
    const { committee, signer, logger } = this.#parts;
    const isMember = committee.members().includes(signer.peerId);
    const had = isMember
      ? Promise.all([this.#runner.model(), this.#runner.state()])
      : Promise.resolve();
    this.#turn = Promise.all([had, this.#turn])
      .then(() => this.#keepNow())
      .catch((error: unknown) => logger.warn("a model was not kept", { error }));
  }

  /** Makes the newest model durable, and what the strategy remembers; what was kept before goes. */
  async #keepNow(): Promise<void> {
    const { shelf, clock, rememberKept } = this.#parts;
    const { modelHash, stateHash } = this.head;
    const wanted = [modelHash, ...(stateHash === undefined ? [] : [stateHash])];
    if (wanted.join() === this.#kept.join()) return;
    if (wanted.some((hash) => shelf.sizeOf(hash) === undefined)) return;
    for (const hash of wanted) await shelf.keep(hash);
    await rememberKept(wanted);
    const gone = this.#kept.filter((hash) => !wanted.includes(hash));
    this.#kept = wanted;
    this.#keptAtMs = clock.monotonicMs();
    for (const hash of gone) await shelf.release(hash);
  }

  #note(record: RoundRecord, isNext: boolean): void {
    const { clock, wallMs } = this.#parts;
    const nowMs = clock.monotonicMs();
    const since = isNext ? this.#heardAtMs : undefined;
    this.#heardAtMs = nowMs;
    const { round, aggregator, updates, samples, samplesTotal, modelHash } = record;
    this.#rounds.push({
      round,
      heardAtMs: wallMs(),
      ...(since !== undefined && { tookMs: Math.round(nowMs - since) }),
      aggregator,
      updates,
      samples,
      samplesTotal,
      modelHash,
    });
    if (this.#rounds.length > ROUNDS_KEPT_MAX) this.#rounds.shift();
    if (!("samples" in this.#data) || this.#data.samples.test.count === 0) return;
    this.#judge(round).catch((error: unknown) =>
      this.#parts.logger.debug("a model was not judged", { error }),
    );
  }

  /** How good the newest model is on what was kept back here. */
  async #judge(round: number): Promise<void> {
    if (!("trainer" in this.#data)) return;
    const { trainer, samples } = this.#data;
    const bytes = await this.#runner.model();
    const weights = bytes && weightsOfBytes(bytes, this.#parts.parameterCount);
    if (weights === undefined || this.head.round !== round) return;
    const { loss, accuracy } = await trainer.evaluate(weights, samples.test);
    const at = this.#rounds.findIndex((each) => each.round === round);
    const heard = this.#rounds[at];
    if (heard === undefined) return;
    const evaluation = { loss, ...(accuracy !== undefined && { accuracy }) };
    this.#rounds[at] = { ...heard, evaluation };
  }
}
