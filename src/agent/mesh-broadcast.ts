import { encodeNews, NEWS_TOPIC, NOTES_TOPIC } from "../mesh/fleet/news.ts";
import type { MeshNode } from "../mesh/node.ts";
import type { Clock } from "../platform/clock.ts";
import type { EventType } from "../platform/event-sink.ts";
import type { Logger } from "../platform/logger.ts";
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
/** Agents up to which everybody may say as much as that; in a larger fleet less, so that all together say no more. */
const TALKERS_MAX = 64;
const passOn = (): void => undefined;

/** What telling the fleet works with. */
interface BroadcastParts {
  readonly agentId: string;
  readonly node: Pick<MeshNode, "broadcast" | "subscribe" | "memberCounts">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** @returns what ends it */
  readonly onEvent: (listener: (event: AgentEvent) => void) => () => void;
}

/**
 * Tells the fleet of an agent's own events on `fleet/events`, ten in ten seconds at most, and less in a fleet of more
 * than 64; the next message says how many were left out. Listens as well, on this topic and on that of notes: gossip is passed on by those who listen.
 */
export class MeshBroadcast {
  readonly #parts: BroadcastParts;
  readonly #sentAtMs: number[] = [];
  #leftOut = 0;
  #ends: (() => void)[] = [];

  constructor(parts: BroadcastParts) {
    this.#parts = parts;
  }

  /** Call once the node runs. */
  start(): void {
    const { node, onEvent } = this.#parts;
    this.#ends = [
      node.subscribe(NEWS_TOPIC, passOn),
      node.subscribe(NOTES_TOPIC, passOn),
      onEvent((event) => this.#tell(event)),
    ];
  }

  /** Idempotent. */
  stop(): void {
    for (const end of this.#ends.splice(0)) end();
  }

  /** Events that nobody was told of, since the last message. */
  get leftOut(): number {
    return this.#leftOut;
  }

  #tell({ type, atMs, data }: AgentEvent): void {
    if (!TOLD.has(type)) return;
    const { agentId, node, clock, logger } = this.#parts;
    const nowMs = clock.monotonicMs();
    const windowMs = WINDOW_MS * Math.max(1, node.memberCounts().alive / TALKERS_MAX);
    while ((this.#sentAtMs[0] ?? nowMs) <= nowMs - windowMs) this.#sentAtMs.shift();
    if (this.#sentAtMs.length >= MESSAGES_MAX) {
      this.#leftOut++;
      return;
    }
    this.#sentAtMs.push(nowMs);
    const leftOut = this.#leftOut;
    this.#leftOut = 0;
    const news = { agentId, type, atMs: Math.trunc(atMs), data, ...(leftOut > 0 && { leftOut }) };
    node
      .broadcast(NEWS_TOPIC, encodeNews(news))
      .catch((error: unknown) => logger.debug("the fleet was not told", { type, error }));
  }
}
