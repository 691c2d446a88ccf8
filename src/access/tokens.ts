import type { Clock } from "../platform/clock.ts";
import type { EventSink } from "../platform/event-sink.ts";
import type { Hasher } from "../platform/hasher.ts";
import type { KeyValueStore } from "../platform/key-value-store.ts";
import type { Logger } from "../platform/logger.ts";
import type { Random } from "../platform/random.ts";
import { Seal } from "./seal.ts";

const PREFIX = "a/";
const PREFIX_END = "a0";
const TOKENS_MAX = 100;
const FORM = /^am_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$/;
const RANK: Readonly<Record<Scope, number>> = { viewer: 0, operator: 1, admin: 2 };

/** What a token may do; each scope includes the ones before it. */
export type Scope = "viewer" | "operator" | "admin";

/** A token without its secret. Times are milliseconds since 1970. */
export interface TokenInfo {
  readonly id: string;
  readonly name: string;
  readonly scope: Scope;
  readonly createdAtMs: number;
  readonly expiresAtMs?: number;
  /** Latest use since the agent started; never written down, to spare the flash. */
  readonly lastUsedAtMs?: number;
}

/** What a new token should be; without `expiresInMs` it never ends. */
interface TokenWish {
  readonly name: string;
  readonly scope: Scope;
  readonly expiresInMs?: number;
}

/** A new token with the secret, which is not kept and can not be told again. */
export interface CreatedToken {
  readonly info: TokenInfo;
  readonly token: string;
}

/** Why a bearer token was not accepted. */
export type TokenRefusal =
  | "token.malformed"
  | "token.unknown"
  | "token.expired"
  | "token.clock-untrusted";

/** A token could not be created or revoked; `code` is stable. */
export class TokenError extends Error {
  override readonly name = "TokenError";
  readonly code: "token.too-many" | "token.last-admin" | "token.clock-untrusted";
  constructor(code: TokenError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

interface StoredToken {
  readonly info: TokenInfo;
  /** SHA-256 of the secret. The secret has 256 random bits, so a slow hash would add nothing. */
  readonly secretHash: string;
}

interface Dependencies {
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly hasher: Hasher;
  readonly events: EventSink;
  readonly logger: Logger;
}

/** @returns true when `held` allows what `needed` asks. */
export function allows(held: Scope, needed: Scope): boolean {
  return RANK[held] >= RANK[needed];
}

/**
 * Bearer tokens `am_<id>_<secret>`, hashed at rest under the store's prefix `a/`. All of them are held in
 * memory, so checking one costs a hash and no disk.
 */
export class TokenStore {
  readonly #parts: Dependencies;
  readonly #tokens = new Map<string, StoredToken>();
  readonly #lastUsedAtMs = new Map<string, number>();
  #writing: Promise<unknown> = Promise.resolve();
  /** For what clients carry back to us, list cursors above all. */
  readonly seal: Seal;

  private constructor(parts: Dependencies) {
    this.#parts = parts;
    this.seal = new Seal(parts);
  }

  /** Reads the tokens. A record that can not be read is left alone and logged. @throws StoreError */
  static async open(parts: Dependencies): Promise<TokenStore> {
    const tokens = new TokenStore(parts);
    const entries = await parts.store.range({ gte: PREFIX, lt: PREFIX_END, limit: TOKENS_MAX });
    for (const [key, value] of entries) {
      const stored = decode(value);
      if (stored === undefined) parts.logger.warn("a token record cannot be read", { key });
      else tokens.#tokens.set(stored.info.id, stored);
    }
    return tokens;
  }

  /** @returns who the bearer is, or why the token is refused. Takes as long for a near miss as for a far one. */
  authenticate(bearer: string): TokenInfo | TokenRefusal {
    const parts = FORM.exec(bearer);
    if (parts === null) return "token.malformed";
    const [, id = "", secret = ""] = parts;
    const stored = this.#tokens.get(id);
    const hash = this.#parts.hasher.sha256Hex(secret);
    if (!this.#parts.hasher.equal(hash, stored?.secretHash ?? "0".repeat(64)))
      return "token.unknown";
    if (stored === undefined) return "token.unknown";
    const nowMs = this.#parts.clock.wallMs();
    if (stored.info.expiresAtMs !== undefined) {
      if (!this.#parts.clock.wallTrusted()) return "token.clock-untrusted";
      if (nowMs >= stored.info.expiresAtMs) return "token.expired";
    }
    this.#lastUsedAtMs.set(id, nowMs);
    return stored.info;
  }

  /** @returns true while the token exists and has not ended; for answers that go on for long. */
  isLive(id: string): boolean {
    const stored = this.#tokens.get(id);
    if (stored === undefined) return false;
    const { expiresAtMs } = stored.info;
    return expiresAtMs === undefined || this.#parts.clock.wallMs() < expiresAtMs;
  }

  /** All tokens, oldest first, ended ones included. */
  list(): readonly TokenInfo[] {
    return [...this.#tokens.values()]
      .map((stored) => this.#info(stored))
      .sort((a, b) => a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1));
  }

  /** @returns the token of that id, without its secret. */
  find(id: string): TokenInfo | undefined {
    const stored = this.#tokens.get(id);
    return stored === undefined ? undefined : this.#info(stored);
  }

  /**
   * Creates a token; durable when resolved.
   * @throws TokenError `token.too-many`, or `token.clock-untrusted` for one that ends while the clock is wrong
   * @throws StoreError
   */
  create(wish: TokenWish): Promise<CreatedToken> {
    return this.#create(wish, () => Promise.resolve());
  }

  #create(wish: TokenWish, keep: (token: string) => Promise<void>): Promise<CreatedToken> {
    return this.#exclusively(async () => {
      if (this.#tokens.size >= TOKENS_MAX) {
        throw new TokenError(
          "token.too-many",
          `there are ${TOKENS_MAX} tokens already; revoke one that is no longer used`,
        );
      }
      const { clock, random, hasher } = this.#parts;
      if (wish.expiresInMs !== undefined && !clock.wallTrusted()) {
        throw new TokenError(
          "token.clock-untrusted",
          "the device's clock is not set yet, so the token's end cannot be told; set the clock or leave out expiresInMs",
        );
      }
      const id = Buffer.from(random.bytes(6)).toString("hex");
      const secret = Buffer.from(random.bytes(32)).toString("base64url");
      const createdAtMs = clock.wallMs();
      const stored: StoredToken = {
        info: {
          id,
          name: wish.name,
          scope: wish.scope,
          createdAtMs,
          ...(wish.expiresInMs === undefined
            ? {}
            : { expiresAtMs: createdAtMs + wish.expiresInMs }),
        },
        secretHash: hasher.sha256Hex(secret),
      };
      const value = Buffer.from(JSON.stringify(stored));
      const token = `am_${id}_${secret}`;
      await keep(token);
      await this.#parts.store.write([{ type: "put", key: PREFIX + id, value }], { durable: true });
      this.#tokens.set(id, stored);
      this.#parts.events.emit("token.created", { id, name: wish.name, scope: wish.scope });
      return { info: stored.info, token };
    });
  }

  /**
   * Revokes a token; it is refused from now on, and after restarts.
   * @returns false when there is none of that id.
   * @throws TokenError `token.last-admin` when nobody could administer the agent any more
   * @throws StoreError
   */
  revoke(id: string): Promise<boolean> {
    return this.#exclusively(async () => {
      const stored = this.#tokens.get(id);
      if (stored === undefined) return false;
      if (isLastingAdmin(stored) && this.#lastingAdmins() === 1) {
        throw new TokenError(
          "token.last-admin",
          "this is the last admin token that never ends; create another one first",
        );
      }
      await this.#parts.store.write([{ type: "del", key: PREFIX + id }], { durable: true });
      this.#tokens.delete(id);
      this.#lastUsedAtMs.delete(id);
      this.#parts.events.emit("token.revoked", { id, name: stored.info.name });
      return true;
    });
  }

