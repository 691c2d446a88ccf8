// Agents of one virtual world, as they are composed on a device, with links between them and a cloud that all can reach.
import { type Agent, startAgent } from "../../src/agent/compose.ts";
import { resolveConfig } from "../../src/config/resolve.ts";
import type { Dataset } from "../../src/federated/data/dataset.ts";
import type { Timer } from "../../src/platform/clock.ts";
import { nodeHasher } from "../../src/platform/node/hasher.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import type { Signer } from "../../src/platform/signer.ts";
import type { OutboundUpdate, UplinkConnection } from "../../src/platform/uplink-connection.ts";
import { MemoryKeyValueStore } from "../../src/simulator/memory-key-value-store.ts";
import { plainLearningGround } from "../../src/simulator/plain-learning-ground.ts";
import { VirtualClock } from "../../src/simulator/virtual-clock.ts";
import { VirtualEther } from "../../src/simulator/virtual-ether.ts";
import { VirtualNetwork } from "../../src/simulator/virtual-network.ts";
import { VirtualWorld } from "../../src/simulator/virtual-platform.ts";
import { VirtualKeys } from "../../src/simulator/virtual-signer.ts";
import { VirtualReceiver } from "../../src/simulator/virtual-uplink.ts";
import { ProcessClock } from "./virtual-process.ts";

/** An update as it reached the cloud. */
export interface Arrival {
  readonly update: OutboundUpdate;
  /** Agent over whose uplink it came. */
  readonly over: string;
}

/** Several agents in one virtual time. */
export class RelayWorld {
  readonly clock = new VirtualClock();
  readonly ether: VirtualEther;
  readonly keys = new VirtualKeys();
  /** Everything that reached the cloud, in order, repeats included. */
  readonly arrivals: Arrival[] = [];
  readonly agents = new Map<string, RelayAgent>();

  constructor(seed: string) {
    const random = new SeededRandom(seed);
    this.ether = new VirtualEther({
      clock: this.clock,
      random,
      hasher: nodeHasher,
      detectMs: 5_000,
    });
  }

  /**
   * @param ways `cloud`: an uplink of its own; `neighbour`: one through neighbours; in order of preference
   * @param sets more settings
   */
  agent(
    id: string,
    ways: readonly ("cloud" | "neighbour")[],
    sets: readonly string[] = [],
  ): RelayAgent {
    const agent = new RelayAgent(this, id, ways, sets);
    this.agents.set(id, agent);
    return agent;
  }

  /** First arrivals of each id, by agent and stream. */
  distinct(): ReadonlyMap<string, readonly number[]> {
    const seen = new Set<string>();
    const streams = new Map<string, number[]>();
    for (const { update } of this.arrivals) {
      if (seen.has(update.id)) continue;
      seen.add(update.id);
      const name = `${update.agentId}/${update.stream}`;
      streams.set(name, [...(streams.get(name) ?? []), update.sequence]);
    }
    return streams;
  }

  get repeats(): number {
    return this.arrivals.length - new Set(this.arrivals.map(({ update }) => update.id)).size;
  }

  /** Lets time go by until something has been done. */
  async settle<T>(work: Promise<T>): Promise<T> {
    let done = false;
    const end = (): void => {
      done = true;
    };
    work.then(end, end);
    await this.until("it to be done", () => done, 60_000, 1);
    return work;
  }

  /** Lets time go by until it is so. @throws Error naming `what` */
  async until(
    what: string,
    isSo: () => boolean,
    patienceMs = 600_000,
    stepMs = 100,
  ): Promise<void> {
    for (let waitedMs = 0; !isSo(); waitedMs += stepMs) {
      if (waitedMs > patienceMs) throw new Error(`waited ${patienceMs} ms for ${what}`);
      await this.clock.advance(stepMs);
    }
  }
}

/** One of them; its disk and body outlive it. */
export class RelayAgent {
  readonly id: string;
  readonly signer: Signer;
  body: VirtualWorld;
  /** What it can learn from, by name. */
  readonly datasets = new Map<string, Dataset>();
  /** Its own uplink leads here. */
  receiver: VirtualReceiver;
  readonly #world: RelayWorld;
  readonly #ways: readonly ("cloud" | "neighbour")[];
  readonly #sets: readonly string[];
  #life: Life | undefined;

  constructor(
    world: RelayWorld,
    id: string,
    ways: readonly ("cloud" | "neighbour")[],
    sets: readonly string[],
  ) {
    this.#world = world;
    this.id = id;
    this.#ways = ways;
    this.#sets = sets;
    this.signer = world.keys.signer(id);
    this.body = new VirtualWorld(id);
    this.receiver = this.#newReceiver();
  }

  get peer(): string {
    return this.signer.peerId;
  }

