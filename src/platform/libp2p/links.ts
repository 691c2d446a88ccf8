import type { Connection } from "@libp2p/interface";
import type { Clock } from "../clock.ts";
import type { Link, Transport } from "../network.ts";

/** Dearer ways come later. */
const RANK: Readonly<Record<Transport, number>> = { tcp: 0, quic: 1, ws: 2, webrtc: 3, relay: 4 };

/** @returns the better of two connections to one peer: a direct one, then a cheap one, then the older */
export function bestLink(left: Connection, right: Connection): Connection {
  const [a, b] = [RANK[transportOf(left)], RANK[transportOf(right)]];
  if (a !== b) return a < b ? left : right;
  return left.timeline.open <= right.timeline.open ? left : right;
}

/** @returns the connection as the mesh sees it */
export function linkOf(connection: Connection, clock: Clock): Link {
  return {
    peer: connection.remotePeer.toString(),
    direction: connection.direction,
    transport: transportOf(connection),
    address: connection.remoteAddr.toString(),
    openedAtMs: clock.monotonicMs() - Math.max(0, clock.wallMs() - connection.timeline.open),
  };
}

function transportOf({ remoteAddr }: Connection): Transport {
  const names = new Set(remoteAddr.getComponents().map(({ name }) => name));
  if (names.has("p2p-circuit") && !names.has("webrtc")) return "relay";
  if (names.has("webrtc") || names.has("webrtc-direct")) return "webrtc";
  if (names.has("quic-v1") || names.has("quic")) return "quic";
  return names.has("ws") || names.has("wss") ? "ws" : "tcp";
}
