// Three agents in three network namespaces on one switch: every way of finding each other alone, and a cable that is
// pulled and put back.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import t, { type Test } from "tap";
import { AgentProcess, command, until } from "../support/agent-process.ts";
import { type Host, namespacesMissing, Switch } from "../support/namespaces.ts";
import { CHROMIUM, launchBrowser } from "../support/page-browser.ts";
import { openAgentPage } from "../support/page-mesh.ts";

const skip = namespacesMissing();
/** How long the cable is out, as the issue of 4G routers and unplugged switches has it. */
const CABLE_OUT_MS = 120_000;

t.setTimeout(600_000);
t.jobs = 6;

interface Agents {
  readonly items: readonly {
    agentId: string;
    peerId: string;
    state: string;
    linked: boolean;
    self: boolean;
  }[];
}

const NOTHING = ["mdns", "dht", "peerExchange", "remember"].map(
  (method) => `mesh.discovery.${method}=false`,
);

/** Agents that know no way of finding others but those that are switched on. */
class Fleet {
  readonly hosts: readonly Host[];
  readonly #t: Test;
  readonly #directories = new Map<Host, string>();

  constructor(t: Test, size = 3) {
    this.#t = t;
    const network = new Switch(t);
    this.hosts = Array.from({ length: size }, () => network.host());
    for (const host of this.hosts) {
      const directory = mkdtempSync(join(tmpdir(), "mesh-discovery-"));
      t.teardown(() => rmSync(directory, { recursive: true, force: true }));
      this.#directories.set(host, directory);
    }
  }

  start(at: number, sets: readonly string[]): Promise<AgentProcess> {
    const host = this.hosts[at] as Host;
    return AgentProcess.start(
      this.#t,
      this.#directories.get(host) ?? "",
      [
        `agent.id=agent-${at + 1}`,
        `api.host=${host.address}`,
        `mesh.host=${host.address}`,
        'mesh.transports=["tcp"]',
        ...NOTHING,
        ...sets,
      ],
      { prefix: host.prefix },
    );
  }

  /** Where the first agent can be dialled, without its name. */
  get first(): string {
    return `/ip4/${this.hosts[0]?.address}/tcp/4001`;
  }
}

/** @returns nothing while the agent can not be reached, as on a network that was just plugged in again */
async function agentsOf(agent: AgentProcess): Promise<Agents["items"]> {
  const answer = await agent.get<Agents>("/v1/fleet/agents").catch(() => undefined);
  return answer?.items ?? [];
}

/** Waits until each of them is linked to the others that it should be linked to. */
async function linked(agents: readonly AgentProcess[], wanted: number): Promise<void> {
  await until(
    `${wanted} links each`,
    async () => {
      const fleets = await Promise.all(agents.map(agentsOf));
      return fleets.every((fleet) => fleet.filter((one) => one.linked).length === wanted);
    },
    60_000,
  );
}

async function allAlive(agents: readonly AgentProcess[]): Promise<void> {
  await until(
    "all to know all",
    async () => {
      const fleets = await Promise.all(agents.map(agentsOf));
      return fleets.every(
        (fleet) => fleet.filter(({ state }) => state === "alive").length === agents.length,
      );
    },
    90_000,
  );
}

/** Looks at an agent's page in a browser, where there is one. */
async function watch(t: Test, agent: AgentProcess) {
  if (!existsSync(CHROMIUM)) {
    t.comment(`no browser at ${CHROMIUM}: the page is not looked at`);
    return { shows: () => Promise.resolve() };
  }
  const browser = await launchBrowser({ width: 1_280, height: 900, colorScheme: "light" });
  t.teardown(() => browser.close());
  const page = await browser.context.newPage();
  await openAgentPage(page, agent);
  return {
    shows: async (agentId: string, state: string) => {
      const row = page.locator("#fleet").getByText(agentId, { exact: false }).first();
      await row.waitFor({ timeout: 60_000 });
      await until(
        `the page to say ${state} of ${agentId}`,
        async () =>
          new RegExp(`${agentId}[\\s\\S]{0,80}${state}|${state}[\\s\\S]{0,80}${agentId}`, "i").test(
            await page.locator("#fleet").innerText(),
          ),
        60_000,
      );
    },
  };
}

t.test("multicast DNS alone", { skip }, async (t) => {
  const fleet = new Fleet(t);
  const sets = ["mesh.discovery.mdns=true"];
  const agents = await Promise.all([0, 1, 2].map((at) => fleet.start(at, sets)));
  await linked(agents, 2);
  await allAlive(agents);
});

t.test("a bootstrap list alone", { skip }, async (t) => {
  const fleet = new Fleet(t);
  // Those that begin first find nobody, and try again.
  const others = await Promise.all(
    [1, 2].map((at) => fleet.start(at, [`mesh.bootstrap=["${fleet.first}"]`])),
  );
  const hub = await fleet.start(0, []);
  await linked([hub], 2);
  await linked(others, 1);
  await allAlive([hub, ...others]);
});

t.test("gossip peer exchange", { skip }, async (t) => {
  const fleet = new Fleet(t);
  const sets = [`mesh.bootstrap=["${fleet.first}"]`, "mesh.discovery.peerExchange=true"];
  const hub = await fleet.start(0, ["mesh.discovery.peerExchange=true"]);
  const others = await Promise.all([1, 2].map((at) => fleet.start(at, sets)));
  await linked([hub, ...others], 2);
});

t.test("the Kademlia table", { skip }, async (t) => {
  const fleet = new Fleet(t);
  const hub = await fleet.start(0, ["mesh.discovery.dht=true"]);
  const sets = [`mesh.bootstrap=["${fleet.first}"]`, "mesh.discovery.dht=true"];
  const others = await Promise.all([1, 2].map((at) => fleet.start(at, sets)));
  await linked([hub, ...others], 2);
});

