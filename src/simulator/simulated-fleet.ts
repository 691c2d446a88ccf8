import { parseFirmwareProfile } from "../device/firmware-profile.ts";
import { MEMBERSHIP_PROTOCOL } from "../mesh/fleet/fleet.ts";
import { defaultMembershipOptions } from "../mesh/membership/options.ts";
import { refreshMs } from "../mesh/membership/refresh.ts";
import { CachingVerifier } from "../mesh/records/record-verifier.ts";
import type { Random } from "../platform/random.ts";
import { SeededRandom } from "../platform/seeded-random.ts";
import type { PeerId, Signer } from "../platform/signer.ts";
import { Burials } from "./checkers/burials.ts";
import { ReadingLedger } from "./checkers/reading-ledger.ts";
import { Violations } from "./checkers/violation.ts";
import { LearningWorld } from "./learning-world.ts";
import { plainHasher } from "./plain-hasher.ts";
import type { FleetConfigs } from "./run/fleet-configs.ts";
import type { Scenario } from "./run/scenario.ts";
import { SharedContents } from "./shared-contents.ts";
import { type SharedGround, SimulatedAgent } from "./simulated-agent.ts";
import { hashBytes, hashText, Trace } from "./trace.ts";
import { VirtualClock } from "./virtual-clock.ts";
import { VirtualEther } from "./virtual-ether.ts";
import { VirtualKeys } from "./virtual-signer.ts";
import { VirtualReceiver } from "./virtual-uplink.ts";

const HOUR_MS = 3_600_000;
const BOOTSTRAP_NODES = 3;
/** Records that the agents hold together, and some more. */
const RECORDS_PER_AGENT = 4;
const REORDER_MS = 200;
/** Where nobody was linked to an agent that is gone, some table may hold it until so many refreshes were missed. */
const REFRESHES_MISSED_MAX = 4;
/** For the suspicion that follows, and for others to be told. */
const BURIAL_MS = 360_000;
const BUSY_MS = 1_000;
const STORM_LOSS_RATE = 0.3;
const STORM_DELAY = 3;

/** Counts of what agents logged, by level and message. */
export type LogCounts = Map<string, number>;

/** A world of agents that run the production code, with everything that can befall them. */
export class SimulatedFleet {
  readonly scenario: Scenario;
  readonly clock = new VirtualClock();
  readonly trace: Trace;
  readonly violations = new Violations();
  readonly ledger = new ReadingLedger(this.violations);
  readonly receiver: VirtualReceiver;
  readonly ether: VirtualEther;
  readonly agents: SimulatedAgent[] = [];
  readonly logs: LogCounts = new Map();
  /** What the agents learn; undefined where they do not. */
  readonly learning: LearningWorld | undefined;
  /** Hears whom an agent blames for what, where they learn. */
  onLearningEvidence: ((by: string, data: Readonly<Record<string, unknown>>) => void) | undefined;
  /** No fault was planned, so that nobody has any excuse. */
  undisturbed = false;
  /** Processes that came up. */
  starts = 0;
  /** Processes that did not. */
  failedStarts = 0;
  frames = 0;
  frameBytes = 0;
  readonly #keys = new VirtualKeys();
  readonly #configs: FleetConfigs;
  readonly #ground: SharedGround;
  readonly #random: Random;
  readonly #indexOf = new Map<PeerId, number>();
  readonly #numbers: number[][] = [];
  readonly #generations: number[] = [];
  readonly #goneAtMs = new Map<PeerId, number>();
  readonly #burials = new Burials(this.violations);
  #sensing = true;

  /**
   * @param configs of agents with an uplink and without one
   * @param seed everything follows from it
   */
  constructor(scenario: Scenario, seed: string, configs: FleetConfigs, trace = new Trace()) {
    this.scenario = scenario;
    this.trace = trace;
    this.#configs = configs;
    this.#random = new SeededRandom(`${seed}/world`);
    this.receiver = new VirtualReceiver(this.clock, (update) => {
      this.note("received", -1, hashText(update.id));
      this.ledger.received(this.clock.monotonicMs(), update);
    });
    this.#manner(new SeededRandom(`${seed}/receiver`));
    this.receiver.marks = (streams, agentId) => this.ledger.marks(agentId, streams);
    this.ether = new VirtualEther({
      clock: this.clock,
      random: new SeededRandom(`${seed}/ether`),
      hasher: plainHasher,
      onArrival: (from, to, payload) => this.#arrived(from, to, payload),
    });
    this.calm();
    const { learning, agents } = scenario;
    this.learning =
      learning.trains === "nothing"
        ? undefined
        : new LearningWorld(learning, agents, seed, plainHasher);
    this.#ground = {
      seed,
      learning: this.learning,
      clock: this.clock,
      ether: this.ether,
      receiver: this.receiver,
      profiles: [
        parseFirmwareProfile("virtual", {
          id: "virtual",
          name: "Virtual device",
          budget: { memoryBytesMax: 268_435_456, cpuPercentMax: 50 },
        }),
      ],
      hasher: this.learning?.witness.hasher() ?? plainHasher,
      verifier: new CachingVerifier(
        this.#keys.signer(`${seed}/verifier`),
        Math.max(10_000, RECORDS_PER_AGENT * scenario.agents),
      ),
      contents: new SharedContents(),
      syncMs: [1, 8],
      trace,
      logged: (_, level, message) => {
        const key = `${level}: ${message}`;
        this.logs.set(key, (this.logs.get(key) ?? 0) + 1);
      },
      started: (index, error, damaged) => this.#started(index, error, damaged),
      showed: (index, record) => {
        if (this.#fitsTables) this.#burials.showed(index, record);
      },
    };
  }

