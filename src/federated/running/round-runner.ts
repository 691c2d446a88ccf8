import type { PeerId } from "../../platform/signer.ts";
import { WakeUp } from "../../platform/wake-up.ts";
import { weightsOfBytes } from "../combining/weights-codec.ts";
import { RoundAggregator } from "../rounds/aggregator.ts";
import type { AggregatorEffect, AggregatorInput } from "../rounds/aggregator-effects.ts";
import type { RoundHead } from "../rounds/chain.ts";
import type { Evidence } from "../rounds/evidence.ts";
import { toldOf } from "../rounds/evidence-spread.ts";
import { RoundJudge } from "../rounds/judge.ts";
import type { JudgeEffect, JudgeInput } from "../rounds/judge-effects.ts";
import { UPDATE_ALONG_BYTES_MAX } from "../rounds/limits.ts";
import { Reputation } from "../rounds/reputation.ts";
import type { FetchEffect } from "../rounds/step.ts";
import type { Base, RoundsTalk } from "../rounds/talk.ts";
import { RoundTrainer } from "../rounds/trainer.ts";
import type { TrainerEffect, TrainerInput } from "../rounds/trainer-effects.ts";
import type { TrainerWord } from "../rounds/trainer-word.ts";
import { TensorError } from "../tensors/tensor-error.ts";
import { HeldTensors, type Machine } from "./held-tensors.ts";
import { ReputationKeeper } from "./reputation-keeper.ts";
import { RoundCombining } from "./round-combining.ts";
import type { LearningRoles, RoundParts } from "./round-parts.ts";
import { RoundTensors } from "./round-tensors.ts";

type Untimed<Input> = Input extends { nowMs: number } ? Omit<Input, "nowMs"> : never;

/** Performs what the three machines of one task want: the shelf and the exchange of tensors, training, combining, the committee. */
export class RoundRunner {
  readonly #parts: RoundParts;
  readonly #trainer: RoundTrainer | undefined;
  readonly #aggregator: RoundAggregator;
  readonly #judge: RoundJudge;
  readonly #wakeUps: Readonly<Record<Machine, WakeUp>>;
  readonly #stopping = new AbortController();
  /** Ends what is fetched for the round that goes on. */
  #ending = new AbortController();
  readonly #tensors: RoundTensors;
  readonly #combining: RoundCombining;
  readonly #held: HeldTensors;
  readonly #reputation: ReputationKeeper;
  /** Everybody who could train. */
  #trainers: readonly PeerId[] = [];
  #head: RoundHead;
  #training: Base | undefined;
  #isOver = false;

