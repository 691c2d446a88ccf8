import type { Random } from "../../platform/random.ts";
import type { TrainableModel } from "../../platform/training-backend.ts";
import { gradientUpdate } from "../clients/gradient-update.ts";
import { localUpdate } from "../clients/local-update.ts";
import type { LabelledSamples } from "../data/dataset.ts";
import { metaTrain } from "../personalization/per-fed-avg.ts";
import { workerMomentum } from "../strategies/clients/worker-momentum.ts";
import { LabError } from "./lab-error.ts";
import type { Experiment } from "./options.ts";
import { ScaffoldClients } from "./scaffold-clients.ts";

/** What a client made of its samples. */
export interface ClientReport {
  readonly client: number;
  readonly update: Float32Array;
  /** How much it counts with rules that weigh. */
  readonly weight: number;
  readonly loss: number;
}

/** What clients do in a round, with what they remember from one to the next. */
export interface ClientRule {
  update(client: number, global: Float32Array, places: Int32Array, random: Random): ClientReport;
  /** After the server has taken a round. */
  endRound(): void;
}

/** What all clients together may remember. */
const STATE_BYTES_MAX = 4 * 1024 ** 3;

/** @throws LabError when what clients would have to remember is too much */
export function clientRule(
  options: Experiment["client"],
  model: TrainableModel,
  samples: LabelledSamples,
  clients: number,
): ClientRule {
  const remembers =
    options.kind === "gradient"
      ? options.momentum > 0
      : options.kind === "local" && options.scaffold;
  if (remembers) mustBeBounded("client", model.parameterCount, clients);
  if (options.kind === "gradient") return gradientRule(options, model, samples);
  if (options.kind === "meta") return metaRule(options, model, samples);
  const variates = options.scaffold
    ? new ScaffoldClients(model.parameterCount, clients)
    : undefined;
  return {
    update: (client, global, places, random) => {
      const correction = variates?.correction(client);
      const { delta, steps, loss } = localUpdate(
        model,
        global,
        { samples, places },
        options,
        random,
        correction,
      );
      variates?.trained(client, global, delta, { steps, learningRate: options.learningRate });
      return { client, update: delta, weight: places.length, loss };
    },
    endRound: () => variates?.endRound(),
  };
}

/** @throws LabError naming the setting that wants more than STATE_BYTES_MAX */
export function mustBeBounded(setting: string, parameterCount: number, clients: number): void {
  const bytes = 4 * parameterCount * clients;
  if (bytes > STATE_BYTES_MAX)
    throw new LabError(
      `${setting}: ${clients} clients would have to remember ${parameterCount} numbers each, more than ${STATE_BYTES_MAX} bytes: take fewer clients or a smaller model`,
    );
}

/**
 * One step of distributed SGD a round: clients send a gradient turned round, and the server's learning rate says how far the
 * model goes. With momentum it is an average of their own gradients.
 */
function gradientRule(
  { batchSize, momentum }: Extract<Experiment["client"], { kind: "gradient" }>,
  model: TrainableModel,
  samples: LabelledSamples,
): ClientRule {
  const averages = new Map<number, Float32Array>();
  // A gradient leaves the model as it is, and every round has a new array: no need to write it for each client.
  let written: Float32Array | undefined;
  return {
    update: (client, global, places, random) => {
      if (written !== global) model.write(global);
      written = global;
      const { descent, loss } = gradientUpdate(model, samples, places, batchSize, random);
      if (momentum === 0) return { client, update: descent, weight: 1, loss };
      const update = workerMomentum(averages.get(client), descent, momentum);
      averages.set(client, update);
      return { client, update, weight: 1, loss };
    },
    endRound: () => undefined,
  };
}

/**
 * Clients look for weights from which each adapts well (Per-FedAvg; MAML with several inner steps). All of them count the
 * same, as in Fallah et al. 2020, algorithm 1: what is looked for is good for the mean of the clients, not of the samples.
 */
function metaRule(
  options: Extract<Experiment["client"], { kind: "meta" }>,
  model: TrainableModel,
  samples: LabelledSamples,
): ClientRule {
  return {
    update: (client, global, places, random) => {
      model.write(global);
      const { loss } = metaTrain(model, { samples, places }, options, random);
      const update = new Float32Array(model.parameterCount);
      model.read(update);
      for (let at = 0; at < update.length; at++)
        update[at] = (update[at] as number) - (global[at] as number);
      return { client, update, weight: 1, loss };
    },
    endRound: () => undefined,
  };
}