  /**
   * Makes an admin token where there is none that lasts.
   * @param keep puts the plaintext where the owner finds it. It is done before the token counts, so that
   *   power loss in between leaves a token that is replaced at the next start, not one that nobody knows.
   * @returns whether one was made @throws StoreError, and what `keep` throws
   */
  async ensureFirstToken(keep: (token: string) => Promise<void>): Promise<boolean> {
    if (this.#lastingAdmins() > 0) return false;
    await this.#create({ name: "first", scope: "admin" }, keep);
    return true;
  }

  #lastingAdmins(): number {
    return [...this.#tokens.values()].filter(isLastingAdmin).length;
  }

  #info({ info }: StoredToken): TokenInfo {
    const lastUsedAtMs = this.#lastUsedAtMs.get(info.id);
    return lastUsedAtMs === undefined ? info : { ...info, lastUsedAtMs };
  }

  /** One change at a time, so that two revocations cannot each leave the other's token as the last. */
  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#writing.then(work);
    this.#writing = done.catch(() => undefined);
    return done;
  }
}

function isLastingAdmin({ info }: StoredToken): boolean {
  return info.scope === "admin" && info.expiresAtMs === undefined;
}

function decode(value: Uint8Array): StoredToken | undefined {
  try {
    const stored = JSON.parse(Buffer.from(value).toString("utf8")) as StoredToken;
    const sound =
      typeof stored.info.id === "string" &&
      typeof stored.info.name === "string" &&
      typeof stored.info.createdAtMs === "number" &&
      Object.hasOwn(RANK, stored.info.scope) &&
      typeof stored.secretHash === "string";
    return sound ? stored : undefined;
  } catch {
    return undefined;
  }
}
