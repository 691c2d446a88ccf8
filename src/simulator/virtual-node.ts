import type { Clock } from "../platform/clock.ts";
import type { NetworkGate, TopicMessage } from "../platform/network.ts";
import type { Tally } from "../platform/network-tally.ts";
import type { PeerId } from "../platform/signer.ts";
import type { LinkEnd, LinkOwner } from "./virtual-link.ts";

/** What one virtual node is. */
export interface VirtualNodeSettings {
  readonly self: PeerId;
  readonly gate: NetworkGate;
  /** Largest published message. */
  readonly messageBytesMax: number;
  /** Most that is on the way to one neighbour in topics. */
  readonly queueBytesMax: number;
  readonly bulkIdleTimeoutMs: number;
  /** With so many links it takes nobody in who dials; without a bound unless given. */
  readonly connectionsMax?: number;
  /** Its own, where that is not the time of the space. */
  readonly clock?: Pick<Clock, "monotonicMs">;
  /** Behind a NAT: it dials, but nobody can dial it. */
  readonly hidden?: boolean;
  /** Nodes of one segment discover each other as by multicast. */
  readonly segment?: string;
}

/** A published message on its way. */
export interface Published extends TopicMessage {
  /** Of its author, never given twice. */
  readonly id: string;
}

/** A node as its neighbours in topics know it. */
export interface TopicNeighbour {
  listens(topic: string): boolean;
  heard(message: Published, neighbour: PeerId): void;
}

/** A node as the space around it and its own parts see it. */
export interface VirtualNode extends LinkOwner {
  readonly settings: VirtualNodeSettings;
  readonly tally: Tally;
  readonly topics: TopicNeighbour;
  readonly running: boolean;
  /** Whether it lost its power: nobody is there to be told anything. */
  readonly dead: boolean;
  addresses(): readonly string[];
  /** @returns the link that is used to that peer */
  end(peer: PeerId): LinkEnd | undefined;
  /** @returns this node's ends of all links */
  all(): LinkEnd[];
  /** @returns the link that is used to each neighbour */
  best(): LinkEnd[];
  /** A link is there from now on. */
  linked(end: LinkEnd): void;
  /** Another node of the segment showed itself. */
  discovered(other: VirtualNode): void;
  /** Nothing happens in this node any more. @returns its ends of links, which nobody closes */
  die(): LinkEnd[];
  /** @throws NetworkError */
  mustRun(): void;
}
