import type { NetworkPace } from "../platform/network.ts";
import { defaultMembershipOptions, type MembershipPace } from "./membership/options.ts";

/** How far the power policy slows the mesh down, by its mode. */
const FACTORS: Readonly<Record<string, number>> = {
  normal: 1,
  saving: 2,
  aggressive: 5,
  critical: 15,
};

/**
 * @param mode of the power policy; an unknown one is as normal
 * @returns how often the mesh talks of its own accord. Who is slow itself still answers at once, so neighbours do not
 *   suspect it.
 */
export function meshPace(mode: string): {
  readonly membership: MembershipPace;
  readonly network: NetworkPace;
} {
  const factor = FACTORS[mode] ?? 1;
  const { pace } = defaultMembershipOptions;
  return {
    membership: {
      probeIntervalMs: pace.probeIntervalMs * factor,
      probeTimeoutMs: pace.probeTimeoutMs,
      gossipIntervalMs: pace.gossipIntervalMs * Math.min(factor, 5),
      syncIntervalMs: pace.syncIntervalMs * factor,
    },
    network: { gossipIntervalMs: 1_000 * factor },
  };
}
