import { backoffMs } from "../../platform/backoff.ts";
import type { Clock, Timer } from "../../platform/clock.ts";
import type { NetworkError } from "../../platform/network.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";

const RETRY = { retryMinMs: 1_000, retryMaxMs: 60_000 };
/** Whether a node that is not needed has come to be; a link that goes is looked at at once. */
const LOOK_EVERY_MS = 180_000;

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
  peer: PeerId | undefined;
  fault: string | undefined;
  attempts: number;
  failures: number;
  timer: Timer | undefined;
  dialling: boolean;
}

/** What the dialer works with. */
interface DialerParts {
  readonly clock: Clock;
  readonly random: Random;
  /** @throws NetworkError */
  dial(address: string): Promise<PeerId>;
  /** @returns whether the agent could do with a link to that one, which is not known the first time */
  wanted(peer: PeerId | undefined): boolean;
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
        peer: undefined,
        fault: undefined,
        attempts: 0,
        failures: 0,
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
      if (entry.failures === 0 && !entry.dialling && this.#parts.wanted(entry.peer)) {
        entry.failures = 1;
        entry.timer?.cancel();
        this.#schedule(entry);
      }
  }

  async #dial(entry: Entry): Promise<PeerId> {
    entry.timer?.cancel();
    entry.dialling = true;
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
      if (this.#parts.wanted(entry.peer)) void this.#dial(entry).catch(() => undefined);
      else this.#schedule(entry);
    });
  }
}
