import { setImmediate } from "node:timers/promises";
import type { RoundReport } from "../../federated/lab/federation.ts";
import { runExperiment } from "../../federated/lab/run.ts";
import { StrategyRegistry } from "../../federated/strategies/registry.ts";
import type { Random } from "../../platform/random.ts";
import { SeededRandom } from "../../platform/seeded-random.ts";
import { sha256 } from "./dataset-directory.ts";
import { type DataPlaces, experimentData } from "./experiment-data.ts";
import type { CheckedVariant } from "./experiment-source.ts";
import { openGround } from "./ground.ts";
import type { LabRun } from "./lab-run.ts";

/** Whoever watches a run. */
export interface RunWatch {
  onRound(report: RoundReport): void;
  /** Asked after each round. */
  isStopped(): boolean;
}

/**
 * Runs one variant with one seed, in this process; between rounds the process may do other things.
 * @throws LabError, DataError, ConfigError, TrainingError, AggregationError for what can not be run
 */
export async function runVariant(
  { number, labels, experiment }: CheckedVariant,
  seed: number,
  places: DataPlaces,
  watch: RunWatch,
): Promise<LabRun> {
  const startMs = performance.now();
  const random: Random = new SeededRandom(`lab ${seed}`);
  const strategy = new StrategyRegistry().strategy(experiment.strategy ?? {});
  const { backend, math } = openGround();
  try {
    const dataset = await experimentData(experiment, places, random.fork("data"));
    const rounds = runExperiment({ experiment, dataset, backend, strategy, math, random });
    let turn = rounds.next(false);
    while (turn.done !== true) {
      watch.onRound(turn.value);
      await setImmediate();
      turn = rounds.next(watch.isStopped());
    }
    const { result, weights } = turn.value;
    const bytes = new Uint8Array(weights.buffer, weights.byteOffset, weights.byteLength);
    return {
      variant: number,
      labels: Object.fromEntries(labels),
      seed,
      backend: backend.name,
      ...result,
      weightsHash: sha256(bytes),
      realMs: Math.round(performance.now() - startMs),
    };
  } finally {
    backend.dispose();
    await math.dispose();
  }
}
