import type { PeerId } from "../../platform/signer.ts";

interface Avoided {
  untilMs: number;
  reason: string;
  /** Times in a row that it was lost; 0 where it said no. */
  losses: number;
}

const LOST_MIN_MS = 1_000;
const LOST_MAX_MS = 60_000;
const REFUSED_MIN_MS = 1_000;
/** However long a host wants to be left alone, it is asked again after this. */
const REFUSED_MAX_MS = 300_000;
const HOSTS_MAX = 256;

/** Hosts that are left alone for a while: they said no, or were lost. Pure. */
export class HostsAvoided {
  readonly #hosts = new Map<PeerId, Avoided>();

  /** It said no. */
  refused(peer: PeerId, reason: string, nowMs: number, retryAfterMs: number): void {
    const forMs = Math.min(REFUSED_MAX_MS, Math.max(REFUSED_MIN_MS, retryAfterMs));
    this.#put(peer, { untilMs: nowMs + forMs, reason, losses: 0 });
  }

  /** It did not answer; longer each time in a row. */
  lost(peer: PeerId, reason: string, nowMs: number): void {
    const losses = (this.#hosts.get(peer)?.losses ?? 0) + 1;
    const forMs = Math.min(LOST_MAX_MS, LOST_MIN_MS * 2 ** (losses - 1));
    this.#put(peer, { untilMs: nowMs + forMs, reason, losses });
  }

  /** It works. */
  forgive(peer: PeerId | undefined): void {
    if (peer !== undefined) this.#hosts.delete(peer);
  }

  /** There is a link to it again: that it was lost is over. */
  relinked(peer: PeerId): void {
    const avoided = this.#hosts.get(peer);
    if (avoided !== undefined && avoided.losses > 0) avoided.untilMs = Number.NEGATIVE_INFINITY;
  }

  peers(nowMs: number): ReadonlySet<PeerId> {
    const peers = new Set<PeerId>();
    for (const [peer, { untilMs }] of this.#hosts) if (untilMs > nowMs) peers.add(peer);
    return peers;
  }

  /** @returns why there is nobody, and when there may be: what the one says that is asked again first */
  explain(nowMs: number): { readonly reason?: string; readonly retryAfterMs?: number } {
    let first: Avoided | undefined;
    for (const avoided of this.#hosts.values())
      if (avoided.untilMs > nowMs && (first === undefined || avoided.untilMs < first.untilMs))
        first = avoided;
    return first === undefined
      ? {}
      : { reason: first.reason, retryAfterMs: Math.ceil(first.untilMs - nowMs) };
  }

  #put(peer: PeerId, avoided: Avoided): void {
    this.#hosts.delete(peer);
    this.#hosts.set(peer, avoided);
    const [oldest] = this.#hosts.keys();
    if (this.#hosts.size > HOSTS_MAX && oldest !== undefined) this.#hosts.delete(oldest);
  }
}
