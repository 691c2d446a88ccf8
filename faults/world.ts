import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../test/support/free-port.ts";
import { type Mosquitto, startMosquitto } from "../test/support/mosquitto.ts";
import { RoadObserver } from "../test/support/road-observer.ts";
import { Agent, type AgentStart } from "./parts/agent.ts";
import { Link } from "./parts/link.ts";
import { Owner } from "./parts/owner.ts";
import { PowerCut } from "./parts/power-cut.ts";
import { Publisher } from "./parts/publisher.ts";
import { straceRecord, tracerEnded, tracerOf } from "./parts/strace.ts";
import type { Schedule } from "./schedule.ts";

/** What several runs share, one after the other: an upstream broker on a port of its own. */
export class Upstream {
  readonly port: number;
  readonly owner: Owner = new Owner();
  #mosquitto: Mosquitto | undefined;

  private constructor(port: number) {
    this.port = port;
  }

  static async create(): Promise<Upstream> {
    const upstream = new Upstream(await freePort());
    await upstream.start();
    return upstream;
  }

  /** A subscriber's queue has no end: it sees everything that the publisher heard was taken. */
  async start(): Promise<void> {
    if (this.#mosquitto !== undefined) return;
    const lines = ["max_queued_messages 0", "max_inflight_messages 20"];
    this.#mosquitto = await startMosquitto(this.owner, { port: this.port, lines });
  }

  async kill(): Promise<void> {
    await this.#mosquitto?.kill();
    this.#mosquitto = undefined;
    // Its files and its end are done with.
    await this.owner.end();
  }

  async end(): Promise<void> {
    await this.kill();
  }
}

/** One agent with its publisher, upstream, link and disk. */
export class World {
  readonly schedule: Schedule;
  readonly data: string;
  readonly store: string;
  readonly upstream: Upstream;
  readonly link: Link;
  readonly observer: RoadObserver = new RoadObserver();
  readonly publisher: Publisher;
  readonly powerCut: PowerCut;
  readonly #owner: Owner;
  /** Where calls are written down, if they are: never on the disk that is filled, or the record has gaps. */
  readonly #records: string | undefined;
  agent: Agent | undefined;
  /** Settings that a restart changed. */
  sets: readonly string[] = [];
  /** What all its processes said, as far as it was about repairs. */
  repairs = "";
  #starts = 0;
  #record = "";

  private constructor(parts: {
    schedule: Schedule;
    data: string;
    upstream: Upstream;
    link: Link;
    owner: Owner;
  }) {
    this.schedule = parts.schedule;
    this.data = parts.data;
    this.store = join(parts.data, "store");
    this.upstream = parts.upstream;
    this.link = parts.link;
    this.#owner = parts.owner;
    const recorded = parts.schedule.steps.some(({ fault }) => fault === "power-cut");
    this.#records = recorded ? mkdtempSync(join(tmpdir(), "faults-calls-")) : undefined;
    this.powerCut = new PowerCut(this.store);
    this.publisher = new Publisher(parts.schedule.traffic, () => this.agent?.mqttPort ?? 0);
  }

  /** @param root directory that takes the run's own one */
  static async create(schedule: Schedule, root: string, upstream: Upstream): Promise<World> {
    const owner = new Owner();
    const data = join(mkdtempSync(join(root, "run-")), "data");
    mkdirSync(data);
    const link = await Link.create(owner, upstream.port);
    await upstream.start();
    const world = new World({ schedule, data, upstream, link, owner });
    await world.observer.attach(upstream.port, `agent-mesh/${world.agentId}/#`);
    return world;
  }

  get agentId(): string {
    return this.schedule.seed.replaceAll(/[^A-Za-z0-9]/g, "-");
  }

  /** How an agent of this world is started. */
  startOptions(): AgentStart {
    const { uplinkWindow, uplinkProtocol, commitLingerMs } = this.schedule;
    const sets = [
      `agent.id=${this.agentId}`,
      "uplinks.0.name=cloud",
      "uplinks.0.kind=mqtt",
      `uplinks.0.url=mqtt://127.0.0.1:${this.link.port}`,
      "uplinks.0.retryMinMs=20",
      "uplinks.0.retryMaxMs=100",
      "uplinks.0.keepaliveSeconds=2",
      `uplinks.0.inFlightMax=${uplinkWindow}`,
      `uplinks.0.protocol=${uplinkProtocol}`,
      `outbox.commitLingerMs=${commitLingerMs}`,
      ...this.sets,
    ];
    return { data: this.data, sets };
  }

  /** Starts the agent. @param how prefix or clock; the agent may end before it is ready then */
  launch(how: Partial<AgentStart> = {}): Agent {
    this.#starts++;
    let prefix = how.prefix;
    if (this.#records !== undefined && prefix === undefined) {
      this.#record = join(this.#records, `calls-${this.#starts}.txt`);
      prefix = straceRecord(this.store, this.#record);
    }
    this.agent = new Agent({
      ...this.startOptions(),
      ...how,
      ...(prefix === undefined ? {} : { prefix }),
    });
    return this.agent;
  }

  /** Starts the agent and waits until it is ready. */
  async start(how: Partial<AgentStart> = {}): Promise<void> {
    await this.launch(how).ready();
  }

  async kill(): Promise<void> {
    const tracer = tracerOf(this.agent?.pid ?? 0);
    await this.agent?.kill();
    await this.#ended(tracer);
  }

  /** An orderly stop. */
  async stop(): Promise<void> {
    const tracer = tracerOf(this.agent?.pid ?? 0);
    await this.agent?.stop();
    await this.#ended(tracer);
  }

  async #ended(tracer: number): Promise<void> {
    const said = this.agent?.log ?? "";
    this.repairs += said
      .split("\n")
      .filter((line) => line.includes("has been repaired"))
      .join("\n");
    if (this.#record === "") return;
    const record = this.#record;
    this.#record = "";
    await tracerEnded(tracer);
    this.powerCut.take(record);
  }

  /** Ends everything of the run. @param keep leaves the data directory for somebody to look at */
  async end(keep: boolean): Promise<void> {
    await this.publisher.stop();
    await this.agent?.kill();
    if (keep) writeFileSync(join(this.data, "agent.log"), this.agent?.log ?? "");
    await this.observer.detach();
    await this.#owner.end();
    if (this.#records !== undefined) {
      if (keep) cpSync(this.#records, join(this.data, "calls"), { recursive: true });
      rmSync(this.#records, { recursive: true, force: true });
    }
    if (!keep && existsSync(this.data))
      rmSync(join(this.data, ".."), { recursive: true, force: true });
  }
}
