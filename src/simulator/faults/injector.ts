import { SeededRandom } from "../../platform/seeded-random.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { SimulatedAgent } from "../simulated-agent.ts";
import type { SimulatedFleet } from "../simulated-fleet.ts";
import type { Fault, FaultKind } from "./plan.ts";

const WRITE_FAILURE_RATE = 0.33;
/** What a full disk still takes. */
const FULL_DISK_BYTES = 200;
const BATTERY_STEP_MS = 10_000;
const BATTERY_EMPTY_PERCENT = 2;

type Severing = (from: PeerId, to: PeerId) => boolean;

/** Lets a plan of faults happen to a fleet, each for its time, and can make everything whole again. */
export class FaultInjector {
  readonly #fleet: SimulatedFleet;
  readonly #faults: readonly Fault[];
  readonly #seed: string;
  readonly #severings = new Set<Severing>();
  readonly counts = new Map<FaultKind, number>();
  /** Agents that are to be down now, by how many faults. */
  readonly #down = new Map<SimulatedAgent, number>();
  #storms = 0;
  #receiverLosses = 0;
  #healing = false;

  constructor(fleet: SimulatedFleet, faults: readonly Fault[], seed: string) {
    this.#fleet = fleet;
    this.#faults = faults;
    this.#seed = seed;
  }

  /** Sets a timer for each fault, counted from now. */
  start(): void {
    for (const fault of this.#faults)
      this.#fleet.clock.setTimer("fault", fault.atMs, () => this.#begin(fault));
  }

  /** No fault is there any more, and none comes. Agents that are down are started. */
  heal(): void {
    this.#healing = true;
    const { ether, receiver, agents } = this.#fleet;
    this.#severings.clear();
    ether.heal();
    this.#fleet.calm();
    receiver.reachable = true;
    for (const agent of agents) {
      agent.disk.bytesMax = Number.POSITIVE_INFINITY;
      agent.manners.writeFailureRate = 0;
      receiver.cutOff(agent.agentId, false);
      if (agent.device.battery !== undefined)
        agent.device.battery = { chargePercent: 100, charging: true };
      agent.start();
    }
  }

  #begin(fault: Fault): void {
    if (this.#healing) return;
    const { kind, index, agents } = fault;
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    this.#fleet.note(kind, agents[0] ?? -1, index);
    if (agents.length === 0) this.#befallWorld(fault);
    else if (kind === "partitioned" || kind === "partitionedOneWay") this.#befallGroup(fault);
    else
      for (const at of agents) {
        const agent = this.#fleet.agents[at];
        if (agent !== undefined) this.#befall(agent, fault);
      }
  }

  #befall(agent: SimulatedAgent, fault: Fault): void {
    const { receiver, ether } = this.#fleet;
    switch (fault.kind) {
      case "killed":
        agent.crash("killed");
        this.#downFor(agent, fault.durationMs);
        break;
      case "powerLost":
        agent.crash("power-lost");
        this.#downFor(agent, fault.durationMs);
        break;
      case "diskDamaged":
        // What it loses it can not be asked for; that it says so is another matter.
        this.#fleet.ledger.excuse(agent.agentId);
        agent.damage(new SeededRandom(`${this.#seed}/damage/${fault.index}`));
        this.#downFor(agent, fault.durationMs);
        break;
      case "stopped":
        void agent.stop().then(() => this.#downFor(agent, fault.durationMs));
        break;
      case "stalled":
        agent.stall(fault.durationMs);
        break;
      case "clockJumped":
        agent.clock.wallOffsetMs += fault.byMs;
        break;
      case "clogged":
        ether.clog(agent.signer.peerId, fault.durationMs);
        break;
      case "diskFull":
        agent.disk.bytesMax = agent.disk.bytes + FULL_DISK_BYTES;
        this.#after(fault.durationMs, () => {
          agent.disk.bytesMax = Number.POSITIVE_INFINITY;
        });
        break;
      case "diskFailing":
        agent.manners.writeFailureRate = WRITE_FAILURE_RATE;
        this.#after(fault.durationMs, () => {
          agent.manners.writeFailureRate = 0;
        });
        break;
      case "uplinkLost":
        receiver.cutOff(agent.agentId, true);
        this.#after(fault.durationMs, () => receiver.cutOff(agent.agentId, false));
        break;
      case "discharged":
        this.#discharge(agent, fault.durationMs);
        break;
      case "replaced":
        this.#fleet.replace(agent.index);
        break;
      case "receiverLost":
      case "partitioned":
      case "partitionedOneWay":
      case "stormy":
        throw new Error(`${fault.kind} befalls no single agent`);
    }
  }

  #befallWorld({ kind, durationMs }: Fault): void {
    if (kind === "stormy") {
      this.#storms++;
      this.#fleet.storm();
      this.#after(durationMs, () => {
        if (--this.#storms === 0) this.#fleet.calm();
      });
    } else {
      this.#receiverLosses++;
      this.#fleet.receiver.reachable = false;
      this.#after(durationMs, () => {
        if (--this.#receiverLosses === 0) this.#fleet.receiver.reachable = true;
      });
    }
  }

  #befallGroup({ kind, agents, durationMs }: Fault): void {
    const group = new Set(
      agents.flatMap((at) => {
        const agent = this.#fleet.agents[at];
        return agent === undefined ? [] : [agent.signer.peerId];
      }),
    );
    const severing: Severing =
      kind === "partitioned"
        ? (from, to) => group.has(from) !== group.has(to)
        : (from, to) => group.has(from) && !group.has(to);
    this.#severings.add(severing);
    this.#sever();
    this.#after(durationMs, () => {
      this.#severings.delete(severing);
      this.#sever();
    });
  }

  #sever(): void {
    const { ether } = this.#fleet;
    if (this.#severings.size === 0) ether.heal();
    else
      ether.sever((from, to) => {
        for (const severing of this.#severings) if (severing(from, to)) return true;
        return false;
      });
  }

  /** Down to nothing within that time, and up again within as much. */
  #discharge(agent: SimulatedAgent, durationMs: number): void {
    const { device } = agent;
    if (device.battery === undefined) return;
    const steps = Math.max(1, Math.round(durationMs / BATTERY_STEP_MS));
    const span = 100 - BATTERY_EMPTY_PERCENT;
    for (let step = 1; step <= 2 * steps; step++)
      this.#after(step * BATTERY_STEP_MS, () => {
        const charging = step > steps;
        const done = charging ? (2 * steps - step) / steps : step / steps;
        device.battery = { chargePercent: 100 - span * done, charging };
      });
  }

  #downFor(agent: SimulatedAgent, durationMs: number): void {
    this.#down.set(agent, (this.#down.get(agent) ?? 0) + 1);
    this.#after(durationMs, () => {
      const left = (this.#down.get(agent) ?? 1) - 1;
      if (left > 0) this.#down.set(agent, left);
      else this.#down.delete(agent);
      if (left <= 0) agent.start();
    });
  }

  #after(durationMs: number, end: () => void): void {
    this.#fleet.clock.setTimer("fault ends", durationMs, () => {
      if (!this.#healing) end();
    });
  }
}
