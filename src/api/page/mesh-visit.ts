import type {
  BrowserNode,
  BrowserNodeModule,
  BrowserNodeOptions,
  Traffic,
} from "../../mesh/browser-contract.ts";
import { type PagePlace, wayIn } from "./mesh-way.ts";
import type { Mesh } from "./model.ts";
import { createStore, type Store } from "./store.ts";

const TRAFFIC_KEPT = 100;
/** What a note may hold. */
export const NOTE_LENGTH_MAX = 500;

/** How this browser stands with the mesh. */
export type Visit =
  | { readonly phase: "away"; readonly reason?: string }
  | { readonly phase: "joining" }
  | { readonly phase: "joined"; readonly node: BrowserNode }
  | { readonly phase: "leaving" };

/** A visit with what was heard during it. */
export interface VisitState {
  readonly visit: Visit;
  /** Newest first, bounded; `id` ascends. */
  readonly traffic: readonly { readonly id: number; readonly item: Traffic }[];
  /** Why the last note was not sent. */
  readonly fault?: string | undefined;
}

/** What a visit needs of the browser around it. */
export interface VisitSurroundings {
  readonly place: PagePlace;
  readonly storage: BrowserNodeOptions["storage"];
  /** Loads the node's code, which is several times as large as the page. */
  readonly load: () => Promise<BrowserNodeModule>;
}

/** This browser as a member of the mesh: joins when asked to, and keeps what it hears. */
export class MeshVisit {
  readonly store: Store<VisitState> = createStore<VisitState>({
    visit: { phase: "away" },
    traffic: [],
  });
  private readonly surroundings: VisitSurroundings;
  private heard = 0;
  /** Joining takes a while, and the user may be gone by the end of it. */
  private wanted = false;

  constructor(surroundings: VisitSurroundings) {
    this.surroundings = surroundings;
  }

  /** Never rejects: what went wrong is in the store. */
  async join(mesh: Mesh, version: string): Promise<void> {
    if (this.store.get().visit.phase !== "away") return;
    const way = wayIn(mesh, this.surroundings.place);
    if ("obstacle" in way) {
      this.store.set({ visit: { phase: "away", reason: way.obstacle } });
      return;
    }
    this.wanted = true;
    this.store.set({ visit: { phase: "joining" }, traffic: [], fault: undefined });
    try {
      const module = await this.surroundings.load();
      const node = await module.openBrowserNode({
        addresses: way.addresses,
        version,
        storage: this.surroundings.storage,
        onTraffic: (item) => this.hear(item),
      });
      this.store.set({ visit: { phase: "joined", node } });
      if (!this.wanted) await this.leave();
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      this.store.set({ visit: { phase: "away", reason: `Joining failed: ${words}` } });
    }
  }

  /** Never rejects. */
  async leave(): Promise<void> {
    this.wanted = false;
    const { visit } = this.store.get();
    if (visit.phase !== "joined") return;
    this.store.set({ visit: { phase: "leaving" } });
    try {
      await visit.node.leave();
      this.store.set({ visit: { phase: "away" } });
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      this.store.set({ visit: { phase: "away", reason: `Left, but not in order: ${words}` } });
    }
  }

  /** Writes to all who watch. Never rejects. */
  async say(text: string): Promise<void> {
    const { visit } = this.store.get();
    if (visit.phase !== "joined" || text.trim() === "") return;
    try {
      const reached = await visit.node.say(text.trim().slice(0, NOTE_LENGTH_MAX));
      this.store.set({
        fault: reached === 0 ? "Nobody is linked, so nobody heard it." : undefined,
      });
    } catch (error) {
      this.store.set({ fault: error instanceof Error ? error.message : String(error) });
    }
  }

  private hear(item: Traffic): void {
    this.heard += 1;
    const traffic = [{ id: this.heard, item }, ...this.store.get().traffic];
    this.store.set({ traffic: traffic.slice(0, TRAFFIC_KEPT) });
  }
}
