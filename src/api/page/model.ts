/**
 * What the page reads of the agent's answers. The page stands alone, so these are its own words for the
 * response schemas in `src/api/schemas`; a test holds the two in step.
 */

/** A value, or the reason why this device has none. */
export type Measured<T> =
  | ({ readonly available: true } & T)
  | { readonly available: false; readonly reason: string };

/** GET /v1/device */
export interface Device {
  readonly agentId: string;
  readonly version: string;
  readonly startedAtMs: number;
  readonly uptimeMs: number;
  readonly clock: { readonly wallMs: number; readonly trusted: boolean };
  readonly identity: {
    readonly model: string;
    readonly hostname: string;
    readonly kernel: string;
    readonly architecture: string;
    readonly operatingSystem: string;
    readonly serial?: string | undefined;
  };
  readonly profile: { readonly id: string; readonly name: string; readonly chosenBecause: string };
}

/** GET /readyz, whether 200 or 503 */
export interface Health {
  readonly ready: boolean;
  readonly checks: readonly HealthCheck[];
}

export interface HealthCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly detail?: string | undefined;
}

export interface Sample {
  readonly cpu: Measured<{
    readonly cores: number;
    readonly usedPercent?: number | undefined;
    readonly load1: number;
    readonly frequencyHz?: number | undefined;
  }>;
  readonly memory: Measured<{
    readonly totalBytes: number;
    readonly availableBytes: number;
    readonly swapTotalBytes: number;
    readonly swapFreeBytes: number;
  }>;
  readonly pressure: Measured<{
    readonly cpuSomeAvg10Percent: number;
    readonly memorySomeAvg10Percent: number;
    readonly ioSomeAvg10Percent: number;
  }>;
  readonly thermal: Measured<{
    readonly celsius: number;
    readonly zones: readonly { readonly name: string; readonly celsius: number }[];
  }>;
  readonly throttling: Measured<{
    /** Each is absent where no source can tell. */
    readonly underVoltageNow?: boolean | undefined;
    readonly throttledNow?: boolean | undefined;
    readonly frequencyCappedNow?: boolean | undefined;
    readonly underVoltageSinceBoot?: boolean | undefined;
    readonly throttledSinceBoot?: boolean | undefined;
  }>;
  readonly battery: Measured<{
    readonly name: string;
    readonly chargePercent?: number | undefined;
    readonly state: "charging" | "discharging" | "full" | "unknown";
    readonly volts?: number | undefined;
    readonly watts?: number | undefined;
  }>;
  readonly powerRails: Measured<{
    readonly rails: readonly { readonly name: string; readonly watts: number }[];
  }>;
  readonly disk: Measured<{
    readonly path: string;
    readonly totalBytes: number;
    readonly freeBytes: number;
    readonly readOnly: boolean;
  }>;
  readonly flashWear: Measured<{
    readonly lifeUsedPercent: number;
    readonly preEol: "normal" | "warning" | "urgent" | "unknown";
  }>;
  readonly network: Measured<{
    readonly interfaces: readonly {
      readonly name: string;
      readonly up: boolean;
      readonly wireless: boolean;
      readonly speedMbps?: number | undefined;
      readonly signalDbm?: number | undefined;
    }[];
  }>;
  readonly gpu: Measured<{ readonly usedPercent: number }>;
  readonly process: Measured<{ readonly residentBytes: number }>;
  readonly uptimeMs: Measured<{ readonly value: number }>;
}

/** GET /v1/resources */
export interface ResourceSnapshot {
  readonly wallMs: number;
  readonly sample: Sample;
}

/** An item of GET /v1/resources/history; null where the device cannot tell. */
export interface ResourcePoint {
  readonly wallMs: number;
  readonly cpuPercent: number | null;
  readonly memoryPercent: number | null;
  readonly celsius: number | null;
  readonly batteryPercent: number | null;
  readonly diskPercent: number | null;
  readonly residentBytes: number | null;
}

/** GET /v1/power */
export interface Power {
  readonly mode: "normal" | "saving" | "aggressive" | "critical";
  readonly reason: string;
  readonly sinceMs: number;
  readonly settings: {
    readonly samplingIntervalMs: number;
    readonly uplinkBatchIntervalMs: number;
    readonly uplinkBatchUpdatesMax: number;
    readonly uplinkUrgentPriorityMin: number;
  };
  readonly transitions: number;
}

