/** When the time of each open proposal is over by this member's clock. */
export class Deadlines {
  readonly #dueAtMs = new Map<string, number>();

  get isEmpty(): boolean {
    return this.#dueAtMs.size === 0;
  }

  /** Begins to count. @returns false where it does already */
  begin(proposalId: string, nowMs: number, afterMs: number): boolean {
    if (this.#dueAtMs.has(proposalId)) return false;
    this.#dueAtMs.set(proposalId, nowMs + afterMs);
    return true;
  }

  end(proposalId: string): void {
    this.#dueAtMs.delete(proposalId);
  }

  /** Ends all but these. */
  keep(proposalIds: ReadonlyMap<string, unknown>): void {
    for (const id of this.#dueAtMs.keys()) if (!proposalIds.has(id)) this.#dueAtMs.delete(id);
  }

  /** @returns proposals whose time is over */
  due(nowMs: number): string[] {
    const due: string[] = [];
    for (const [id, dueAtMs] of this.#dueAtMs) if (dueAtMs <= nowMs) due.push(id);
    return due;
  }
}
