import type { Clock, Timer } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Network } from "../../platform/network.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { Member } from "../membership/member.ts";
import type { FleetMemory } from "./fleet-memory.ts";

const REMEMBER_INTERVAL_MS = 600_000;

/** What a {@link FleetKeeper} works with. */
interface KeeperParts {
  readonly network: Network;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly memory: FleetMemory;
  /** Whether to keep any records for the next start. */
  readonly remember: boolean;
  /** Of this start; it is kept already. */
  readonly epoch: number;
  readonly members: () => Iterable<Member>;
}

/** Keeps what the next start can use of what was learnt: records of others, and the epoch that was reached. */
export class FleetKeeper {
  readonly #parts: KeeperParts;
  #timer: Timer | undefined;
  #epoch: number;

  constructor(parts: KeeperParts) {
    this.#parts = parts;
    this.#epoch = parts.epoch;
  }

  /** Keeps records from time to time. */
  start(): void {
    if (this.#parts.remember) this.#keepLater();
  }

  /** Keeps them a last time. @throws StoreError */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    if (this.#parts.remember) await this.#keep();
  }

  /** This agent's epoch is that now. */
  reached(epoch: number): void {
    if (epoch > this.#epoch) void this.#keepEpoch(epoch);
  }

  #keepLater(): void {
    const { clock, logger } = this.#parts;
    this.#timer = clock.setTimer("mesh.remember", REMEMBER_INTERVAL_MS, () => {
      this.#keep().catch((error: unknown) =>
        logger.warn("the addresses of neighbours could not be kept", { error }),
      );
      this.#keepLater();
    });
  }

  /** Neighbours first: their addresses work. */
  async #keep(): Promise<void> {
    const { network, memory } = this.#parts;
    const linked = new Set(network.links().map(({ peer }) => peer));
    const records = new Map<PeerId, Uint8Array>();
    const members = [...this.#parts.members()]
      .filter(({ record }) => record.peerId !== network.self && record.addresses.length > 0)
      .sort(
        (a, b) =>
          Number(linked.has(b.record.peerId)) - Number(linked.has(a.record.peerId)) ||
          b.heardOfAtMs - a.heardOfAtMs,
      );
    for (const { record } of members) records.set(record.peerId, record.bytes);
    await memory.keep(records);
  }

  async #keepEpoch(epoch: number): Promise<void> {
    this.#epoch = epoch;
    try {
      await this.#parts.memory.keepEpoch(epoch);
    } catch (error) {
      this.#parts.logger.warn("the epoch could not be kept", { error });
    }
  }
}
