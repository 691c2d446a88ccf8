import type { Random } from "../../platform/random.ts";
import type { ModelSpec, TrainableModel } from "../../platform/training-backend.ts";
import { localUpdate } from "../clients/local-update.ts";
import { pick } from "../data/dataset.ts";
import { shuffle, shuffled } from "../data/draw.ts";
import type { Partition } from "../data/partition.ts";
import { centredLogits, distil, studentOf } from "../distillation/distil.ts";
import {
  featureStatistics,
  generateTransferSet,
  mergeStatistics,
} from "../distillation/transfer-set.ts";
import type { Contribution } from "../strategies/aggregation.ts";
import { type Attackers, attackersOf } from "./attackers.ts";
import { mustBeBounded } from "./client-rule.ts";
import type { FederationParts, Judgement, RoundReport } from "./federation.ts";
import { LabError } from "./lab-error.ts";
import type { Experiment } from "./options.ts";
import { partitionOf } from "./partitioning.ts";
import { senderName } from "./sender-name.ts";

/** How models of several architectures teach each other. */
export type TeachingOptions = NonNullable<Experiment["teaching"]>;

/** Clients of one architecture share a model of the backend; each has weights of its own. */
interface Architecture {
  readonly name: string;
  readonly spec: ModelSpec;
  readonly model: TrainableModel;
  readonly student: TrainableModel;
}

interface Pupil {
  readonly architecture: Architecture;
  readonly places: Int32Array;
  readonly weights: Float32Array;
}

/**
 * Clients whose models have nothing in common but their classes (FedMD, Li and Wang 2019; FedDF, Lin et al. 2020): each
 * trains its own, answers on a transfer set, the answers are combined by the strategy's rule, and each learns from what
 * came of it. Nobody's weights ever leave a client.
 */
export class TeachingFederation {
  readonly clients: number;
  /** Of the largest architecture. */
  readonly parameterCount: number;
  readonly #parts: FederationParts;
  readonly #teaching: TeachingOptions;
  readonly #architectures: readonly Architecture[];
  readonly #pupils: readonly Pupil[];
  readonly #transfer: Float32Array;
  readonly #liars: Attackers;
  readonly #classes: number;
  #bytes = 0;
  #round = 0;

