import { BrowserClock } from "../platform/browser/browser-clock.ts";
import { BrowserRandom } from "../platform/browser/browser-random.ts";
import { SessionStore } from "../platform/browser/session-store.ts";
import { toHex } from "../platform/hex.ts";
import { browserIdentity } from "../platform/libp2p/browser-identity.ts";
import { Libp2pNetwork } from "../platform/libp2p/libp2p-network.ts";
import type { Logger } from "../platform/logger.ts";
import type { NetworkEvent, NetworkGate } from "../platform/network.ts";
import type {
  BrowserNode,
  BrowserNodeModule,
  BrowserNodeOptions,
  Traffic,
} from "./browser-contract.ts";
import { FleetMemory } from "./fleet/fleet-memory.ts";
import { decodeNews, decodeNote, encodeNote, NEWS_TOPIC, NOTES_TOPIC } from "./fleet/news.ts";
import type { MemberChange } from "./membership/member.ts";
import { defaultMembershipOptions } from "./membership/options.ts";
import { MeshNode } from "./node.ts";
import { meshPace } from "./pace.ts";
import { CachingVerifier } from "./records/record-verifier.ts";

const SEED_KEY = "identity";
const MEMBERS_MAX = 2_048;
const LIMITS = { messageBytesMax: 65_536, queueBytesMax: 1_048_576, connectionsMax: 16 };
/** Characters of the peer id's end that name the browser. */
const SHORT_ID_LENGTH = 6;

/**
 * A browser takes what comes to it; whom to bar is for the agents to say. It links to nobody but its agent: the page may
 * open no socket to others.
 */
function gateFor(addresses: readonly string[]): NetworkGate {
  const agents = new Set(addresses.map((address) => /\/p2p\/([^/]+)$/.exec(address)?.[1]));
  return {
    admits: (peer) => agents.has(peer),
    allows: () => undefined,
    offence: () => undefined,
  };
}

const SILENT: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => SILENT,
};

/** @see BrowserNodeModule.openBrowserNode */
export const openBrowserNode: BrowserNodeModule["openBrowserNode"] = async (options) => {
  const random = new BrowserRandom();
  const clock = new BrowserClock(toHex(random.bytes(16)));
  const store = new SessionStore(options.storage);
  const { signer, privateKey } = browserIdentity(await seedOf(store, random));
  const agentId = `browser-${signer.peerId.slice(-SHORT_ID_LENGTH)}`;
  const pace = meshPace("normal");
  const gate = gateFor(options.addresses);
  const network = await Libp2pNetwork.create({
    privateKey,
    signer,
    agentVersion: `agent-mesh/${options.version}`,
    transports: ["ws", "webrtc"],
    listen: [],
    announce: [],
    encryptions: ["noise"],
    networkKey: undefined,
    mdns: false,
    mdnsIntervalMs: 0,
    directory: undefined,
    relay: { use: false, serve: false },
    inboundPerSecondMax: 1,
    ...LIMITS,
    bulkIdleTimeoutMs: 30_000,
    pace: pace.network,
    clock,
    gate,
    logger: SILENT,
  });
  let listening: Watcher | undefined;
  const node = new MeshNode({
    network,
    signer,
    clock,
    random,
    logger: SILENT,
    gate,
    verifier: new CachingVerifier(signer, MEMBERS_MAX),
    memory: new FleetMemory(store),
    membership: {
      ...defaultMembershipOptions,
      pace: pace.membership,
      membersMax: MEMBERS_MAX,
      neighboursWanted: 1,
    },
    limits: LIMITS,
    self: {
      agentId,
      version: options.version,
      addresses: [],
      capabilities: { features: ["browser"] },
    },
    bootstrap: [],
    remember: false,
    peerExchange: false,
    onChange: (change) => listening?.changed(change),
    onLink: (event) => listening?.linked(event),
  });
  const watcher = new Watcher(node, clock, options);
  listening = watcher;
  try {
    await node.start();
    watcher.listen();
    await joinFirst(node, options.addresses);
  } catch (error) {
    await node.stop();
    throw error;
  }
  return watcher.handle(agentId);
};

