import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { defaultMembershipOptions } from "../../src/mesh/membership/options.ts";
import { nodeHasher } from "../../src/platform/node/hasher.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { VirtualClock } from "../../src/simulator/virtual-clock.ts";
import { VirtualEther } from "../../src/simulator/virtual-ether.ts";
import { LinkEnd } from "../../src/simulator/virtual-link.ts";
import { grown } from "../../test/simulator/membership-world.ts";
import { type Bar, type Figure, figure, median } from "../figure.ts";
import { coldReadNs } from "../support/cold-reads.ts";
import { root } from "../support/processes.ts";

const execute = promisify(execFile);
/** Virtual hours after all have joined: enough for everybody to refresh its record, which all do less often the more they are. */
const SIZES = [
  { agents: 10, hours: 1 },
  { agents: 100, hours: 0.5 },
  { agents: 1_000, hours: 0.6 },
  { agents: 10_000, hours: 0.2 },
] as const;

/** Fleets whose every agent has room for all: a table of 10,000 in each of 10,000 agents would take more than there is. */
const GOSSIP_SIZES = [100, 1_000] as const;
const UPDATES = 5;
const PUSH_SIZES = [
  { agents: 100, seeds: 50 },
  { agents: 1_000, seeds: 50 },
  { agents: 10_000, seeds: 20 },
] as const;
/** Longer than any message is under way. */
const ROUND_MS = 100;
const PUSH_BEYOND_MIN = 0.5;
const PUSH_BEYOND_MAX = 1.5;

/** What the last line of `agent-mesh simulate` says. */
interface Summary {
  readonly agents: number;
  readonly rssBytes: number;
  readonly realMsPerVirtualS: number;
  readonly framesPerAgentMinute: number;
  readonly bytesPerAgentMinute: number;
  readonly violations: number;
}

/** What a fleet costs as it grows: rounds until all know, traffic of each agent, and time and memory of its simulation. */
export async function* run(): AsyncGenerator<Figure> {
  for (const agents of GOSSIP_SIZES) yield gossip(agents);
  for (const { agents, seeds } of PUSH_SIZES) yield await pushes(agents, seeds);
  let before: Summary | undefined;
  for (const { agents, hours } of SIZES) {
    const summary = await simulated(agents, hours);
    yield* traffic(summary, before);
    before = summary;
  }
  if (before !== undefined) yield* costs(before);
  yield figure({
    suite: "scale",
    metric: "a read of memory that is in no cache, for comparison: most of that time",
    unit: "ns",
    value: coldReadNs(),
    bar: { floor: Number.MAX_VALUE, goal: Number.MAX_VALUE, better: "lower" },
  });
}

/** Rounds of gossip until 99 % have heard of a change at one agent, against those of one push a round (Pittel 1987). */
function gossip(agents: number): Figure {
  const membership = { membersMax: agents + 16 };
  const world = grown({ seed: `rounds/${agents}`, membership }, agents);
  world.run(60_000);
  const { gossipIntervalMs } = defaultMembershipOptions.pace;
  const rounds: number[] = [];
  for (let update = 0; update < UPDATES; update++) {
    const fromMs = world.nowMs;
    const agent = (update * 37) % agents;
    const version = `0.2.${update}`;
    const self = { agentId: `agent-${agent}`, version, addresses: [`/sim/${agent}`] };
    world.sightings.length = 0;
    world.input(agent, { kind: "self-changed", self });
    world.run(20_000);
    const heard = new Map<number, number>();
    for (const { by, atMs, change } of world.sightings)
      if (change.after.record.version === version && !heard.has(by)) heard.set(by, atMs - fromMs);
    const times = [...heard.values()].sort((a, b) => a - b);
    const reachedMs = times[Math.ceil(0.99 * agents) - 1] ?? Number.POSITIVE_INFINITY;
    rounds.push(reachedMs / gossipIntervalMs);
  }
  const most = Math.log2(agents) + Math.log(agents) + 2;
  const bar: Bar = { floor: most, goal: most, better: "lower" };
  const metric = `gossip to 99 % of ${agents}`;
  return figure({ suite: "scale", metric, unit: "rounds", value: median(rounds), bar });
}

/**
 * The simulator's space, time and chance against theory: where in each round everybody who knows tells one drawn from all,
 * all know after log2 n + ln n + O(1) rounds (Pittel 1987), of which the last part is known to be about one.
 */
