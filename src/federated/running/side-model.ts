import type { Random } from "../../platform/random.ts";
import type { Evaluation, ModelSpec, Samples } from "../../platform/training-backend.ts";
import type { RunnableModel, TrainingRunner } from "../../platform/training-runner.ts";

/** Judges and runs weights while others of the same network are trained. Built when it is first wanted. */
export class SideModel {
  readonly #build: () => Promise<RunnableModel>;
  #model: Promise<RunnableModel> | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(runner: TrainingRunner, spec: ModelSpec, random: Random) {
    this.#build = () => runner.build(spec, random);
  }

  /** How good weights are on samples. @throws TrainingError */
  evaluate(weights: Float32Array, samples: Samples): Promise<Evaluation> {
    return this.#inTurn(async (model) => {
      await model.write(weights);
      return model.evaluate(samples);
    });
  }

  /** @returns outputs of weights, one after the other @throws TrainingError */
  predict(weights: Float32Array, features: Float32Array, count: number): Promise<Float32Array> {
    return this.#inTurn(async (model) => {
      await model.write(weights);
      return model.predict(features, count);
    });
  }

  async dispose(): Promise<void> {
    await (await this.#model)?.dispose();
  }

  /** Nobody's weights get between another's and what is done with them. */
  #inTurn<T>(use: (model: RunnableModel) => Promise<T>): Promise<T> {
    this.#model ??= this.#build();
    const model = this.#model;
    const used = this.#turn.then(async () => use(await model));
    this.#turn = used.catch(() => undefined);
    return used;
  }
}
