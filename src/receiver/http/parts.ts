import type { Logger } from "../../platform/logger.ts";
import type { MetricsRegistry } from "../../platform/metrics-registry.ts";
import type { ReceiverTokens } from "../access.ts";
import type { Receiver } from "../receiver.ts";

/** What the HTTP interface is made of. */
export interface ReceiverHttpParts {
  readonly receiver: Receiver;
  readonly tokens: ReceiverTokens;
  readonly metrics: MetricsRegistry;
  readonly logger: Logger;
  /** Serve /metrics without a token. */
  readonly metricsPublic: boolean;
  /** The whole status, with what the roads counted. */
  readonly status: () => object;
}
