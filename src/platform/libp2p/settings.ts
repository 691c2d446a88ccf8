import type { PrivateKey } from "@libp2p/interface";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { DirectoryRules, NetworkGate, NetworkPace } from "../network.ts";
import type { Signer } from "../signer.ts";

/** A way in and out that can be switched on. */
export type TransportName = "tcp" | "ws" | "quic" | "webrtc";

/** What a libp2p node is made of. */
export interface Libp2pSettings {
  readonly privateKey: PrivateKey;
  readonly signer: Signer;
  /** Told to peers by identify, for example `agent-mesh/0.1.0`. */
  readonly agentVersion: string;
  readonly transports: readonly TransportName[];
  /** Multiaddresses to listen on; none for a node that only dials. */
  readonly listen: readonly string[];
  /** Multiaddresses to tell instead of those listened on; none: tell those. */
  readonly announce: readonly string[];
  /** Encryptions in order of preference. */
  readonly encryptions: readonly ("noise" | "tls")[];
  /** Multiplexers in order of preference; by default yamux, and mplex for peers that have nothing better. */
  readonly muxers?: readonly ("yamux" | "mplex")[];
  /** File contents of the private network's key. */
  readonly networkKey: Uint8Array | undefined;
  readonly mdns: boolean;
  /** Time between two multicast DNS queries. */
  readonly mdnsIntervalMs: number;
  /** Absent: no distributed hash table. */
  readonly directory: DirectoryRules | undefined;
  readonly relay: { readonly use: boolean; readonly serve: boolean };
  readonly connectionsMax: number;
  /** New connections taken from one address each second. */
  readonly inboundPerSecondMax: number;
  readonly messageBytesMax: number;
  readonly queueBytesMax: number;
  /** A bulk transfer that stands still this long is given up. */
  readonly bulkIdleTimeoutMs: number;
  readonly pace: NetworkPace;
  readonly clock: Clock;
  readonly gate: NetworkGate;
  readonly logger: Logger;
}