  /** @throws LabError, DataError, TrainingError naming the setting that can not be */
  constructor(parts: FederationParts, teaching: TeachingOptions) {
    const { experiment, dataset, backend, random } = parts;
    if (experiment.client.kind !== "local")
      throw new LabError("client.kind: teaching wants clients that train: local");
    this.#parts = parts;
    this.#teaching = teaching;
    this.#classes = dataset.classes;
    this.#architectures = Object.entries(teaching.architectures).map(([name, { layers }]) => {
      const spec: ModelSpec = {
        inputShape: dataset.shape,
        layers,
        loss: "softmax-cross-entropy",
      };
      const chance = random.fork(`model ${name}`);
      const model = backend.build(spec, chance);
      return { name, spec, model, student: backend.build(studentOf(spec), chance) };
    });
    const { kept, partition } = this.#keepBack(random);
    this.clients = partition.length;
    this.parameterCount = Math.max(...this.#architectures.map(({ model }) => model.parameterCount));
    this.#liars = attackersOf(experiment, this.clients);
    mustBeBounded("teaching", this.parameterCount, this.clients);
    this.#transfer = this.#transferSet(kept, partition, random.fork("transfer"));
    this.#pupils = partition.map((places, client) => {
      const architecture = this.#architectures[client % this.#architectures.length];
      if (architecture === undefined) throw new LabError("teaching.architectures: there are none");
      const { spec, name } = architecture;
      const begun = backend.build(spec, random.fork(`client ${client} ${name}`));
      const weights = new Float32Array(begun.parameterCount);
      begun.read(weights);
      begun.dispose();
      return { architecture, places, weights };
    });
  }

  /** The weights of all clients, one after the other. */
  get weights(): Float32Array {
    const length = this.#pupils.reduce((sum, { weights }) => sum + weights.length, 0);
    const all = new Float32Array(length);
    let at = 0;
    for (const { weights } of this.#pupils) {
      all.set(weights, at);
      at += weights.length;
    }
    return all;
  }

  /** Answers are sent as they are. */
  get ratio(): number {
    return 1;
  }

  /** Runs one round. @throws TrainingError, AggregationError as where models are averaged */
  step(): RoundReport {
    const { experiment, random } = this.#parts;
    const round = this.#round + 1;
    const draw = random.fork(`round ${round}`);
    let losses = 0;
    for (const [client, pupil] of this.#pupils.entries())
      losses += this.#train(pupil, draw.fork(`client ${client}`));
    if (this.#teaching.teach) this.#teachAll(draw);
    this.#round = round;
    const isJudged = round === experiment.rounds || round % experiment.evaluateEvery === 0;
    return {
      round,
      trainLoss: losses / this.#pupils.length,
      uploadedBytes: this.#bytes,
      ...(isJudged && this.evaluate()),
    };
  }

  /** @returns mean over the clients' models on the test samples, and over those of each architecture */
  evaluate(): Judgement {
    const { test } = this.#parts.dataset;
    const groups = new Map<string, { count: number; accuracy: number }>();
    let [accuracy, testLoss] = [0, 0];
    for (const { architecture, weights } of this.#pupils) {
      architecture.model.write(weights);
      const judged = architecture.model.evaluate(test);
      const group = groups.get(architecture.name) ?? { count: 0, accuracy: 0 };
      group.count++;
      group.accuracy += judged.accuracy ?? 0;
      groups.set(architecture.name, group);
      accuracy += (judged.accuracy ?? 0) / this.#pupils.length;
      testLoss += judged.loss / this.#pupils.length;
    }
    const byArchitecture = Object.fromEntries(
      [...groups].map(([name, group]) => [name, group.accuracy / group.count]),
    );
    return { accuracy, testLoss, byArchitecture };
  }

  dispose(): void {
    for (const { model, student } of this.#architectures) {
      model.dispose();
      student.dispose();
    }
  }

  /** Samples that no client has, where the transfer set is a public one. */
  #keepBack(random: Random): { readonly kept: Int32Array; readonly partition: Partition } {
    const { experiment, dataset } = this.#parts;
    const { transfer } = this.#teaching;
    const { count } = dataset.train;
    if (transfer.kind === "generated")
      return {
        kept: new Int32Array(0),
        partition: partitionOf(experiment, dataset.train, random.fork("partition")),
      };
    if (transfer.count >= count)
      throw new LabError(
        `teaching.transfer.count: ${transfer.count} of ${count} samples leaves none for the clients`,
      );
    const order = shuffled(count, random.fork("public"));
    const rest = order.slice(transfer.count).sort();
    const parts = partitionOf(experiment, pick(dataset.train, rest), random.fork("partition"));
    return {
      kept: order.slice(0, transfer.count),
      partition: parts.map((places) => places.map((place) => rest[place] ?? 0)),
    };
  }

  #transferSet(kept: Int32Array, partition: Partition, random: Random): Float32Array {
    const { train } = this.#parts.dataset;
    const { transfer } = this.#teaching;
    if (transfer.kind === "public") return pick(train, kept).features;
    const size = train.features.length / train.count;
    const statistics = partition
      .map((places) => featureStatistics(pick(train, places).features, size))
      .reduce(mergeStatistics);
    return generateTransferSet(statistics, transfer.count, random);
  }

  #train({ architecture, places, weights }: Pupil, draw: Random): number {
    const { client } = this.#parts.experiment;
    if (client.kind !== "local") return 0;
    const { train } = this.#parts.dataset;
    const { loss } = localUpdate(
      architecture.model,
      weights,
      { samples: train, places },
      client,
      draw,
    );
    architecture.model.read(weights);
    return loss;
  }

  #teachAll(draw: Random): void {
    const { strategy, math } = this.#parts;
    const { transfer, epochs, batchSize, learningRate } = this.#teaching;
    const { count } = transfer;
    const contributions: Contribution[] = this.#pupils.map(({ architecture, weights }, client) => {
      architecture.model.write(weights);
      const logits = architecture.model.predict(this.#transfer, count);
      return {
        sender: senderName(client),
        values: centredLogits(logits, this.#classes),
        weight: 1,
      };
    });
    const { count: liars, attack } = this.#liars;
    const honest = contributions.slice(0, contributions.length - liars);
    const lies = attack({
      honest: honest.map(({ values }) => values),
      attackers: liars,
      random: draw.fork("attack"),
    });
    const sent = [
      ...honest,
      ...lies.map((values, at) => ({ sender: senderName(honest.length + at), values, weight: 1 })),
    ];
    this.#bytes += honest.reduce((sum, { values }) => sum + 4 * values.length, 0);
    const logits = strategy.combine(sent, { math, random: draw.fork("server") });
    const order = Int32Array.from({ length: count * epochs }, (_, at) => at % count);
    for (let epoch = 0; epoch < epochs; epoch++)
      shuffle(order.subarray(epoch * count, (epoch + 1) * count), draw.fork(`order ${epoch}`));
    for (const { architecture, weights } of this.#pupils)
      distil(
        architecture.student,
        weights,
        this.#transfer,
        { count, logits },
        { order, batchSize, learningRate },
      );
  }
}
