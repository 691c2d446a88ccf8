import type { PeerId } from "../../platform/signer.ts";
import { weightsOfBytes } from "../combining/weights-codec.ts";
import { UPDATE_ALONG_BYTES_MAX } from "../rounds/limits.ts";
import type { Base, RoundsTalk } from "../rounds/talk.ts";
import { RoundTrainer } from "../rounds/trainer.ts";
import type { TrainerEffect, TrainerInput } from "../rounds/trainer-effects.ts";
import type { TrainerWord } from "../rounds/trainer-word.ts";
import { MachineLoop, type Untimed } from "./machine-loop.ts";
import type { RoundScene } from "./round-scene.ts";
import type { OwnSamples, TaskTrainer } from "./task-trainer.ts";

/** What trains, and on what. */
export interface TrainingParts {
  readonly trainer: TaskTrainer;
  readonly samples: OwnSamples;
}

/** Performs what the trainer of one task wants: models are fetched and trained on, its word is kept and told. */
export class TrainerRunner {
  readonly #scene: RoundScene;
  readonly #training: TrainingParts;
  readonly #machine: RoundTrainer;
  readonly #loop: MachineLoop<Untimed<TrainerInput>, TrainerEffect>;
  #base: Base | undefined;
  /** What gradients are corrected by that go out from that model, where the task wants it. */
  #agreed: { readonly baseHash: string; readonly variate: Float32Array | undefined } | undefined;

