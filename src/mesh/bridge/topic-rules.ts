import { covers } from "../../access/topic-permissions.ts";

/** Which topics cross the bridge, and what they are called on the other side. */
export interface TopicRule {
  /** MQTT topic filter of the name in the mesh. */
  readonly filter: string;
  /** Stands before the name in the cluster, for example `site-1/`. */
  readonly prefix: string;
}

/** Tells whether a topic is one of those that any of some filters matches (MQTT 5 section 4.7). */
export class TopicFilters {
  readonly #filters: readonly (readonly string[])[];

  constructor(filters: readonly string[]) {
    this.#filters = filters.map((filter) => filter.split("/"));
  }

  match(topic: string): boolean {
    const levels = topic.split("/");
    return this.#filters.some((filter) => covers(filter, levels));
  }
}

/** An allow-list of one direction: what no rule names does not cross. */
export class TopicRules {
  readonly #rules: readonly {
    readonly filters: TopicFilters;
    readonly rule: TopicRule;
  }[];

  constructor(rules: readonly TopicRule[]) {
    this.#rules = rules.map((rule) => ({ rule, filters: new TopicFilters([rule.filter]) }));
  }

  /** Filters of the names in the mesh. */
  get meshFilters(): readonly string[] {
    return this.#rules.map(({ rule }) => rule.filter);
  }

  /** Filters of the names in the cluster. */
  get clusterFilters(): readonly string[] {
    return this.#rules.map(({ rule }) => `${rule.prefix}${rule.filter}`);
  }

  /** @returns the name in the cluster, undefined for a topic that stays in the mesh; the first rule counts */
  toCluster(meshTopic: string): string | undefined {
    const found = this.#rules.find(({ filters }) => filters.match(meshTopic));
    return found === undefined ? undefined : `${found.rule.prefix}${meshTopic}`;
  }

  /** @returns the name in the mesh, undefined for a topic that stays in the cluster; the first rule counts */
  toMesh(clusterTopic: string): string | undefined {
    for (const { rule, filters } of this.#rules) {
      if (!clusterTopic.startsWith(rule.prefix)) continue;
      const meshTopic = clusterTopic.slice(rule.prefix.length);
      if (meshTopic !== "" && filters.match(meshTopic)) return meshTopic;
    }
    return undefined;
  }
}
