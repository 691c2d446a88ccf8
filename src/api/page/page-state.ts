import type { LearningFigures } from "./learning-figures.ts";
import type {
  AgentEvent,
  Broker,
  Consensus,
  DeadLetter,
  Device,
  FleetAgent,
  FleetCounts,
  Health,
  Mesh,
  MeshPeer,
  Power,
  Queue,
  Readings,
  ResourcePoint,
  ResourceSnapshot,
  Roles,
  TokenSelf,
  Uplink,
} from "./model.ts";
import type { QueueDepth } from "./queue-trend.ts";

/** How the page stands with the agent. */
export type Connection =
  | { readonly phase: "connecting" }
  | { readonly phase: "live" }
  | {
      readonly phase: "lost";
      /** Browser time of the next attempt; absent while one is under way. */
      readonly retryAtMs?: number;
      readonly reason: string;
    }
  /** The token is not (or no longer) good; `reason` is what the agent said. */
  | { readonly phase: "refused"; readonly reason: string };

/** An answer to something the user did. */
export interface Notice {
  readonly kind: "done" | "failed";
  readonly text: string;
}

/** Everything that is shown of one agent. What has not arrived yet is absent. */
export interface PageState {
  readonly connection: Connection;
  /** Browser time of the latest complete answer. */
  readonly freshAtMs?: number;
  /** The agent's wall clock minus the browser's. */
  readonly clockOffsetMs: number;
  readonly device?: Device;
  readonly health?: Health;
  readonly snapshot?: ResourceSnapshot;
  readonly history: readonly ResourcePoint[];
  readonly power?: Power;
  readonly queue?: Queue;
  /** Queue depth over the last minutes. */
  readonly depths: readonly QueueDepth[];
  readonly deadLetters: readonly DeadLetter[];
  readonly uplinks?: readonly Uplink[];
  readonly readings?: Readings;
  readonly readingsLimit: number;
  readonly readingsPrefix: string;
  readonly broker?: Broker;
  readonly mesh?: Mesh;
  readonly peers: readonly MeshPeer[];
  readonly fleet?: {
    /** In the order in which they are shown, bounded. */
    readonly agents: readonly FleetAgent[];
    readonly counts: FleetCounts;
    /** Browser time of the answer: durations run on from there. */
    readonly atMs: number;
  };
  readonly fleetSearch: string;
  readonly roles?: {
    readonly answer: Roles;
    /** Browser time of the answer. */
    readonly atMs: number;
  };
  readonly consensus?: Consensus;
  /** Absent where this agent does not learn. */
  readonly learning?: LearningFigures | undefined;
  /** Newest first, bounded. */
  readonly events: readonly AgentEvent[];
  readonly self?: TokenSelf;
  /** Parts of the agent that answered with an error, and what they said. */
  readonly faults: ReadonlyMap<string, string>;
  /** An action that is under way. */
  readonly busy?: string | undefined;
  readonly notice?: Notice | undefined;
}

/** Readings shown at first, and added by each `Show more`. */
export const READINGS_STEP = 25;

/** Before anything is known. */
export const INITIAL_STATE: PageState = {
  connection: { phase: "connecting" },
  clockOffsetMs: 0,
  history: [],
  depths: [],
  deadLetters: [],
  readingsLimit: READINGS_STEP,
  readingsPrefix: "",
  peers: [],
  fleetSearch: "",
  events: [],
  faults: new Map(),
};
