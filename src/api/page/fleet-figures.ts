import { inFleetOrder, matchesSearch } from "./mesh-text.ts";
import type { Consensus, FleetAgent, FleetPage, Items, Mesh, MeshPeer, Roles } from "./model.ts";

/** Agents held and shown at once; of larger fleets those in trouble, and the first by name. */
export const AGENTS_MAX = 100;
const TROUBLED_MAX = 50;
const SEARCH_PAGE = 500;
/** 2,000 agents are searched. */
const SEARCH_PAGES_MAX = 4;
const PEERS_MAX = 50;

/** Asks one path; undefined when that part answered with an error. */
type Ask = <T>(part: string, path: string) => Promise<T | undefined>;

/** The mesh and the fleet as shown. */
export interface FleetFigures {
  readonly mesh?: Mesh;
  readonly peers?: readonly MeshPeer[];
  readonly roles?: Roles;
  readonly consensus?: Consensus;
  readonly fleet?: { readonly agents: readonly FleetAgent[]; readonly counts: FleetPage["counts"] };
}

/** @param search words that agents must hold; `""` for all */
export async function fleetFigures(ask: Ask, search: string): Promise<FleetFigures> {
  const mesh = await ask<Mesh>("mesh", "/v1/mesh");
  if (mesh === undefined) return {};
  if (!mesh.enabled) return { mesh };
  const [peers, roles, consensus, fleet] = await Promise.all([
    ask<Items<MeshPeer>>("neighbours", `/v1/mesh/peers?limit=${PEERS_MAX}`),
    ask<Roles>("roles", "/v1/roles"),
    ask<Consensus>("committee", "/v1/consensus"),
    agentsOf(ask, search),
  ]);
  return {
    mesh,
    ...(peers && { peers: peers.items }),
    ...(roles && { roles }),
    ...(consensus && { consensus }),
    ...(fleet && { fleet }),
  };
}

async function agentsOf(ask: Ask, search: string): Promise<FleetFigures["fleet"]> {
  const first = await ask<FleetPage>("fleet", `/v1/fleet/agents?limit=${AGENTS_MAX}`);
  if (first?.nextCursor === undefined)
    return first && { agents: inFleetOrder(first.items), counts: first.counts };
  const more = search.trim() === "" ? await troubled(ask) : await found(ask, search);
  const base = search.trim() === "" ? first.items : [];
  const unique = new Map([...more, ...base].map((agent) => [agent.peerId ?? "", agent]));
  return { agents: inFleetOrder([...unique.values()]).slice(0, AGENTS_MAX), counts: first.counts };
}

async function troubled(ask: Ask): Promise<readonly FleetAgent[]> {
  const pages = await Promise.all(
    ["dead", "suspect"].map((state) =>
      ask<FleetPage>("fleet", `/v1/fleet/agents?state=${state}&limit=${TROUBLED_MAX}`),
    ),
  );
  return pages.flatMap((page) => page?.items ?? []);
}

async function found(ask: Ask, search: string): Promise<readonly FleetAgent[]> {
  const agents: FleetAgent[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < SEARCH_PAGES_MAX; page += 1) {
    const query = new URLSearchParams({ limit: String(SEARCH_PAGE) });
    if (cursor !== undefined) query.set("cursor", cursor);
    const answer = await ask<FleetPage>("fleet", `/v1/fleet/agents?${query}`);
    agents.push(...(answer?.items ?? []).filter((agent) => matchesSearch(agent, search)));
    cursor = answer?.nextCursor;
    if (cursor === undefined) break;
  }
  return agents;
}
