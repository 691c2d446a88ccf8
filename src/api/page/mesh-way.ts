import type { Mesh } from "./model.ts";

/** The ways from a browser to the agent, best first, or why there is none. */
export type WayIn =
  | { readonly addresses: readonly string[] }
  /** A sentence that names the setting to change. */
  | { readonly obstacle: string };

/** Where the browser found the page; as the browser's `location` has it. */
export interface PagePlace {
  readonly hostname: string;
  /** `http:` or `https:`. */
  readonly protocol: string;
}

const WEB_SOCKET =
  /^\/(ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d+)\/(ws|wss|tls\/ws|tls\/sni\/[^/]+\/ws)(\/p2p\/[^/]+)$/;
const WEB_RTC =
  /^\/ip4\/([^/]+)\/udp\/\d+\/webrtc-direct\/certhash\/[^/]+(\/certhash\/[^/]+)*\/p2p\/[^/]+$/;
const IPV4 = /^\d{1,3}(\.\d{1,3}){3}$/;
const WAYS_MAX = 4;

/** @returns what a browser on the page's host can dial of what the agent's node listens on */
export function wayIn(mesh: Mesh, place: PagePlace): WayIn {
  if (!mesh.enabled) return { obstacle: "The mesh is off on this agent." };
  if (mesh.privateNetwork)
    return {
      obstacle:
        "This mesh is a private network: its key (mesh.networkKeyFile) stays on the devices, so no browser can join.",
    };
  if (mesh.addresses.length === 0) return { obstacle: "The agent’s node names no address yet." };
  const sockets = webSockets(mesh, place);
  const channels = dataChannels(mesh, place);
  const addresses = [...new Set([...sockets, ...channels])].slice(0, WAYS_MAX);
  return addresses.length > 0 ? { addresses } : { obstacle: obstacleOf(mesh, place) };
}

function webSockets(mesh: Mesh, { hostname, protocol }: PagePlace): string[] {
  const overTls: string[] = [];
  const plain: string[] = [];
  for (const address of mesh.addresses) {
    const [, , host = "", port, kind, peer = ""] = WEB_SOCKET.exec(address) ?? [];
    if (kind === undefined) continue;
    if (kind !== "ws") overTls.push(address);
    // A page that came by TLS may not open a socket without, and the page's policy names no IPv6 address.
    else if (protocol === "http:" && !hostname.includes(":") && reaches(host, hostname))
      plain.push(`/${IPV4.test(hostname) ? "ip4" : "dns4"}/${hostname}/tcp/${port}/ws${peer}`);
  }
  return [...plain, ...overTls];
}

/** Who listens on one device only is not reached from another; all else is, at the host that served the page. */
function reaches(listening: string, hostname: string): boolean {
  return !isLoopback(listening) || isLoopback(hostname);
}

function dataChannels(mesh: Mesh, { hostname }: PagePlace): string[] {
  const near = mesh.addresses.filter((address) => {
    const host = WEB_RTC.exec(address)?.[1];
    return host !== undefined && reaches(host, hostname);
  });
  const same = near.filter((address) => address.startsWith(`/ip4/${hostname}/`));
  return same.length > 0 ? same : near;
}

function obstacleOf(mesh: Mesh, { hostname, protocol }: PagePlace): string {
  const ways = mesh.addresses.filter((one) => WEB_SOCKET.test(one) || WEB_RTC.test(one));
  if (ways.length === 0)
    return "The agent has no way in for browsers. Add ws or webrtc to mesh.transports.";
  if (ways.every((address) => isLoopback(address.split("/")[2] ?? "")) && !isLoopback(hostname))
    return "The agent’s mesh listens on its own device only. Set mesh.host to 0.0.0.0 to let this network in.";
  if (protocol === "https:")
    return "This page came by HTTPS, so the browser opens encrypted sockets only. Name one (/dns4/…/tcp/443/wss) in mesh.announce, or add webrtc to mesh.transports.";
  return "A browser cannot join over an IPv6 address. Open this page by the device’s name or its IPv4 address.";
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || host.startsWith("127.");
}
