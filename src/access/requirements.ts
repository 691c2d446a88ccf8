import type { Permission } from "./roles.ts";

/** What a protocol or topic asks of those who use it. */
export interface Requirement {
  /** To send it: frames of the protocol, messages of the topic. */
  readonly send: Permission;
  /** To be sent it; whoever has a link unless set. */
  readonly receive?: Permission;
}

/** A requirement is registered under a name that has one, or there are too many. */
export class RequirementError extends Error {
  override readonly name = "RequirementError";
  readonly code: "access.requirement-taken" | "access.too-many-requirements" | "access.name";
  constructor(code: RequirementError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

const REQUIREMENTS_MAX = 1_024;
const NAME_CHARACTERS_MAX = 256;
const FOUND_MAX = 512;
/** Names of our own: what is not registered there is nobody's. */
const RESERVED = "agent-mesh/";
const APPLICATION_TOPIC: Requirement = { send: "publish", receive: "subscribe" };

/**
 * Which permission each protocol and topic needs. Protocols (names that begin with a slash) are found by their
 * whole name, topics by the longest registered prefix that ends at a slash or at the end. A protocol that nobody
 * registered, and such a topic under `agent-mesh/`, is refused to everybody; any other topic needs `publish` to
 * send and `subscribe` to receive.
 */
export class Requirements {
  readonly #exact = new Map<string, Requirement>();
  readonly #prefixes = new Map<string, Requirement>();
  /** Answers for topics, which are looked for level by level. */
  readonly #found = new Map<string, Requirement | undefined>();

  /** @throws RequirementError */
  protocol(id: string, requirement: Requirement): void {
    if (!id.startsWith("/")) throw new RequirementError("access.name", `"${id}" is no protocol id`);
    this.#register(this.#exact, id, requirement);
  }

  /**
   * @param prefix whole levels: `a/b` covers `a/b` and `a/b/c`, not `a/bc`
   * @throws RequirementError
   */
  topics(prefix: string, requirement: Requirement): void {
    if (prefix === "" || prefix.startsWith("/") || prefix.endsWith("/"))
      throw new RequirementError("access.name", `"${prefix}" is no topic`);
    this.#register(this.#prefixes, prefix, requirement);
    this.#found.clear();
  }

  /** Takes back what was registered under the protocol id or topic prefix, if anything was. */
  remove(name: string): void {
    this.#exact.delete(name);
    this.#prefixes.delete(name);
    this.#found.clear();
  }

  /** @returns what a protocol or topic needs; undefined when it is refused to everybody. */
  of(what: string): Requirement | undefined {
    if (what.startsWith("/")) return this.#exact.get(what);
    const found = this.#found.get(what);
    if (found !== undefined || this.#found.has(what)) return found;
    const requirement = this.#search(what);
    if (what.length <= NAME_CHARACTERS_MAX) {
      // Topics that peers make up must not fill it for good.
      if (this.#found.size >= FOUND_MAX) this.#found.clear();
      this.#found.set(what, requirement);
    }
    return requirement;
  }

  #search(topic: string): Requirement | undefined {
    // No registered prefix is longer, so nothing beyond that needs a look.
    for (let end = Math.min(topic.length, NAME_CHARACTERS_MAX + 1); end > 0; ) {
      if (end === topic.length || topic[end] === "/") {
        const requirement = this.#prefixes.get(topic.slice(0, end));
        if (requirement !== undefined) return requirement;
      }
      end = topic.lastIndexOf("/", end - 1);
    }
    return topic.startsWith(RESERVED) ? undefined : APPLICATION_TOPIC;
  }

  #register(into: Map<string, Requirement>, name: string, requirement: Requirement): void {
    if (name.length > NAME_CHARACTERS_MAX)
      throw new RequirementError("access.name", `"${name.slice(0, 40)}…" is too long`);
    if (into.has(name))
      throw new RequirementError("access.requirement-taken", `"${name}" is registered already`);
    if (this.#exact.size + this.#prefixes.size >= REQUIREMENTS_MAX)
      throw new RequirementError(
        "access.too-many-requirements",
        `there are ${REQUIREMENTS_MAX} requirements already`,
      );
    into.set(name, requirement);
  }
}
