import type { BridgeAgent, BridgeAgentChange, BridgeBackend } from "../../platform/bridge.ts";
import type { PeerId } from "../../platform/signer.ts";
import { type FleetSource, FleetTable, sameBytes } from "./fleet-table.ts";
import { agentIdIn } from "./frames.ts";
import type { Link } from "./link.ts";
import type { LinkEffect } from "./link-session.ts";
import type { LoopGuard } from "./loop-guard.ts";
import type { Refusals } from "./refusals.ts";

/** What this works with. */
export interface SharingParts {
  readonly backend: BridgeBackend;
  readonly guard: LoopGuard;
  readonly links: ReadonlySet<Link>;
  readonly refusals: Refusals;
  readonly agentsMax: number;
  readonly watchersMax: number;
}

/** Where an agent is. */
export type AgentPlace =
  /** In the own mesh, or this agent itself. */
  | { readonly kind: "mesh"; readonly peerId: PeerId }
  | { readonly kind: "link"; readonly peerId: PeerId; readonly link: Link };

/** Tells every side of the bridge of the agents on the others. */
export class FleetSharing {
  readonly #parts: SharingParts;
  readonly #table: FleetTable;
  /** Stands for the own mesh as a side of the bridge. */
  readonly #mesh: FleetSource = {};
  readonly #watchers = new Set<(change: BridgeAgentChange) => void>();

  constructor(parts: SharingParts) {
    this.#parts = parts;
    this.#table = new FleetTable(parts.agentsMax);
  }

  get size(): number {
    return this.#table.size;
  }

  /** Looks at the mesh. @returns what ends it */
  start(): () => void {
    const { backend } = this.#parts;
    const end = backend.onAgents((change) => this.#meshChange(change));
    for (const agent of backend.agents()) this.#meshChange({ kind: "upserted", agent });
    return end;
  }

  /** @returns everybody that a link may hear of, or a client when there is none; in order of peer ids */
  agentsFor(link: Link | undefined): readonly BridgeAgent[] {
    return this.#table.allFor(link);
  }

  /** @returns what ends it @throws BridgeError when there are too many */
  watch(listener: (change: BridgeAgentChange) => void): () => void {
    const { refusals, watchersMax } = this.#parts;
    refusals.bound(this.#watchers.size, watchersMax, "watchers");
    const own = (change: BridgeAgentChange): void => listener(change);
    this.#watchers.add(own);
    return () => void this.#watchers.delete(own);
  }

  /**
   * @param target peer id or agent id
   * @param asking the link that asks is not asked back
   * @throws BridgeError when there is no such agent, or several are
   */
  find(target: string, asking: Link | undefined): AgentPlace {
    const { backend, refusals } = this.#parts;
    if (target === backend.self) return { kind: "mesh", peerId: target };
    const found = this.#table.find(target, asking);
    if (found.kind === "ambiguous")
      throw refusals.error("bridge.ambiguous", `several agents are called ${target}`);
    if (found.kind === "unknown") throw refusals.error("bridge.not-found", `no agent ${target}`);
    const { source, peerId } = found;
    return source === this.#mesh
      ? { kind: "mesh", peerId }
      : { kind: "link", peerId, link: source as Link };
  }

  /** @returns whether the link told of that very record before, so that it was found good */
  isKnown(link: Link, peerId: PeerId, record: Uint8Array): boolean {
    const before = this.#table.recordOf(link, peerId);
    return before !== undefined && sameBytes(before, record);
  }

  /** Takes what the other end of a link tells. */
  fromLink(link: Link, told: Extract<LinkEffect, { kind: "fleet" }>): void {
    const { peer } = link;
    if (peer === undefined) return;
    const gone = new Set(told.complete ? this.#table.knownBy(link) : told.removed);
    for (const { agent, agentId } of told.upserted) {
      gone.delete(agent.peerId);
      const via = [peer.bridgeId, ...agent.via];
      const isOwn = peer.peerId === agent.peerId;
      // Split horizon keeps two bridges from telling each other the same; this keeps more from doing so.
      if (this.#parts.guard.way(via) === "new")
        this.#upsert(link, { ...agent, via }, agentId, isOwn);
      else gone.add(agent.peerId);
    }
    for (const peerId of gone) this.#remove(link, peerId);
  }

  /** Nobody is reached over that link any more. */
  forget(link: Link): void {
    for (const peerId of this.#table.knownBy(link)) this.#remove(link, peerId);
  }

  #meshChange(change: BridgeAgentChange): void {
    if (change.kind === "removed") {
      this.#remove(this.#mesh, change.peerId);
      return;
    }
    try {
      const { agent } = change;
      this.#upsert(this.#mesh, { ...agent, via: [] }, agentIdIn(agent.record), false);
    } catch (error) {
      this.#parts.refusals.addError(error);
    }
  }

  #upsert(source: FleetSource, agent: BridgeAgent, agentId: string, isOwn: boolean): void {
    const outcome = this.#table.upsert(source, agent, agentId, isOwn);
    if (outcome === "full") this.#parts.refusals.add("bridge.busy");
    if (outcome === "changed") this.#tell(source, agent.peerId);
  }

  #remove(source: FleetSource, peerId: PeerId): void {
    if (this.#table.remove(source, peerId)) this.#tell(source, peerId);
  }

  #tell(source: FleetSource, peerId: PeerId): void {
    for (const watcher of this.#watchers) watcher(this.#table.changeFor(undefined, peerId));
    for (const link of this.#parts.links)
      if (link !== source) link.fleetChange(this.#table.changeFor(link, peerId));
  }
}
