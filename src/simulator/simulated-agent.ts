import type { AgentPlatform, MeshGround } from "../agent/agent-platform.ts";
import { type Agent, startAgent } from "../agent/compose.ts";
import type { Config } from "../config/schema.ts";
import type { FirmwareProfile } from "../device/firmware-profile.ts";
import type { KnownRecord } from "../mesh/records/known-record.ts";
import type { RecordVerifier } from "../mesh/records/record-verifier.ts";
import type { Hasher } from "../platform/hasher.ts";
import type { StoreRepair } from "../platform/key-value-store.ts";
import type { Logger } from "../platform/logger.ts";
import type { MetricsRegistry } from "../platform/metrics-registry.ts";
import type { Random } from "../platform/random.ts";
import { SeededRandom } from "../platform/seeded-random.ts";
import type { ServiceManager } from "../platform/service-manager.ts";
import type { Signer } from "../platform/signer.ts";
import { DeviceClock, ProcessClock } from "./device-clock.ts";
import type { LearningWorld } from "./learning-world.ts";
import { VirtualDisk } from "./memory-key-value-store.ts";
import type { SharedContents } from "./shared-contents.ts";
import { type DiskManners, SimulatedStore } from "./simulated-store.ts";
import type { Trace } from "./trace.ts";
import { VirtualBroker } from "./virtual-broker.ts";
import type { VirtualClock } from "./virtual-clock.ts";
import { VirtualDevice } from "./virtual-device.ts";
import type { VirtualEther } from "./virtual-ether.ts";
import { VirtualNetwork } from "./virtual-network.ts";
import type { VirtualReceiver, VirtualUplink } from "./virtual-uplink.ts";
import { WitnessingVerifier } from "./witnessing-verifier.ts";

/** systemd's `RestartSec=`. */
const RESTART_MS = 2_000;
const BULK_IDLE_TIMEOUT_MS = 30_000;

/** What all agents of a world stand on. */
export interface SharedGround {
  readonly seed: string;
  readonly clock: VirtualClock;
  readonly ether: VirtualEther;
  readonly receiver: VirtualReceiver;
  readonly profiles: readonly FirmwareProfile[];
  readonly hasher: Hasher;
  /** Each record is decoded and held once for all. */
  readonly verifier: RecordVerifier;
  /** …and what is on many disks once for all of them. */
  readonly contents: SharedContents;
  readonly syncMs: readonly [least: number, most: number];
  readonly trace: Trace;
  /** What agents learn; undefined where they do not. */
  readonly learning: LearningWorld | undefined;
  /** Hears what agents log at `warn` and `error`. */
  logged(index: number, level: "warn" | "error", message: string, fields: unknown): void;
  /** A process came up, or could not. @param damaged it found its disk damaged */
  started(index: number, error: unknown, damaged: boolean): void;
  /** A neighbour showed a record to the membership of a process. */
  showed(index: number, record: KnownRecord): void;
}

/** The parts of one process; all of it goes with the process. */
interface Process {
  readonly clock: ProcessClock;
  readonly broker: VirtualBroker;
  readonly uplinks: VirtualUplink[];
  store: SimulatedStore | undefined;
  agent: Agent | undefined;
  stopping: boolean;
  /** The disk was found damaged when it was opened. */
  toldOfDamage: boolean;
}

/**
 * A device with an agent on it: disk, body and clocks outlive the process, which can be killed at any moment and is
 * started again as a service manager would.
 */
export class SimulatedAgent {
  readonly index: number;
  readonly agentId: string;
  /** Its disk's own; it may change at any time. */
  readonly manners: DiskManners;
  readonly signer: Signer;
  readonly disk: VirtualDisk;
  readonly device = new VirtualDevice();
  readonly clock: DeviceClock;
  readonly config: Config;
  readonly #ground: SharedGround;
  #generation = 0;
  #repairs: readonly StoreRepair[] = [];
  #process: Process | undefined;
  #starts = 0;
  #retired = false;

  /** @param index its place among the agents, by which the trace knows it */
  constructor(
    index: number,
    agentId: string,
    config: Config,
    signer: Signer,
    ground: SharedGround,
  ) {
    this.index = index;
    this.agentId = agentId;
    this.config = config;
    this.manners = { syncMs: ground.syncMs, writeFailureRate: 0 };
    this.signer = signer;
    this.#ground = ground;
    this.disk = new VirtualDisk(ground.contents);
    this.clock = new DeviceClock(ground.clock);
  }

  /** The agent, once it has started and until it ends. */
  get agent(): Agent | undefined {
    return this.#process?.agent;
  }

  /** Whether a process is there, started or starting. */
  get running(): boolean {
    return this.#process !== undefined;
  }

  /** Where its sensors publish. */
  get broker(): VirtualBroker | undefined {
    return this.#process?.broker;
  }

