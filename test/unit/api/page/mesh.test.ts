import t from "tap";
import { eventDetail, eventTitle, eventTone } from "../../../../src/api/page/event-text.ts";
import { fleetFigures } from "../../../../src/api/page/fleet-figures.ts";
import {
  countWords,
  evidenceWords,
  inFleetOrder,
  matchesSearch,
  partitionWords,
  trafficLine,
} from "../../../../src/api/page/mesh-text.ts";
import { MeshVisit } from "../../../../src/api/page/mesh-visit.ts";
import { wayIn } from "../../../../src/api/page/mesh-way.ts";
import type { FleetAgent, MemberState, Mesh } from "../../../../src/api/page/model.ts";
import { shortPeer } from "../../../../src/api/page/peer-words.ts";
import type {
  BrowserNode,
  BrowserNodeOptions,
  Traffic,
} from "../../../../src/mesh/browser-contract.ts";
import { FakeStorage } from "../../../support/fake-storage.ts";

const PEER = "/p2p/12D3KooWAgent";
const HERE = { hostname: "127.0.0.1", protocol: "http:" };
const FAR = { hostname: "192.168.7.5", protocol: "http:" };

function meshOf(changes: Partial<Mesh>): Mesh {
  return {
    enabled: true,
    addresses: [`/ip4/127.0.0.1/tcp/4001${PEER}`, `/ip4/127.0.0.1/tcp/4002/ws${PEER}`],
    transports: ["tcp", "ws"],
    privateNetwork: false,
    links: 0,
    partitionScore: 0,
    bootstrap: [],
    ...changes,
  };
}

function agentOf(agentId: string, state: MemberState = "alive"): FleetAgent {
  const common = {
    self: false,
    forMs: 1,
    heardOfMsAgo: 1,
    ageMs: 1,
    confidence: 0.9,
    linked: false,
    version: "0.1.0",
  };
  return { agentId, peerId: `peer-${agentId}`, state, ...common };
}

t.test("a browser dials the agent where it found the page", async (t) => {
  const anywhere = meshOf({
    addresses: [
      `/ip4/127.0.0.1/tcp/4002/ws${PEER}`,
      `/ip4/192.168.7.5/tcp/4002/ws${PEER}`,
      `/ip4/127.0.0.1/udp/4003/webrtc-direct/certhash/uE1${PEER}`,
      `/ip4/192.168.7.5/udp/4003/webrtc-direct/certhash/uE1${PEER}`,
    ],
  });
  const cases: [Mesh, { hostname: string; protocol: string }, string[]][] = [
    [meshOf({}), HERE, [`/ip4/127.0.0.1/tcp/4002/ws${PEER}`]],
    [
      meshOf({}),
      { hostname: "localhost", protocol: "http:" },
      [`/dns4/localhost/tcp/4002/ws${PEER}`],
    ],
    [
      anywhere,
      FAR,
      [
        `/ip4/192.168.7.5/tcp/4002/ws${PEER}`,
        `/ip4/192.168.7.5/udp/4003/webrtc-direct/certhash/uE1${PEER}`,
      ],
    ],
    [
      anywhere,
      { hostname: "pi.example", protocol: "http:" },
      [
        `/dns4/pi.example/tcp/4002/ws${PEER}`,
        `/ip4/192.168.7.5/udp/4003/webrtc-direct/certhash/uE1${PEER}`,
      ],
    ],
    [
      meshOf({ addresses: [`/dns4/pi.example/tcp/443/wss${PEER}`] }),
      { hostname: "pi.example", protocol: "https:" },
      [`/dns4/pi.example/tcp/443/wss${PEER}`],
    ],
  ];
  for (const [mesh, place, addresses] of cases) t.same(wayIn(mesh, place), { addresses });
});

t.test("where there is no way in, the setting to change is named", async (t) => {
  const cases: [Partial<Mesh>, { hostname: string; protocol: string }, RegExp][] = [
    [{ enabled: false }, HERE, /mesh is off/],
    [{ privateNetwork: true }, HERE, /mesh\.networkKeyFile/],
    [{ addresses: [] }, HERE, /no address yet/],
    [{ addresses: [`/ip4/127.0.0.1/tcp/4001${PEER}`] }, HERE, /mesh\.transports/],
    [{}, FAR, /mesh\.host to 0\.0\.0\.0/],
    [
      { addresses: [`/ip4/192.168.7.5/tcp/4002/ws${PEER}`] },
      { hostname: "pi.example", protocol: "https:" },
      /mesh\.announce/,
    ],
    [
      { addresses: [`/ip6/fd00::5/tcp/4002/ws${PEER}`] },
      { hostname: "[fd00::5]", protocol: "http:" },
      /IPv4 address/,
    ],
  ];
  for (const [changes, place, words] of cases)
    t.match(wayIn(meshOf(changes), place), { obstacle: words });
});