/** Turns what the node meets into traffic, and counts it. */
class Watcher {
  readonly #node: MeshNode;
  readonly #clock: BrowserClock;
  readonly #options: BrowserNodeOptions;
  #received = 0;
  #sent = 0;
  #unreadable = 0;

  constructor(node: MeshNode, clock: BrowserClock, options: BrowserNodeOptions) {
    this.#node = node;
    this.#clock = clock;
    this.#options = options;
  }

  listen(): void {
    this.#node.subscribe(NEWS_TOPIC, (from, payload) => {
      const news = decodeNews(payload);
      if (news === undefined) return this.#count("unreadable");
      const { type, data, leftOut } = news;
      this.#count("received");
      this.#tell(from, { kind: "news", type, data, ...(leftOut !== undefined && { leftOut }) });
    });
    this.#node.subscribe(NOTES_TOPIC, (from, payload) => {
      const note = decodeNote(payload);
      if (note === undefined) return this.#count("unreadable");
      this.#count("received");
      this.#tell(from, { kind: "note", text: note.text });
    });
  }

  changed({ kind, peer, after }: MemberChange): void {
    if (peer === this.#node.id || kind === "updated" || kind === "forgotten") return;
    this.#tell(peer, { kind: "member", change: kind }, after.record.agentId);
  }

  linked(event: NetworkEvent): void {
    if (event.kind === "link-down") this.#tell(event.peer, { kind: "unlinked" });
    if (event.kind !== "link-up") return;
    const { peer, transport, address } = event.link;
    this.#tell(peer, { kind: "linked", transport, address });
  }

  handle(agentId: string): BrowserNode {
    const node = this.#node;
    return {
      peerId: node.id,
      agentId,
      status: () => ({
        links: node.peers().map(({ id, link, member }) => ({
          peer: id,
          transport: link.transport,
          ...(member !== undefined && { agentId: member.record.agentId }),
        })),
        members: node.memberCounts(),
        received: this.#received,
        sent: this.#sent,
        unreadable: this.#unreadable,
      }),
      say: async (text) => {
        const atMs = this.#clock.wallMs();
        const reached = await node.broadcast(NOTES_TOPIC, encodeNote({ agentId, text, atMs }));
        this.#sent++;
        this.#tell(node.id, { kind: "note", text });
        return reached;
      },
      leave: () => node.stop(),
    };
  }

  #count(what: "received" | "unreadable"): void {
    if (what === "received") this.#received++;
    else this.#unreadable++;
  }

  #tell(peer: string, what: TrafficBody, said?: string): void {
    const agentId = said ?? this.#node.member(peer)?.record.agentId;
    const about = { atMs: this.#clock.wallMs(), peer, ...(agentId !== undefined && { agentId }) };
    this.#options.onTraffic({ ...about, ...what });
  }
}

type TrafficBody = Traffic extends infer Each
  ? Each extends Traffic
    ? Omit<Each, "atMs" | "peer" | "agentId">
    : never
  : never;

/** The same node again after a reload, another one in another tab. */
async function seedOf(store: SessionStore, random: BrowserRandom): Promise<Uint8Array> {
  const kept = await store.get(SEED_KEY);
  if (kept?.length === 32) return kept;
  const value = random.bytes(32);
  await store.write([{ type: "put", key: SEED_KEY, value }], { durable: true });
  return value;
}

/** One way in is enough. @throws Error when none is open */
async function joinFirst(node: MeshNode, addresses: readonly string[]): Promise<void> {
  let failure: unknown = new Error("the agent names no address that a browser can dial");
  for (const address of addresses) {
    try {
      await node.join([address]);
      return;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}
