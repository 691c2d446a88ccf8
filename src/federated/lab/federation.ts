import type { Random } from "../../platform/random.ts";
import type { TrainableModel, TrainingBackend } from "../../platform/training-backend.ts";
import type { VectorMath } from "../../platform/vector-math.ts";
import { type Dataset, pick } from "../data/dataset.ts";
import { sample } from "../data/draw.ts";
import type { Partition } from "../data/partition.ts";
import type { Contribution } from "../strategies/aggregation.ts";
import type { Strategy, StrategyState } from "../strategies/strategy.ts";
import { type Attackers, attackersOf } from "./attackers.ts";
import { type ClientReport, type ClientRule, clientRule } from "./client-rule.ts";
import { LabError } from "./lab-error.ts";
import type { Experiment } from "./options.ts";
import { partitionOf } from "./partitioning.ts";
import { ownSplit, PersonalModels } from "./personal-models.ts";
import { senderName } from "./sender-name.ts";
import { Uploads } from "./uploads.ts";

/** What came of a round. */
export interface RoundReport {
  /** From 1. */
  readonly round: number;
  /** Mean training loss of the honest clients. */
  readonly trainLoss: number;
  /** Of the global model on the test samples, in rounds that are evaluated. */
  readonly accuracy?: number;
  readonly testLoss?: number;
  /** Mean over the clients of the accuracy of each one's own model on the samples that it kept back. */
  readonly ownAccuracy?: number;
  /** Mean accuracy on the test samples of the models of each architecture. */
  readonly byArchitecture?: Readonly<Record<string, number>>;
  /** What honest clients sent in all rounds so far. */
  readonly uploadedBytes: number;
  /** Mean over the clients of what compression left out, as a share of the update's length; absent without compression. */
  readonly compressionError?: number;
}

/** How good the models are. */
export interface Judgement
  extends Required<Pick<RoundReport, "accuracy" | "testLoss">>,
    Pick<RoundReport, "ownAccuracy" | "byArchitecture"> {}

/** What a federation is put together from. */
export interface FederationParts {
  readonly experiment: Experiment;
  readonly dataset: Dataset;
  readonly backend: TrainingBackend;
  readonly strategy: Strategy;
  readonly math: VectorMath;
  /** Everything that is left to chance follows from it. */
  readonly random: Random;
}

/**
 * A whole federated experiment in one place: clients with their samples, attackers among them, a server. One model of the
 * backend serves all clients in turn. The same parts give the same bits, round by round.
 */
export class Federation {
  readonly clients: number;
  readonly parameterCount: number;
  readonly #parts: FederationParts;
  readonly #partition: Partition;
  readonly #model: TrainableModel;
  readonly #rule: ClientRule;
  readonly #uploads: Uploads;
  readonly #attackers: Attackers;
  readonly #asksForLosses: boolean;
  readonly #personal: PersonalModels | undefined;
  #global: Float32Array;
  #state: StrategyState;
  #round = 0;

