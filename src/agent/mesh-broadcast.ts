import { encodeNews, NEWS_TOPIC, NOTES_TOPIC } from "../mesh/fleet/news.ts";
import type { MeshNode } from "../mesh/node.ts";
import type { Clock } from "../platform/clock.ts";
import type { EventType } from "../platform/event-sink.ts";
import type { Logger } from "../platform/logger.ts";
import type { Random } from "../platform/random.ts";
import type { AgentEvent } from "../telemetry/event-log.ts";

/**
 * What others of the fleet want to hear of. Samples, readings and tokens are the agent's own business; who comes and
 * goes everybody sees for itself, so telling it would be as many messages as there are agents.
 */
const TOLD: ReadonlySet<EventType> = new Set<EventType>([
  "agent.started",
  "agent.stopping",
  "power.mode-changed",
  "queue.lost",
  "queue.shed",
  "queue.dead-lettered",
  "queue.store-recovered",
  "store.repaired",
  "uplink.up",
  "uplink.down",
  "uplink.took-over",
]);

const MESSAGES_MAX = 10;
const WINDOW_MS = 10_000;
/** Agents up to which everybody tells everything. */
const TALKERS_MAX = 64;
/** A newcomer waits as long with what it has to tell: it does not know yet how large the fleet is. */
const NEWCOMER_MS = 5_000;
const passOn = (): void => undefined;

/** What telling the fleet works with. */
interface BroadcastParts {
  readonly agentId: string;
  readonly node: Pick<MeshNode, "broadcast" | "subscribe" | "fleetSize" | "isPartial">;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** @returns what ends it */
  readonly onEvent: (listener: (event: AgentEvent) => void) => () => void;
}

/**
 * Tells the fleet of an agent's own events on `fleet/events`, ten in ten seconds at most. In a fleet of more than 64 by chance, with
 * (64 / agents)²: what befalls all at once, a receiver that is gone, makes fewer messages the more agents each of them goes to, and costs
 * the fleet no more than it costs 64. The next message says how many were left out. Listens as well, on this topic and on that of notes:
 * gossip is passed on by those who listen.
 */
export class MeshBroadcast {
  readonly #parts: BroadcastParts;
  readonly #sentAtMs: number[] = [];
  #leftOut = 0;
  #ends: (() => void)[] = [];
  /** What happened to a newcomer; undefined once it is none any more. */
  #held: AgentEvent[] | undefined = [];

  constructor(parts: BroadcastParts) {
    this.#parts = parts;
  }

  /** Call once the node runs. */
  start(): void {
    const { node, clock, onEvent } = this.#parts;
    const timer = clock.setTimer("mesh.first-news", NEWCOMER_MS, () => this.#tellHeld());
    this.#ends = [
      node.subscribe(NEWS_TOPIC, passOn),
      node.subscribe(NOTES_TOPIC, passOn),
      onEvent((event) => this.#take(event)),
      () => timer.cancel(),
    ];
  }

  /** Idempotent. */
  stop(): void {
    if (this.#ends.length > 0) this.#tellHeld();
    for (const end of this.#ends.splice(0)) end();
  }

  /** Events that nobody was told of, since the last message. */
  get leftOut(): number {
    return this.#leftOut;
  }

  #take(event: AgentEvent): void {
    if (!TOLD.has(event.type)) return;
    if (this.#held === undefined) this.#tell(event);
    else if (this.#held.length < MESSAGES_MAX) this.#held.push(event);
    else this.#leftOut++;
  }

  /**
   * A large fleet sees for itself who has come, and a newcomer still takes it for smaller than it is: one with a full table has no
   * estimate yet of those beyond it.
   */
  #tellHeld(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    const { node } = this.#parts;
    if (node.isPartial() || node.fleetSize().agents > TALKERS_MAX) this.#leftOut += held.length;
    else for (const event of held) this.#tell(event);
  }

  #tell({ type, atMs, data }: AgentEvent): void {
    const { agentId, node, logger } = this.#parts;
    if (!this.#mayTell()) {
      this.#leftOut++;
      return;
    }
    const leftOut = this.#leftOut;
    this.#leftOut = 0;
    const news = { agentId, type, atMs: Math.trunc(atMs), data, ...(leftOut > 0 && { leftOut }) };
    node
      .broadcast(NEWS_TOPIC, encodeNews(news))
      .catch((error: unknown) => logger.debug("the fleet was not told", { type, error }));
  }

  #mayTell(): boolean {
    const { node, clock, random } = this.#parts;
    const { agents } = node.fleetSize();
    if (agents > TALKERS_MAX && random.next() >= (TALKERS_MAX / agents) ** 2) return false;
    const nowMs = clock.monotonicMs();
    while ((this.#sentAtMs[0] ?? nowMs) <= nowMs - WINDOW_MS) this.#sentAtMs.shift();
    if (this.#sentAtMs.length >= MESSAGES_MAX) return false;
    this.#sentAtMs.push(nowMs);
    return true;
  }
}
