/** A subscription of a session, with the options of MQTT 5 (section 3.8.3.1). */
export interface Subscription {
  readonly topic: string;
  readonly qos: number;
  readonly rh?: number;
  readonly rap?: boolean;
  readonly nl?: boolean;
  readonly subscriptionIdentifier?: number;
}

/** A subscription that matched, and whose it is. */
export interface Match extends Omit<Subscription, "subscriptionIdentifier"> {
  readonly clientId: string;
}

interface Node {
  readonly children: Map<string, Node>;
  readonly matches: Map<string, Match>;
}

const emptyNode = (): Node => ({ children: new Map(), matches: new Map() });

/** The QoS 1 and 2 subscriptions of all sessions, by level of their filters (MQTT 5 section 4.7). */
export class SubscriptionTree {
  readonly #root = emptyNode();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(match: Match): void {
    let node = this.#root;
    for (const level of match.topic.split("/")) {
      let child = node.children.get(level);
      if (child === undefined) {
        child = emptyNode();
        node.children.set(level, child);
      }
      node = child;
    }
    if (!node.matches.has(match.clientId)) this.#size++;
    node.matches.set(match.clientId, match);
  }

  remove(filter: string, clientId: string): void {
    this.#remove(this.#root, filter.split("/"), 0, clientId);
  }

  /** @returns every subscription that the topic matches; a client with several overlapping ones comes several times. */
  match(topic: string): Match[] {
    const found: Match[] = [];
    if (this.#size > 0) collect(this.#root, topic.split("/"), 0, found);
    return found;
  }

  /** @returns whether any subscription matches. */
  has(topic: string): boolean {
    return this.#size > 0 && this.match(topic).length > 0;
  }

  /** @returns whether the node is empty now. */
  #remove(node: Node, levels: readonly string[], at: number, clientId: string): boolean {
    const level = levels[at];
    if (level === undefined) {
      if (node.matches.delete(clientId)) this.#size--;
    } else {
      const child = node.children.get(level);
      if (child !== undefined && this.#remove(child, levels, at + 1, clientId))
        node.children.delete(level);
    }
    return node.children.size === 0 && node.matches.size === 0;
  }
}

function collect(node: Node, levels: readonly string[], at: number, found: Match[]): void {
  const level = levels[at];
  // Wildcards in the first level match no topics that begin with $.
  const wild = at > 0 || level?.startsWith("$") !== true;
  if (wild) for (const match of node.children.get("#")?.matches.values() ?? []) found.push(match);
  if (level === undefined) {
    found.push(...node.matches.values());
    return;
  }
  const any = wild ? node.children.get("+") : undefined;
  if (any !== undefined) collect(any, levels, at + 1, found);
  const exact = level === "+" || level === "#" ? undefined : node.children.get(level);
  if (exact !== undefined) collect(exact, levels, at + 1, found);
}

/** @returns a test of topics against one filter. */
export function filterMatcher(filter: string): (topic: string) => boolean {
  if (!/[+#]/.test(filter)) return (topic) => topic === filter;
  const tree = new SubscriptionTree();
  tree.add({ clientId: "", topic: filter, qos: 1 });
  return (topic) => tree.has(topic);
}
