import { fromBinary } from "@bufbuild/protobuf";
import type { PeerId } from "../platform/signer.ts";
import {
  type SignedGrant,
  SignedGrantSchema,
  type SignedRevocations,
  SignedRevocationsSchema,
} from "../wire/agent_mesh/v1/access_pb.ts";
import { armor, dearmor } from "./armor.ts";
import { GrantError, intakeError } from "./grant-errors.ts";
import { encodeGrant, type GrantStatement, SERIAL_BYTES, signGrant } from "./grant-statement.ts";
import type { GrantBook, GrantBookParts } from "./grants.ts";
import { encodeRevocations } from "./revocation-list.ts";
import type { Permission, RoleTable } from "./roles.ts";
import { refusalOf } from "./standing.ts";

const SEQUENCE_KEY = "g/sequence";
/** A repair of the store may have lost the counter: sequences of the next generation begin past all of the last. */
const GENERATION_BITS = 32n;

/** What a new grant should allow; without `expiresInMs` it never ends. */
export interface GrantWish {
  readonly subject: PeerId;
  readonly roles?: readonly string[];
  readonly permissions?: readonly Permission[];
  /** Wall clock, ms since 1970. */
  readonly notBeforeMs?: number;
  readonly expiresInMs?: number;
}

/** A grant as people see it. Times are milliseconds since 1970. */
export interface GrantInfo {
  readonly id: string;
  readonly issuer: PeerId;
  readonly subject: PeerId;
  readonly roles: readonly string[];
  readonly permissions: readonly Permission[];
  readonly issuedAtMs: number;
  readonly notBeforeMs?: number;
  readonly expiresAtMs?: number;
  /** Whether it counts here now, and why not. */
  readonly state: "live" | "expired" | "not-yet-valid" | "clock-untrusted" | "unknown-issuer";
}

/** What came of an import. */
export type Imported =
  | { readonly kind: "grant"; readonly grant: GrantInfo; readonly signed: SignedGrant }
  | { readonly kind: "revocations"; readonly issuer: PeerId; readonly signed: SignedRevocations };

const STATES = {
  live: "live",
  "access.expired": "expired",
  "access.not-yet-valid": "not-yet-valid",
  "access.clock-untrusted": "clock-untrusted",
} as const;