/** GET /v1/queue; counters count since the agent started. */
export interface Queue {
  readonly updates: number;
  readonly bytes: number;
  readonly bytesMax: number;
  readonly evict: "drop-oldest" | "drop-lowest-priority" | "thin" | "reject";
  readonly paused: boolean;
  readonly updatesByPriority: readonly { readonly priority: number; readonly updates: number }[];
  readonly oldestObservedAtMs?: number | undefined;
  readonly appended: number;
  readonly acknowledged: number;
  readonly shed: number;
  readonly expired: number;
  readonly superseded: number;
  readonly written: {
    readonly bytes: number;
    readonly deviceBytes?: number;
    readonly syncs: number;
    readonly bytesPerDayMax: number;
    readonly budgetUsed: number;
  };
  readonly lost: number;
  readonly refused: number;
  readonly deadLetters: number;
  readonly deadLetterBytes: number;
  readonly storeFault?: string | undefined;
  readonly storeRecoveries: number;
  readonly lastCommitMs: number;
}

/** An item of GET /v1/queue/dead-letters */
export interface DeadLetter {
  readonly id: string;
  readonly code: string;
  readonly reason: string;
  readonly topic: string;
  readonly priority: number;
  readonly deadAtMs: number;
  readonly payload: {
    readonly encoding: "utf-8" | "base64";
    readonly data: string;
    readonly bytes: number;
  };
}

/** An item of GET /v1/uplinks */
export interface Uplink {
  readonly name: string;
  readonly kind: string;
  readonly url: string;
  readonly state: "connecting" | "up" | "waiting" | "idle" | "stopped";
  readonly active: boolean;
  readonly reason?: string | undefined;
  readonly retryInMs?: number | undefined;
  readonly attempts: number;
  readonly inFlight: number;
  readonly inFlightMax: number;
  readonly acknowledged: number;
  readonly refused: number;
  readonly sentBytes: number;
  readonly acknowledgedPerSecond: number;
  readonly lastRoundTripMs?: number | undefined;
}

/** An item of GET /v1/readings: the newest of its stream. */
export interface Reading {
  readonly stream: string;
  readonly topic: string;
  readonly text?: string | undefined;
  readonly bytes: number;
  readonly contentType: string;
  readonly sequence: number;
  readonly observedAtMs: number;
  readonly observedAtTrusted: boolean;
  readonly count: number;
}

/** GET /v1/readings */
export interface Readings {
  readonly items: readonly Reading[];
  readonly total: number;
  readonly totals: {
    readonly received: number;
    readonly refused: number;
    readonly deadLettered: number;
  };
}

/** The `broker` of GET /v1/mqtt/mappings */
export interface Broker {
  readonly kind: "embedded" | "client";
  readonly connected: boolean;
  readonly url: string;
  readonly clients?: number | undefined;
  readonly reason?: string | undefined;
}

/** One `data:` document of GET /v1/events */
export interface AgentEvent {
  readonly id: number;
  readonly type: string;
  readonly atMs: number;
  readonly data: Readonly<Record<string, unknown>>;
}

/** GET /v1/tokens/self */
export interface TokenSelf {
  readonly name: string;
  readonly scope: "viewer" | "operator" | "admin";
}

export type MemberState = "alive" | "suspect" | "dead" | "left";

/** GET /v1/mesh */
export interface Mesh {
  readonly enabled: boolean;
  readonly peerId?: string | undefined;
  readonly addresses: readonly string[];
  readonly transports: readonly string[];
  readonly privateNetwork: boolean;
  readonly links: number;
  readonly partitionScore: number;
  readonly bootstrap: readonly {
    readonly address: string;
    readonly fault?: string | undefined;
    readonly attempts: number;
  }[];
}

/** An item of GET /v1/mesh/peers */
export interface MeshPeer {
  readonly peerId: string;
  readonly agentId?: string | undefined;
  readonly direction: "inbound" | "outbound";
  readonly transport: string;
  readonly address: string;
  readonly linkedForMs: number;
  readonly state?: MemberState | undefined;
}

/** An item of GET /v1/fleet/agents */
export interface FleetAgent {
  readonly agentId: string;
  readonly peerId?: string | undefined;
  readonly self: boolean;
  readonly state: MemberState;
  readonly forMs: number;
  readonly heardOfMsAgo: number;
  readonly ageMs: number;
  readonly confidence: number;
  readonly linked: boolean;
  readonly version: string;
  readonly capabilities?:
    | {
        readonly deviceModel: string;
        readonly powerSupply: "mains" | "battery" | "unknown";
        readonly features: readonly string[];
      }
    | undefined;
  readonly health?:
    | {
        readonly status: string;
        readonly powerMode: string;
        readonly batteryPercent?: number | undefined;
        readonly queueUpdates?: number | undefined;
        readonly uplinkUp?: boolean | undefined;
      }
    | undefined;
}