  /** @throws LabError, DataError, TrainingError naming the setting that can not be */
  constructor(parts: FederationParts) {
    const { experiment, dataset, backend, strategy, random } = parts;
    this.#parts = parts;
    const { model, personal } = experiment;
    if (model === undefined) throw new LabError("model is missing: its layers");
    const partition = partitionOf(experiment, dataset.train, random.fork("partition"));
    const split =
      personal && ownSplit(partition, personal.testShare, random.fork("personal split"));
    this.#partition = split?.train ?? partition;
    this.clients = this.#partition.length;
    this.#attackers = attackersOf(experiment, this.clients);
    this.#model = backend.build(
      {
        inputShape: dataset.shape,
        layers: model.layers,
        loss: "softmax-cross-entropy",
      },
      random.fork("model"),
    );
    this.parameterCount = this.#model.parameterCount;
    this.#global = new Float32Array(this.parameterCount);
    this.#model.read(this.#global);
    this.#state = strategy.begin(this.parameterCount);
    this.#asksForLosses = asksForLosses(experiment);
    this.#rule = clientRule(experiment.client, this.#model, dataset.train, this.clients);
    this.#personal =
      personal && split
        ? new PersonalModels(personal, this.#model, dataset.train, split, random.fork("personal"))
        : undefined;
    this.#uploads = new Uploads(
      experiment.compression,
      this.parameterCount,
      this.clients,
      random.fork("compression"),
    );
  }

  /** The global model's parameters; not to be written. */
  get weights(): Float32Array {
    return this.#global;
  }

  /** How many times smaller compression made the updates. */
  get ratio(): number {
    return this.#uploads.ratio;
  }

  /**
   * Runs one round.
   * @throws TrainingError, AggregationError when training diverges or the updates can not be combined: the global model is
   *   as it was before the round
   */
  step(): RoundReport {
    const { experiment, random } = this.#parts;
    const round = this.#round + 1;
    const draw = random.fork(`round ${round}`);
    const chosen = this.#choose(draw);
    const honest: ClientReport[] = [];
    const updates: Float32Array[] = [];
    const contributions: Contribution[] = [];
    let errors = 0;
    const isAttacker = (client: number): boolean => client >= this.clients - this.#attackers.count;
    const own: Float32Array[] = [];
    for (const client of chosen) {
      const wantsOwn = experiment.attack.kind === "sign-flip";
      if (isAttacker(client) && !wantsOwn) continue;
      const report = this.#train(client, draw);
      if (isAttacker(client)) {
        own.push(report.update);
        continue;
      }
      const sent = this.#uploads.send(client, report.update);
      errors += sent.error;
      honest.push(report);
      updates.push(sent.received);
      contributions.push({
        sender: senderName(client),
        values: sent.received,
        weight: experiment.weigh === "samples" ? report.weight : 1,
        ...(this.#asksForLosses && { loss: this.#lossOf(client) }),
      });
    }
    this.#attack(chosen.filter(isAttacker), updates, own, contributions, draw);
    const { strategy, math } = this.#parts;
    const context = { math, random: draw.fork("server") };
    const { model, state } = strategy.step(this.#global, contributions, this.#state, context);
    this.#global = model;
    this.#state = state;
    this.#rule.endRound();
    this.#round = round;
    const last = round === experiment.rounds;
    return {
      round,
      trainLoss: honest.reduce((sum, { loss }) => sum + loss, 0) / Math.max(1, honest.length),
      uploadedBytes: this.#uploads.bytes,
      ...(experiment.compression !== undefined && {
        compressionError: errors / Math.max(1, honest.length),
      }),
      ...((last || round % experiment.evaluateEvery === 0) && this.evaluate()),
    };
  }

  /** @returns how good the global model is on the test samples, and the clients' own on theirs */
  evaluate(): Judgement {
    this.#model.write(this.#global);
    const { accuracy = 0, loss } = this.#model.evaluate(this.#parts.dataset.test);
    const ownAccuracy = this.#personal?.accuracy(this.#global);
    return { accuracy, testLoss: loss, ...(ownAccuracy !== undefined && { ownAccuracy }) };
  }

  dispose(): void {
    this.#model.dispose();
  }

  #choose(draw: Random): readonly number[] {
    const { fraction } = this.#parts.experiment;
    const count = Math.max(1, Math.round(fraction * this.clients));
    return sample(this.clients, count, draw.fork("choice"));
  }

  #train(client: number, draw: Random): ClientReport {
    const places = this.#partition[client] ?? new Int32Array(0);
    const own = draw.fork(`client ${client}`);
    const personal = this.#personal;
    if (personal === undefined) return this.#rule.update(client, this.#global, places, own);
    const start = personal.begin(client, this.#global);
    const report = this.#rule.update(client, start, places, own);
    return {
      ...report,
      update: personal.trained(client, start, report.update, this.#global, own),
    };
  }

  #attack(
    attackers: readonly number[],
    honest: readonly Float32Array[],
    own: readonly Float32Array[],
    contributions: Contribution[],
    draw: Random,
  ): void {
    // With nobody honest in a round there is nothing to twist, and nothing is learned.
    if (attackers.length === 0 || honest.length === 0) return;
    const weight = contributions.reduce((sum, each) => sum + each.weight, 0) / honest.length;
    // Attacks on gradients are told in gradients, and clients send them turned round: "a little is enough" is another attack
    // with the other sign.
    const turned = this.#parts.experiment.client.kind === "gradient";
    const updates = this.#attackers.attack({
      honest: turned ? honest.map(negated) : honest,
      attackers: attackers.length,
      ...(own.length > 0 && { own: turned ? own.map(negated) : own }),
      random: draw.fork("attack"),
    });
    for (const [at, client] of attackers.entries()) {
      const update = updates[at];
      if (update === undefined) continue;
      const values = turned ? negated(update) : update;
      const loss = this.#asksForLosses ? { loss: this.#lossOf(client) } : {};
      contributions.push({ sender: senderName(client), values, weight, ...loss });
    }
  }

  /** Of the global model on all samples of a client. */
  #lossOf(client: number): number {
    this.#model.write(this.#global);
    const places = this.#partition[client] ?? new Int32Array(0);
    return this.#model.evaluate(pick(this.#parts.dataset.train, places)).loss;
  }
}

/** QFedAvg weighs clients by what the model costs them before they train. */
function asksForLosses({ strategy }: Experiment): boolean {
  const { rule } = (strategy ?? {}) as { readonly rule?: { readonly kind?: unknown } };
  return rule?.kind === "qfedavg";
}

function negated(values: Float32Array): Float32Array {
  const turned = new Float32Array(values.length);
  for (let at = 0; at < turned.length; at++) turned[at] = -(values[at] as number);
  return turned;
}