t.test("those in trouble stand first, and can be searched for", async (t) => {
  const agents = [
    agentOf("b", "left"),
    agentOf("c"),
    agentOf("a"),
    agentOf("z", "suspect"),
    agentOf("y", "dead"),
  ];
  t.same(
    inFleetOrder(agents).map(({ agentId }) => agentId),
    ["y", "z", "a", "c", "b"],
  );
  t.ok(matchesSearch(agentOf("Greenhouse"), " green "));
  t.ok(matchesSearch(agentOf("x", "dead"), "DEAD"));
  t.notOk(matchesSearch(agentOf("x"), "house"));
  const counted = { alive: 3, suspect: 0, dead: 1, left: 0 };
  const words = (agents: number, relativeError: number) =>
    countWords({ ...counted, estimated: { agents, relativeError } });
  t.equal(words(3, 0), "3 alive, 1 dead");
  t.equal(words(9_800, 0.063), "3 alive, 1 dead, about 9,800 in all");
  t.equal(
    evidenceWords({ ageMs: 7_000, confidence: 0.871 }, 1_000),
    "8\u00a0s old, 87\u00a0% sure",
  );
  t.equal(shortPeer("12D3KooWAbCdEfGhIjKl"), "…EfGhIjKl");
});

t.test("a partition is told as a sentence, and nothing where there is none", async (t) => {
  t.equal(partitionWords(0), undefined);
  t.match(partitionWords(0.004), /^1\u00a0% of the agents .* may be split/);
  t.match(partitionWords(0.4), /^40\u00a0% of the agents/);
  t.match(partitionWords(1), /^None of the agents .* cut off/);
});

t.test("events of the mesh are told in words", async (t) => {
  const peerId = "12D3KooWAbCdEfGhIjKl";
  const link = { peerId, address: `/ip4/192.168.7.9/tcp/5000/p2p/${peerId}` };
  const linked = { ...link, transport: "tcp", direction: "inbound" };
  const event = (type: string, data: Record<string, unknown>) => ({ id: 1, type, atMs: 1, data });
  t.equal(
    eventDetail(event("mesh.peer-linked", linked)),
    "node …EfGhIjKl, /ip4/192.168.7.9/tcp/5000, TCP, dialled us",
  );
  const dead = event("mesh.agent-dead", { peerId, agentId: "pump-house" });
  t.equal(eventTitle(dead), "Agent is dead");
  t.equal(eventTone(dead), "bad");
  t.equal(eventDetail(dead), "pump-house");
  t.equal(eventTitle(event("mesh.not-yet", {})), "mesh.not-yet");
});

t.test("traffic reads like events do", async (t) => {
  const about = { atMs: 5, peer: "12D3KooWAbCdEfGhIjKl" };
  const data = { name: "fleet", reason: "refused" };
  t.same(trafficLine({ ...about, kind: "news", type: "uplink.down", data, leftOut: 3 }), {
    tone: "bad",
    title: "Uplink down",
    detail: "name fleet · refused · 3 others were left out",
  });
  const address = "/ip4/127.0.0.1/tcp/4002/ws/p2p/12D3";
  t.match(trafficLine({ ...about, kind: "linked", transport: "ws", address }), {
    detail: "WebSocket, /ip4/127.0.0.1/tcp/4002/ws",
  });
  t.match(trafficLine({ ...about, kind: "member", change: "dead" }), { tone: "bad" });
  t.match(trafficLine({ ...about, kind: "note", text: "hello" }), { title: "hello" });
  t.match(trafficLine({ ...about, kind: "unlinked" }), { title: "Link gone" });
});

/** A REST interface with a fleet of this size; remembers what it was asked. */
function restOf(agents: readonly FleetAgent[], enabled = true) {
  const asked: string[] = [];
  const ask = async <T>(_part: string, path: string): Promise<T | undefined> => {
    asked.push(path);
    const url = new URL(path, "http://agent");
    if (url.pathname === "/v1/mesh") return meshOf({ enabled }) as T;
    if (url.pathname === "/v1/mesh/peers") return { items: [] } as T;
    const state = url.searchParams.get("state");
    const chosen = agents.filter((agent) => state === null || agent.state === state);
    const begin = Number(url.searchParams.get("cursor") ?? 0);
    const end = begin + Number(url.searchParams.get("limit"));
    const counts = { alive: agents.length, suspect: 0, dead: 0, left: 0 };
    const next = end < chosen.length && { nextCursor: String(end) };
    return { items: chosen.slice(begin, end), counts, ...next } as T;
  };
  return { ask, asked };
}

