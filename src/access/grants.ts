import type { Clock } from "../platform/clock.ts";
import type { EventSink } from "../platform/event-sink.ts";
import type { Hasher } from "../platform/hasher.ts";
import type { KeyValueStore } from "../platform/key-value-store.ts";
import type { Logger } from "../platform/logger.ts";
import type { Random } from "../platform/random.ts";
import type { PeerId, Signer } from "../platform/signer.ts";
import type { SignedGrant, SignedRevocations } from "../wire/agent_mesh/v1/access_pb.ts";
import type { AuditTrail } from "./audit.ts";
import { putNewest } from "./bounded.ts";
import type { IntakeRefusal } from "./grant-errors.ts";
import {
  decodeGrant,
  encodeGrant,
  type GrantStatement,
  grantBytes,
  isGenuine,
  readGrant,
} from "./grant-statement.ts";
import { GrantTable, shortId } from "./grant-table.ts";
import { LazyWriter } from "./lazy-writer.ts";
import { type OwnRevocations, RevocationBook, type RevocationOutcome } from "./revocation-book.ts";
import {
  decodeRevocations,
  encodeRevocations,
  isGenuineList,
  type RevocationList,
  readRevocations,
} from "./revocation-list.ts";
import type { RoleTable } from "./roles.ts";
import { refusalOf, Standing } from "./standing.ts";

const GRANTS = { gte: "g/g/", lt: "g/g0" } as const;
const LISTS = { gte: "g/r/", lt: "g/r0" } as const;
const LISTS_MAX = 64;
const STANDINGS_MAX = 1_024;

/** What the book is made of. */
export interface GrantBookParts {
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly hasher: Hasher;
  readonly signer: Signer;
  readonly logger: Logger;
  readonly events: EventSink;
  readonly audit: AuditTrail;
}

/** Whose grants count, and what roles mean. */
export interface GrantBookSettings {
  readonly authorities: readonly PeerId[];
  readonly roles: RoleTable;
  readonly grantsMax: number;
}

/** What became of a grant: `fresh` when it was not known before. */
export type GrantOutcome =
  | { readonly taken: true; readonly fresh: boolean; readonly grant: GrantStatement }
  | { readonly taken: false; readonly code: IntakeRefusal };

/**
 * Grants and revocations, in memory and under the store's prefixes `g/g/` and `g/r/`. A grant counts when one of the
 * authorities, or this very device, has signed it and not taken it back. What this device signs counts here only,
 * unless others list it as an authority: it decides over itself anyway. What was granted to this device is kept
 * whoever issued it, to be shown to those who know the issuer.
 *
 * Signatures are checked when a grant comes in; those of the store when they are first relied on.
 */
export class GrantBook {
  readonly #parts: GrantBookParts;
  readonly #roles: RoleTable;
  readonly #table: GrantTable;
  readonly #revocations: RevocationBook;
  readonly #authorities: ReadonlySet<PeerId>;
  readonly #writer: LazyWriter;
  readonly #unchecked = new Set<string>();
  readonly #standings = new Map<PeerId, Standing>();
  readonly #counts = new Map<string, number>();

  private constructor(parts: GrantBookParts, settings: GrantBookSettings) {
    this.#parts = parts;
    this.#roles = settings.roles;
    this.#table = new GrantTable(settings);
    this.#revocations = new RevocationBook(parts.signer);
    this.#authorities = new Set([...settings.authorities, parts.signer.peerId]);
    this.#writer = new LazyWriter(parts, "grants", (key) => this.#valueOf(key));
  }

