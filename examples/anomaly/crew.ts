import { randomBytes } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { FleetAgent } from "./fleet-agent.ts";
import { Replay } from "./replay.ts";
import type { MachineSeries } from "./series.ts";

/** An agent with its machine. */
export interface Post {
  readonly number: number;
  readonly agent: FleetAgent;
  readonly replay: Replay;
  /** The machine's ordinary weeks, over and over. */
  readonly ordinary: Promise<void>;
}

/** The agents of the example, each at its machine, and all that has to go when it ends. */
export class Crew {
  readonly #directory: string;
  readonly #networkKey: string;
  readonly #series: MachineSeries;
  readonly #agents: FleetAgent[] = [];
  readonly #ordinaryEnds = new AbortController();
  readonly #guests: { close(): Promise<void> }[] = [];
  #hired = 0;
  #isOver = false;
  readonly posts: Post[] = [];

  private constructor(directory: string, networkKey: string, series: MachineSeries) {
    this.#directory = directory;
    this.#networkKey = networkKey;
    this.#series = series;
  }

  /** @param directory of the example's own; it is removed at the end */
  static async gather(directory: string, series: MachineSeries): Promise<Crew> {
    const networkKey = join(directory, "network.key");
    const digits = randomBytes(32).toString("hex");
    await writeFile(networkKey, `/key/swarm/psk/1.0.0/\n/base16/\n${digits}\n`, { mode: 0o600 });
    return new Crew(directory, networkKey, series);
  }

  /** Starts one more agent, and a machine for it that has an ordinary week. */
  async hire(): Promise<Post> {
    if (this.#isOver) throw new Error("the example is over");
    const { weeks } = this.#series;
    this.#hired += 1;
    const number = this.#hired;
    const agent = await FleetAgent.begin(`press-${number}`, this.#directory, this.#networkKey);
    this.#agents.push(agent);
    await agent.ready();
    const replay = await Replay.open(agent.mqtt);
    const week = weeks[(number - 1) % weeks.length]?.moments ?? [];
    const post = { number, agent, replay, ordinary: replay.loop(week, this.#ordinaryEnds.signal) };
    this.posts.push(post);
    // Those that start together are ready in any order.
    this.posts.sort((one, other) => one.number - other.number);
    return post;
  }

  /** Those that were not killed. */
  get living(): readonly Post[] {
    return this.posts.filter(({ agent }) => agent.isAlive);
  }

  /** Something else that ends with the example. */
  admit(guest: { close(): Promise<void> }): void {
    this.#guests.push(guest);
  }

  /** No machine goes on with its ordinary weeks. */
  async endOrdinaryWeeks(): Promise<void> {
    this.#ordinaryEnds.abort();
    await Promise.all(this.posts.map(({ ordinary }) => ordinary));
  }

  /** Leaves no process and no file behind. */
  async dismiss(): Promise<void> {
    this.#isOver = true;
    this.#ordinaryEnds.abort();
    await Promise.allSettled(this.#guests.map((guest) => guest.close()));
    await Promise.allSettled(this.posts.map(({ replay }) => replay.close()));
    await Promise.allSettled(this.#agents.map((agent) => agent.stop()));
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 5 });
  }
}
