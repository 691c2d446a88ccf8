import type { BridgeServerCounters } from "../../platform/bridge.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { AttachmentStatus } from "./attachment.ts";
import type { HubCounters } from "./hub.ts";

/** How this agent is attached to one gateway. */
export interface GatewayStatus extends AttachmentStatus {
  readonly url: string;
  /** Payload bytes since the start. */
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

/** A link that stands now: an attached device's, or this agent's own to a gateway. */
export interface BridgeLinkStatus {
  readonly role: "gateway" | "device";
  /** Names the other end in the ways of messages. */
  readonly bridgeId: string;
  /** Of an attached device, proven by its signature. */
  readonly peerId?: PeerId;
}

/** How the bridge is. */
export interface BridgeStatus {
  /** It listens, or is to be attached somewhere. */
  readonly enabled: boolean;
  /** Names this bridge in the ways of messages; absent while it is off. */
  readonly bridgeId?: string;
  /** Absent where it does not listen. */
  readonly listen?: { readonly url: string } & BridgeServerCounters;
  readonly gateways: readonly GatewayStatus[];
  readonly links: readonly BridgeLinkStatus[];
  readonly counters: HubCounters;
}

/** The bridge to a cluster, for REST, CLI and metrics. */
export interface BridgeView {
  status(): BridgeStatus;
}

/** What an agent without a bridge shows. */
export const noBridge: BridgeView = {
  status: () => ({
    enabled: false,
    gateways: [],
    links: [],
    counters: {
      linksNow: 0,
      subscribersNow: 0,
      agentsNow: 0,
      messagesUp: 0,
      messagesDown: 0,
      messagesLinked: 0,
      requestsServed: 0,
      repeats: {},
      refusals: {},
    },
  }),
};
