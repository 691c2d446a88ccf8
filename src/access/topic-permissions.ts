/** Answers that are remembered per client; devices use few topics, over and over. */
const REMEMBERED_MAX = 256;

/** Stands for what a client is called; must not bring wildcards or levels of its own. */
interface Substitutes {
  readonly clientId: string;
  readonly user: string | undefined;
}

/**
 * Whether every topic that `filter` matches is also matched by `permitted` (MQTT 5 section 4.7). A topic
 * name is a filter without wildcards.
 */
export function covers(permitted: readonly string[], filter: readonly string[]): boolean {
  // Wildcards in the first level match no topic that begins with $; `#` alone stands for everything.
  const first = permitted[0];
  if (permitted.length === 1 && first === "#") return true;
  if (filter[0]?.startsWith("$") === true && (first === "+" || first === "#")) return false;
  for (const [at, level] of permitted.entries()) {
    if (level === "#") return true;
    const asked = filter[at];
    if (asked === undefined || asked === "#") return false;
    if (level !== "+" && level !== asked) return false;
  }
  // `a/#` also matches `a`, so `a` alone does not cover it.
  return filter.length === permitted.length;
}

/** Filters of one user for one client, with `%u` and `%c` filled in. */
export class TopicPermissions {
  readonly #filters: readonly (readonly string[])[];
  readonly #everything: boolean;
  #remembered = new Map<string, boolean>();

  constructor(filters: readonly string[], names: Substitutes) {
    const filled = filters.flatMap((filter) => substitute(filter, names));
    this.#everything = filled.includes("#");
    this.#filters = filled.map((filter) => filter.split("/"));
  }

  /** @param topic a topic name, or a filter: then whether all it matches is allowed */
  allow(topic: string): boolean {
    if (this.#everything) return true;
    const known = this.#remembered.get(topic);
    if (known !== undefined) return known;
    const levels = topic.split("/");
    const allowed = this.#filters.some((filter) => covers(filter, levels));
    if (this.#remembered.size >= REMEMBERED_MAX) this.#remembered = new Map();
    this.#remembered.set(topic, allowed);
    return allowed;
  }
}

/** @returns nothing for a name that would widen the filter. */
function substitute(filter: string, { clientId, user }: Substitutes): string[] {
  let widened = false;
  const filled = filter.replaceAll(/%[uc]/g, (sign) => {
    const name = sign === "%u" ? user : clientId;
    if (name === undefined || name === "" || /[+#/]/.test(name)) widened = true;
    return name ?? "";
  });
  return widened ? [] : [filled];
}
