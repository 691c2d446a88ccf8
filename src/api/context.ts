import type { MeshAccess } from "../access/mesh-access.ts";
import type { TokenStore } from "../access/tokens.ts";
import type { HealthCheck } from "../agent/health.ts";
import type { ConsensusView } from "../consensus/view.ts";
import type { RolesView } from "../coordination/roles/view.ts";
import type { TrailsView } from "../coordination/swarm/view.ts";
import type { TasksView } from "../coordination/tasks/view.ts";
import type { DeviceView } from "../device/view.ts";
import type { LearningView } from "../federated/view.ts";
import type { BridgeView } from "../mesh/bridge/view.ts";
import type { RelayView } from "../mesh/relay/view.ts";
import type { MeshView } from "../mesh/view.ts";
import type { QueueView } from "../outbox/view.ts";
import type { AssetDirectory } from "../platform/asset-directory.ts";
import type { BrokerStatus } from "../platform/broker.ts";
import type { Clock } from "../platform/clock.ts";
import type { Hasher } from "../platform/hasher.ts";
import type { KeyValueStore } from "../platform/key-value-store.ts";
import type { Logger } from "../platform/logger.ts";
import type { MetricsRegistry } from "../platform/metrics-registry.ts";
import type { ReadingsView } from "../readings/view.ts";
import type { EventLog } from "../telemetry/event-log.ts";
import type { UplinkView } from "../uplink/view.ts";

/** What REST shows of access control in the mesh, and does with it. */
export type AccessView = Pick<
  MeshAccess,
  "issue" | "revoke" | "import" | "ban" | "unban" | "grants" | "roles" | "audit"
> & { readonly ledger: Pick<MeshAccess["ledger"], "bans" | "scores"> };

/** Everything that the REST interface shows or sets in motion. */
export interface ApiContext {
  readonly agentId: string;
  readonly version: string;
  /** Milliseconds since 1970 at the agent's start. */
  readonly startedAtMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly hasher: Hasher;
  /** Keeps answers for repeated requests, under the prefix `i/`. */
  readonly store: KeyValueStore;
  readonly tokens: TokenStore;
  readonly events: EventLog;
  readonly metrics: MetricsRegistry;
  readonly device: DeviceView;
  readonly readings: ReadingsView;
  readonly queue: QueueView;
  readonly uplinks: UplinkView;
  readonly mesh: MeshView;
  /** Grants, bans and the audit log of the mesh; absent while it is off. */
  readonly meshAccess?: AccessView;
  readonly bridge: BridgeView;
  readonly roles: RolesView;
  readonly tasks: TasksView;
  readonly trails: TrailsView;
  readonly learning: LearningView;
  readonly consensus: ConsensusView;
  readonly relay: RelayView;
  brokerStatus(): BrokerStatus;
  health(): readonly HealthCheck[];
  /** The configuration in force, with every secret already redacted. */
  effectiveConfig(): Readonly<Record<string, unknown>>;
  /** JSON Schema of the configuration. */
  readonly configSchema: Readonly<Record<string, unknown>>;
  readonly assets: {
    /** The built web page: `index.html` and what it refers to by paths relative to `/`. */
    readonly page: AssetDirectory;
    /** Holds `openapi.json`. */
    readonly openapi: AssetDirectory;
    /** Files of the npm package swagger-ui-dist. */
    readonly docs: AssetDirectory;
  };
}
