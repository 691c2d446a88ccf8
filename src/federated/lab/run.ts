import {
  Federation,
  type FederationParts,
  type Judgement,
  type RoundReport,
} from "./federation.ts";
import { TeachingFederation } from "./teaching-federation.ts";

/** What came of a run; how good the models are is of the end, or before they diverged. */
export interface RunResult extends Judgement {
  readonly rounds: number;
  readonly clients: number;
  readonly parameterCount: number;
  readonly bestAccuracy: number;
  /** The first round that was seen to reach `stopAtAccuracy`. */
  readonly reachedAtRound?: number;
  readonly uploadedBytes: number;
  /** What the same updates would have been in float32, by what was sent. */
  readonly compressionRatio: number;
  /** Why the run ended before its time: the model could not be trained on. */
  readonly diverged?: string;
  /** Somebody asked for the end. */
  readonly stopped?: true;
  readonly history: readonly RoundReport[];
}

/** Errors by which a model that diverges shows; any other is a fault of the experiment. */
const DIVERGED: ReadonlySet<unknown> = new Set([
  "training.not-finite",
  "aggregation.not-finite",
  "aggregation.overflow",
  "compression.input",
]);

/**
 * Runs an experiment, a round with each call of `next()`, until it has reached its accuracy, its last round, or diverges.
 * To end it sooner, call `next(true)`.
 *
 * @returns (with the last call) what came of it, and the model's parameters
 * @throws LabError, DataError, TrainingError, AggregationError for what can not be run at all
 */
export function* runExperiment(
  parts: FederationParts,
): Generator<RoundReport, { readonly result: RunResult; readonly weights: Float32Array }, boolean> {
  const { rounds, stopAtAccuracy, teaching } = parts.experiment;
  const federation =
    teaching === undefined ? new Federation(parts) : new TeachingFederation(parts, teaching);
  try {
    const history: RoundReport[] = [];
    let bestAccuracy = 0;
    let reachedAtRound: number | undefined;
    let diverged: string | undefined;
    let isStopped = false;
    while (history.length < rounds && reachedAtRound === undefined && !isStopped) {
      let report: RoundReport;
      try {
        report = federation.step();
      } catch (error) {
        if (!DIVERGED.has((error as { code?: unknown }).code)) throw error;
        diverged = `round ${history.length + 1}: ${(error as Error).message}`;
        break;
      }
      history.push(report);
      const { accuracy = 0 } = report;
      bestAccuracy = Math.max(bestAccuracy, accuracy);
      if (stopAtAccuracy !== undefined && accuracy >= stopAtAccuracy) reachedAtRound = report.round;
      isStopped = yield report;
    }
    const judgement = federation.evaluate();
    const { accuracy } = judgement;
    const last = history.at(-1);
    const uploadedBytes = last?.uploadedBytes ?? 0;
    const isWhole = !isStopped || history.length === rounds;
    return {
      result: {
        rounds: history.length,
        clients: federation.clients,
        parameterCount: federation.parameterCount,
        ...judgement,
        bestAccuracy: Math.max(bestAccuracy, accuracy),
        ...(reachedAtRound !== undefined && { reachedAtRound }),
        uploadedBytes,
        compressionRatio: federation.ratio,
        ...(diverged !== undefined && { diverged }),
        ...(!isWhole && reachedAtRound === undefined && { stopped: true }),
        history,
      },
      weights: federation.weights.slice(),
    };
  } finally {
    federation.dispose();
  }
}