t.test("one old address, remembered", { skip }, async (t) => {
  const fleet = new Fleet(t);
  const remember = "mesh.discovery.remember=true";
  const hub = await fleet.start(0, []);
  const leaf = await fleet.start(1, [remember, `mesh.bootstrap=["${fleet.first}"]`]);
  await linked([hub, leaf], 1);
  const before = (await agentsOf(leaf)).find(({ self }) => self)?.peerId;
  t.equal((await leaf.stop()).code, 0);
  const again = await fleet.start(1, [remember]);
  await linked([hub, again], 1);
  t.equal((await agentsOf(again)).find(({ self }) => self)?.peerId, before, "as itself");
});

t.test("a relay between two that can not reach each other", { skip }, async (t) => {
  const fleet = new Fleet(t);
  const [, left, right] = fleet.hosts as [Host, Host, Host];
  left.ignore(right);
  const exchange = "mesh.discovery.peerExchange=true";
  const hub = await fleet.start(0, [exchange, "mesh.relay.serve=true"]);
  const sets = [exchange, `mesh.bootstrap=["${fleet.first}"]`];
  const others = await Promise.all([1, 2].map((at) => fleet.start(at, sets)));
  const ways = await until(
    "the two to be linked",
    async () => {
      const { items } = await (others[0] as AgentProcess).get<{
        items: { agentId?: string; transport: string }[];
      }>("/v1/mesh/peers");
      return items.some(({ agentId }) => agentId === "agent-3") && items;
    },
    90_000,
  );
  t.match(
    ways.find(({ agentId }) => agentId === "agent-3"),
    { transport: "relay" },
  );
  await allAlive([hub, ...others]);
});

t.test("two behind routers of their own, over a relay", { skip }, async (t) => {
  const network = new Switch(t);
  const hub = network.host();
  const sets = ["mesh.discovery.mdns=false", "mesh.port=4001", 'mesh.transports=["tcp","quic"]'];
  const start = (host: Host, name: string, more: readonly string[]): Promise<AgentProcess> => {
    const directory = mkdtempSync(join(tmpdir(), "mesh-discovery-"));
    t.teardown(() => rmSync(directory, { recursive: true, force: true }));
    const own = [`agent.id=${name}`, `api.host=${hub === host ? host.address : "127.0.0.1"}`];
    return AgentProcess.start(
      t,
      directory,
      [...own, `mesh.host=${host.address}`, ...sets, ...more],
      {
        prefix: host.prefix,
        unseen: hub !== host,
      },
    );
  };
  const relay = await start(hub, "hub", ["mesh.relay.serve=true"]);
  const bootstrap = `mesh.bootstrap=["/ip4/${hub.address}/tcp/4001"]`;
  const inside = [network.behindNat(), network.behindNat()];
  const others = await Promise.all(
    inside.map(async (host, at) => ({
      host,
      agent: await start(host, `inside-${at + 1}`, [bootstrap]),
    })),
  );
  const peersOf = ({ host, agent }: { host: Host; agent: AgentProcess }) =>
    JSON.parse(host.run(command, "mesh", "peers", "--json", "--data", agent.data)) as {
      items: { agentId?: string; transport: string }[];
    };
  const peers = await until(
    "the two to be linked",
    () => {
      const { items } = peersOf(others[0] as (typeof others)[number]);
      return items.some(({ agentId }) => agentId === "inside-2") && items;
    },
    90_000,
  );
  t.match(
    peers.find(({ agentId }) => agentId === "inside-2"),
    { transport: "relay" },
  );
  t.equal((await agentsOf(relay)).filter(({ state }) => state === "alive").length, 3);
});

t.test("a cable is out for two minutes, on a network that loses packets", { skip }, async (t) => {
  const fleet = new Fleet(t);
  const every = [
    "mesh.discovery.mdns=true",
    "mesh.discovery.dht=true",
    "mesh.discovery.peerExchange=true",
    "mesh.discovery.remember=true",
  ];
  const agents = await Promise.all(
    [0, 1, 2].map((at) =>
      fleet.start(at, [...every, ...(at === 0 ? [] : [`mesh.bootstrap=["${fleet.first}"]`])]),
    ),
  );
  await linked(agents, 2);
  const names = (await agentsOf(agents[0] as AgentProcess)).map(({ peerId }) => peerId).sort();
  const page = await watch(t, agents[0] as AgentProcess);
  await page.shows("agent-3", "Alive");
  for (const host of fleet.hosts) host.lose(0.05);

  const [first, second, third] = agents as [AgentProcess, AgentProcess, AgentProcess];
  fleet.hosts[2]?.unplug();
  const outSinceMs = performance.now();
  const stateOf = async (agent: AgentProcess, id: string): Promise<string | undefined> =>
    (await agentsOf(agent)).find(({ agentId }) => agentId === id)?.state;
  await until("the others to notice", async () => {
    const states = await Promise.all([stateOf(first, "agent-3"), stateOf(second, "agent-3")]);
    return states.every((state) => state === "dead");
  });
  t.equal(await stateOf(first, "agent-2"), "alive");
  await page.shows("agent-3", "Dead");
  t.ok(third.pid > 0);
  await delay(Math.max(0, CABLE_OUT_MS - (performance.now() - outSinceMs)));
  fleet.hosts[2]?.plugIn();
  await allAlive(agents);
  await linked(agents, 2);
  t.strictSame(
    (await agentsOf(first)).map(({ peerId }) => peerId).sort(),
    names,
    "the same three identities",
  );
  await page.shows("agent-3", "Alive");
});
