import type { Clock } from "../platform/clock.ts";
import type { Hasher } from "../platform/hasher.ts";
import type { KeyValueStore, StoreOperation } from "../platform/key-value-store.ts";
import type { Random } from "../platform/random.ts";
import { isAgentId } from "../sync/marks-wire.ts";
import { textOf } from "./reading.ts";

const PREFIX = "t/";
const PREFIX_END = "t0";
const TOKENS_MAX = 20_000;
const TOKEN_FORM = /^[A-Za-z0-9._~+/=-]{16,256}$/;

/** What a token may do: hand in one agent's updates, or those of any; read everything; or everything at all. */
export type ReceiverRole = "agent" | "relay" | "reader" | "admin";

/** A token without its secret. */
export interface ReceiverToken {
  readonly id: string;
  readonly role: ReceiverRole;
  /** For role `agent`: whose updates. */
  readonly agent?: string;
  readonly createdAtMs: number;
}

/** A token was not created; `code` is stable. */
export class ReceiverTokenError extends Error {
  override readonly name = "ReceiverTokenError";
  readonly code: "token.too-many" | "token.invalid";
  constructor(code: ReceiverTokenError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

interface Parts {
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly hasher: Hasher;
}

/**
 * Bearer tokens of agents and readers, kept as SHA-256 under the store's prefix `t/`. They are looked up by their hash,
 * which nobody can steer, so the time that takes tells nothing of any token.
 */
export class ReceiverTokens {
  readonly #parts: Parts;
  readonly #byHash = new Map<string, ReceiverToken>();

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** @throws StoreError */
  static async open(parts: Parts): Promise<ReceiverTokens> {
    const tokens = new ReceiverTokens(parts);
    const entries = await parts.store.range({ gte: PREFIX, lt: PREFIX_END, limit: TOKENS_MAX });
    for (const [key, value] of entries)
      tokens.#byHash.set(key.slice(PREFIX.length), JSON.parse(textOf(value)) as ReceiverToken);
    return tokens;
  }

  /** @returns whose token this is, or undefined where nobody's */
  authenticate(token: string): ReceiverToken | undefined {
    if (!TOKEN_FORM.test(token)) return undefined;
    return this.#byHash.get(this.#parts.hasher.sha256Hex(token));
  }

  /** All tokens, oldest first. */
  list(): readonly ReceiverToken[] {
    return [...this.#byHash.values()].sort((a, b) => a.createdAtMs - b.createdAtMs);
  }

  /** Creates a token; durable when resolved. @throws ReceiverTokenError, StoreError */
  async create(
    role: ReceiverRole,
    agent?: string,
  ): Promise<{ readonly token: string; readonly info: ReceiverToken }> {
    const token = Buffer.from(this.#parts.random.bytes(32)).toString("base64url");
    const [info] = await this.#keep([{ token, role, agent }]);
    if (info === undefined) throw new ReceiverTokenError("token.invalid", "no token was made");
    return { token, info };
  }

  /** Makes an admin token where there is none. @param keep puts it where the owner finds it */
  async ensureAdmin(keep: (token: string) => Promise<void>): Promise<void> {
    if (this.list().some(({ role }) => role === "admin")) return;
    const token = Buffer.from(this.#parts.random.bytes(32)).toString("base64url");
    // Kept first: power loss in between leaves a token that is replaced, not one that nobody knows.
    await keep(token);
    await this.#keep([{ token, role: "admin", agent: undefined }]);
  }

  /**
   * Takes over tokens that were given out elsewhere: lines of `agent-id:token`; empty lines and those that begin with
   * `#` are passed over. Those that are known already change nothing.
   * @returns how many are new @throws ReceiverTokenError naming the line, StoreError
   */
  async importLines(text: string): Promise<number> {
    const wishes = text.split("\n").flatMap((line, at) => {
      const words = line.trim();
      if (words === "" || words.startsWith("#")) return [];
      const colon = words.indexOf(":");
      const [agent, token] = [words.slice(0, Math.max(0, colon)), words.slice(colon + 1)];
      if (!isAgentId(agent) || !TOKEN_FORM.test(token))
        throw new ReceiverTokenError(
          "token.invalid",
          `line ${at + 1}: write agent-id:token, with a token of 16 to 256 letters, digits and ._~+/=-`,
        );
      return [{ token, role: "agent" as const, agent }];
    });
    const known = this.#byHash.size;
    await this.#keep(wishes);
    return this.#byHash.size - known;
  }

  /** Refuses a token from now on. @returns false when there is none of that id @throws StoreError */
  async revoke(id: string): Promise<boolean> {
    const found = [...this.#byHash].find(([, info]) => info.id === id);
    if (found === undefined) return false;
    const [hash] = found;
    await this.#parts.store.write([{ type: "del", key: PREFIX + hash }], { durable: true });
    this.#byHash.delete(hash);
    return true;
  }

  async #keep(
    wishes: readonly { token: string; role: ReceiverRole; agent: string | undefined }[],
  ): Promise<ReceiverToken[]> {
    const { hasher, random, clock, store } = this.#parts;
    const fresh = new Map<string, ReceiverToken>();
    for (const { token, role, agent } of wishes) {
      const hash = hasher.sha256Hex(token);
      if (this.#byHash.has(hash)) continue;
      const id = Buffer.from(random.bytes(6)).toString("hex");
      const whose = agent === undefined ? {} : { agent };
      fresh.set(hash, { id, role, ...whose, createdAtMs: clock.wallMs() });
    }
    if (this.#byHash.size + fresh.size > TOKENS_MAX)
      throw new ReceiverTokenError(
        "token.too-many",
        `a receiver keeps ${TOKENS_MAX} tokens; revoke some that are no longer used`,
      );
    const operations: StoreOperation[] = [...fresh].map(([hash, info]) => ({
      type: "put",
      key: PREFIX + hash,
      value: Buffer.from(JSON.stringify(info)),
    }));
    if (operations.length > 0) await store.write(operations, { durable: true });
    for (const [hash, info] of fresh) this.#byHash.set(hash, info);
    return [...fresh.values()];
  }
}
