import type { ApiContext } from "../api/context.ts";
import type { ApiOptions } from "../api/options.ts";
import type { FirmwareProfile } from "../device/firmware-profile.ts";
import type { LearningOptions } from "../federated/options/agent-learning-options.ts";
import type { LearningGround } from "../federated/running/learning-ground.ts";
import type { BridgeOptions } from "../mesh/bridge/options.ts";
import type { MeshOptions } from "../mesh/options.ts";
import type { RecordVerifier } from "../mesh/records/record-verifier.ts";
import type { Authenticate, BridgeClient, BridgeServer } from "../platform/bridge.ts";
import type { Broker } from "../platform/broker.ts";
import type { Clock } from "../platform/clock.ts";
import type { DeviceIdentity, DeviceProbe } from "../platform/device-probe.ts";
import type { Hasher } from "../platform/hasher.ts";
import type { KeyValueStore, StoreRepair } from "../platform/key-value-store.ts";
import type { Logger } from "../platform/logger.ts";
import type { MetricsRegistry } from "../platform/metrics-registry.ts";
import type { DirectoryRules, Network, NetworkGate, NetworkPace } from "../platform/network.ts";
import type { Random } from "../platform/random.ts";
import type { ServiceManager } from "../platform/service-manager.ts";
import type { PeerId, Signer } from "../platform/signer.ts";
import type { UplinkConnection } from "../platform/uplink-connection.ts";
import type { MqttOptions } from "../readings/options.ts";
import type { UplinkOptions } from "../uplink/options.ts";

/** Where the agent can be reached, for other programs on the device (`DATA/run.json`). */
export interface RunInfo {
  readonly api?: { readonly url: string };
  readonly mqtt: { readonly url: string; readonly tlsUrl?: string };
  readonly mesh?: { readonly peerId: string; readonly addresses: readonly string[] };
  readonly grpc?: { readonly url: string };
}

/** What the mesh stands on: the device's identity, and a way to others. */
export interface MeshGround {
  readonly signer: Signer;
  /** One that several agents of one process share; unless there is one, each agent has its own. */
  readonly verifier?: RecordVerifier;
  createNetwork(parts: {
    readonly gate: NetworkGate;
    readonly rules: DirectoryRules;
    readonly pace: NetworkPace;
  }): Promise<Network>;
}

/** What the bridge stands on: a door for others, and a way to theirs. */
export interface BridgeGround {
  createServer(authenticate: Authenticate): BridgeServer;
  createClient(gateway: BridgeOptions["connect"][number]): BridgeClient;
  /** @returns the device that a certificate of its identity key names; undefined for others' certificates */
  deviceIn(certificate: Uint8Array): PeerId | undefined;
}

/** What a front door needs beyond the context that the agent makes. */
export type AgentContext = Omit<ApiContext, "assets" | "configSchema" | "effectiveConfig">;

/** REST, page and metrics, once they are served. */
export interface FrontDoor {
  readonly url: string;
  close(): Promise<void>;
}

/** What an uplink stands on, and may tell of the agent and the device it runs on. */
export interface UplinkSurroundings {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly version: string;
  readonly store: KeyValueStore;
  readonly identity: DeviceIdentity;
}

/** The ground an agent stands on: the real device, or a simulated one. */
export interface AgentPlatform {
  readonly version: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly hasher: Hasher;
  readonly metrics: MetricsRegistry;
  readonly probe: DeviceProbe;
  readonly service: ServiceManager;
  /** Of events, how many are kept for those who come back; as many as anybody may want unless given. */
  readonly eventsKeptMax?: number;
  readonly firmwareProfiles: () => Promise<readonly FirmwareProfile[]>;
  /**
   * Opens the store, mended where it was damaged.
   * @param onRepaired hears of every repair, now and later
   * @throws StoreError
   */
  openStore(onRepaired: (repair: StoreRepair) => void): Promise<KeyValueStore>;
  /** @param store where a broker of our own keeps what it remembers */
  createBroker(options: MqttOptions, agentId: string, store: KeyValueStore): Broker;
  /** @param will the state document that stands for an agent that is gone */
  createUplink(
    options: UplinkOptions,
    agentId: string,
    will: Uint8Array,
    surroundings: UplinkSurroundings,
  ): UplinkConnection;
  /**
   * Opens what the mesh stands on; undefined where there is no way to others.
   * @throws Error in words that name the setting to change
   */
  readonly openMesh?: (options: MeshOptions) => Promise<MeshGround>;
  /** Opens what the bridge to a cluster stands on; undefined where there is none. */
  readonly openBridge?: (options: BridgeOptions, signer: Signer) => Promise<BridgeGround>;
  /** Opens what learning stands on; undefined where nothing can be learned. */
  readonly openLearning?: (options: LearningOptions) => Promise<LearningGround>;
  /** Opens REST and page; undefined where nobody would come. */
  readonly openFrontDoor?: (context: AgentContext, options: ApiOptions) => Promise<FrontDoor>;
  /** Keeps the first admin token where the owner of the device finds it. */
  keepFirstToken(token: string): Promise<void>;
  /** Tells other programs where the agent is. */
  announce(info: RunInfo): Promise<void>;
}
