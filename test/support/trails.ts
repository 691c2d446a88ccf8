// Trails of an agent without neighbours, as REST and command line are shown them.
import {
  defaultChoiceOptions,
  defaultPheromoneOptions,
} from "../../src/coordination/swarm/options.ts";
import { TrailsRunner } from "../../src/coordination/swarm/runner.ts";
import type { TrailsView } from "../../src/coordination/swarm/view.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { silentLogger } from "../../src/platform/silent-logger.ts";
import { VirtualClock } from "../../src/simulator/virtual-clock.ts";
import { VirtualKeys } from "../../src/simulator/virtual-signer.ts";

/** @returns trails in a time of their own, which stands still */
export function aloneTrails(): TrailsView {
  const runner = new TrailsRunner({
    network: { serve: () => undefined, links: () => [], send: () => Promise.resolve() },
    signer: new VirtualKeys().signer("alone"),
    clock: new VirtualClock(),
    random: new SeededRandom("trails"),
    logger: silentLogger,
    gate: { offence: () => undefined },
    epoch: 1,
    tickMs: 10_000,
    pheromone: defaultPheromoneOptions,
    choice: { ...defaultChoiceOptions, exploration: 0 },
    isMember: () => true,
  });
  return {
    summary: () => ({
      enabled: true,
      tickMs: 10_000,
      decay: 0.1,
      exploration: 0,
      ...runner.counts(),
    }),
    list: (countMax, prefix) => runner.list(countMax, prefix),
    deposit: (trail, amount) => runner.deposit(trail, amount),
    choose: (options) => runner.choose(options),
  };
}
