import type { PeerId } from "../platform/signer.ts";
import { putNewest } from "./bounded.ts";

const WINDOW_MS = 60_000;
const IPV4 = /^\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}$/;
const ADDRESS_CHARACTERS_MAX = 512;
/** Everything that names no IP address, such as a relayed link, shares one allowance. */
const NO_ADDRESS = "none";

/**
 * @param address an IP address, or a multiaddress that begins with one
 * @returns the network that one owner usually holds: /24 of IPv4, /64 of IPv6; `none` without an address
 */
export function networkOf(address: string): string {
  if (address.length > ADDRESS_CHARACTERS_MAX) return NO_ADDRESS;
  // A relayed link begins with the relay's address, which says nothing of the other end.
  if (address.includes("/p2p-circuit")) return NO_ADDRESS;
  const multiaddress = /^\/(?:ip4|ip6|ip6zone\/[^/]+\/ip6)\/([^/]+)/.exec(address);
  const host = multiaddress?.[1] ?? address;
  if (IPV4.test(host)) return ipv4Network(host);
  return ipv6Network(host) ?? NO_ADDRESS;
}

function ipv4Network(host: string): string {
  const bytes = host.split(".").map(Number);
  return bytes.some((byte) => byte > 255) ? NO_ADDRESS : `${bytes.slice(0, 3).join(".")}.0/24`;
}

/** Text forms of RFC 4291 section 2.2; an IPv4 address in IPv6 clothes (section 2.5.5.2) is one of IPv4. */
function ipv6Network(host: string): string | undefined {
  const [bare = ""] = host.split("%", 1);
  const mapped = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i.exec(bare)?.[1];
  if (mapped !== undefined) return ipv4Network(mapped);
  const halves = bare.split("::");
  if (halves.length > 2 || !bare.includes(":")) return undefined;
  const [head = [], tail = []] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const missing = halves.length === 2 ? Math.max(0, 8 - head.length - tail.length) : 0;
  const groups = [...head, ...Array<string>(missing).fill("0"), ...tail];
  const lengthRight = groups.length === 8 || (groups.length === 7 && IPV4.test(groups[6] ?? ""));
  if (!lengthRight) return undefined;
  const network = groups.slice(0, 4);
  if (network.some((group) => !/^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return `${network.map((group) => Number.parseInt(group, 16).toString(16)).join(":")}::/64`;
}

/**
 * Bounds how many peers nobody has seen before come in from one network in a minute: keys are free, addresses
 * are not. Pure: time comes in as a number.
 */
export class IdentityLimiter {
  readonly #perMinute: number;
  readonly #networksMax: number;
  /** When each peer first came, by network; both oldest first. */
  readonly #networks = new Map<string, Map<PeerId, number>>();

  /** @param limits `networksMax`: networks kept in mind; those heard of longest ago give way */
  constructor(limits: { readonly identitiesPerMinute: number; readonly networksMax: number }) {
    this.#perMinute = limits.identitiesPerMinute;
    this.#networksMax = limits.networksMax;
  }

  /**
   * Ask for every inbound link of a peer that holds no grant.
   * @param address of the other end, as in {@link networkOf} @param nowMs monotonic
   */
  admits(address: string, peer: PeerId, nowMs: number): boolean {
    const network = networkOf(address);
    const seen = this.#networks.get(network) ?? new Map<PeerId, number>();
    for (const [known, atMs] of seen) {
      if (nowMs - atMs < WINDOW_MS) break;
      seen.delete(known);
    }
    const admitted = seen.has(peer) || seen.size < this.#perMinute;
    if (admitted && !seen.has(peer)) seen.set(peer, nowMs);
    putNewest(this.#networks, network, seen, this.#networksMax);
    return admitted;
  }
}
