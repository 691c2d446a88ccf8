import type { BridgeAgent, BridgeAgentChange } from "../../platform/bridge.ts";
import type { PeerId } from "../../platform/signer.ts";

/** Where an agent is known from: the own mesh, or a link. */
export type FleetSource = object;

/** An agent, by whom it is reached. */
interface Known {
  readonly source: FleetSource;
  readonly agent: BridgeAgent;
  readonly agentId: string;
  /** Fewer bridges are better; of as many, the agent's own link is: that it is the agent was proven there. */
  readonly rank: number;
}

/** Where a request goes. */
export type Whereabouts =
  | { readonly kind: "found"; readonly source: FleetSource; readonly peerId: PeerId }
  | { readonly kind: "unknown" }
  /** Several agents bear that agent id. */
  | { readonly kind: "ambiguous" };

/**
 * The agents on every side of a bridge. Each side is told of what the others have and never of its own (split
 * horizon, as distance-vector routing has it: RFC 2453 section 3.4.3); of several ways the one over fewest bridges
 * counts.
 */
export class FleetTable {
  readonly #agentsMax: number;
  readonly #known = new Map<PeerId, Known[]>();
  readonly #byAgentId = new Map<string, Set<PeerId>>();
  #size = 0;

  constructor(agentsMax: number) {
    this.#agentsMax = agentsMax;
  }

  /** Agents by the sides that told of them: one that two sides know counts twice. */
  get size(): number {
    return this.#size;
  }

  /**
   * Takes what a side says of an agent.
   * @param isOwn whether the side is that agent's own link
   * @returns whether that changes anything, or that the table is full
   */
  upsert(
    source: FleetSource,
    agent: BridgeAgent,
    agentId: string,
    isOwn = false,
  ): "changed" | "same" | "full" {
    const ways = this.#known.get(agent.peerId) ?? [];
    const at = ways.findIndex((known) => known.source === source);
    const before = ways[at];
    if (before !== undefined && isSame(before.agent, agent)) return "same";
    if (before === undefined && this.#size >= this.#agentsMax) return "full";
    const known = { source, agent, agentId, rank: 2 * agent.via.length - (isOwn ? 1 : 0) };
    if (before === undefined) {
      ways.push(known);
      this.#size++;
    } else {
      ways[at] = known;
      this.#unname(before, ways);
    }
    this.#known.set(agent.peerId, ways);
    const named = this.#byAgentId.get(agentId) ?? new Set();
    this.#byAgentId.set(agentId, named.add(agent.peerId));
    return "changed";
  }

  /** @returns whether that changes anything */
  remove(source: FleetSource, peerId: PeerId): boolean {
    const ways = this.#known.get(peerId);
    const at = ways?.findIndex((known) => known.source === source) ?? -1;
    if (ways === undefined || at < 0) return false;
    const [gone] = ways.splice(at, 1);
    this.#size--;
    if (ways.length === 0) this.#known.delete(peerId);
    if (gone !== undefined) this.#unname(gone, ways);
    return true;
  }

  /** @returns the peer ids that a side told of */
  knownBy(source: FleetSource): readonly PeerId[] {
    return [...this.#known]
      .filter(([, ways]) => ways.some((known) => known.source === source))
      .map(([peerId]) => peerId);
  }

  /** @returns what a side has to hear about an agent after something has changed */
  changeFor(audience: FleetSource | undefined, peerId: PeerId): BridgeAgentChange {
    const best = this.#best(peerId, audience);
    return best === undefined
      ? { kind: "removed", peerId }
      : { kind: "upserted", agent: best.agent };
  }

  /** @returns everything that a side may know, in order of peer ids */
  allFor(audience: FleetSource | undefined): readonly BridgeAgent[] {
    return [...this.#known.keys()].sort().flatMap((peerId) => {
      const best = this.#best(peerId, audience);
      return best === undefined ? [] : [best.agent];
    });
  }

  /** @returns what a side said of an agent last */
  recordOf(source: FleetSource, peerId: PeerId): Uint8Array | undefined {
    return this.#known.get(peerId)?.find((known) => known.source === source)?.agent.record;
  }

  /**
   * @param target peer id or agent id
   * @param asking who asks is not asked back
   */
  find(target: string, asking: FleetSource | undefined): Whereabouts {
    const own = this.#best(target, asking);
    if (own !== undefined) return { kind: "found", source: own.source, peerId: target };
    const named = [...(this.#byAgentId.get(target) ?? [])].flatMap((peerId) => {
      const best = this.#best(peerId, asking);
      return best === undefined || best.agent.state === "left" ? [] : [best];
    });
    const [only] = named;
    if (only === undefined) return { kind: "unknown" };
    if (named.length > 1) return { kind: "ambiguous" };
    return { kind: "found", source: only.source, peerId: only.agent.peerId };
  }

  #best(peerId: PeerId, except: FleetSource | undefined): Known | undefined {
    let best: Known | undefined;
    for (const known of this.#known.get(peerId) ?? [])
      if (known.source !== except && (best === undefined || known.rank < best.rank)) best = known;
    return best;
  }

  #unname({ agent: { peerId }, agentId }: Known, left: readonly Known[]): void {
    if (left.some((known) => known.agentId === agentId)) return;
    const named = this.#byAgentId.get(agentId);
    named?.delete(peerId);
    if (named?.size === 0) this.#byAgentId.delete(agentId);
  }
}

function isSame(left: BridgeAgent, right: BridgeAgent): boolean {
  return (
    left.state === right.state &&
    left.via.join("\n") === right.via.join("\n") &&
    sameBytes(left.record, right.record)
  );
}

/** @returns whether two arrays hold the same bytes */
export function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, at) => byte === right[at]);
}