  /** Something happened, for the trace. @param who index of an agent, or -1 */
  note(kind: string, who: number, ...detail: readonly number[]): void {
    this.trace.note(kind, this.clock.monotonicMs(), who, ...detail);
  }

  /** Checks signatures of agents, and is none of them. */
  get outsider(): Signer {
    return this.#keys.signer(`${this.#ground.seed}/outsider`);
  }

  /** The agent whose key that is; undefined when it is gone for good. */
  byPeer(peer: PeerId): SimulatedAgent | undefined {
    const agent = this.agents[this.#indexOf.get(peer) ?? -1];
    return agent?.signer.peerId === peer ? agent : undefined;
  }

  /** Adds an agent and starts it. */
  add(): void {
    const index = this.agents.length;
    this.#generations.push(0);
    this.#numbers.push([]);
    this.#create(index);
    this.#sense(index);
  }

  /** The agent is gone for good; another device comes in its place. */
  replace(index: number): void {
    const gone = this.#agent(index);
    gone.crash("power-lost");
    gone.retire();
    this.#goneAtMs.set(gone.signer.peerId, this.clock.monotonicMs());
    this.ledger.excuse(gone.agentId);
    this.#generations[index] = (this.#generations[index] ?? 0) + 1;
    this.#numbers[index] = [];
    this.#create(index);
  }

  /** Weather as the scenario has it. */
  calm(): void {
    this.#weather(this.scenario.network.lossPercent / 100, 1);
  }

  storm(): void {
    this.#weather(STORM_LOSS_RATE, STORM_DELAY);
  }

  /** No further readings come in. */
  silence(): void {
    this.#sensing = false;
  }

  #create(index: number): void {
    const { scenario } = this;
    const generation = this.#generations[index] ?? 0;
    const agentId = generation === 0 ? `agent-${index}` : `agent-${index}.${generation}`;
    const signer = this.#keys.signer(`${this.#ground.seed}/key/${agentId}`);
    this.#indexOf.set(signer.peerId, index);
    const random = this.#random.fork(agentId);
    const hasUplink = index === 0 || random.next() < scenario.uplinks;
    const base = hasUplink ? this.#configs.withUplink : this.#configs.without;
    const bootstrap = this.#bootstrap(index, random);
    const config = { ...base, mesh: { ...base.mesh, bootstrap } };
    const agent = new SimulatedAgent(index, agentId, config, signer, this.#ground);
    if (random.next() < scenario.batteries)
      agent.device.battery = { chargePercent: 100, charging: true };
    this.agents[index] = agent;
    agent.start();
  }

  #bootstrap(index: number, random: Random): string[] {
    const others = this.agents.length - (index < this.agents.length ? 1 : 0);
    const drawn = new Set<number>();
    while (drawn.size < Math.min(BOOTSTRAP_NODES, others)) {
      const other = Math.floor(random.next() * this.agents.length);
      if (other !== index) drawn.add(other);
    }
    return [...drawn].map((other) => {
      const { peerId } = this.#agent(other).signer;
      return `/memory/${peerId}/p2p/${peerId}`;
    });
  }

  /** Publishes as a sensor does, at its own pace, whether or not anybody is there to take it. */
  #sense(index: number): void {
    const { perHour, streams, bytes } = this.scenario.readings;
    if (perHour === 0) return;
    const random = this.#random.fork(`sensors/${index}`);
    const intervalMs = HOUR_MS / perHour;
    const publish = (stream: number): void => {
      if (!this.#sensing) return;
      this.#publish(index, stream, bytes);
      this.clock.setTimer("sensor", intervalMs * (0.5 + random.next()), () => publish(stream));
    };
    for (let stream = 0; stream < streams; stream++)
      this.clock.setTimer("sensor", intervalMs * random.next(), () => publish(stream));
  }

