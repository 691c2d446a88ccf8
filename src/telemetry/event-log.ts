import type { Clock } from "../platform/clock.ts";
import type { EventSink, EventType } from "../platform/event-sink.ts";
import type { Logger } from "../platform/logger.ts";

/** Something that happened. */
export interface AgentEvent {
  /** Ascending without gaps while the agent runs, and across restarts as far as the clock is right. */
  readonly id: number;
  readonly type: EventType;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly data: Readonly<Record<string, unknown>>;
}

/** What each event tells. */
export const eventMeanings: Readonly<Record<EventType, string>> = {
  "agent.started": "The agent is up.",
  "agent.stopping": "The agent is about to stop in an orderly way.",
  "power.mode-changed": "The power policy chose another mode.",
  "resources.sampled": "A new look at the device was taken.",
  "readings.received": "Readings came in.",
  "readings.refused": "Readings were refused.",
  "queue.lost": "Queued updates could not be read back from the disk.",
  "queue.shed": "Queued updates were dropped to keep the quota.",
  "queue.dead-lettered": "An update or message that cannot be delivered was set aside.",
  "queue.store-recovered": "The store was reopened after a failed write.",
  "store.repaired": "The store was damaged; what could not be read was set aside.",
  "uplink.up": "An uplink is connected.",
  "uplink.down": "An uplink lost its connection.",
  "uplink.took-over": "An uplink carries the updates in place of another.",
  "uplink.command": "A message for this agent came over an uplink.",
  "mesh.peer-linked": "A link to another node is open.",
  "mesh.peer-unlinked": "The last link to a node is gone.",
  "mesh.agent-joined": "An agent that was not known is part of the fleet.",
  "mesh.agent-dead": "An agent did not answer anybody, and did not come back in time.",
  "mesh.agent-back": "An agent that was dead or had left is there again.",
  "mesh.agent-left": "An agent said good-bye.",
  "consensus.founded": "This agent knows of a committee of the fleet for the first time.",
  "consensus.replaced": "This agent goes by another committee than before.",
  "consensus.members-changed": "A member of the committee came or went.",
  "consensus.leader-changed":
    "Another member leads the committee, or nobody, as this member knows it.",
  "consensus.seated": "This agent has taken its seat in the committee.",
  "consensus.left": "This agent has given up its seat in the committee for good.",
  "consensus.lost":
    "This agent's disk lost what it had promised as a member; it takes part no more.",
  "consensus.decided": "The committee has decided on a proposal.",
  "roles.changed": "This agent has other roles in the fleet than before.",
  "task.ordered": "This agent took an order.",
  "task.awarded": "An agent was awarded an order of this one.",
  "task.lost": "An agent that was awarded an order of this one does not finish it.",
  "task.retried": "An attempt at an order came to nothing; there will be another one.",
  "task.done": "An order is done; its results are kept.",
  "task.failed": "An order has failed.",
  "task.cancelled": "An order was cancelled.",
  "task.offered": "Work on a task of the fleet begins on this device.",
  "task.worked": "Work on a task of the fleet has ended on this device.",
  "learning.task-known": "The fleet is to learn something.",
  "learning.task-state": "Whoever started a learning task lets it run, rest or end.",
  "learning.round": "A round of a learning task was decided: there is a new model.",
  "learning.held": "The power policy lets this agent train no further for now.",
  "learning.resumed": "This agent may train again.",
  "learning.failed": "This agent can not join a learning task, or not train it.",
  "learning.evidence": "An agent did not do its part of a round, or lied.",
  "learning.alert":
    "What this device's sensors say is not what the fleet has learned to be normal, or is again.",
  "learning.version":
    "A model that came of a round serves on this device from now on, or does not.",
  "learning.stream-fault": "A learning task can not use what is published on a topic; told once.",
  "relay.guest-joined": "A neighbour without an uplink hands its updates over to this agent.",
  "relay.guest-left": "A neighbour does so no more.",
  "relay.refused":
    "A neighbour that wanted to hand updates over was told to come later; told once a minute at most.",
  "relay.forgotten":
    "What a neighbour had handed over was lost with the store; it is asked for it again.",
  "relay.host-chosen": "Another neighbour relays for this agent from now on.",
  "bridge.attached": "A link over the bridge stands: to a gateway, or of a device.",
  "bridge.detached": "A link over the bridge has ended.",
  "token.created": "A token was created.",
  "token.revoked": "A token was revoked.",
  "access.granted": "A grant for the mesh was issued or taken in.",
  "access.revoked": "An authority took grants back.",
  "access.denied":
    "A neighbour was refused what it is not permitted to do; told once a minute at most.",
  "mesh.peer-banned": "A neighbour was banned.",
  "mesh.peer-unbanned": "A neighbour's ban has ended.",
};

const KEPT_MAX = 1_000;
/** Ids begin at the start time in thousandths of a millisecond: past every id of an earlier run. */
const IDS_PER_MS = 1_000;

/** The latest events, for those who listen now and for those who come back after a lost connection. */
export class EventLog implements EventSink {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #keptMax: number;
  readonly #kept: AgentEvent[] = [];
  readonly #listeners = new Set<(event: AgentEvent) => void>();
  #lastId: number;

  /** @param parts `keptMax`: events kept for those who come back; 1,000 unless given */
  constructor(parts: { clock: Clock; logger: Logger; keptMax?: number | undefined }) {
    this.#keptMax = parts.keptMax ?? KEPT_MAX;
    this.#clock = parts.clock;
    this.#logger = parts.logger;
    this.#lastId = Math.max(0, Math.trunc(parts.clock.wallMs())) * IDS_PER_MS;
  }

  /** Id of the newest event; before the first, the id that it will follow. */
  get lastId(): number {
    return this.#lastId;
  }

  emit(type: EventType, data: Readonly<Record<string, unknown>>): void {
    this.#lastId += 1;
    const event: AgentEvent = { id: this.#lastId, type, atMs: this.#clock.wallMs(), data };
    this.#kept.push(event);
    // Shifting one by one would copy the whole array at every event.
    if (this.#kept.length >= 2 * this.#keptMax)
      this.#kept.splice(0, this.#kept.length - this.#keptMax);
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        this.#logger.error("an event listener failed", { error, type });
      }
    }
  }

  /** Calls `listener` for every event from now on. @returns a function that ends it. */
  subscribe(listener: (event: AgentEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /**
   * Events after `id`, oldest first, of the newest that are kept. `missed` is true when events in between are no
   * longer kept, or when `id` is none of this run's.
   */
  since(id: number): { readonly events: readonly AgentEvent[]; readonly missed: boolean } {
    const kept = this.#kept.slice(-this.#keptMax);
    const first = kept[0];
    if (first === undefined) return { events: [], missed: id !== this.#lastId };
    if (id > this.#lastId) return { events: kept, missed: true };
    return { events: kept.filter((event) => event.id > id), missed: id < first.id - 1 };
  }
}
