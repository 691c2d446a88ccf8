import type { NetworkCounters, Transport } from "../platform/network.ts";
import type { PeerId } from "../platform/signer.ts";
import type { BootstrapStatus } from "./fleet/bootstrap-dialer.ts";
import type { FleetSize } from "./membership/fleet-sample.ts";
import type { MemberCounts, MemberState } from "./membership/member.ts";
import type { SurveyProgress } from "./survey/progress.ts";

/** Members by state, and how many agents there are, those beyond the table too. */
export type FleetCounts = MemberCounts & { readonly estimated: FleetSize };

/** How this node of the mesh is. */
export interface MeshStatus {
  readonly enabled: boolean;
  /** Absent while the mesh is off. */
  readonly peerId?: PeerId;
  readonly addresses: readonly string[];
  readonly transports: readonly string[];
  /** A private network's key keeps others out. */
  readonly privateNetwork: boolean;
  readonly members: FleetCounts;
  readonly links: number;
  /** Share of the agents that were there lately and can not be reached now, 0 to 1. */
  readonly partitionScore: number;
  readonly bootstrap: readonly BootstrapStatus[];
  readonly topics: readonly string[];
  readonly counters: NetworkCounters;
}

/** A neighbour: a node to which there is a link. */
export interface MeshPeer {
  readonly peerId: PeerId;
  /** Absent for nodes that are no agents. */
  readonly agentId?: string;
  readonly direction: "inbound" | "outbound";
  readonly transport: Transport;
  readonly address: string;
  /** How long the link has been open. */
  readonly linkedForMs: number;
  readonly state?: MemberState;
}

/** What an agent says of its device. */
export interface AgentCapabilities {
  readonly architecture: string;
  readonly deviceModel: string;
  readonly cpuCores: number;
  readonly memoryBytes: number;
  readonly powerSupply: "mains" | "battery" | "unknown";
  readonly uplinks: readonly string[];
  readonly features: readonly string[];
}

/** How an agent says it is. */
export interface AgentHealth {
  readonly status: string;
  readonly powerMode: string;
  readonly batteryPercent?: number;
  readonly cpuPercent?: number;
  readonly memoryPercent?: number;
  readonly temperatureCelsius?: number;
  readonly queueUpdates?: number;
  readonly queueBytes?: number;
  readonly uplinkUp?: boolean;
  /** It relays; an update that is handed to it passes so many agents on its way to an uplink, it included. */
  readonly relayHops?: number;
}

/** An agent of the fleet as this one knows it. */
export interface FleetAgent {
  readonly agentId: string;
  /** Absent for this agent while its mesh is off. */
  readonly peerId?: PeerId;
  /** It is the one that answers. */
  readonly self: boolean;
  readonly state: MemberState;
  /** How long it has been in that state. */
  readonly forMs: number;
  /** How long ago it last gave a sign of life, as far as this agent was told. */
  readonly heardOfMsAgo: number;
  /** How old the evidence for the state is: a sign of life, or for those that are gone the finding of that. */
  readonly ageMs: number;
  /** How far the rest can be relied upon now, 0 to 1. */
  readonly confidence: number;
  readonly linked: boolean;
  readonly version: string;
  /** Absent for those that only a survey found. */
  readonly addresses?: readonly string[];
  readonly capabilities?: AgentCapabilities;
  readonly health?: AgentHealth;
}

/** What asking others brought. */
export interface FleetSurvey extends SurveyProgress {
  /** Counts the surveys since the start. */
  readonly number: number;
  readonly state: "running" | "done";
  readonly tookMs: number;
  /** Why it ended; absent while it runs. */
  readonly ended?: string;
  readonly endedMsAgo?: number;
}

/** The mesh and the fleet, for REST, page, CLI and metrics. */
export interface MeshView {
  status(): MeshStatus;
  /** Longest linked first. */
  peers(): readonly MeshPeer[];
  /** Every agent known, this one too, by agent id. */
  agents(): readonly FleetAgent[];
  /** What went over the links; the same as in the status, without making all of that. */
  counters(): NetworkCounters;
  /** @returns how many there are, without listing them */
  counts(): MemberCounts;
  /** How many agents the fleet has: counted, or estimated where this agent has no room for all. */
  size(): FleetSize;
  /** Asks other agents for those that this one does not know, unless that was done lately. @param waitMs for its end */
  survey(waitMs: number): Promise<FleetSurvey | undefined>;
  /** The survey that runs, or was made lately. */
  currentSurvey(): FleetSurvey | undefined;
  /** Every agent known and those that the current survey found, by agent id. */
  surveyedAgents(): readonly FleetAgent[];
  /**
   * Links to nodes at these addresses, and keeps trying those that do not answer.
   * @returns who answered @throws NetworkError when nobody did
   */
  join(addresses: readonly string[]): Promise<readonly PeerId[]>;
  /** Closes the links to a peer. @returns false when there is none */
  disconnect(peer: PeerId): Promise<boolean>;
}
