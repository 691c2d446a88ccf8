import type { SimulatedAgent } from "../simulated-agent.ts";
import type { SimulatedFleet } from "../simulated-fleet.ts";
import type { Violations } from "./violation.ts";

/** Where the outbox keeps updates. */
const QUEUE = { gte: "q", lt: "r" } as const;
/** One block more than the quota may be on disk until the next sweep. */
const QUOTA_SLACK_BYTES = 131_072;
/**
 * A mode is left one step at a time, each when things have been better for two minutes; a critical one looks every ten
 * minutes, so it may take twenty, and the others three to five.
 */
const RECOVERY_MS = 30 * 60_000;
const RECOVERED_PERCENT = 35;

/** What has to hold at every moment, whatever goes wrong, as far as it can be seen from outside. */
export class Invariants {
  readonly #fleet: SimulatedFleet;
  readonly #violations: Violations;
  /** Since when the battery of an agent has been well charged. */
  readonly #chargedSinceMs = new Map<SimulatedAgent, number>();

  constructor(fleet: SimulatedFleet) {
    this.#fleet = fleet;
    this.#violations = fleet.violations;
  }

  /** Looks at every agent that runs. */
  check(): void {
    for (const agent of this.#fleet.agents) this.#check(agent);
  }

  #check(agent: SimulatedAgent): void {
    const atMs = this.#fleet.clock.monotonicMs();
    // A battery may have been empty for a moment between two looks.
    const isCharged = agent.device.takeLowestPercent() >= RECOVERED_PERCENT;
    if (agent.agent === undefined || !isCharged) this.#chargedSinceMs.delete(agent);
    else if (!this.#chargedSinceMs.has(agent)) this.#chargedSinceMs.set(agent, atMs);
    if (agent.agent === undefined) return;
    const { queue, mesh, device, roles } = agent.agent.context;
    const add = (promise: string, what: string): void =>
      this.#violations.add(atMs, promise, `${agent.agentId}: ${what}`);
    const { bytesMax } = queue.status();
    // What lies on disk, not what the agent believes.
    const bytes = agent.disk.sizeOf(QUEUE.gte, QUEUE.lt);
    if (bytes > bytesMax + QUOTA_SLACK_BYTES)
      add("quota", `${bytes} bytes are queued where ${bytesMax} are allowed`);
    const { alive, suspect, dead, left } = mesh.counts();
    const { membersMax, connectionsMax } = agent.config.mesh.limits;
    const members = alive + suspect + dead + left;
    if (members > membersMax) add("members", `${members} members where ${membersMax} fit`);
    const links = mesh.peers().length;
    if (links > connectionsMax) add("links", `${links} links where ${connectionsMax} fit`);
    const { assignment } = roles.summary();
    if (assignment?.quorum === true) {
      const holders = [...assignment.validators, ...[assignment.coordinator ?? []].flat()];
      const onBattery = holders.find(
        ({ peerId }) => this.#fleet.byPeer(peerId)?.device.battery !== undefined,
      );
      if (onBattery !== undefined)
        add("quorum-on-battery", `${onBattery.agentId ?? onBattery.peerId} is in the quorum`);
    }
    const chargedForMs = atMs - (this.#chargedSinceMs.get(agent) ?? atMs);
    const { mode } = device.power();
    if (chargedForMs > RECOVERY_MS && mode !== "normal")
      add("power", `still in ${mode} mode ${Math.round(chargedForMs / 60_000)} min after charging`);
  }
}
