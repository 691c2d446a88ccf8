import type { Requirements } from "../access/requirements.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import type { Link, Network, NetworkEvent, NetworkGate } from "../platform/network.ts";
import type { Random } from "../platform/random.ts";
import type { PeerId, Signer } from "../platform/signer.ts";
import type { FleetMemory } from "./fleet/fleet-memory.ts";
import type { Member, MemberChange } from "./membership/member.ts";
import type { MembershipOptions } from "./membership/options.ts";
import type { SelfDescription } from "./records/record-codec.ts";
import type { RecordVerifier } from "./records/record-verifier.ts";

/** Hears messages that were sent to this node. @throws Refused to have the sender's promise rejected */
export type MessageListener = (from: PeerId, payload: Uint8Array) => void | Promise<void>;

/** A neighbour: somebody to whom there is a link now. */
export interface Peer {
  readonly id: PeerId;
  readonly link: Link;
  /** What it says of itself; absent until it did, and for nodes that are no agents. */
  readonly member?: Member;
}

/** How the messages of a node are bounded. */
export interface MessageLimits {
  readonly messageBytesMax: number;
  readonly queueBytesMax: number;
  /** Links at once. */
  readonly connectionsMax: number;
}

/** What a node is made of. */
export interface MeshParts {
  readonly network: Network;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly gate: NetworkGate;
  /** Where it is said what each protocol needs; absent where the gate does not ask. */
  readonly requirements?: Requirements;
  readonly verifier: RecordVerifier;
  readonly memory: FleetMemory;
  readonly membership: MembershipOptions;
  readonly limits: MessageLimits;
  /** What the node says of itself at first. */
  readonly self: SelfDescription;
  /** Multiaddresses to begin with. */
  readonly bootstrap: readonly string[];
  /** Find back over addresses that worked before a restart. */
  readonly remember: boolean;
  /** Link to nodes that only neighbours told of. */
  readonly peerExchange: boolean;
  /** Hears what happens to members. */
  readonly onChange?: (change: MemberChange) => void;
  readonly onLink?: (event: NetworkEvent) => void;
}