async function pushes(agents: number, seeds: number): Promise<Figure> {
  let rounds = 0;
  for (let seed = 0; seed < seeds; seed++) rounds += await pushedToAll(agents, seed);
  const beyond = rounds / seeds - Math.log2(agents) - Math.log(agents);
  if (beyond < PUSH_BEYOND_MIN) throw new Error(`${beyond} rounds: sooner than chance allows`);
  const bar: Bar = { floor: PUSH_BEYOND_MAX, goal: PUSH_BEYOND_MAX, better: "lower" };
  const metric = `push-only gossip to all of ${agents}, rounds beyond log2 n + ln n`;
  return figure({ suite: "scale", metric, unit: "rounds", value: beyond, bar });
}

/** @returns after how many rounds all have been told, over links of the simulated space, with chance of each node's own */
async function pushedToAll(agents: number, seed: number): Promise<number> {
  const clock = new VirtualClock();
  const random = new SeededRandom(`push/${agents}/${seed}`);
  const ether = new VirtualEther({ clock, random: random.fork("ether"), hasher: nodeHasher });
  const nodes = Array.from({ length: agents }, (_, at) => {
    const owner = { self: `node-${at}`, ended: () => undefined };
    return { at, knows: at === 0, random: random.fork(owner.self), end: { owner, address: "" } };
  });
  const informed = nodes.slice(0, 1);
  for (let rounds = 0; ; rounds++) {
    if (informed.length === agents) return rounds;
    // Nothing arrives before the clock goes on.
    for (const node of informed) {
      const to = nodes[Math.floor(node.random.next() * agents)] ?? node;
      const [near] = LinkEnd.pair(ether, node.end, to.end);
      near.transmit("push", 64, () => {
        if (to.knows) return;
        to.knows = true;
        informed.push(to);
      });
    }
    await clock.advance(ROUND_MS);
  }
}

async function simulated(agents: number, hours: number): Promise<Summary> {
  const command = join(root, "bin/agent-mesh");
  const options = ["--scenario=scale", `--agents=${agents}`, `--hours=${hours}`, "--seed=1"];
  const { stdout } = await execute(command, ["simulate", ...options, "--no-shrink", "--json"]);
  const summary = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Summary;
  if (summary.violations > 0) throw new Error(`a promise was broken: ${stdout}`);
  return summary;
}

/** How much more each agent says in a fleet of ten times as many: no more than its logarithm grows. */
function* traffic(summary: Summary, before: Summary | undefined): Generator<Figure> {
  const { agents } = summary;
  for (const [what, unit, of] of [
    ["frames", "frames/min", ({ framesPerAgentMinute }: Summary) => framesPerAgentMinute],
    ["bytes", "B/min", ({ bytesPerAgentMinute }: Summary) => bytesPerAgentMinute],
  ] as const) {
    const any: Bar = { floor: Number.MAX_VALUE, goal: Number.MAX_VALUE, better: "lower" };
    const metric = `${what} of an agent among ${agents}`;
    yield figure({ suite: "scale", metric, unit, value: of(summary), bar: any });
    if (before === undefined) continue;
    const growth = Math.log(agents) / Math.log(before.agents);
    const bar: Bar = { floor: growth, goal: growth, better: "lower" };
    const value = of(summary) / of(before);
    const grown = `${what}, ${agents} over ${before.agents} agents`;
    yield figure({ suite: "scale", metric: grown, unit: "times", value, bar });
  }
}

function* costs({ agents, rssBytes, realMsPerVirtualS }: Summary): Generator<Figure> {
  const gigabytes: Bar = { floor: 4, goal: 1.5, better: "lower" };
  const kilobytes: Bar = { floor: 400, goal: 150, better: "lower" };
  const seconds: Bar = { floor: 1, goal: 0.3, better: "lower" };
  const of = (metric: string, unit: string, value: number, bar: Bar): Figure =>
    figure({ suite: "scale", metric: `${agents} agents, ${metric}`, unit, value, bar });
  yield of("memory", "GB", rssBytes / 1e9, gigabytes);
  yield of("memory of each", "KB", rssBytes / agents / 1e3, kilobytes);
  yield of("real time for a virtual second", "s", realMsPerVirtualS / 1e3, seconds);
}
