import type { Samples } from "../../platform/training-backend.ts";
import { checkSamples } from "../../platform/training-checks.ts";
import { layOut } from "../../platform/training-layout.ts";
import { DataError } from "../data/data-error.ts";
import type { TaskSpec } from "../tasks/task-spec.ts";
import type { OwnSamples } from "./task-trainer.ts";

/** The most names under which programs offer samples to one agent. */
const OFFERS_MAX = 64;

/** A program's samples under a name, as tasks name it under `data.name`. */
export interface DataOffer {
  readonly name: string;
  /** `once`: when a task is joined; `each-round`: again before each round that this agent trains. */
  readonly refresh: "once" | "each-round";
  /** @param task id of the task that asks @throws DataError, or anything: the task then says so and is not trained */
  readonly samples: (spec: TaskSpec, task: string) => Promise<OwnSamples>;
}

/** What programs offer to an agent, by name. What they offer comes before what `learning.datasets` has under the same name. */
export class ProgramData {
  readonly #offers = new Map<string, DataOffer>();

  /**
   * @returns takes it back
   * @throws DataError `data.setting` where the name is taken, or beyond 64 names
   */
  offer(offer: DataOffer): () => void {
    const { name } = offer;
    if (this.#offers.has(name))
      throw new DataError(
        "data.setting",
        `samples named ${name} are offered already; detach that task first`,
      );
    if (this.#offers.size >= OFFERS_MAX)
      throw new DataError("data.setting", `${OFFERS_MAX} names of samples at most`);
    this.#offers.set(name, offer);
    return () => {
      if (this.#offers.get(name) === offer) this.#offers.delete(name);
    };
  }

  get(name: string): DataOffer | undefined {
    return this.#offers.get(name);
  }

  names(): readonly string[] {
    return [...this.#offers.keys()];
  }
}

/**
 * Asks a program for its samples, and again before each round where it wants that.
 * @throws DataError, TrainingError saying what the program did wrong
 */
export async function openOffer(
  offer: DataOffer,
  spec: TaskSpec,
  task: string,
): Promise<OwnSamples> {
  let now = await samplesOfOffer(offer, spec, task);
  if (offer.refresh === "once") return now;
  return {
    get train() {
      return now.train;
    },
    get test() {
      return now.test;
    },
    async refresh() {
      now = await samplesOfOffer(offer, spec, task);
    },
  };
}

async function samplesOfOffer(
  { name, samples }: DataOffer,
  spec: TaskSpec,
  task: string,
): Promise<OwnSamples> {
  let given: OwnSamples;
  try {
    given = await samples(spec, task);
  } catch (error) {
    if (error instanceof DataError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new DataError("data.setting", `the program's samples of ${name} failed: ${reason}`);
  }
  for (const part of [given.train, given.test]) if (part.count > 0) checkRows(name, part, spec);
  return given;
}

/** @throws TrainingError, DataError */
function checkRows(name: string, samples: Samples, { model }: TaskSpec): void {
  const layout = layOut(model);
  checkSamples(model, layout, samples);
  const { features, targets } = samples;
  const { inputSize, outputSize } = layout;
  const wrong = features.findIndex((value) => !Number.isFinite(value));
  if (wrong !== -1)
    throw new DataError(
      "data.format",
      `${name}: sample ${Math.floor(wrong / inputSize)} has the value ${features[wrong]}`,
    );
  const odd = targets.findIndex((value) => !Number.isFinite(value));
  if (odd !== -1)
    throw new DataError(
      "data.format",
      `${name}: sample ${Math.floor(odd / outputSize)} has the target ${targets[odd]}`,
    );
}
