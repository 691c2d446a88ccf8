/**
 * What the web page and the node that it loads agree on: types only, so that the page carries nothing of the mesh until
 * somebody asks for it.
 */

/** Where and as whom to join. */
export interface BrowserNodeOptions {
  /** Multiaddresses of one agent, each ending in `/p2p/<peer id>`, tried in turn. */
  readonly addresses: readonly string[];
  /** Version of the page, told to the fleet. */
  readonly version: string;
  /** Keeps identity and count of starts until the tab is closed. */
  readonly storage: Pick<Storage, "length" | "key" | "getItem" | "setItem" | "removeItem">;
  /** Hears of everything that comes and changes. */
  readonly onTraffic: (traffic: Traffic) => void;
}

/** Something that a node in a browser heard or saw of its own. */
export type Traffic = {
  /** Browser time. */
  readonly atMs: number;
  /** Who said it, or whom it is about. */
  readonly peer: string;
  /** That one's agent id, when it is known as a member. */
  readonly agentId?: string;
} & (
  | {
      readonly kind: "news";
      readonly type: string;
      readonly data: Readonly<Record<string, string | number | boolean>>;
      readonly leftOut?: number;
    }
  | { readonly kind: "note"; readonly text: string }
  | { readonly kind: "linked"; readonly transport: string; readonly address: string }
  | { readonly kind: "unlinked" }
  | { readonly kind: "member"; readonly change: "joined" | "suspect" | "dead" | "left" | "back" }
);

/** How the node is now. */
export interface BrowserNodeStatus {
  readonly links: readonly {
    readonly peer: string;
    readonly agentId?: string;
    readonly transport: string;
  }[];
  readonly members: Readonly<Record<"alive" | "suspect" | "dead" | "left", number>>;
  readonly received: number;
  readonly sent: number;
  /** Messages on the page's topics that could not be read. */
  readonly unreadable: number;
}

/** A member of the mesh that lives in a tab. */
export interface BrowserNode {
  readonly peerId: string;
  readonly agentId: string;
  status(): BrowserNodeStatus;
  /** Writes to all who watch. @returns to how many neighbours it went @throws Error in words */
  say(text: string): Promise<number>;
  /** Says good-bye and closes every link. Idempotent. */
  leave(): Promise<void>;
}

/** The module that the page loads when it is asked to join. */
export interface BrowserNodeModule {
  /** @throws Error in words when nobody answered */
  openBrowserNode(options: BrowserNodeOptions): Promise<BrowserNode>;
}
