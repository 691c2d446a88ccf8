interface Node<T> {
  /** Filters that end here. */
  readonly here: Set<T>;
  /** Filters that end here with `#`. */
  readonly below: Set<T>;
  readonly children: Map<string, Node<T>>;
}

/**
 * Values by MQTT topic filter (MQTT 5 section 4.7). Filters are taken as they are: whoever adds one has
 * checked it, and keeps wildcards away from topics that begin with `$`.
 */
export class TopicTree<T> {
  readonly #root: Node<T> = newNode();

  add(filter: string, value: T): void {
    let node = this.#root;
    for (const level of filter.split("/")) {
      if (level === "#") {
        node.below.add(value);
        return;
      }
      let next = node.children.get(level);
      if (next === undefined) {
        next = newNode();
        node.children.set(level, next);
      }
      node = next;
    }
    node.here.add(value);
  }

  remove(filter: string, value: T): void {
    removeFrom(this.#root, filter.split("/"), 0, value);
  }

  match(topic: string): T[] {
    const found: T[] = [];
    collect(this.#root, topic.split("/"), 0, found);
    return found;
  }
}

function newNode<T>(): Node<T> {
  return { here: new Set(), below: new Set(), children: new Map() };
}

function collect<T>(node: Node<T>, levels: readonly string[], at: number, found: T[]): void {
  // `sport/#` matches `sport` as well.
  found.push(...node.below);
  const level = levels[at];
  if (level === undefined) {
    found.push(...node.here);
    return;
  }
  for (const name of [level, "+"]) {
    const next = node.children.get(name);
    if (next !== undefined) collect(next, levels, at + 1, found);
  }
}

/** @returns whether the node is empty now. */
function removeFrom<T>(node: Node<T>, levels: readonly string[], at: number, value: T): boolean {
  const level = levels[at];
  if (level === undefined) node.here.delete(value);
  else if (level === "#") node.below.delete(value);
  else {
    const next = node.children.get(level);
    if (next !== undefined && removeFrom(next, levels, at + 1, value)) node.children.delete(level);
  }
  return node.here.size + node.below.size + node.children.size === 0;
}

/** @returns whether a well-formed filter matches the topic (MQTT 5 section 4.7). */
export function filterMatches(filter: string, topic: string): boolean {
  if (filter === topic) return true;
  if (topic.startsWith("$") && /^[#+]/.test(filter)) return false;
  const wanted = filter.split("/");
  const levels = topic.split("/");
  for (const [at, level] of wanted.entries()) {
    if (level === "#") return true;
    if (at >= levels.length || (level !== "+" && level !== levels[at])) return false;
  }
  return wanted.length === levels.length;
}
