import type { PeerId } from "../../platform/signer.ts";
import type { AgentOffer, Requirements } from "./task.ts";

/** An agent with what it has taken on. */
export class Worker {
  readonly peer: PeerId;
  offer: AgentOffer;
  /** Tasks that it was given, by id. */
  readonly tasks = new Set<string>();
  #memoryBytes = 0;
  #cpuShare = 0;
  #cpuShareAtReport = 0;

  constructor(offer: AgentOffer) {
    this.peer = offer.peer;
    this.offer = offer;
  }

  get weight(): number {
    return this.offer.weight;
  }

  /** A new report: its load is of now. */
  report(offer: AgentOffer): void {
    this.offer = offer;
    this.#cpuShareAtReport = this.#cpuShare;
  }

  /** How busy it is held to be: as it said, and with what it was given or has finished since. */
  get load(): number {
    const since = this.#cpuShare - this.#cpuShareAtReport;
    return Math.max(0, this.offer.load + since / Math.max(this.offer.cpuShare, 1e-9));
  }

  hasRoomFor(needs: Requirements): boolean {
    const { memoryBytes, cpuShare, tasksMax } = this.offer;
    return (
      this.tasks.size < tasksMax &&
      this.#memoryBytes + needs.memoryBytes <= memoryBytes &&
      this.#cpuShare + needs.cpuShare <= cpuShare
    );
  }

  give(id: string, needs: Requirements): void {
    this.tasks.add(id);
    this.#memoryBytes += needs.memoryBytes;
    this.#cpuShare += needs.cpuShare;
  }

  take(id: string, needs: Requirements): void {
    if (!this.tasks.delete(id)) return;
    const isIdle = this.tasks.size === 0;
    // Fractions that were added need not add up to nothing.
    this.#memoryBytes = isIdle ? 0 : this.#memoryBytes - needs.memoryBytes;
    this.#cpuShare = isIdle ? 0 : this.#cpuShare - needs.cpuShare;
  }
}