  #publish(index: number, stream: number, bytes: number): void {
    const { agentId, broker } = this.#agent(index);
    if (broker === undefined) return;
    const numbers = this.#numbers[index] ?? [];
    const number = (numbers[stream] ?? 0) + 1;
    numbers[stream] = number;
    const topic = `sensors/${stream}`;
    void broker.receive(topic, ReadingLedger.payload(number, bytes)).then((refusal) => {
      this.note(refusal === undefined ? "acknowledged" : "refused", index, stream, number);
      if (refusal === undefined) this.ledger.tookReading(agentId, topic, number);
      else this.ledger.refused++;
    });
  }

  #started(index: number, error: unknown, damaged: boolean): void {
    this.note("started", index, error === undefined ? 1 : 0);
    if (error !== undefined) {
      this.failedStarts++;
      return;
    }
    this.starts++;
    this.#burials.started(index);
    const { agent, agentId } = this.#agent(index);
    const told = agent?.context.events.since(0).events ?? [];
    if (damaged && !told.some(({ type }) => type === "store.repaired"))
      this.violations.add(
        this.clock.monotonicMs(),
        "damage-untold",
        `${agentId} found its disk damaged and did not say so`,
      );
    agent?.context.events.subscribe(({ type, data }) => {
      if (type === "resources.sampled" || type === "readings.received") return;
      this.note(type, index);
      const peer = String(data["peerId"]);
      if (type === "mesh.agent-joined" || type === "mesh.agent-back")
        this.#welcomed(index, agentId, peer);
      if (type === "mesh.agent-dead") this.#buried(agentId, peer);
      if (type === "mesh.agent-dead" || type === "mesh.agent-left")
        this.#burials.buried(index, peer);
      if (type === "learning.evidence") this.onLearningEvidence?.(agentId, data);
      if (type === "queue.shed" || type === "queue.lost")
        this.ledger.shed(agentId, Number(data["updates"]));
    });
  }

  /** Each agent that ever was has its place in every table, so that none has to give way. */
  get #fitsTables(): boolean {
    const { agents, membersMax } = this.scenario;
    return Math.max(agents, this.#indexOf.size) <= membersMax;
  }

  get #ghostAfterMs(): number {
    const { agents, membersMax } = this.scenario;
    const { refreshIntervalMs } = defaultMembershipOptions;
    const known = Math.min(agents, membersMax);
    return REFRESHES_MISSED_MAX * refreshMs(known, refreshIntervalMs) + BURIAL_MS;
  }

  /** Who has been gone for good for long is not taken in again, nor anybody for an old record. */
  #welcomed(index: number, by: string, peer: PeerId): void {
    const atMs = this.clock.monotonicMs();
    if (this.#fitsTables) this.#burials.welcomed(atMs, index, by, peer);
    const goneForMs = atMs - (this.#goneAtMs.get(peer) ?? Number.POSITIVE_INFINITY);
    if (goneForMs < this.#ghostAfterMs) return;
    this.violations.add(
      atMs,
      "ghost",
      `${by} took in ${peer}, which has been gone for ${Math.round(goneForMs / 1_000)} s`,
    );
  }

  /** Where nothing goes wrong but in the network's usual way, nobody may be held to be dead who is not. */
  #buried(by: string, peer: PeerId): void {
    if (!this.undisturbed || this.byPeer(peer)?.agent === undefined) return;
    this.violations.add(
      this.clock.monotonicMs(),
      "false-death",
      `${by} holds ${this.byPeer(peer)?.agentId} to be dead, which runs undisturbed`,
    );
  }

  #arrived(from: PeerId, to: PeerId, payload: Uint8Array | number): void {
    const isBytes = typeof payload !== "number";
    const bytes = isBytes ? payload.length : payload;
    this.frames++;
    this.frameBytes += bytes;
    const sender = this.#indexOf.get(from) ?? -1;
    this.note("arrived", this.#indexOf.get(to) ?? -1, sender, isBytes ? hashBytes(payload) : bytes);
  }

  #manner(random: Random): void {
    const { latencyMs, lostAcknowledgementPercent, busyPercent } = this.scenario.receiver;
    this.receiver.latencyMs = latencyMs;
    const busyUntilMs = new Map<string, number>();
    this.receiver.verdict = (_, agentId) => {
      const nowMs = this.clock.monotonicMs();
      const draw = 100 * random.next();
      // Whoever refuses an update refuses those on their way behind it, or it breaks the order itself.
      if (draw < busyPercent) busyUntilMs.set(agentId, nowMs + latencyMs + BUSY_MS);
      const isBusy = nowMs < (busyUntilMs.get(agentId) ?? 0);
      if (!isBusy && draw > 100 - lostAcknowledgementPercent) return "cut-before-acknowledgement";
      if (isBusy) return { kind: "refused", permanent: false, reason: "busy", retryAfterMs: 1_000 };
      return { kind: "acknowledged" };
    };
  }

  #weather(lossRate: number, delay: number): void {
    const { latencyMsMin, latencyMsMax, breakPercent, ...network } = this.scenario.network;
    const span = latencyMsMax - latencyMsMin;
    this.ether.change({
      lossRate,
      breakRate: breakPercent / 100,
      latencyMs: (_from, _to, random) => delay * (latencyMsMin + span * random.next()),
      datagrams: {
        protocols: new Set([MEMBERSHIP_PROTOCOL.id]),
        lossRate: network.datagramLossPercent / 100,
        duplicateRate: network.datagramDuplicatePercent / 100,
        reorderRate: network.datagramReorderPercent / 100,
        reorderMs: REORDER_MS,
      },
    });
  }

  #agent(index: number): SimulatedAgent {
    const agent = this.agents[index];
    if (agent === undefined) throw new RangeError(`there is no agent ${index}`);
    return agent;
  }
}
