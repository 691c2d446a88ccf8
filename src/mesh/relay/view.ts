import type { PeerId } from "../../platform/signer.ts";
import type { RelayOptions } from "./options.ts";

/** A neighbour that this agent relays for. Counters count since this agent started. */
export interface RelayGuestStatus {
  readonly peerId: PeerId;
  readonly agentId: string;
  /** It hands over now. */
  readonly connected: boolean;
  /** Milliseconds since it last began to. */
  readonly seenMsAgo: number;
  /** What is stored of it and not delivered. */
  readonly updates: number;
  readonly bytes: number;
  readonly streams: number;
  /** Updates stored for it. */
  readonly taken: number;
  readonly takenBytes: number;
  /** Handed over again and known already. */
  readonly repeated: number;
  readonly delivered: number;
  /** Refused upstream for good; told to the guest. */
  readonly dead: number;
  /** Times that it was told to come later, by code. */
  readonly refused: Readonly<Record<string, number>>;
}

/** A neighbour that relays for this agent. */
export interface RelayHostStatus {
  /** Name of the uplink that leads through it. */
  readonly uplink: string;
  readonly peerId: PeerId;
  readonly agentId: string;
  /** Agents on the way, it included. */
  readonly hops: number;
  /** Their peer ids, it first. */
  readonly route: readonly PeerId[];
  /** Handed over and not yet delivered. */
  readonly updates: number;
  /** Of these, on the neighbour's disk. */
  readonly stored: number;
}

/** Relaying, both ways, for REST, page, CLI and metrics. */
export interface RelayStatus {
  /** This agent may relay for others. */
  readonly enabled: boolean;
  /** It does now. */
  readonly offering: boolean;
  /** Why not, in words. */
  readonly reason?: string;
  /** Peer ids of the agents behind it on the way to an uplink, while it relays. */
  readonly route: readonly PeerId[];
  readonly bytes: number;
  readonly bytesMax: number;
  readonly guestsMax: number;
  readonly guests: readonly RelayGuestStatus[];
  /** Updates of guests that were lost here with the store; their guests still have them and hand them over again. */
  readonly forgotten: number;
  /** Where this agent's own updates are handed over. */
  readonly hosts: readonly RelayHostStatus[];
}

/** What REST and CLI may see of relaying. */
export interface RelayView {
  status(): RelayStatus;
}

/** @returns the view of an agent whose mesh is off */
export function noRelay({ bytesMax, guestsMax }: RelayOptions): RelayView {
  const nothing = { enabled: false, offering: false, route: [], bytes: 0, guests: [], hosts: [] };
  return { status: () => ({ ...nothing, bytesMax, guestsMax, forgotten: 0 }) };
}
