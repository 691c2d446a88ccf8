import type { KeyValueStore } from "../platform/key-value-store.ts";
import { LevelStore } from "../platform/level/level-store.ts";
import { generateIdentityPem, identityKeyFrom } from "../platform/libp2p/identity-key.ts";
import { Libp2pNetwork } from "../platform/libp2p/libp2p-network.ts";
import { parseNetworkKey } from "../platform/libp2p/network-key.ts";
import type { Logger } from "../platform/logger.ts";
import type { NetworkGate } from "../platform/network.ts";
import { DataDirectory, readSecretFile } from "../platform/node/data-directory.ts";
import { identityText } from "../platform/node/identity-file.ts";
import { SystemClock } from "../platform/node/system-clock.ts";
import { SystemRandom } from "../platform/node/system-random.ts";
import { silentLogger } from "../platform/silent-logger.ts";
import { FleetMemory } from "./fleet/fleet-memory.ts";
import { directoryRules } from "./fleet/record-directory.ts";
import type { MemberChange } from "./membership/member.ts";
import { defaultMembershipOptions } from "./membership/options.ts";
import { MeshNode } from "./node.ts";
import { CachingVerifier } from "./records/record-verifier.ts";

export { NetworkError, Refused } from "../platform/network.ts";
export type { PeerId } from "../platform/signer.ts";
export { publishOverBridges } from "./bridge/hand-over.ts";
export type { Member, MemberChange, MemberState } from "./membership/member.ts";
export type { ContentListener } from "./messaging/content.ts";
export { SecureChannel } from "./messaging/secure-channel.ts";
export type { Task } from "./messaging/tasks.ts";
export type { TopicDelivery, TopicListener } from "./messaging/topics.ts";
export type { MeshNode } from "./node.ts";
export type { MessageListener, Peer } from "./node-parts.ts";

/** How a node is opened on this machine. */
export interface OpenMeshOptions {
  /** Keeps identity key and addresses; made if it is not there, and one process at a time has it. */
  readonly dataDirectory: string;
  /** What others know it by; not checked for being unique. Default: the peer id's end. */
  readonly name?: string;
  /** Multiaddresses to listen on. Default: any free TCP port on loopback. */
  readonly listen?: readonly string[];
  /** Multiaddresses to begin with. */
  readonly bootstrap?: readonly string[];
  readonly transports?: readonly ("tcp" | "ws" | "quic" | "webrtc")[];
  /** File with the private network's key. */
  readonly networkKeyFile?: string;
  /** Find neighbours on the same network by multicast DNS. Default: false. */
  readonly mdns?: boolean;
  /** Take part in a Kademlia table. Default: false. */
  readonly dht?: boolean;
  /** What the node offers beyond the base, for others to see. */
  readonly features?: readonly string[];
  /** Agents of the fleet that are known at once; 2,048 unless given. */
  readonly membersMax?: number;
  /** Who may come in, and what they may say. Default: everybody, everything. */
  readonly gate?: NetworkGate;
  /** Hears what happens to members. */
  readonly onChange?: (change: MemberChange) => void;
  /** Nothing is logged where it is absent. */
  readonly logger?: Logger;
}

const LIMITS = { messageBytesMax: 1_048_576, queueBytesMax: 4_194_304, connectionsMax: 128 };

/**
 * Makes a node of the mesh, to be started. Its `stop()` closes the store too.
 * @throws StoreError `store.locked` when another process has the directory
 * @throws Error in words that name what to change
 */
export async function openMeshNode(options: OpenMeshOptions): Promise<MeshNode> {
  const { logger = silentLogger, gate = everybody, transports = ["tcp"], networkKeyFile } = options;
  const data = new DataDirectory(options.dataDirectory);
  const { signer, privateKey } = identityKeyFrom(
    identityText(data.identityFile, generateIdentityPem),
  );
  const store = await LevelStore.open({ directory: data.storeDirectory, logger });
  try {
    const clock = new SystemClock();
    const verifier = new CachingVerifier(signer, 4_096);
    const network = await Libp2pNetwork.create({
      privateKey,
      signer,
      agentVersion: "agent-mesh",
      transports,
      listen: options.listen ?? ["/ip4/127.0.0.1/tcp/0"],
      announce: [],
      encryptions: ["noise", "tls"],
      networkKey:
        networkKeyFile === undefined
          ? undefined
          : parseNetworkKey(readSecretFile(networkKeyFile, "networkKeyFile")),
      mdns: options.mdns ?? false,
      mdnsIntervalMs: 10_000,
      directory: options.dht === true ? directoryRules(verifier) : undefined,
      relay: { use: false, serve: false },
      inboundPerSecondMax: 64,
      ...LIMITS,
      bulkIdleTimeoutMs: 30_000,
      pace: { gossipIntervalMs: 1_000 },
      clock,
      gate,
      logger,
    });
    return new ClosingNode(
      {
        network,
        signer,
        clock,
        random: new SystemRandom(),
        logger,
        gate,
        verifier,
        memory: new FleetMemory(store),
        membership: {
          ...defaultMembershipOptions,
          ...(options.membersMax !== undefined && { membersMax: options.membersMax }),
        },
        limits: LIMITS,
        self: {
          agentId: options.name ?? network.self.slice(-12),
          version: "library",
          addresses: [],
          capabilities: { features: [...(options.features ?? [])] },
        },
        bootstrap: options.bootstrap ?? [],
        remember: true,
        peerExchange: true,
        ...(options.onChange !== undefined && { onChange: options.onChange }),
      },
      store,
    );
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** A node that has its store to itself. */
class ClosingNode extends MeshNode {
  readonly #store: KeyValueStore;

  constructor(parts: ConstructorParameters<typeof MeshNode>[0], store: KeyValueStore) {
    super(parts);
    this.#store = store;
  }

  override async stop(): Promise<void> {
    await super.stop();
    await this.#store.close();
  }
}

const everybody: NetworkGate = {
  admits: () => true,
  allows: () => undefined,
  offence: () => undefined,
};
