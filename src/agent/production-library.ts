import { join } from "node:path";
import { loadFirmwareProfiles } from "../cli/firmware-profiles.ts";
import { resolveConfig } from "../config/resolve.ts";
import { EmbeddedAgent } from "../embedding/embedded-agent.ts";
import type { Logger } from "../platform/logger.ts";
import { findInstallation } from "../platform/node/installation.ts";
import { silentLogger } from "../platform/silent-logger.ts";
import { startProductionAgent } from "./production.ts";

export { ConfigError } from "../config/resolve.ts";
export {
  BulyanAggregation,
  CentredClippingAggregation,
  GeometricMedianAggregation,
  KrumAggregation,
  MeanAggregation,
  MedianAggregation,
  type TaskAggregation,
  TrimmedMeanAggregation,
} from "../embedding/aggregations.ts";
export type { AttachOptions, EmbeddedAgent } from "../embedding/embedded-agent.ts";
export {
  FederatedTask,
  type RoundsOptions,
  type TaskPrediction,
} from "../embedding/federated-task.ts";
export type { LabelledRows, Numbers, ProgramDataset } from "../embedding/program-samples.ts";
export type { DatasetContext, TaskDefinition } from "../embedding/task-definition.ts";
export { DataError } from "../federated/data/data-error.ts";
export { type AggregationContext, AggregationError } from "../federated/strategies/aggregation.ts";
export type { CustomAggregation } from "../federated/strategies/custom-rules.ts";
export { LearningError } from "../federated/tasks/learning-error.ts";
export type { LearningRound, LearningTask } from "../federated/view.ts";
export type { LayerSpec, ModelSpec } from "../platform/training-backend.ts";

/** How an agent is started in a program of one's own. */
export interface StartAgentOptions {
  /** Keeps readings, models, identity and ports; made if it is not there, and one process at a time has it. */
  readonly dataDirectory: string;
  /** Settings as in a configuration file. Default: everything as it is. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Settings as on the command line, `key=value`; they come after `config`. */
  readonly sets?: readonly string[];
  /** Nothing is logged where it is absent. */
  readonly logger?: Logger;
}

/**
 * Starts an agent in this process, the same as `agent-mesh run` does in one of its own. The program's environment does not change it, and
 * it tells no service manager of itself.
 * @throws ConfigError naming every unknown or wrong setting
 * @throws StoreError `store.locked` when another process has the directory
 * @throws Error in words that name what to change
 */
export async function startAgent(options: StartAgentOptions): Promise<EmbeddedAgent> {
  const { dataDirectory, config = {}, sets = [], logger = silentLogger } = options;
  const agent = await startProductionAgent({
    config: resolveConfig({ file: { name: "config", document: config }, sets }),
    dataDirectory,
    // Of the bundle this is the directory; of the sources it is the one below.
    installation: findInstallation(
      import.meta.filename.endsWith(".ts") ? join(import.meta.dirname, "..") : import.meta.dirname,
    ),
    logger,
    firmwareProfiles: () => loadFirmwareProfiles(dataDirectory),
    environment: {},
    pid: process.pid,
  });
  return new EmbeddedAgent(agent);
}
