import { type AgentClient, ProblemError } from "./agent-client.ts";
import { fleetFigures } from "./fleet-figures.ts";
import { HISTORY_WINDOW_MS, pointOf, withPoint } from "./history.ts";
import { learningFigures } from "./learning-figures.ts";
import type {
  Broker,
  DeadLetter,
  Device,
  Health,
  Items,
  Power,
  Queue,
  Readings,
  ResourcePoint,
  ResourceSnapshot,
  TokenSelf,
  Uplink,
} from "./model.ts";
import type { PageState } from "./page-state.ts";
import { withDepth } from "./queue-trend.ts";
import type { Store } from "./store.ts";
import { RecentValues } from "./values.ts";

const DEAD_LETTERS_SHOWN_MAX = 20;
/** The fleet moves more slowly than the figures of this device. */
const MESH_EVERY_POLLS = 2;
/** An hour sampled every second. */
const HISTORY_PAGES_MAX = 4;

/** Fetches what the page shows into the store. Rejects only if the agent is gone or refuses the token. */
export class Figures {
  readonly recent = new RecentValues({ streamsMax: 500, valuesMax: 40 });
  private readonly client: AgentClient;
  private readonly store: Store<PageState>;
  private snapshotAsked = false;
  private deadLettersSeen = -1;
  private polls = 0;

  constructor(client: AgentClient, store: Store<PageState>) {
    this.client = client;
    this.store = store;
  }

  /** Everything once. */
  async load(signal: AbortSignal): Promise<void> {
    const device = await this.client.get<Device>("/v1/device", signal);
    const offsetMs = this.client.clockOffsetMs;
    // A device without a clock of its own may be in the first hour of 1970.
    const sinceMs = Math.max(0, Math.round(Date.now() + offsetMs - HISTORY_WINDOW_MS));
    const history = await this.loadHistory(sinceMs, signal);
    this.store.set({ device, clockOffsetMs: offsetMs, history });
    const self = await this.ask<TokenSelf>("token", "/v1/tokens/self", signal);
    if (self !== undefined) this.store.set({ self });
    await this.sampled(signal);
    await this.poll(signal, true);
  }

  private async loadHistory(sinceMs: number, signal: AbortSignal): Promise<ResourcePoint[]> {
    const points: ResourcePoint[] = [];
    let cursor: string | undefined;
    for (let page = 0; page < HISTORY_PAGES_MAX; page += 1) {
      const query = new URLSearchParams({ sinceMs: String(sinceMs), limit: "1000" });
      if (cursor !== undefined) query.set("cursor", cursor);
      const path = `/v1/resources/history?${query}`;
      const answer = await this.ask<Items<ResourcePoint>>("history", path, signal);
      points.push(...(answer?.items ?? []));
      cursor = answer?.nextCursor;
      if (cursor === undefined) break;
    }
    return points;
  }

  /** Fetches the newest snapshot; events that arrive meanwhile are answered by the same request. */
  async sampled(signal: AbortSignal): Promise<void> {
    if (this.snapshotAsked) return;
    this.snapshotAsked = true;
    try {
      const snapshot = await this.ask<ResourceSnapshot>("resources", "/v1/resources", signal);
      if (snapshot === undefined) return;
      const history = withPoint(this.store.get().history, pointOf(snapshot));
      this.store.set({ snapshot, history });
    } finally {
      this.snapshotAsked = false;
    }
  }

  async poll(signal: AbortSignal, thorough: boolean): Promise<void> {
    const { readingsLimit, readingsPrefix } = this.store.get();
    const query = new URLSearchParams({ limit: String(readingsLimit) });
    if (readingsPrefix !== "") query.set("prefix", readingsPrefix);
    const [queue, uplinks, power, readings] = await Promise.all([
      this.ask<Queue>("queue", "/v1/queue", signal),
      this.ask<Items<Uplink>>("uplinks", "/v1/uplinks", signal),
      this.ask<Power>("power", "/v1/power", signal),
      this.ask<Readings>("readings", `/v1/readings?${query}`, signal),
    ]);
    for (const { stream, sequence, text } of readings?.items ?? []) {
      this.recent.note(stream, sequence, text);
    }
    // The user may have typed on meanwhile: an answer to the old question must not replace a newer one.
    const asked = this.store.get();
    const current =
      asked.readingsPrefix === readingsPrefix && asked.readingsLimit === readingsLimit;
    this.store.set({
      ...(queue && {
        queue,
        depths: withDepth(this.store.get().depths, Date.now(), queue.updates),
      }),
      ...(uplinks && { uplinks: uplinks.items }),
      ...(power && { power }),
      ...(readings && current && { readings }),
    });
    this.polls += 1;
    if (thorough || this.polls % MESH_EVERY_POLLS === 0) await this.pollMesh(signal);
    const letters = queue?.deadLetters ?? this.deadLettersSeen;
    if (thorough || letters !== this.deadLettersSeen) await this.pollSlow(signal);
    this.deadLettersSeen = letters;
    this.store.set({ freshAtMs: Date.now(), clockOffsetMs: this.client.clockOffsetMs });
  }

  private async pollMesh(signal: AbortSignal): Promise<void> {
    const { fleetSearch } = this.store.get();
    const { mesh, peers, roles, consensus, fleet } = await fleetFigures(
      (part, path) => this.ask(part, path, signal),
      fleetSearch,
    );
    const current = this.store.get().fleetSearch === fleetSearch;
    this.store.set({
      ...(mesh && { mesh }),
      ...(peers && { peers }),
      ...(consensus && { consensus }),
      ...(roles && { roles: { answer: roles, atMs: Date.now() } }),
      ...(fleet && current && { fleet: { ...fleet, atMs: Date.now() } }),
    });
    const learning = await learningFigures(
      (part, path) => this.ask(part, path, signal),
      this.store.get().learning,
    );
    if (learning !== undefined)
      this.store.set({ learning: learning === "off" ? undefined : learning });
  }

  private async pollSlow(signal: AbortSignal): Promise<void> {
    const [health, device, deadLetters, mappings] = await Promise.all([
      this.client.getHealth<Health>(signal),
      this.ask<Device>("device", "/v1/device", signal),
      this.ask<Items<DeadLetter>>(
        "dead letters",
        `/v1/queue/dead-letters?limit=${DEAD_LETTERS_SHOWN_MAX}`,
        signal,
      ),
      this.ask<{ readonly broker: Broker }>("broker", "/v1/mqtt/mappings?limit=1", signal),
    ]);
    this.store.set({
      health,
      ...(device && { device }),
      ...(deadLetters && { deadLetters: deadLetters.items }),
      ...(mappings && { broker: mappings.broker }),
    });
  }

  /** One part that answers with an error must not hide the others: it is noted, and undefined returned. */
  private async ask<T>(part: string, path: string, signal: AbortSignal): Promise<T | undefined> {
    try {
      const answer = await this.client.get<T>(path, signal);
      this.fault(part, undefined);
      return answer;
    } catch (error) {
      if (!(error instanceof ProblemError) || error.status === 401) throw error;
      this.fault(part, error.message);
      return undefined;
    }
  }

  fault(part: string, words: string | undefined): void {
    const { faults } = this.store.get();
    if (faults.get(part) === words) return;
    const next = new Map(faults);
    if (words === undefined) next.delete(part);
    else next.set(part, words);
    this.store.set({ faults: next });
  }
}