  /** Reads what is there. A record that can not be read is left alone and logged. @throws StoreError */
  static async open(parts: GrantBookParts, settings: GrantBookSettings): Promise<GrantBook> {
    const book = new GrantBook(parts, settings);
    const { store, signer, logger } = parts;
    for (const [key, value] of await store.range({ ...LISTS, limit: LISTS_MAX })) {
      const list = decodeRevocations(value, signer);
      if (list === undefined || !isGenuineList(list, signer))
        logger.error("a list of revocations cannot be relied on", { key });
      else book.#revocations.put(list);
    }
    for (const [key, value] of await store.range({ ...GRANTS, limit: settings.grantsMax })) {
      const grant = decodeGrant(value, parts);
      if (grant === undefined) logger.warn("a grant cannot be read", { key });
      else if (book.#revocations.revokes(grant)) book.#writer.changed(key);
      else {
        book.#unchecked.add(grant.id);
        if (book.#table.add(grant, undefined) === undefined) book.#unchecked.delete(grant.id);
      }
    }
    return book;
  }

  /** Statements that were refused since the start, by code. */
  counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  /** @returns whether grants of this issuer count here. */
  isAuthority(peer: PeerId): boolean {
    return this.#authorities.has(peer);
  }

  /** @returns what the peer's grants come to now. A look into a table while nothing changes. */
  standingOf(peer: PeerId): Standing {
    const { clock } = this.#parts;
    const known = this.#standings.get(peer);
    if (known?.holds(clock) === true) return known;
    const grants = this.#table
      .of(peer)
      .filter((grant) => this.#authorities.has(grant.issuer) && this.#isSound(grant));
    const standing = new Standing(grants, this.#roles, clock);
    putNewest(this.#standings, peer, standing, STANDINGS_MAX);
    return standing;
  }

  /**
   * Takes a grant in, to be written by {@link flush}. Whoever calls it tells of it, by {@link tell} or
   * {@link tellReceived}.
   * @param carried a person vouches for it: then it may be for this device by whomever
   */
  take(signed: SignedGrant, carried = false): GrantOutcome {
    const grant = readGrant(signed, this.#parts);
    if (grant === undefined) return this.#refuse("access.malformed");
    const known = this.get(grant.id);
    if (known !== undefined) return { taken: true, fresh: false, grant: known };
    const ours = carried && grant.subject === this.#parts.signer.peerId;
    if (!this.#authorities.has(grant.issuer) && !ours) return this.#refuse("access.unknown-issuer");
    if (this.#revocations.revokes(grant)) return this.#refuse("access.revoked");
    const { clock } = this.#parts;
    if (refusalOf(grant, clock.wallMs(), clock.wallTrusted()) === "access.expired")
      return this.#refuse("access.expired");
    if (!isGenuine(grant, this.#parts.signer)) return this.#refuse("access.forged");
    if (!this.hold(grant)) return this.#refuse("access.too-many");
    return { taken: true, fresh: true, grant };
  }

  /** Takes a list of revocations in, to be written by {@link flush}. */
  takeRevocations(
    signed: SignedRevocations,
    source: string,
  ): { readonly outcome: RevocationOutcome | "access.malformed"; readonly issuer?: PeerId } {
    const list = readRevocations(signed, this.#parts.signer);
    const outcome =
      list === undefined
        ? "access.malformed"
        : this.#revocations.take(list, this.#authorities.has(list.issuer), this.trustedNowMs());
    if (outcome !== "known" && outcome !== "taken") this.#count(outcome);
    if (list === undefined) return { outcome };
    if (outcome !== "taken") return { outcome, issuer: list.issuer };
    this.#writer.changed(LISTS.gte + list.issuer);
    this.#dropRevoked(list.issuer);
    const { events, audit } = this.#parts;
    const { issuer } = list;
    events.emit("access.revoked", { issuer, by: source });
    audit.note({
      actor: source,
      action: "revocations.imported",
      subject: issuer,
      outcome: "allowed",
      detail: `version ${list.version}`,
    });
    return { outcome, issuer };
  }

  /** Puts a genuine grant into the table, to be written by {@link flush}. @returns false when there is no room */
  hold(grant: GrantStatement): boolean {
    const gone = this.#table.add(grant, this.trustedNowMs());
    if (gone === undefined) return false;
    for (const ended of gone) this.forget(ended);
    this.#standings.delete(grant.subject);
    this.#writer.changed(GRANTS.gte + grant.id);
    return true;
  }

  /** Drops a grant from table and store. It may come in again. */
  forget(grant: GrantStatement): void {
    this.#table.remove(grant);
    this.#unchecked.delete(grant.id);
    this.#standings.delete(grant.subject);
    this.#writer.changed(GRANTS.gte + grant.id);
  }

  /**
   * Takes back grants that this device issued, to be written by {@link flush}.
   * @param atLeast the list's version becomes higher than that
   * @returns the new list; undefined when it would be too long
   */
  revoke(added: OwnRevocations, atLeast: bigint): RevocationList | undefined {
    const list = this.#revocations.draft(added, atLeast, this.trustedNowMs());
    if (list === undefined) return undefined;
    this.#revocations.put(list);
    this.#writer.changed(LISTS.gte + list.issuer);
    this.#dropRevoked(list.issuer);
    return list;
  }

  get(id: string): GrantStatement | undefined {
    const grant = this.#table.get(id);
    return grant !== undefined && this.#isSound(grant) ? grant : undefined;
  }

  /** All grants that are genuine. */
  all(): readonly GrantStatement[] {
    return [...this.#table.all()].filter((grant) => this.#isSound(grant));
  }

  /** The lists of revocations that are known. */
  lists(): readonly RevocationList[] {
    return [...this.#revocations.all()];
  }

  listOf(issuer: PeerId): RevocationList | undefined {
    return this.#revocations.get(issuer);
  }

  /** See `AccessHello`. */
  get fingerprint(): bigint {
    return this.#table.fingerprint;
  }

  /** The first 8 bytes of every id. */
  shortIds(): readonly bigint[] {
    return [...this.#table.all()].map(({ id }) => shortId(id));
  }

  /** What was granted to this device and has not ended. */
  credentials(): readonly GrantStatement[] {
    const { clock, signer } = this.#parts;
    const [nowMs, trusted] = [clock.wallMs(), clock.wallTrusted()];
    return this.#table
      .of(signer.peerId)
      .filter((grant) => refusalOf(grant, nowMs, trusted) !== "access.expired")
      .filter((grant) => this.#isSound(grant));
  }

  /**
   * Grants of authorities that are not among those.
   * @param have see `AccessWant` @param bytesMax of all that is returned, encoded
   */
  missingFrom(have: ReadonlySet<bigint>, bytesMax: number, countMax: number): SignedGrant[] {
    const missing: SignedGrant[] = [];
    let bytes = 0;
    const { clock } = this.#parts;
    const [nowMs, trusted] = [clock.wallMs(), clock.wallTrusted()];
    for (const grant of this.#table.all()) {
      if (missing.length >= countMax) break;
      if (have.has(shortId(grant.id)) || !this.#authorities.has(grant.issuer)) continue;
      if (refusalOf(grant, nowMs, trusted) === "access.expired" || !this.#isSound(grant)) continue;
      bytes += grantBytes(grant.signed);
      if (bytes > bytesMax) break;
      missing.push(grant.signed);
    }
    return missing;
  }

  /** Writes what has changed. @throws StoreError; what was not written is tried again with the next call */
  flush(): Promise<void> {
    return this.#writer.flush();
  }

  /** Writes what has changed, and nothing later. @throws StoreError */
  close(): Promise<void> {
    return this.#writer.close();
  }

  /** @returns the wall clock, or undefined while it can not be trusted. */
  trustedNowMs(): number | undefined {
    const { clock } = this.#parts;
    return clock.wallTrusted() ? clock.wallMs() : undefined;
  }

  /** Notes that a grant came about. */
  tell(action: "grant.issued" | "grant.imported", grant: GrantStatement, by: string): void {
    const { id, issuer, subject, roles, permissions } = grant;
    this.#parts.events.emit("access.granted", { id, issuer, subject, roles, permissions, by });
    const detail = `${id} by ${issuer}: ${[...roles, ...permissions].join(" ")}`;
    this.#parts.audit.note({ actor: by, action, subject, outcome: "allowed", detail });
  }

  /** Notes that a neighbour brought grants: a whole fleet's worth in few entries. */
  tellReceived(grants: readonly GrantStatement[], by: string): void {
    if (grants.length === 0) return;
    const ids = grants.map(({ id }) => id);
    this.#parts.events.emit("access.granted", { grants: ids.length, ids: ids.slice(0, 8), by });
    this.#parts.audit.note({
      actor: by,
      action: "grant.imported",
      outcome: "allowed",
      detail: ids.slice(0, 7).join(" "),
      times: ids.length,
    });
  }

  /** Forgets what the issuer's list takes back. */
  #dropRevoked(issuer: PeerId): void {
    for (const grant of this.#table.all())
      if (grant.issuer === issuer && this.#revocations.revokes(grant)) this.forget(grant);
  }

  /** A grant that came from the store is checked the first time that it matters. */
  #isSound(grant: GrantStatement): boolean {
    if (!this.#unchecked.has(grant.id)) return true;
    this.#unchecked.delete(grant.id);
    if (isGenuine(grant, this.#parts.signer)) return true;
    this.#count("access.forged");
    this.#parts.logger.error("a stored grant is forged", {
      id: grant.id,
      issuer: grant.issuer,
      subject: grant.subject,
    });
    this.forget(grant);
    return false;
  }

  #refuse(code: IntakeRefusal): GrantOutcome {
    this.#count(code);
    return { taken: false, code };
  }

  #count(code: string): void {
    this.#counts.set(code, (this.#counts.get(code) ?? 0) + 1);
  }

  #valueOf(key: string): Uint8Array | undefined {
    if (key.startsWith(GRANTS.gte)) {
      const grant = this.#table.get(key.slice(GRANTS.gte.length));
      return grant === undefined ? undefined : encodeGrant(grant);
    }
    const list = this.#revocations.get(key.slice(LISTS.gte.length));
    return list === undefined ? undefined : encodeRevocations(list);
  }
}
