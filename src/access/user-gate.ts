import type {
  BrokerCredentials,
  BrokerGate,
  BrokerRefusal,
  BrokerRights,
} from "../platform/broker-gate.ts";
import type { Clock } from "../platform/clock.ts";
import type { Hasher } from "../platform/hasher.ts";
import type { Logger } from "../platform/logger.ts";
import type { PasswordHasher } from "../platform/password-hasher.ts";
import type { Random } from "../platform/random.ts";
import { AttemptLimiter } from "./attempt-limiter.ts";
import { TopicPermissions } from "./topic-permissions.ts";

/** Filters of what may be published and subscribed to; `%u` is the user's name, `%c` the client's id. */
interface Filters {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

/** A user of the embedded broker. */
export interface BrokerUser extends Filters {
  readonly name: string;
  /** Without one only the holder of a certificate with this common name is the user. */
  readonly passwordHash: string | undefined;
}

/** What a {@link UserGate} is made of. */
export interface UserGateParts {
  readonly users: readonly BrokerUser[];
  readonly anonymous: Filters & { readonly allow: boolean };
  readonly passwords: PasswordHasher;
  readonly hasher: Hasher;
  readonly random: Random;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A hash takes 16 MiB and a core while it is computed. */
const CHECKS_AT_ONCE = 2;
const CHECKS_WAITING_MAX = 64;
const USERNAME_BYTES_MAX = 256;
/** Of a password that nobody has: an unknown user takes as long to refuse as a known one. */
const NOBODY = `$scrypt$ln=14,r=8,p=5$${"A".repeat(22)}$${"A".repeat(43)}`;

/**
 * Users and their permissions. A password that was right once is recognized by a keyed digest, so that a
 * device that comes back costs no second slow hash; the key is random and never leaves this process.
 */
export class UserGate implements BrokerGate {
  readonly #parts: UserGateParts;
  readonly #users: ReadonlyMap<string, BrokerUser>;
  readonly #attempts: AttemptLimiter;
  readonly #key: string;
  readonly #known = new Map<string, string>();
  #checking = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(parts: UserGateParts) {
    this.#parts = parts;
    this.#users = new Map(parts.users.map((user) => [user.name, user]));
    this.#attempts = new AttemptLimiter(parts.clock);
    this.#key = Buffer.from(parts.random.bytes(32)).toString("hex");
  }

  async admit(credentials: BrokerCredentials): Promise<BrokerRights | BrokerRefusal> {
    const { username, certificateName, clientId } = credentials;
    if (username !== undefined) return this.#withPassword(username, credentials);
    const holder = certificateName === undefined ? undefined : this.#users.get(certificateName);
    if (holder !== undefined) return rightsOf(holder, holder.name, clientId);
    const { anonymous } = this.#parts;
    return anonymous.allow ? rightsOf(anonymous, undefined, clientId) : "not-authorized";
  }

  async #withPassword(
    name: string,
    { password = new Uint8Array(), address, clientId, certificateName }: BrokerCredentials,
  ): Promise<BrokerRights | BrokerRefusal> {
    const { anonymous, hasher } = this.#parts;
    // Without any users a name means nothing, as it did before there were users.
    if (this.#users.size === 0 && anonymous.allow) return rightsOf(anonymous, undefined, clientId);
    if (Buffer.byteLength(name) > USERNAME_BYTES_MAX) return "bad-credentials";
    const user = this.#users.get(name);
    if (user !== undefined && user.name === certificateName && password.length === 0)
      return rightsOf(user, name, clientId);
    const digest = hasher.sha256Hex(
      `${this.#key} ${name} ${Buffer.from(password).toString("base64")}`,
    );
    if (user !== undefined && hasher.equal(digest, this.#known.get(name) ?? ""))
      return rightsOf(user, name, clientId);
    if (!this.#attempts.allows(address, name)) return "too-many-attempts";
    const right = await this.#verify(password, user?.passwordHash ?? NOBODY);
    if (right === "busy") return "busy";
    if (!right || user?.passwordHash === undefined) {
      const failures = this.#attempts.failed(address, name);
      this.#parts.logger.warn("MQTT user refused: wrong name or password", {
        user: name,
        clientId,
        address,
        failures,
      });
      return "bad-credentials";
    }
    this.#attempts.succeeded(address, name);
    this.#known.set(name, digest);
    return rightsOf(user, name, clientId);
  }

  /** Few at a time, in the order they came. */
  async #verify(password: Uint8Array, hash: string): Promise<boolean | "busy"> {
    if (this.#checking >= CHECKS_AT_ONCE) {
      if (this.#waiting.length >= CHECKS_WAITING_MAX) return "busy";
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#checking++;
    try {
      return await this.#parts.passwords.verify(password, hash);
    } catch (error) {
      this.#parts.logger.error("an MQTT password could not be checked", { reason: String(error) });
      return "busy";
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#checking--;
      else next();
    }
  }
}

function rightsOf(filters: Filters, user: string | undefined, clientId: string): BrokerRights {
  const names = { clientId, user };
  const publish = new TopicPermissions(filters.publish, names);
  const subscribe = new TopicPermissions(filters.subscribe, names);
  return {
    user,
    mayPublish: (topic) => publish.allow(topic),
    maySubscribe: (filter) => subscribe.allow(filter),
    mayReceive: (topic) => subscribe.allow(topic),
  };
}
