import type { Evaluation, Samples } from "../../platform/training-backend.ts";
import type { RunnableModel, TrainingRunner } from "../../platform/training-runner.ts";
import { ClientVariate } from "../clients/client-variate.ts";
import { withVariate } from "../combining/variates.ts";
import { metaSteps } from "../personalization/meta-steps.ts";
import { OwnModel } from "../personalization/own-model.ts";
import { minus } from "../strategies/minus.ts";
import { isCorrected } from "../tasks/task-spec.ts";
import { type LocalClient, localClient, localSteps } from "./local-steps.ts";
import { SideModel } from "./side-model.ts";
import type { OwnSamples, TaskTrainer, TrainedUpdate, TrainerParts } from "./task-trainer.ts";
import { UpdatePacker } from "./update-packer.ts";

interface LocalTrainerParts extends TrainerParts {
  readonly runner: TrainingRunner;
  readonly model: RunnableModel;
}

/** Trains one task's model on this agent's own samples: from the weights that a round begins with, to the update that goes back. */
export class LocalTrainer implements TaskTrainer {
  readonly agreesOnModel = true;
  readonly network = undefined;
  readonly #parts: LocalTrainerParts;
  readonly own: OwnModel | undefined;
  readonly #client: LocalClient;
  readonly #packer: UpdatePacker;
  readonly #variate: ClientVariate | undefined;
  /** To judge and to run models while another is trained. */
  readonly #second: SideModel;
  #stop: AbortController | undefined;
  /** What it has come to alone since it was cut off. */
  #alone: Float32Array | undefined;

  private constructor(parts: LocalTrainerParts) {
    this.#parts = parts;
    const { spec, model, runner, random } = parts;
    this.own =
      spec.personalization &&
      new OwnModel({
        options: spec.personalization,
        spec: spec.model,
        layout: model.layout,
        runner,
        random: random.fork("own"),
      });
    this.#variate = isCorrected(spec) ? new ClientVariate() : undefined;
    this.#client = localClient(spec);
    this.#packer = new UpdatePacker(spec, parts.pack, random);
    this.#second = new SideModel(runner, spec.model, random.fork("second"));
  }

  /** @throws TrainingError for a model that can not be built */
  static async open(runner: TrainingRunner, parts: TrainerParts): Promise<LocalTrainer> {
    const model = await runner.build(parts.spec.model, parts.random.fork("weights"));
    return new LocalTrainer({ ...parts, runner, model });
  }

  async train(
    base: Float32Array,
    samples: OwnSamples,
    agreed?: Float32Array,
  ): Promise<TrainedUpdate | undefined> {
    const stop = new AbortController();
    this.#stop = stop;
    await samples.refresh?.();
    const { train } = samples;
    const start = this.own?.begin(base) ?? base;
    const correcting = this.#variate && {
      variate: this.#variate,
      agreed: agreed ?? new Float32Array(base.length),
    };
    const trained =
      this.own?.options.kind === "per-fed-avg"
        ? await this.#metaTrain(start, train, this.own.options.innerLearningRate, stop.signal)
        : await this.#train(start, train, stop.signal, {
            ...(this.#alone !== undefined && { from: this.#alone }),
            ...(correcting && { correction: correcting.variate.correction(correcting.agreed) }),
          });
    if (trained === undefined || stop.signal.aborted) return undefined;
    this.#alone = undefined;
    const { weights: after, loss } = trained;
    const delta = minus(after, start);
    this.own?.trained(after, delta);
    const variate = correcting?.variate.trained({
      agreed: correcting.agreed,
      before: start,
      after,
      steps: this.#stepsOf(train),
      learningRate: this.#client.learningRate,
    });
    const update = variate === undefined ? delta : withVariate(delta, variate);
    const bytes = await this.#packer.pack(update);
    return { bytes, samples: train.count, loss };
  }

  /**
   * Trains on from where it has come to alone, or else from a head of which no round comes: the next update is how far that is from its own
   * base. Models of which a part stays at each agent are left as they are, and so are those whose gradients are corrected by what all see.
   */
  async trainAlone(base: Float32Array, samples: OwnSamples): Promise<boolean> {
    if (this.own !== undefined || this.#variate !== undefined) return true;
    const stop = new AbortController();
    this.#stop = stop;
    await samples.refresh?.();
    const trained = await this.#train(base, samples.train, stop.signal, {
      ...(this.#alone !== undefined && { from: this.#alone }),
    });
    if (trained === undefined || stop.signal.aborted) return false;
    this.#alone = trained.weights;
    return true;
  }

  #train(
    start: Float32Array,
    train: Samples,
    signal: AbortSignal,
    how: { readonly from?: Float32Array; readonly correction?: Float32Array },
  ): ReturnType<typeof localSteps> {
    const { model, random, onProgress } = this.#parts;
    return localSteps(model, train, this.#client, { start, ...how }, random, {
      signal,
      onProgress,
    });
  }

  /** As many steps as {@link #train} takes. */
  #metaTrain(
    start: Float32Array,
    train: Samples,
    innerLearningRate: number,
    signal: AbortSignal,
  ): ReturnType<typeof metaSteps> {
    const { model, random, onProgress } = this.#parts;
    const { batchSize, learningRate } = this.#client;
    const steps = this.#stepsOf(train);
    const plan = { steps, batchSize, innerLearningRate, learningRate };
    return metaSteps(model, train, plan, start, random, { signal, onProgress });
  }

  /** That a round takes. */
  #stepsOf(train: Samples): number {
    const { epochs, batchSize } = this.#client;
    return epochs * Math.ceil(train.count / batchSize);
  }

  pause(): Promise<void> {
    return this.#parts.model.pause();
  }

  resume(): Promise<void> {
    return this.#parts.model.resume();
  }

  abandon(): void {
    this.#stop?.abort();
  }

  evaluate(weights: Float32Array, samples: Samples): Promise<Evaluation> {
    return this.#second.evaluate(weights, samples);
  }

  predict(weights: Float32Array, features: Float32Array, count: number): Promise<Float32Array> {
    return this.#second.predict(weights, features, count);
  }

  async dispose(): Promise<void> {
    this.abandon();
    await this.own?.dispose();
    await this.#parts.model.dispose();
    await this.#second.dispose();
  }
}
