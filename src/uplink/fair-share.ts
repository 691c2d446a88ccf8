/** Who waits for a turn, and how much of what goes out is theirs beside the others. */
export interface Contender {
  readonly id: string;
  /** Above zero; twice the weight is twice the bytes while both wait. */
  readonly weight: number;
}

/**
 * Whose turn it is, by bytes: everybody has a time of their own, which goes on as they send, the slower the heavier
 * they weigh; whoever is furthest behind comes next. Nobody saves up turns while there is nothing to send (start-time
 * fair queueing: Goyal, Vin, Cheng 1996). Pure.
 */
export class FairShare {
  readonly #times = new Map<string, number>();
  #now = 0;

  /** @returns whose turn it is; undefined where nobody waits */
  next<C extends Contender>(waiting: readonly C[]): C | undefined {
    let first: C | undefined;
    let firstTime = Number.POSITIVE_INFINITY;
    for (const contender of waiting) {
      const time = Math.max(this.#now, this.#times.get(contender.id) ?? 0);
      if (time >= firstTime) continue;
      first = contender;
      firstTime = time;
    }
    if (first === undefined) return undefined;
    this.#now = firstTime;
    return first;
  }

  /** The contender has sent so much. */
  spent({ id, weight }: Contender, bytes: number): void {
    const from = Math.max(this.#now, this.#times.get(id) ?? 0);
    this.#times.set(id, from + bytes / weight);
  }

  /** Those that are not named have gone. */
  keep(ids: ReadonlySet<string>): void {
    for (const id of this.#times.keys()) if (!ids.has(id)) this.#times.delete(id);
  }
}
