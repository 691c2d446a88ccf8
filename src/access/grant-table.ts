import type { PeerId } from "../platform/signer.ts";
import type { GrantStatement } from "./grant-statement.ts";

/** Grants of one subject; there is no reason for more, and each is looked at for every new standing. */
const PER_SUBJECT_MAX = 16;

/** Grants in memory, by id and by subject. What ended first gives way when there is no room; nothing else does. */
export class GrantTable {
  readonly #grantsMax: number;
  readonly #grants = new Map<string, GrantStatement>();
  readonly #bySubject = new Map<PeerId, GrantStatement[]>();
  #fingerprint = 0n;

  constructor(limits: { readonly grantsMax: number }) {
    this.#grantsMax = limits.grantsMax;
  }

  get size(): number {
    return this.#grants.size;
  }

  /** Exclusive or of the first 8 bytes of all ids. */
  get fingerprint(): bigint {
    return this.#fingerprint;
  }

  get(id: string): GrantStatement | undefined {
    return this.#grants.get(id);
  }

  all(): Iterable<GrantStatement> {
    return this.#grants.values();
  }

  of(subject: PeerId): readonly GrantStatement[] {
    return this.#bySubject.get(subject) ?? [];
  }

  /**
   * Adds a grant that is not there yet.
   * @param nowMs wall clock by which others have ended; undefined while it can not be trusted: none has then
   * @returns which grants gave way, or undefined when there is no room
   */
  add(grant: GrantStatement, nowMs: number | undefined): readonly GrantStatement[] | undefined {
    const gone: GrantStatement[] = [];
    const others = this.of(grant.subject);
    if (others.length >= PER_SUBJECT_MAX && !this.#dropEnded(others, nowMs, gone)) return undefined;
    if (
      this.#grants.size >= this.#grantsMax &&
      !this.#dropEnded(this.#grants.values(), nowMs, gone)
    )
      return undefined;
    this.#grants.set(grant.id, grant);
    this.#bySubject.set(grant.subject, [...this.of(grant.subject), grant]);
    this.#fingerprint ^= shortId(grant.id);
    return gone;
  }

  remove(grant: GrantStatement): void {
    if (!this.#grants.delete(grant.id)) return;
    this.#fingerprint ^= shortId(grant.id);
    const left = this.of(grant.subject).filter(({ id }) => id !== grant.id);
    if (left.length === 0) this.#bySubject.delete(grant.subject);
    else this.#bySubject.set(grant.subject, left);
  }

  #dropEnded(
    among: Iterable<GrantStatement>,
    nowMs: number | undefined,
    gone: GrantStatement[],
  ): boolean {
    let first: GrantStatement | undefined;
    for (const grant of among)
      if (grant.expiresMs < (first?.expiresMs ?? Number.POSITIVE_INFINITY)) first = grant;
    if (first === undefined || nowMs === undefined || first.expiresMs > nowMs) return false;
    this.remove(first);
    gone.push(first);
    return true;
  }
}

/** @returns the first 8 bytes of a grant's id as a number. */
export function shortId(id: string): bigint {
  return BigInt(`0x${id.slice(0, 16)}`);
}
