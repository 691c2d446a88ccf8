import type { Random } from "../../platform/random.ts";
import type { TrainableModel } from "../../platform/training-backend.ts";
import { localUpdate } from "../clients/local-update.ts";
import { type LabelledSamples, pick } from "../data/dataset.ts";
import { shuffle } from "../data/draw.ts";
import type { Partition } from "../data/partition.ts";
import { trainDitto } from "../personalization/ditto.ts";
import { hasNormalization, withOwnNormalization } from "../personalization/fed-bn.ts";
import { mustBeBounded } from "./client-rule.ts";
import { LabError } from "./lab-error.ts";
import type { Experiment } from "./options.ts";

/** How clients make the global model their own. */
export type PersonalOptions = NonNullable<Experiment["personal"]>;

/** What clients learn from, and what they keep back to judge their own models by. */
export interface OwnSplit {
  readonly train: Partition;
  readonly test: Partition;
}

/**
 * Keeps back a share of each client's samples: whoever is to be well served has to be asked.
 * @throws LabError naming the client that has too few
 */
export function ownSplit(partition: Partition, testShare: number, random: Random): OwnSplit {
  const parts = partition.map((places, client) => {
    const tests = Math.max(1, Math.round(testShare * places.length));
    if (tests >= places.length)
      throw new LabError(
        `personal.testShare: client ${client} has ${places.length} samples, which leaves none to learn from; give clients more samples`,
      );
    const order = shuffle(places.slice(), random.fork(`client ${client}`));
    return { train: order.slice(tests).sort(), test: order.slice(0, tests).sort() };
  });
  return { train: parts.map(({ train }) => train), test: parts.map(({ test }) => test) };
}

/** The models that clients use themselves, beside the global one. */
export class PersonalModels {
  readonly #options: PersonalOptions;
  readonly #model: TrainableModel;
  readonly #samples: LabelledSamples;
  readonly #split: OwnSplit;
  readonly #random: Random;
  /** Of clients that have trained: a whole model each. */
  readonly #own = new Map<number, Float32Array>();

  /** @throws LabError where FedBN finds nothing to keep, or clients would have to remember too much */
  constructor(
    options: PersonalOptions,
    model: TrainableModel,
    samples: LabelledSamples,
    split: OwnSplit,
    random: Random,
  ) {
    this.#options = options;
    this.#model = model;
    this.#samples = samples;
    this.#split = split;
    this.#random = random;
    if (options.kind === "fed-bn" && !hasNormalization(model.layout))
      throw new LabError("personal: fed-bn needs a batch-norm layer in the model; add one");
    if (options.kind === "fed-bn" || options.kind === "ditto")
      mustBeBounded("personal", model.parameterCount, split.train.length);
  }

  /** @returns weights with which a client begins its round */
  begin(client: number, global: Float32Array): Float32Array {
    const own = this.#own.get(client);
    return this.#options.kind === "fed-bn" && own !== undefined
      ? withOwnNormalization(this.#model.layout, global, own)
      : global;
  }

  /**
   * A client has trained from `start` by `update` for the round.
   * @returns what it sends
   */
  trained(
    client: number,
    start: Float32Array,
    update: Float32Array,
    global: Float32Array,
    draw: Random,
  ): Float32Array {
    const options = this.#options;
    if (options.kind === "fed-bn") {
      this.#own.set(
        client,
        start.map((value, at) => value + (update[at] ?? 0)),
      );
      return withOwnNormalization(this.#model.layout, update, new Float32Array(update.length));
    }
    if (options.kind === "ditto") {
      const own = this.#own.get(client) ?? global.slice();
      const places = this.#split.train[client] ?? new Int32Array(0);
      const random = draw.fork("own model");
      for (let epoch = 0; epoch < options.epochs; epoch++)
        trainDitto(
          this.#model,
          this.#samples,
          {
            order: shuffle(places.slice(), random),
            batchSize: options.batchSize,
            learningRate: options.learningRate,
            lambda: options.lambda,
          },
          global,
          own,
        );
      this.#own.set(client, own);
    }
    return update;
  }

  /** @returns mean over all clients of the accuracy of each one's model on the samples that it kept back */
  accuracy(global: Float32Array): number {
    const { test } = this.#split;
    let sum = 0;
    for (const [client, places] of test.entries()) {
      this.#put(client, global);
      sum += this.#model.evaluate(pick(this.#samples, places)).accuracy ?? 0;
    }
    return sum / test.length;
  }

  /** Brings a client's model into the backend. */
  #put(client: number, global: Float32Array): void {
    const options = this.#options;
    const own = this.#own.get(client);
    if (options.kind === "ditto") return this.#model.write(own ?? global);
    const start = this.begin(client, global);
    if (options.kind !== "fine-tune") return this.#model.write(start);
    // What adapting draws is the same each time, so that evaluating more often changes nothing.
    localUpdate(
      this.#model,
      start,
      { samples: this.#samples, places: this.#split.train[client] ?? new Int32Array(0) },
      options,
      this.#random.fork(`adapt ${client}`),
    );
  }
}