  constructor(scene: RoundScene, training: TrainingParts) {
    this.#scene = scene;
    this.#training = training;
    const { task, signer, hasher, spec, times, damages, keptWord, shelf, clock } = scene.parts;
    const kept = keptWord && {
      word: keptWord,
      held: shelf.sizeOf(keptWord.updateHash) !== undefined,
    };
    const common = { task, signer, hasher, pace: spec.pace, times, damages };
    this.#machine = new RoundTrainer({ ...common, ...(kept && { kept }) });
    this.#loop = new MachineLoop({
      clock,
      name: "rounds.trainer",
      step: (input, nowMs) => this.#machine.step({ ...input, nowMs }),
      perform: (effect) => this.#perform(effect),
      wake: () => this.input({ kind: "tick" }),
    });
  }

  /** What it trains on at the moment. */
  get base(): Base | undefined {
    return this.#base;
  }

  get state(): RoundTrainer["state"] {
    return this.#machine.state;
  }

  input(input: Untimed<TrainerInput>): void {
    if (!this.#scene.isOver) this.#loop.input(input);
  }

  rest(): void {
    this.#loop.rest();
    this.#training.trainer.abandon();
  }

  #perform(effect: TrainerEffect): void {
    const { trainer } = this.#training;
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
        this.#quietly(trainer.pause());
        break;
      case "resume":
        this.#quietly(trainer.resume());
        break;
      case "abandon":
        trainer.abandon();
        break;
      case "keep":
        void this.#keep(effect.word);
        break;
      case "tell":
        if (effect.talk.kind === "word") void this.#tellWord(effect.to, effect.talk.word);
        else void this.#tell(effect.to, effect.talk);
        break;
      case "hold":
        this.#scene.held.hold("trainer", effect);
        break;
      case "event":
        this.#scene.parts.onEvent({ by: "trainer", event: effect.event });
        break;
      default:
        effect satisfies never;
    }
  }

  async #fetchBase(base: Base, aggregator: PeerId | undefined): Promise<void> {
    const had = await this.#scene.tensors.model(base.baseHash, aggregator);
    this.input({ kind: "base", base, had: had !== undefined && (await this.#agreesOn(base)) });
  }

  /** Has what the agents agreed on with that model. @returns false where it can not be had */
  async #agreesOn({ baseHash }: Base): Promise<boolean> {
    const { head, tensors, parts } = this.#scene;
    if (parts.variateIn === undefined) return true;
    const { modelHash, stateHash, aggregator } = head;
    if (modelHash !== baseHash) return false;
    const state = stateHash === undefined ? undefined : await tensors.state(stateHash, aggregator);
    if (stateHash !== undefined && state === undefined) return false;
    try {
      this.#agreed = { baseHash, variate: state && parts.variateIn(state) };
      return true;
    } catch (error) {
      parts.logger.warn("what gradients are corrected by can not be read", { error });
      return false;
    }
  }

  async #train(base: Base): Promise<void> {
    const { trainer, samples } = this.#training;
    const { shelf, opening } = this.#scene.parts;
    await this.#withModel(base, async (weights) => {
      const trained =
        opening !== undefined && base.baseRound === 0
          ? opening.update()
          : await trainer.train(weights, samples, this.#variateOf(base));
      if (trained === undefined) return;
      this.input({
        kind: "trained",
        base,
        updateHash: shelf.put(trained.bytes),
        updateBytes: trained.bytes.length,
        samples: trained.samples,
        loss: Math.max(0, trained.loss),
      });
    });
  }

  /** @returns undefined before the agents have agreed on any */
  #variateOf({ baseHash }: Base): Float32Array | undefined {
    if (this.#scene.parts.variateIn === undefined) return undefined;
    if (this.#agreed?.baseHash !== baseHash)
      throw new Error("what the agents agreed on with the model it begins with is gone");
    return this.#agreed.variate;
  }

  /** Nobody hears of it before the next head is there. */
  async #trainAlone(base: Base): Promise<void> {
    const { trainer, samples } = this.#training;
    await this.#withModel(base, async (weights) => {
      // What the opening round is about is no training.
      if (this.#scene.parts.opening !== undefined && base.baseRound === 0)
        throw new Error("there is nothing to train alone on");
      if (await trainer.trainAlone(weights, samples)) this.input({ kind: "trained-alone", base });
    });
  }

  /** Works on the model of that base. */
  async #withModel(base: Base, work: (weights: Float32Array) => Promise<void>): Promise<void> {
    const { shelf, parameterCount } = this.#scene.parts;
    this.#base = base;
    try {
      const bytes = await shelf.get(base.baseHash);
      const weights = bytes && weightsOfBytes(bytes, parameterCount);
      if (weights === undefined) throw new Error("the model it begins with is gone");
      await work(weights);
    } catch (error) {
      this.input({ kind: "failed", base, reason: (error as Error).message });
    } finally {
      if (this.#base === base) this.#base = undefined;
    }
  }

  async #keep(word: TrainerWord): Promise<void> {
    const { keepWord, logger } = this.#scene.parts;
    let durable = true;
    try {
      await keepWord(word);
    } catch (error) {
      durable = false;
      logger.warn("a trainer's word was not kept", { error });
    }
    this.input({ kind: "kept", updateHash: word.updateHash, durable });
  }

  /** What is short goes along: whoever collects from a whole fleet can not ask everybody back. */
  async #tellWord(to: PeerId, word: TrainerWord): Promise<void> {
    const { shelf, logger } = this.#scene.parts;
    let update: Uint8Array | undefined;
    try {
      if (word.updateBytes <= UPDATE_ALONG_BYTES_MAX) update = await shelf.get(word.updateHash);
    } catch (error) {
      logger.warn("an update could not be read", { error });
    }
    await this.#tell(to, { kind: "word", word, ...(update !== undefined && { update }) });
  }

  async #tell(to: PeerId, talk: RoundsTalk): Promise<void> {
    if (!(await this.#scene.tell(to, talk))) return;
    if (talk.kind === "begun")
      this.input({ kind: "told", to, what: "begun", baseRound: talk.baseRound });
    if (talk.kind !== "word") return;
    this.input({ kind: "told", to, what: "word", baseRound: talk.word.baseRound });
    this.#scene.countAlong("sent", to, talk.update);
  }

  /** Says in the log what went wrong, where nothing else follows from it. */
  #quietly(work: Promise<unknown>): void {
    work.catch((error: unknown) => this.#scene.parts.logger.warn("rounds", { error }));
  }
}