t.test("of a large fleet those in trouble are fetched, and no more than fits", async (t) => {
  const agents = Array.from({ length: 4_000 }, (_, at) =>
    agentOf(`n${String(at).padStart(4, "0")}`, at === 3_999 ? "dead" : "alive"),
  );
  const plain = restOf(agents);
  const shown = await fleetFigures(plain.ask, "");
  t.equal(shown.fleet?.agents.length, 100);
  t.equal(shown.fleet?.agents[0]?.agentId, "n3999");
  t.equal(plain.asked.length, 7);

  const searched = restOf(agents);
  const found = await fleetFigures(searched.ask, "n1500");
  t.same(
    found.fleet?.agents.map(({ agentId }) => agentId),
    ["n1500"],
  );
  t.ok(searched.asked.length <= 9, "the search ends somewhere");

  const off = restOf([], false);
  t.equal((await fleetFigures(off.ask, "")).fleet, undefined);
  t.same(off.asked, ["/v1/mesh"]);
});

/** A visit to a node that the test plays. */
function visitOf(open: (options: BrowserNodeOptions) => Promise<BrowserNode>) {
  return new MeshVisit({
    place: HERE,
    storage: new FakeStorage(),
    load: () => Promise.resolve({ openBrowserNode: open }),
  });
}

function nodeOf(changes: Partial<BrowserNode> = {}): BrowserNode {
  const members = { alive: 1, suspect: 0, dead: 0, left: 0 };
  return {
    peerId: "12D3KooWBrowser",
    agentId: "browser-rowser",
    status: () => ({ links: [], members, received: 0, sent: 0, unreadable: 0 }),
    say: () => Promise.resolve(1),
    leave: () => Promise.resolve(),
    ...changes,
  };
}

t.test("a visit keeps the newest traffic, and says what did not work", async (t) => {
  let hear: (traffic: Traffic) => void = () => undefined;
  const said: string[] = [];
  const visit = visitOf((options) => {
    hear = options.onTraffic;
    t.same(options.addresses, [`/ip4/127.0.0.1/tcp/4002/ws${PEER}`]);
    const say = (text: string) => Promise.resolve(said.push(text) > 1 ? 0 : 1);
    return Promise.resolve(nodeOf({ say }));
  });
  await visit.join(meshOf({}), "0.1.0");
  t.equal(visit.store.get().visit.phase, "joined");
  for (let n = 0; n < 250; n += 1)
    hear({ atMs: n, peer: "12D3KooWOther", kind: "note", text: `${n}` });
  const { traffic } = visit.store.get();
  t.equal(traffic.length, 100);
  t.match(traffic[0]?.item, { text: "249" });
  t.equal(new Set(traffic.map(({ id }) => id)).size, 100);
  await visit.say("   ");
  await visit.say(" hello ");
  t.equal(visit.store.get().fault, undefined);
  await visit.say("x".repeat(900));
  t.match(visit.store.get().fault, /nobody heard it/);
  t.same(said, ["hello", "x".repeat(500)]);
  await visit.leave();
  t.same(visit.store.get().visit, { phase: "away" });
});

t.test("a visit that fails can be tried again", async (t) => {
  let attempts = 0;
  const visit = visitOf(() => {
    attempts += 1;
    return attempts === 1
      ? Promise.reject(new Error("127.0.0.1 could not be reached"))
      : Promise.resolve(nodeOf());
  });
  await visit.join(meshOf({ privateNetwork: true }), "0.1.0");
  t.match(visit.store.get().visit, { reason: /private network/ });
  await visit.join(meshOf({}), "0.1.0");
  t.match(visit.store.get().visit, { phase: "away", reason: /could not be reached/ });
  await visit.join(meshOf({}), "0.1.0");
  t.equal(visit.store.get().visit.phase, "joined");
});

t.test("who goes away while joining has left by the end of it", async (t) => {
  const opened = Promise.withResolvers<BrowserNode>();
  const visit = visitOf(() => opened.promise);
  const joining = visit.join(meshOf({}), "0.1.0");
  await visit.join(meshOf({}), "0.1.0");
  await visit.leave();
  let left = 0;
  opened.resolve(
    nodeOf({
      leave: async () => {
        left += 1;
      },
    }),
  );
  await joining;
  t.equal(left, 1);
  t.same(visit.store.get().visit, { phase: "away" });
});
