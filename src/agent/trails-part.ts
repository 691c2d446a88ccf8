import type { Config } from "../config/schema.ts";
import { defaultChoiceOptions, defaultPheromoneOptions } from "../coordination/swarm/options.ts";
import { TRAILS_PROTOCOL, TrailsRunner } from "../coordination/swarm/runner.ts";
import type { TrailsView } from "../coordination/swarm/view.ts";
import type { KeyValueStore } from "../platform/key-value-store.ts";
import type { AgentPlatform } from "./agent-platform.ts";
import type { MeshPart } from "./mesh-part.ts";
import { nextStart } from "./starts.ts";

/** Starts of the swarm, so that ticks of before are not mistaken for those of now. */
const STARTS_KEY = "t!trail-starts";

/** Trails as a part of the agent. */
export interface TrailsPart {
  readonly view: TrailsView;
  /** Once the mesh runs. */
  start(): void;
  stop(): void;
}

/** @returns trails over the mesh @throws StoreError */
export async function createTrailsPart(
  config: Config,
  platform: Pick<AgentPlatform, "clock" | "random" | "logger">,
  { mesh, store }: { readonly mesh: MeshPart; readonly store: KeyValueStore },
): Promise<TrailsPart> {
  const { node, network, access, signer } = mesh;
  const { decay, exploration, tickMs, trailsMax } = config.coordination.swarm;
  const runner = new TrailsRunner({
    network,
    signer,
    clock: platform.clock,
    random: platform.random.fork("trails"),
    logger: platform.logger.child("trails"),
    gate: access.gate,
    epoch: await nextStart(store, STARTS_KEY),
    tickMs,
    pheromone: { ...defaultPheromoneOptions, decayPerTick: decay, trailsMax },
    choice: { ...defaultChoiceOptions, exploration },
    // Where the table is smaller than the fleet, others may be members too.
    isMember: (peer) => node.member(peer) !== undefined || node.isPartial(),
  });
  access.requirements.protocol(TRAILS_PROTOCOL.id, { send: "publish" });
  mesh.onNetwork((event) => runner.take(event));
  return {
    view: {
      summary: () => ({ enabled: true, tickMs, decay, exploration, ...runner.counts() }),
      list: (countMax, prefix) => runner.list(countMax, prefix),
      deposit: (trail, amount) => runner.deposit(trail, amount),
      choose: (options) => runner.choose(options),
    },
    start: () => runner.start(),
    stop: () => runner.stop(),
  };
}
