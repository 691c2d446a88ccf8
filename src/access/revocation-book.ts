import type { Signer } from "../platform/signer.ts";
import type { GrantStatement } from "./grant-statement.ts";
import {
  isGenuineList,
  isLongOver,
  type RevocationList,
  revokes,
  signRevocations,
} from "./revocation-list.ts";

/** What became of a list that came in: `replayed` is one that a later version has replaced. */
export type RevocationOutcome =
  | "taken"
  | "known"
  | "access.replayed"
  | "access.forged"
  | "access.unknown-issuer"
  | "access.too-many";

/** What this device adds to its own list. */
export interface OwnRevocations {
  /** Serials with the end of the grant, ms since 1970; infinite: never. */
  readonly serials: ReadonlyMap<string, number>;
  readonly below: bigint;
}

/**
 * The list of each authority, the highest version only. This device's own list is the exception: whatever turns up
 * with its signature is added to what it knows, for a store that was repaired may have lost some of it.
 */
export class RevocationBook {
  readonly #signer: Signer;
  readonly #lists = new Map<string, RevocationList>();

  constructor(signer: Signer) {
    this.#signer = signer;
  }

  all(): Iterable<RevocationList> {
    return this.#lists.values();
  }

  get(issuer: string): RevocationList | undefined {
    return this.#lists.get(issuer);
  }

  revokes(grant: GrantStatement): boolean {
    const list = this.#lists.get(grant.issuer);
    return list !== undefined && revokes(list, grant);
  }

  /** @param counts whether the issuer's word counts here @param nowMs as in {@link signRevocations} */
  take(list: RevocationList, counts: boolean, nowMs: number | undefined): RevocationOutcome {
    if (!counts) return "access.unknown-issuer";
    const known = this.#lists.get(list.issuer);
    if (list.issuer === this.#signer.peerId && known !== undefined)
      return this.#merge(list, known, nowMs);
    if (list.version === known?.version) return "known";
    if (known !== undefined && list.version < known.version) return "access.replayed";
    if (!isGenuineList(list, this.#signer)) return "access.forged";
    this.#lists.set(list.issuer, list);
    return "taken";
  }

  /**
   * Adds to this device's own list.
   * @param atLeast the new version is higher than that too
   * @returns the new list, not taken yet (see {@link put}); undefined when it would be too long
   */
  draft(
    added: OwnRevocations,
    atLeast: bigint,
    nowMs: number | undefined,
  ): RevocationList | undefined {
    const known = this.#lists.get(this.#signer.peerId);
    const before = known?.version ?? 0n;
    return signRevocations(
      {
        version: (before > atLeast ? before : atLeast) + 1n,
        serials: new Map([...(known?.serials ?? []), ...added.serials]),
        below: added.below > (known?.below ?? 0n) ? added.below : (known?.below ?? 0n),
        issuedMs: nowMs ?? 0,
      },
      nowMs,
      this.#signer,
    );
  }

  /** Takes a list as it is: one of the store's, or an own one that was just written. */
  put(list: RevocationList): void {
    this.#lists.set(list.issuer, list);
  }

  #merge(
    list: RevocationList,
    known: RevocationList,
    nowMs: number | undefined,
  ): RevocationOutcome {
    if (list.version <= known.version && isContained(list, known, nowMs)) return "known";
    if (!isGenuineList(list, this.#signer)) return "access.forged";
    const merged = this.draft(list, list.version, nowMs);
    if (merged === undefined) return "access.too-many";
    this.#lists.set(merged.issuer, merged);
    return "taken";
  }
}

function isContained(
  list: RevocationList,
  within: RevocationList,
  nowMs: number | undefined,
): boolean {
  if (list.below > within.below) return false;
  for (const [serial, endMs] of list.serials)
    if (!within.serials.has(serial) && !isLongOver(endMs, nowMs)) return false;
  return true;
}