  /** Starts a process, unless there is one; one that fails to start is started again. */
  start(): void {
    if (this.#process !== undefined || this.#retired) return;
    this.#starts++;
    const process: Process = {
      clock: new ProcessClock(this.clock, (name) =>
        this.#ground.trace.note(name, this.#ground.clock.monotonicMs(), this.index),
      ),
      broker: new VirtualBroker(),
      uplinks: [],
      store: undefined,
      agent: undefined,
      stopping: false,
      toldOfDamage: false,
    };
    this.#process = process;
    startAgent(this.config, this.agentId, this.#platform(process)).then(
      (agent) => {
        if (this.#process !== process) return;
        process.agent = agent;
        this.#ground.started(this.index, undefined, process.toldOfDamage);
      },
      (error: unknown) => {
        if (this.#process !== process) return;
        this.#end(process, false);
        this.#ground.started(this.index, error, false);
        this.clock.setTimer("restart", RESTART_MS, () => this.start());
      },
    );
  }

  /** `kill -9`, or the power goes: nothing is said, and of what was under way some is done. */
  crash(how: "killed" | "power-lost"): void {
    const process = this.#process;
    if (process !== undefined) this.#end(process, how === "power-lost");
    const { ether } = this.#ground;
    // A kernel closes the links of a dead process; a dead device is missed only after a while.
    ether.crash(this.signer.peerId, how === "killed" ? 0 : undefined);
    if (how === "power-lost") this.clock.reboot();
  }

  /** Loses power, and with it part of what was stored. @param random where and how much */
  damage(random: Random): void {
    this.crash("power-lost");
    const gone = this.disk.damage(random.next(), 0.3 * random.next());
    this.#generation++;
    this.#repairs = [
      {
        atMs: this.clock.wallMs(),
        kind: "rebuilt",
        reason: `${gone} entries can not be read`,
        quarantine: "",
      },
    ];
  }

  /** Asks it to stop, as `systemctl stop` does. */
  async stop(): Promise<void> {
    const process = this.#process;
    if (process?.agent === undefined || process.stopping) return;
    process.stopping = true;
    await process.agent.stop();
    if (this.#process !== process) return;
    process.clock.end();
    this.#process = undefined;
  }

  /** Nobody starts it again. */
  retire(): void {
    this.#retired = true;
  }

  /** The process does nothing for that long, while the world goes on. */
  stall(durationMs: number): void {
    this.#process?.clock.stall(durationMs);
  }

  #end(process: Process, powerLost: boolean): void {
    process.clock.end();
    process.broker.abandon();
    process.store?.die(powerLost);
    for (const uplink of process.uplinks) uplink.abandon();
    this.#process = undefined;
  }

  #platform(process: Process): AgentPlatform {
    const { hasher, profiles, receiver, seed, learning } = this.#ground;
    const { clock, broker } = process;
    const random = new SeededRandom(`${seed}/${this.agentId}/${this.#starts}`);
    return {
      version: "0.0.0-simulated",
      clock,
      random,
      logger: this.#logger(),
      hasher,
      metrics: noMetrics,
      probe: this.device,
      service: noService,
      // Nobody comes back to ask for them.
      eventsKeptMax: 8,
      firmwareProfiles: () => Promise.resolve(profiles),
      openStore: (onRepaired) => {
        const store = new SimulatedStore(this.disk, {
          clock,
          random: random.fork("disk"),
          manners: this.manners,
          generation: this.#generation,
          repairs: this.#repairs,
        });
        process.store = store;
        for (const repair of this.#repairs) onRepaired(repair);
        process.toldOfDamage = this.#repairs.length > 0;
        this.#repairs = [];
        return Promise.resolve(store);
      },
      createBroker: () => broker,
      createUplink: () => {
        const uplink = receiver.connect(this.agentId);
        process.uplinks.push(uplink);
        return uplink;
      },
      openMesh: () => Promise.resolve(this.#mesh()),
      ...(learning !== undefined && {
        openLearning: () => Promise.resolve(learning.ground(this.index, this.agentId, clock)),
      }),
      keepFirstToken: () => Promise.resolve(),
      announce: () => Promise.resolve(),
    };
  }

  #mesh(): MeshGround {
    const { ether, verifier } = this.#ground;
    const { messageBytesMax, queueBytesMax, connectionsMax } = this.config.mesh.limits;
    return {
      signer: this.signer,
      verifier: new WitnessingVerifier(verifier, (record) =>
        this.#ground.showed(this.index, record),
      ),
      createNetwork: ({ gate }) =>
        Promise.resolve(
          new VirtualNetwork(ether, {
            self: this.signer.peerId,
            gate,
            messageBytesMax,
            queueBytesMax,
            connectionsMax,
            bulkIdleTimeoutMs: BULK_IDLE_TIMEOUT_MS,
            clock: this.clock,
          }),
        ),
    };
  }

  #logger(): Logger {
    const at = (level: "warn" | "error") => (message: string, fields: unknown) =>
      this.#ground.logged(this.index, level, message, fields);
    const logger: Logger = {
      debug: () => undefined,
      info: () => undefined,
      warn: at("warn"),
      error: at("error"),
      child: () => logger,
    };
    return logger;
  }
}

const noMetrics: MetricsRegistry = {
  add: () => undefined,
  expose: () => Promise.resolve({ contentType: "text/plain", body: "" }),
};

const noService: ServiceManager = {
  watchdogIntervalMs: undefined,
  ready: () => undefined,
  stopping: () => undefined,
  status: () => undefined,
  watchdog: () => undefined,
};