  get agent(): Agent {
    if (this.#life?.agent === undefined) throw new Error(`${this.id} does not run`);
    return this.#life.agent;
  }

  get relay() {
    return this.agent.context.relay.status();
  }

  get queued(): number {
    return this.agent.context.queue.status().updates;
  }

  uplink(name: "cloud" | "neighbour") {
    return this.agent.context.uplinks.status().find((uplink) => uplink.name === name);
  }

  async start(...neighbours: readonly RelayAgent[]): Promise<void> {
    const { clock, ether } = this.#world;
    const life = new Life(clock);
    this.#life = life;
    const uplinks = this.#ways.flatMap((way, at) => [
      `uplinks.${at}.name=${way}`,
      `uplinks.${at}.kind=${way === "cloud" ? "mqtt" : "neighbour"}`,
      ...(way === "cloud" ? [`uplinks.${at}.url=mqtt://cloud`] : []),
    ]);
    const config = resolveConfig({
      sets: ["mqtt.deviceReadings=false", "mesh.enabled=true", ...uplinks, ...this.#sets],
    });
    const store = life.store(new MemoryKeyValueStore(this.body.disk));
    life.agent = await startAgent(config, this.id, {
      ...this.body.platform(),
      clock: life.clock,
      random: new SeededRandom(`${this.id} ${clock.monotonicMs()}`),
      openStore: () => Promise.resolve(store),
      createUplink: () => life.connection(this.receiver.connect()),
      openLearning: () =>
        Promise.resolve(plainLearningGround(life.clock, (name) => this.datasets.get(name))),
      openMesh: ({ limits }) =>
        Promise.resolve({
          signer: this.signer,
          createNetwork: ({ gate }) =>
            Promise.resolve(
              new VirtualNetwork(ether, {
                self: this.peer,
                gate,
                messageBytesMax: limits.messageBytesMax,
                queueBytesMax: limits.queueBytesMax,
                bulkIdleTimeoutMs: 10_000,
              }),
            ),
        }),
    });
    for (const { peer } of neighbours)
      void this.agent.context.mesh.join([`/memory/${peer}/p2p/${peer}`]).catch(() => undefined);
  }

  /** Sensors publish on a topic; settles when all of it was acknowledged. */
  async publish(topic: string, texts: readonly string[]): Promise<void> {
    const { broker } = this.body;
    const taken = texts.map((text) => broker.receive(topic, Buffer.from(text)));
    for (const refusal of await this.#world.settle(Promise.all(taken)))
      if (refusal !== undefined) throw new Error(refusal.message);
  }

  /** Power loss: what was not synced is gone, and nobody says good-bye. */
  crash(): void {
    this.#world.ether.crash(this.peer);
    this.#life?.end();
    this.#life = undefined;
    this.body.disk.crash();
  }

  /** While it does not run: everything on its disk is gone for good. */
  loseDisk(): void {
    this.body = new VirtualWorld(this.id);
  }

  /** While it does not run: whatever was wrong with its receiver is mended. */
  repairReceiver(): void {
    this.receiver = this.#newReceiver();
  }

  #newReceiver(): VirtualReceiver {
    const { clock, arrivals } = this.#world;
    const receiver = new VirtualReceiver(clock);
    receiver.verdict = (update) => {
      arrivals.push({ update, over: this.id });
      return { kind: "acknowledged" };
    };
    return receiver;
  }

  async stop(): Promise<void> {
    const stopped = this.agent.stop();
    await this.#world.clock.advance(20_000);
    await stopped;
    this.#life = undefined;
  }
}

/** Leaves no timers behind, so that a test can see that nobody else does. */
class MortalClock extends ProcessClock {
  readonly #timers = new Set<Timer>();

  override setTimer(name: string, delayMs: number, callback: () => void): Timer {
    const timer = super.setTimer(name, delayMs, () => {
      this.#timers.delete(timer);
      callback();
    });
    this.#timers.add(timer);
    return timer;
  }

  override kill(): void {
    super.kill();
    for (const timer of this.#timers) timer.cancel();
  }
}

/** One run of an agent: its timers, its store and its connections end with it. */
class Life {
  readonly clock: MortalClock;
  readonly #ends: (() => void)[] = [];
  agent: Agent | undefined;

  constructor(clock: VirtualClock) {
    this.clock = new MortalClock(clock);
  }

  store(store: MemoryKeyValueStore): MemoryKeyValueStore {
    this.#ends.push(() => void store.close());
    return store;
  }

  connection<C extends UplinkConnection>(connection: C): C {
    this.#ends.push(() => void connection.disconnect());
    return connection;
  }

  end(): void {
    this.clock.kill();
    for (const end of this.#ends) end();
  }
}