  constructor(parts: RoundParts) {
    const { task, spec, signer, hasher, clock, times, head, trainer, keptWord, damages } = parts;
    this.#parts = parts;
    this.#tensors = new RoundTensors({
      ...parts,
      random: parts.random.fork("holders"),
      members: () => parts.committee.members(),
      modelBytes: 4 * parts.parameterCount,
      signal: this.#stopping.signal,
    });
    this.#combining = new RoundCombining(parts, this.#tensors);
    this.#held = new HeldTensors(parts);
    this.#head = head;
    const common = { task, signer, hasher, pace: spec.pace, times };
    const reputation = new Reputation(parts.keptReputation);
    const keep = parts.keepReputation;
    this.#reputation = new ReputationKeeper({ ...parts, reputation, keep });
    const kept = keptWord && {
      word: keptWord,
      held: parts.shelf.sizeOf(keptWord.updateHash) !== undefined,
    };
    this.#trainer =
      trainer === undefined
        ? undefined
        : new RoundTrainer({ ...common, damages, ...(kept && { kept }) });
    const startMs = clock.monotonicMs();
    const sheets = parts.keptSheets;
    this.#aggregator = new RoundAggregator({ ...common, reputation, head, sheets, startMs });
    this.#judge = new RoundJudge({ ...common, reputation, head, sheets });
    const wakeUp = (machine: Machine): WakeUp =>
      new WakeUp(clock, `rounds.${machine}`, () => this.#tick(machine));
    this.#wakeUps = {
      trainer: wakeUp("trainer"),
      aggregator: wakeUp("aggregator"),
      judge: wakeUp("judge"),
    };
  }

  get head(): RoundHead {
    return this.#head;
  }

  /** What this agent trains on at the moment. */
  get training(): Base | undefined {
    return this.#training;
  }

  get trainerState(): RoundTrainer["state"] | undefined {
    return this.#trainer?.state;
  }

  /** Begins with where the task stands. */
  start(): void {
    if (this.#head.round >= this.#parts.spec.rounds) this.#rest();
    this.committee();
    this.#toTrainer({ kind: "head", head: this.#head });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#ending.abort();
    this.#rest();
    await this.#reputation.stop();
    await this.#held.kept();
  }

  #rest(): void {
    this.#isOver = true;
    for (const wakeUp of Object.values(this.#wakeUps)) wakeUp.cancel();
    this.#held.letGo();
    this.#parts.trainer?.abandon();
  }

  /** The task has gone on; after its last round there is nothing more to do. */
  goOn(head: RoundHead): void {
    this.#head = head;
    // What was fetched for a round that is over would hold up what the next one wants. Asynchronous rounds may count it yet.
    if (this.#parts.spec.pace.buffered === undefined) {
      this.#ending.abort();
      this.#ending = new AbortController();
    }
    if (head.round >= this.#parts.spec.rounds) {
      this.#rest();
      return;
    }
    this.#toTrainer({ kind: "head", head });
    this.#toAggregator({ kind: "head", head });
    this.#toJudge({ kind: "head", head });
  }

  roles({ aggregators, trainers, trainersInFleet: inFleet }: LearningRoles): void {
    this.#trainers = trainers;
    for (const input of [
      { kind: "aggregators", peers: aggregators },
      { kind: "trainers", peers: trainers, inFleet },
    ] as const) {
      this.#toTrainer(input);
      this.#toAggregator(input);
    }
  }

  /** The committee may be another one. */
  committee(): void {
    const members = this.#parts.committee.members();
    this.#toAggregator({ kind: "committee", members });
    this.#toJudge({ kind: "committee", members, quorum: this.#parts.committee.quorum() });
  }

  /** An agent is gone, or is back. */
  living(peer: PeerId, alive: boolean): void {
    this.#toAggregator({ kind: "living", peer, alive });
    if (alive) this.#toTrainer({ kind: "returned", peer });
  }

  /** Whether power and budget allow to train. */
  mayTrain(allowed: boolean): void {
    this.#toTrainer({ kind: "may-train", allowed });
  }

  /** Somebody said something about this task. */
  hear(from: PeerId, talk: Extract<RoundsTalk, { kind: "begun" | "word" | "evidence" }>): void {
    if (talk.kind === "word") this.#hearWord(from, talk);
    else if (talk.kind === "evidence")
      this.#toAggregator({ kind: "evidence", evidence: talk.evidence });
    else {
      const { baseRound, baseHash } = talk;
      this.#toAggregator({ kind: "begun", from, base: { baseRound, baseHash } });
    }
  }

  /** An update that came with its word is held at once, if there is room for it. */
  #hearWord(from: PeerId, { word, update }: Extract<RoundsTalk, { kind: "word" }>): void {
    this.#countAlong("received", from, update);
    const { updateHash, baseRound } = word;
    const isOff = this.#isOver || this.#parts.unable !== undefined;
    const isHere = !isOff && update !== undefined && this.#shelve(updateHash, update);
    this.#toAggregator({ kind: "word", word, isHere });
    if (isHere) void this.#lookAt(updateHash, update, baseRound);
  }

  /** @returns false where there is no room: it is asked for when it is to be counted */
  #shelve(hash: string, bytes: Uint8Array): boolean {
    try {
      this.#parts.shelf.hold(hash, bytes);
      return true;
    } catch (error) {
      if (!(error instanceof TensorError)) throw error;
      return false;
    }
  }

  /** @returns the newest model, from here or from others; undefined where nobody has it */
  model(): Promise<Uint8Array | undefined> {
    return this.#tensors.model(this.#head.modelHash, this.#head.aggregator);
  }

  /** @returns what the strategy remembers of the newest round, from here or from others; undefined where nobody has it, or there is nothing */
  state(): Promise<Uint8Array | undefined> {
    const { stateHash, aggregator } = this.#head;
    return stateHash === undefined
      ? Promise.resolve(undefined)
      : this.#tensors.state(stateHash, aggregator);
  }

  /** A record of this task is before the committee. */
  proposed(id: string, value: Uint8Array, proposer: PeerId): void {
    this.#toJudge({ kind: "proposal", id, value, proposer });
  }

  /** It is not any more. */
  ended(id: string, accepted: boolean): void {
    this.#toJudge({ kind: "ended", id, accepted });
  }

  #tick(machine: Machine): void {
    if (machine === "trainer") this.#toTrainer({ kind: "tick" });
    else if (machine === "aggregator") this.#toAggregator({ kind: "tick" });
    else this.#toJudge({ kind: "tick" });
  }

  #toTrainer(input: Untimed<TrainerInput>): void {
    if (this.#isOver || this.#trainer === undefined) return;
    const nowMs = this.#parts.clock.monotonicMs();
    const { effects, nextTickAtMs } = this.#trainer.step({ ...input, nowMs });
    for (const effect of effects) this.#doTrainer(effect);
    this.#wakeUps.trainer.at(nextTickAtMs);
  }

  #toAggregator(input: Untimed<AggregatorInput>): void {
    if (this.#isOver || this.#parts.unable !== undefined) return;
    const nowMs = this.#parts.clock.monotonicMs();
    const step = this.#aggregator.step({ ...input, nowMs });
    for (const effect of step.effects) this.#doAggregator(effect);
    this.#wakeUps.aggregator.at(step.nextTickAtMs);
  }

  #toJudge(input: Untimed<JudgeInput>): void {
    if (this.#isOver || this.#parts.unable !== undefined) return;
    const nowMs = this.#parts.clock.monotonicMs();
    const { effects, nextTickAtMs } = this.#judge.step({ ...input, nowMs });
    for (const effect of effects) this.#doJudge(effect);
    this.#wakeUps.judge.at(nextTickAtMs);
  }

  #doTrainer(effect: TrainerEffect): void {
    const { trainer, onEvent, keepWord } = this.#parts;
    switch (effect.kind) {
      case "fetch-base":
        void this.#fetchBase(effect.base, effect.aggregator);
        break;
      case "train":
        void this.#train(effect.base);
        break;
      case "train-alone":
        void this.#trainAlone(effect.base);
        break;
      case "pause":
        this.#quietly(trainer?.pause());
        break;
      case "resume":
        this.#quietly(trainer?.resume());
        break;
      case "abandon":
        trainer?.abandon();
        break;
      case "keep": {
        const { updateHash } = effect.word;
        keepWord(effect.word).then(
          () => this.#toTrainer({ kind: "kept", updateHash, durable: true }),
          (error: unknown) => {
            this.#parts.logger.warn("a trainer's word was not kept", { error });
            this.#toTrainer({ kind: "kept", updateHash, durable: false });
          },
        );
        break;
      }
      case "tell":
        if (effect.talk.kind === "word") void this.#tellWord(effect.to, effect.talk.word);
        else this.#tell(effect.to, effect.talk);
        break;
      case "hold":
        this.#held.hold("trainer", effect);
        break;
      case "event":
        onEvent({ by: "trainer", event: effect.event });
        break;
      default:
        effect satisfies never;
    }
  }

  #doAggregator(effect: AggregatorEffect): void {
    const { shelf, committee, onEvent, task } = this.#parts;
    switch (effect.kind) {
      case "fetch":
        void this.#fetchForAggregator(effect);
        break;
      case "hold":
        this.#held.hold("aggregator", effect);
        break;
      case "aggregate":
        void this.#aggregate(effect);
        break;
      case "store":
        shelf.hold(effect.hash, effect.bytes);
        break;
      case "propose":
      case "submit": {
        const { attempt, kind } = effect;
        committee.propose(effect.value).then(
          (end) => {
            if (kind === "propose") this.#toAggregator({ kind: "proposal-ended", attempt, ...end });
          },
          (error: unknown) => this.#parts.logger.error("a proposal was lost", { error }),
        );
        break;
      }
      case "send-head": {
        const decision = this.#parts.decision();
        if (decision !== undefined)
          this.#tell(effect.to, { kind: "head", task, round: this.#head.round, decision });
        break;
      }
      case "gossip":
        this.#spread(effect.evidence);
        break;
      case "event":
        if (effect.event.kind === "blamed") this.#reputation.changed();
        onEvent({ by: "aggregator", event: effect.event });
        break;
      default:
        effect satisfies never;
    }
  }

  #doJudge(effect: JudgeEffect): void {
    const { committee, onEvent } = this.#parts;
    switch (effect.kind) {
      case "fetch":
        void this.#fetchForJudge(effect);
        break;
      case "hold":
        this.#held.hold("judge", effect);
        break;
      case "recompute":
        void this.#recompute(effect);
        break;
      case "verdict":
        committee.vote(effect.id, effect.verdict);
        break;
      case "event":
        if (effect.event.kind === "blamed") this.#reputation.changed();
        onEvent({ by: "judge", event: effect.event });
        break;
      default:
        effect satisfies never;
    }
  }

  async #fetchBase(base: Base, aggregator: PeerId | undefined): Promise<void> {
    const had = await this.#tensors.model(base.baseHash, aggregator);
    this.#toTrainer({ kind: "base", base, had: had !== undefined });
  }

  async #train(base: Base): Promise<void> {
    const { trainer, samples, shelf, parameterCount } = this.#parts;
    this.#training = base;
    try {
      const bytes = await shelf.get(base.baseHash);
      const weights = bytes && weightsOfBytes(bytes, parameterCount);
      if (weights === undefined || trainer === undefined || samples === undefined)
        throw new Error("the model it begins with is gone");
      const { opening } = this.#parts;
      const trained =
        opening !== undefined && base.baseRound === 0
          ? opening.update()
          : await trainer.train(weights, samples);
      if (trained === undefined) return;
      const updateHash = shelf.put(trained.bytes);
      this.#toTrainer({
        kind: "trained",
        base,
        updateHash,
        updateBytes: trained.bytes.length,
        samples: trained.samples,
        loss: Math.max(0, trained.loss),
      });
    } catch (error) {
      this.#toTrainer({ kind: "failed", base, reason: (error as Error).message });
    } finally {
      if (this.#training === base) this.#training = undefined;
    }
  }

  /** Nobody hears of it before the next head is there. */
  async #trainAlone(base: Base): Promise<void> {
    const { trainer, samples, shelf, parameterCount, opening } = this.#parts;
    this.#training = base;
    try {
      const bytes = await shelf.get(base.baseHash);
      const weights = bytes && weightsOfBytes(bytes, parameterCount);
      // What the opening round is about is no training.
      const isOpening = opening !== undefined && base.baseRound === 0;
      if (weights === undefined || trainer === undefined || samples === undefined || isOpening)
        throw new Error("there is nothing to train alone on");
      if (await trainer.trainAlone(weights, samples))
        this.#toTrainer({ kind: "trained-alone", base });
    } catch (error) {
      this.#toTrainer({ kind: "failed", base, reason: (error as Error).message });
    } finally {
      if (this.#training === base) this.#training = undefined;
    }
  }

  async #fetchForAggregator(effect: FetchEffect): Promise<void> {
    const { hash, what } = effect;
    const bytes = await this.#tensors.wanted(effect, this.#ending.signal);
    if (bytes === undefined) this.#toAggregator({ kind: "unfetchable", hash, wrongBytes: false });
    else if (what === "sheet") this.#toAggregator({ kind: "sheet", hash, bytes });
    else await this.#lookAt(hash, bytes, this.#head.round);
  }

  /** An update is here, for the round behind that one. */
  async #lookAt(hash: string, bytes: Uint8Array, headRound: number): Promise<void> {
    try {
      const is = await this.#combining.inspect(bytes, headRound);
      this.#toAggregator({ kind: "had", hash, is });
    } catch (error) {
      this.#parts.logger.warn("an update could not be looked at", { hash, error });
      this.#toAggregator({ kind: "unfetchable", hash, wrongBytes: false });
    }
  }

  async #fetchForJudge(effect: FetchEffect): Promise<void> {
    const { hash, what } = effect;
    const bytes = await this.#tensors.wanted(effect, this.#ending.signal);
    if (bytes === undefined) this.#toJudge({ kind: "unfetchable", hash });
    else if (what === "sheet") this.#toJudge({ kind: "sheet", hash, bytes });
    else this.#toJudge({ kind: "had", hash });
  }

  async #aggregate({
    attempt,
    head,
    counted,
  }: Extract<AggregatorEffect, { kind: "aggregate" }>): Promise<void> {
    const combined = await this.#combining.combine(head, counted);
    if (combined.kind === "combined")
      this.#toAggregator({ kind: "aggregated", attempt, ...this.#combining.shelved(combined) });
    else {
      if (combined.kind === "lacking" && combined.hash !== undefined)
        this.#toAggregator({ kind: "lost", hash: combined.hash });
      const blamed = combined.kind === "blamed" ? combined.sender : undefined;
      this.#toAggregator({ kind: "not-aggregated", attempt, blamed, reason: combined.reason });
    }
  }

  async #recompute({
    id,
    head,
    counted,
  }: Extract<JudgeEffect, { kind: "recompute" }>): Promise<void> {
    const combined = await this.#combining.combine(head, counted);
    if (combined.kind === "combined")
      this.#toJudge({ kind: "recomputed", id, ...this.#combining.shelved(combined) });
    else {
      const lacking = combined.kind === "lacking";
      this.#toJudge({ kind: "not-recomputed", id, reason: combined.reason, lacking });
    }
  }

  /** What is short goes along: whoever collects from a whole fleet can not ask everybody back. */
  async #tellWord(to: PeerId, word: TrainerWord): Promise<void> {
    const { shelf, logger } = this.#parts;
    let update: Uint8Array | undefined;
    try {
      if (word.updateBytes <= UPDATE_ALONG_BYTES_MAX) update = await shelf.get(word.updateHash);
    } catch (error) {
      logger.warn("an update could not be read", { error });
    }
    this.#tell(to, { kind: "word", word, ...(update !== undefined && { update }) });
  }

  #countAlong(way: "sent" | "received", peer: PeerId, update: Uint8Array | undefined): void {
    const { exchange, signer } = this.#parts;
    if (update !== undefined && peer !== signer.peerId) exchange.wentAlong(way, update.length);
  }

  #tell(to: PeerId, talk: RoundsTalk): void {
    this.#parts.tell(to, talk).then(
      () => {
        if (talk.kind === "begun")
          this.#toTrainer({ kind: "told", to, what: "begun", baseRound: talk.baseRound });
        if (talk.kind !== "word") return;
        this.#toTrainer({ kind: "told", to, what: "word", baseRound: talk.word.baseRound });
        this.#countAlong("sent", to, talk.update);
      },
      (error: unknown) =>
        this.#parts.logger.debug("nobody heard of a round", { peer: to, reason: String(error) }),
    );
  }

  #spread(evidence: Evidence): void {
    const { committee, signer, hasher } = this.#parts;
    const self = signer.peerId;
    const parts = { hasher, self, members: committee.members(), trainers: this.#trainers };
    for (const peer of toldOf(evidence, parts)) this.#tell(peer, { kind: "evidence", evidence });
  }

  /** Says in the log what went wrong, where nothing else follows from it. */
  #quietly(work: Promise<unknown> | undefined): void {
    work?.catch((error: unknown) => this.#parts.logger.warn("rounds", { error }));
  }
}