/** Agents known, by state. */
export type MemberCounts = Readonly<Record<MemberState, number>>;

/** The same, and how many there are in all. */
export type FleetCounts = MemberCounts & {
  readonly estimated: { readonly agents: number; readonly relativeError: number };
};

/** GET /v1/fleet/agents */
export interface FleetPage extends Items<FleetAgent> {
  readonly counts: FleetCounts;
}

/** Who has a role. */
export interface RoleHolder {
  readonly peerId: string;
  readonly agentId?: string | undefined;
  readonly self: boolean;
}

/** An agent with its roles. */
export interface RatedAgent extends RoleHolder {
  readonly coordination: "coordinator" | "validator" | "worker";
  readonly learning: readonly ("aggregator" | "validator" | "trainer")[];
}

/** Who has which role. */
export interface RoleAssignment {
  readonly term: number;
  readonly quorum: boolean;
  readonly coordinator?: RoleHolder | undefined;
  readonly caretaker?: RoleHolder | undefined;
  readonly validators: readonly RoleHolder[];
  readonly aggregators: readonly RoleHolder[];
  readonly reason: "vacant" | "better" | "members" | "rebalanced";
  readonly ledForMs: number;
}

/** GET /v1/roles */
export interface Roles {
  readonly enabled: boolean;
  readonly self?: RatedAgent | undefined;
  readonly assignment?: RoleAssignment | undefined;
}

/** A member of the committee. */
export interface CommitteeMember extends RoleHolder {
  readonly leads: boolean;
  readonly fitness: "fit" | "gone" | "unfit" | "lost";
}

/** GET /v1/consensus */
export interface Consensus {
  readonly enabled: boolean;
  readonly standing: "none" | "follows" | "seated" | "lost";
  readonly committee?:
    | {
        readonly protocol: string;
        readonly members: readonly CommitteeMember[];
        readonly quorum: number;
      }
    | undefined;
  readonly seat?:
    | {
        readonly standing: "leading" | "following" | "electing" | "learning" | "left" | "lost";
        readonly leader?: RoleHolder | undefined;
        readonly term: number;
        readonly position: number;
      }
    | undefined;
}

/** What this agent does for a learning task. */
export type LearningActivity =
  | "fetching"
  | "training"
  | "held"
  | "telling"
  | "resting"
  | "no-data"
  | "failed"
  | "following";

/** An item of GET /v1/learning/tasks/{task}/rounds */
export interface LearningRound {
  readonly round: number;
  readonly heardAtMs: number;
  readonly tookMs?: number | undefined;
  readonly aggregator: RoleHolder;
  readonly updates: number;
  readonly samples: number;
  readonly evaluation?:
    | { readonly loss?: number | undefined; readonly accuracy?: number | undefined }
    | undefined;
}

/** An item of GET /v1/learning/tasks */
export interface LearningTask {
  readonly task: string;
  readonly spec: {
    readonly name: string;
    readonly rounds: number;
    readonly data: { readonly kind: string };
  };
  readonly author: RoleHolder;
  readonly createdAtMs: number;
  readonly state: "running" | "paused" | "stopped" | "finished";
  readonly round: number;
  readonly activity: LearningActivity;
  readonly because?: string | undefined;
  readonly progress?:
    | { readonly round: number; readonly step: number; readonly steps: number }
    | undefined;
  readonly samples: number;
  readonly latest?: LearningRound | undefined;
}

/** An item of GET /v1/learning/alerts */
export interface LearningAlert {
  readonly task: string;
  readonly name: string;
  readonly state: "raised" | "cleared";
  readonly atMs: number;
  readonly sinceMs: number;
  readonly score: number;
  readonly threshold: number;
  readonly round: number;
}

/** GET /v1/learning/tasks/{task}/serving */
export interface LearningServing {
  readonly round?: number | undefined;
  readonly threshold?: number | undefined;
  readonly because?: string | undefined;
  readonly newest?:
    | { readonly atMs: number; readonly score: number; readonly isAnomalous: boolean }
    | undefined;
  readonly alert: { readonly raised: boolean; readonly sinceMs?: number | undefined };
  readonly detector: { readonly judged: number; readonly alerts: number };
}

/** GET /v1/learning */
export interface Learning {
  readonly enabled: boolean;
}

/** A page of a list. */
export interface Items<T> {
  readonly items: readonly T[];
  readonly nextCursor?: string | undefined;
}
