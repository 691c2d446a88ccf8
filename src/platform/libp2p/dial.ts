import { peerIdFromString } from "@libp2p/peer-id";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import { NetworkError } from "../network.ts";
import type { PeerId } from "../signer.ts";

/** What libp2p calls it when the gate says no. */
const BARRED = new Set(["DialDeniedError", "ConnectionInterceptedError"]);

/**
 * @returns what libp2p dials: addresses that lead to the peer that is meant and to no other
 * @throws NetworkError when there is none
 */
export function dialTarget(peer: PeerId | undefined, addresses: readonly string[]) {
  if (addresses.length === 0 && peer !== undefined) return parsedPeer(peer);
  const targets = addresses.flatMap((address) => towards(peer, address));
  if (targets.length > 0) return targets;
  const who = peer ?? "anybody";
  throw new NetworkError("network.unreachable", `no address of ${who}: ${addresses.join(", ")}`);
}

function towards(peer: PeerId | undefined, address: string): Multiaddr[] {
  try {
    const parsed = multiaddr(address);
    const last = parsed.getComponents().at(-1);
    if (peer === undefined || (last?.name === "p2p" && last.value === peer)) return [parsed];
    // The name of another peer at the end, unless it is the relay's, leads to that one.
    return last?.name === "p2p" ? [] : [parsed.encapsulate(`/p2p/${peer}`)];
  } catch {
    return [];
  }
}

/** @throws NetworkError when the name is none */
export function parsedPeer(peer: PeerId) {
  try {
    return peerIdFromString(peer);
  } catch (error) {
    throw new NetworkError("network.unreachable", `${peer} is no peer id`, { cause: error });
  }
}

/** @returns why a dial failed, as the seam tells it */
export function dialError(who: string, error: unknown, timedOut: boolean): NetworkError {
  const message = `${who} could not be reached: ${reason(error)}`;
  if (inner(error).some(({ name }) => BARRED.has(name)))
    return new NetworkError("network.barred", message, { cause: error });
  const code = timedOut ? "network.timeout" : "network.unreachable";
  return new NetworkError(code, message, { cause: error });
}

function inner(error: unknown): Error[] {
  if (error instanceof AggregateError) return error.errors.flatMap(inner);
  return error instanceof Error ? [error] : [];
}

/** @returns an error's words, those of all errors within it if there are several */
export function reason(error: unknown): string {
  if (error instanceof AggregateError)
    return [...new Set(error.errors.map((inner) => reason(inner)))].join("; ").slice(0, 300);
  return error instanceof Error ? error.message : String(error);
}
