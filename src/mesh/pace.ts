import type { NetworkPace } from "../platform/network.ts";
import { defaultMembershipOptions, type MembershipPace } from "./membership/options.ts";

/** How far the power policy slows the mesh down, and how many neighbours it leaves the agent, by its mode. */
const MODES: Readonly<Record<string, { readonly factor: number; readonly neighboursMax: number }>> =
  {
    saving: { factor: 2, neighboursMax: 6 },
    aggressive: { factor: 5, neighboursMax: 4 },
    // Fewer, and one that dies could cut the agent off before it looks for another.
    critical: { factor: 15, neighboursMax: 3 },
  };

/**
 * @param mode of the power policy; an unknown one is as normal
 * @returns how often, and with how many, the mesh talks of its own accord. Who is slow itself still answers at once, so neighbours do not
 *   suspect it.
 */
export function meshPace(mode: string): {
  readonly membership: MembershipPace;
  readonly network: NetworkPace;
} {
  const { pace } = defaultMembershipOptions;
  const { factor, neighboursMax } = MODES[mode] ?? {
    factor: 1,
    neighboursMax: pace.neighboursMax,
  };
  return {
    membership: {
      probeIntervalMs: pace.probeIntervalMs * factor,
      probeTimeoutMs: pace.probeTimeoutMs,
      gossipIntervalMs: pace.gossipIntervalMs * Math.min(factor, 5),
      syncIntervalMs: pace.syncIntervalMs * factor,
      neighboursMax,
    },
    network: { gossipIntervalMs: 1_000 * factor },
  };
}