/** Where people issue grants, take them back, and carry them from device to device. */
export class GrantDesk {
  readonly #parts: GrantBookParts;
  readonly #roles: RoleTable;
  readonly #book: GrantBook;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: GrantBookParts, roles: RoleTable, book: GrantBook) {
    this.#parts = parts;
    this.#roles = roles;
    this.#book = book;
  }

  /**
   * Signs a grant with the device's key; durable when resolved.
   * @param by who wants it, for the audit log
   * @throws GrantError `access.clock-untrusted` for one with an end while the clock is wrong, `access.unknown-role`,
   *   `access.terms`, `access.too-many`
   * @throws StoreError
   */
  issue(wish: GrantWish, by: string): Promise<GrantInfo> {
    return this.#exclusively(async () => {
      const { clock, random } = this.#parts;
      for (const role of wish.roles ?? [])
        if (!this.#roles.has(role))
          throw new GrantError("access.unknown-role", `there is no role "${role}"`);
      const timed = wish.expiresInMs !== undefined || (wish.notBeforeMs ?? 0) > 0;
      if (timed && !clock.wallTrusted())
        throw new GrantError(
          "access.clock-untrusted",
          "the device's clock is not set yet, so beginning and end cannot be told; set the clock or leave them out",
        );
      const nowMs = clock.wallMs();
      const times = [wish.notBeforeMs ?? 0, nowMs + (wish.expiresInMs ?? 0)];
      const timesRight = times.every((time) => time >= 0 && Number.isSafeInteger(Math.trunc(time)));
      if (!timesRight || (wish.expiresInMs ?? 1) < 1)
        throw new GrantError(
          "access.terms",
          "the beginning or the end is no time that can be told",
        );
      const grant = signGrant(
        {
          subject: wish.subject,
          roles: wish.roles ?? [],
          permissions: wish.permissions ?? [],
          notBeforeMs: Math.trunc(wish.notBeforeMs ?? 0),
          expiresMs: wish.expiresInMs === undefined ? 0 : Math.trunc(nowMs + wish.expiresInMs),
          serial: random.bytes(SERIAL_BYTES),
          sequence: await this.#takeSequence(),
          issuedMs: nowMs,
        },
        this.#parts,
      );
      if (grant === undefined)
        throw new GrantError(
          "access.terms",
          "a grant is for the peer id of an Ed25519 key, with 1 to 8 roles and up to 16 permissions, and ends after it begins",
        );
      if (!this.#book.hold(grant)) throw intakeError("access.too-many");
      try {
        await this.#book.flush();
      } catch (error) {
        this.#book.forget(grant);
        throw error;
      }
      this.#book.tell("grant.issued", grant, by);
      return this.#info(grant);
    });
  }

  /**
   * Takes a grant of this device back. It counts no more from now on; durable when resolved. When the store fails
   * it is taken back even so, and written later.
   * @returns the list to pass on; undefined when there is no grant of that id
   * @throws GrantError `access.not-issuer`, `access.too-many` @throws StoreError
   */
  revoke(id: string, by: string): Promise<SignedRevocations | undefined> {
    return this.#exclusively(async () => {
      const grant = this.#book.get(id);
      if (grant === undefined) return undefined;
      if (grant.issuer !== this.#parts.signer.peerId)
        throw new GrantError("access.not-issuer", `only ${grant.issuer} can take it back`);
      const serials = new Map([[grant.serial, grant.expiresMs]]);
      return this.#revoke({ serials, below: 0n }, by, grant.subject, id);
    });
  }

  /**
   * Takes all grants back that this device has issued so far, known here or not.
   * @returns the list to pass on @throws GrantError, StoreError as {@link revoke}
   */
  revokeAll(by: string): Promise<SignedRevocations> {
    return this.#exclusively(async () => {
      const below = await this.#takeSequence();
      const { peerId } = this.#parts.signer;
      return this.#revoke({ serials: new Map(), below }, by, peerId, `all before ${below}`);
    });
  }

  /** All grants that are known, those that were issued first first. */
  list(): readonly GrantInfo[] {
    return this.#book
      .all()
      .map((grant) => this.#info(grant))
      .sort((a, b) => a.issuedAtMs - b.issuedAtMs || (a.id < b.id ? -1 : 1));
  }

  find(id: string): GrantInfo | undefined {
    const grant = this.#book.get(id);
    return grant === undefined ? undefined : this.#info(grant);
  }

  /** @returns the grant as text, to be carried to another device. */
  export(id: string): string | undefined {
    const grant = this.#book.get(id);
    return grant === undefined ? undefined : armor("AGENT MESH GRANT", encodeGrant(grant));
  }

  /** @returns the list of revocations of an issuer, this device unless said, as text. */
  exportRevocations(issuer: PeerId = this.#parts.signer.peerId): string | undefined {
    const list = this.#book.listOf(issuer);
    if (list === undefined) return undefined;
    return armor("AGENT MESH REVOCATIONS", encodeRevocations(list));
  }

  /**
   * Takes in what {@link export} or {@link exportRevocations} made, here or elsewhere; durable when resolved.
   * @throws GrantError @throws StoreError
   */
  import(text: string, by: string): Promise<Imported> {
    return this.#exclusively(async () => {
      const carried = dearmor(text);
      if (carried === undefined) throw intakeError("access.malformed");
      const imported =
        carried.label === "AGENT MESH GRANT"
          ? this.#importGrant(carried.bytes, by)
          : this.#importRevocations(carried.bytes, by);
      await this.#book.flush();
      return imported;
    });
  }

  #importGrant(bytes: Uint8Array, by: string): Imported {
    const signed = read(() => fromBinary(SignedGrantSchema, bytes));
    const outcome = this.#book.take(signed, true);
    if (!outcome.taken) throw intakeError(outcome.code);
    if (outcome.fresh) this.#book.tell("grant.imported", outcome.grant, by);
    return { kind: "grant", grant: this.#info(outcome.grant), signed };
  }

  #importRevocations(bytes: Uint8Array, by: string): Imported {
    const signed = read(() => fromBinary(SignedRevocationsSchema, bytes));
    const { outcome, issuer } = this.#book.takeRevocations(signed, by);
    if (outcome !== "taken" && outcome !== "known") throw intakeError(outcome);
    if (issuer === undefined) throw intakeError("access.malformed");
    return { kind: "revocations", issuer, signed };
  }

  async #revoke(
    added: { readonly serials: ReadonlyMap<string, number>; readonly below: bigint },
    by: string,
    subject: PeerId,
    detail: string,
  ): Promise<SignedRevocations> {
    const { store, signer, events, audit } = this.#parts;
    const list = this.#book.revoke(added, BigInt(store.generation) << GENERATION_BITS);
    if (list === undefined)
      throw new GrantError(
        "access.too-many",
        "too many grants were taken back one by one; take all back, and issue those anew that should stay",
      );
    events.emit("access.revoked", { issuer: signer.peerId, subject, grants: detail, by });
    audit.note({ actor: by, action: "grant.revoked", subject, outcome: "allowed", detail });
    await this.#book.flush();
    return list.signed;
  }

  /** @returns a number that was never given out, and is on the disk. */
  async #takeSequence(): Promise<bigint> {
    const { store, signer } = this.#parts;
    const stored = await store.get(SEQUENCE_KEY);
    const text = stored === undefined ? "" : Buffer.from(stored).toString("utf8");
    const candidates = [
      /^\d{1,20}$/.test(text) ? BigInt(text) : 0n,
      BigInt(store.generation) << GENERATION_BITS,
      this.#book.listOf(signer.peerId)?.below ?? 0n,
    ];
    const sequence = candidates.reduce((a, b) => (a > b ? a : b)) + 1n;
    const value = Buffer.from(String(sequence));
    await store.write([{ type: "put", key: SEQUENCE_KEY, value }], { durable: true });
    return sequence;
  }

  #info(grant: GrantStatement): GrantInfo {
    const { clock } = this.#parts;
    const refusal = refusalOf(grant, clock.wallMs(), clock.wallTrusted());
    return {
      id: grant.id,
      issuer: grant.issuer,
      subject: grant.subject,
      roles: grant.roles,
      permissions: grant.permissions,
      issuedAtMs: grant.issuedMs,
      ...(grant.notBeforeMs === 0 ? {} : { notBeforeMs: grant.notBeforeMs }),
      ...(Number.isFinite(grant.expiresMs) ? { expiresAtMs: grant.expiresMs } : {}),
      state: this.#book.isAuthority(grant.issuer) ? STATES[refusal ?? "live"] : "unknown-issuer",
    };
  }

  /** One change at a time: sequences and versions are read and written. */
  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}

/** @throws GrantError when the bytes are no such message */
function read<T>(decode: () => T): T {
  try {
    return decode();
  } catch {
    throw intakeError("access.malformed");
  }
}
