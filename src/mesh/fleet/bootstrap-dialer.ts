import { backoffMs } from "../../platform/backoff.ts";
import type { Clock, Timer } from "../../platform/clock.ts";
import type { NetworkError } from "../../platform/network.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";

const RETRY = { retryMinMs: 1_000, retryMaxMs: 60_000 };
/** Whether a node that is not needed has come to be; a link that goes is looked at at once. */
const LOOK_EVERY_MS = 180_000;
/** The last part of an address may say who is there. */
const NAMED = /\/p2p\/([^/]+)$/;

/** Whether to dial an address: `now`, as fast as failures allow; `someday`, so that it is not lost for good. */
export type BootstrapNeed = "now" | "someday" | "none";

/** How one address to begin with fares. */
export interface BootstrapStatus {
  readonly address: string;
  /** Who answered there last. */
  readonly peer?: PeerId;
  /** Why it could not be reached the last time. */
  readonly fault?: string;
  readonly attempts: number;
}

interface Entry {
  readonly address: string;
  /** Who should be there. */
  readonly named: PeerId | undefined;
  peer: PeerId | undefined;
  fault: string | undefined;
  attempts: number;
  failures: number;
  /** The last time. */
  dialledAtMs: number;
  timer: Timer | undefined;
  dialling: boolean;
}

/** What the dialer works with. */
interface DialerParts {
  readonly clock: Clock;
  readonly random: Random;
  /** @throws NetworkError */
  dial(address: string): Promise<PeerId>;
  /** @param who answered there last, or should be there, as far as either is known */
  need(who: Pick<Entry, "peer" | "named">): BootstrapNeed;
}

/**
 * Dials the addresses that somebody gave, for ever and with jitter: an address that nobody answers at today may be
 * the only way back tomorrow.
 */
export class BootstrapDialer {
  readonly #parts: DialerParts;
  readonly #entries = new Map<string, Entry>();
  #stopped = false;

  constructor(parts: DialerParts) {
    this.#parts = parts;
  }

  /** Adds an address, which is dialled at once. @returns who answered @throws NetworkError; it is dialled again */
  add(address: string): Promise<PeerId> {
    let entry = this.#entries.get(address);
    if (entry === undefined) {
      entry = {
        address,
        named: NAMED.exec(address)?.[1],
        peer: undefined,
        fault: undefined,
        attempts: 0,
        failures: 0,
        dialledAtMs: 0,
        timer: undefined,
        dialling: false,
      };
      this.#entries.set(address, entry);
    }
    return this.#dial(entry);
  }

  /** @returns who answered @throws NetworkError when nobody did; all are dialled again */
  async addAll(addresses: readonly string[]): Promise<readonly PeerId[]> {
    const outcomes = await Promise.allSettled(addresses.map((address) => this.add(address)));
    const peers = outcomes.flatMap((outcome) =>
      outcome.status === "fulfilled" ? [outcome.value] : [],
    );
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    if (peers.length === 0 && failed !== undefined) throw failed.reason as NetworkError;
    return [...new Set(peers)];
  }

  status(): readonly BootstrapStatus[] {
    return [...this.#entries.values()].map(({ address, peer, fault, attempts }) => ({
      address,
      attempts,
      ...(peer !== undefined && { peer }),
      ...(fault !== undefined && { fault }),
    }));
  }

  stop(): void {
    this.#stopped = true;
    for (const { timer } of this.#entries.values()) timer?.cancel();
  }

  /** The links changed: whoever is wanted now need not wait for the next look. */
  hurry(): void {
    for (const entry of this.#entries.values())
      if (entry.failures === 0 && !entry.dialling && this.#parts.need(entry) === "now") {
        entry.failures = 1;
        entry.timer?.cancel();
        this.#schedule(entry);
      }
  }

  async #dial(entry: Entry): Promise<PeerId> {
    entry.timer?.cancel();
    entry.dialling = true;
    entry.dialledAtMs = this.#parts.clock.monotonicMs();
    entry.attempts++;
    try {
      entry.peer = await this.#parts.dial(entry.address);
      entry.fault = undefined;
      entry.failures = 0;
      return entry.peer;
    } catch (error) {
      entry.failures++;
      entry.fault = (error as NetworkError).message;
      throw error;
    } finally {
      entry.dialling = false;
      this.#schedule(entry);
    }
  }

  #schedule(entry: Entry): void {
    if (this.#stopped) return;
    const { clock, random } = this.#parts;
    // While it is linked this only looks again; jitter keeps a fleet from doing so together.
    const waitMs =
      entry.failures === 0
        ? LOOK_EVERY_MS * (0.5 + random.next() / 2)
        : backoffMs(entry.failures, RETRY, random);
    entry.timer = clock.setTimer("mesh.bootstrap", waitMs, () => {
      if (this.#isDue(entry)) void this.#dial(entry).catch(() => undefined);
      else this.#schedule(entry);
    });
  }

  #isDue(entry: Entry): boolean {
    const need = this.#parts.need(entry);
    const restedMs = this.#parts.clock.monotonicMs() - entry.dialledAtMs;
    return need === "now" || (need === "someday" && restedMs >= LOOK_EVERY_MS / 2);
  }
}
