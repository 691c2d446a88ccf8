const TRANSPORTS: Readonly<Record<string, string>> = {
  tcp: "TCP",
  ws: "WebSocket",
  quic: "QUIC",
  webrtc: "WebRTC",
  relay: "Relay",
};

/** @returns `WebSocket` for `ws`; what this page does not know yet as it stands */
export function transportWord(transport: string): string {
  return TRANSPORTS[transport] ?? transport;
}

/** The end of a peer id: all of them begin alike. */
export function shortPeer(peerId: string): string {
  return peerId.length <= 12 ? peerId : `…${peerId.slice(-8)}`;
}

/** @returns the multiaddress without the peer id at its end, which is told beside it */
export function withoutPeer(address: string): string {
  return address.replace(/\/p2p\/[^/]+$/, "");
}

/** @returns who opened the link, from the agent's side */
export function directionWords(direction: string): string {
  return direction === "inbound" ? "dialled us" : "dialled by us";
}
