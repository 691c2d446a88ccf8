import type { Clock } from "../../clock.ts";
import type { KeyValueStore, StoreOperation } from "../../key-value-store.ts";
import type { Logger } from "../../logger.ts";
import type { OutboundUpdate } from "../../uplink-connection.ts";
import { payloadValues } from "../payload-values.ts";
import {
  type DiscoveryMessage,
  discoveryMessage,
  discoveryTopic,
  type Entity,
  type HomeAssistantDevice,
  type HomeAssistantWire,
  kindOf,
} from "./entity.ts";

/** Settings and ground of an {@link Announcer}. */
export interface AnnouncerParts {
  /** When false, what was announced before is taken back. */
  readonly enabled: boolean;
  readonly prefix: string;
  readonly entitiesMax: number;
  /** A stream of which nothing was sent for so long loses its entities; 0: never. */
  readonly forgetAfterDays: number;
  readonly uplinkName: string;
  readonly device: HomeAssistantDevice;
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The entities of one stream, as kept in the store. */
interface StreamRecord {
  readonly entities: Entity[];
  /** Under which prefix they were announced. */
  prefix: string;
  /** Day of the latest update, by the wall clock; undefined while that could not be trusted. */
  seenOnDay: number | undefined;
  /** Updates since this process began. */
  updates: number;
}

/** Where to publish, while there is a connection. */
export interface AnnouncerConnection {
  readonly topicPrefix: string;
  readonly enveloped: boolean;
  publishRetained(message: DiscoveryMessage): void;
}

const DAY_MS = 86_400_000;
/** Payloads are looked at for new fields at first and then now and then: it costs a parse. */
const LOOKS_AT_FIRST = 3;
const LOOK_EVERY = 100;
/** Streams that are looked at; more than any setting of entities could show. */
const STREAMS_MAX = 10_000;

/**
 * Tells Home Assistant of every value that goes out over an MQTT uplink (Home Assistant, MQTT discovery): one
 * retained message per value, again after every connect and whenever Home Assistant says that it has started,
 * and an empty one when a stream is gone. What was announced is kept in the store, so that it can be taken back.
 */
export class Announcer {
  readonly #parts: AnnouncerParts;
  readonly #records = new Map<string, StreamRecord>();
  #loaded: Promise<void> | undefined;
  #connection: AnnouncerConnection | undefined;
  #entities = 0;
  #toldFull = false;
  #day: number | undefined;

  constructor(parts: AnnouncerParts) {
    this.#parts = parts;
  }

  /** Topic on which Home Assistant says that it has started; undefined when nobody needs to listen. */
  get statusTopic(): string | undefined {
    return this.#parts.enabled ? `${this.#parts.prefix}/status` : undefined;
  }

  /** A connection stands: everything is told again, since the broker may have forgotten. */
  connected(connection: AnnouncerConnection): void {
    this.#connection = connection;
    this.#loaded ??= this.#load();
    this.#loaded.then(
      () => this.#tellAll(),
      (error: unknown) => {
        this.#loaded = undefined;
        this.#parts.logger.warn("could not read what Home Assistant was told", {
          reason: String(error),
        });
      },
    );
  }

  disconnected(): void {
    this.#connection = undefined;
  }

  /** Home Assistant's birth or last will came. */
  heard(payload: Uint8Array): void {
    if (Buffer.from(payload).toString("utf8") === "online") this.#tellAll();
  }

  /** An update goes out: its values become entities. */
  saw(update: OutboundUpdate): void {
    const record = this.#parts.enabled ? this.#recordOf(update.stream) : undefined;
    if (record === undefined) return;
    const count = record.updates++;
    if (count >= LOOKS_AT_FIRST && count % LOOK_EVERY !== 0) return;
    const found = this.#newEntities(update, record.entities);
    const today = this.#today();
    if (found.length === 0 && record.seenOnDay === today) return;
    record.seenOnDay = today;
    record.entities.push(...found);
    this.#entities += found.length;
    if (record.entities.length > 0) this.#keep(update.stream, record);
    for (const entity of found) this.#tell(entity);
    if (this.#day !== today) this.#takeBackOld();
    this.#day = today;
  }

  #recordOf(stream: string): StreamRecord | undefined {
    const known = this.#records.get(stream);
    if (known !== undefined || this.#records.size >= STREAMS_MAX) return known;
    const { prefix } = this.#parts;
    const record = { entities: [], prefix, seenOnDay: undefined, updates: 0 };
    this.#records.set(stream, record);
    return record;
  }

  #newEntities(update: OutboundUpdate, known: readonly Entity[]): Entity[] {
    const { stream, contentType } = update;
    const json = contentType === "application/json";
    const { values, malformed } = payloadValues(update);
    // What else is JSON travels as text within an envelope, where a template could not reach its fields.
    if (malformed || !(json || contentType.startsWith("text/"))) return [];
    const found: Entity[] = [];
    for (const { path, value } of values) {
      const kind = kindOf(value);
      const isKnown = [...known, ...found].some((entity) => samePath(entity.path, path));
      if (kind === undefined || isKnown) continue;
      if (this.#entities + found.length >= this.#parts.entitiesMax) {
        this.#tellFull(stream);
        break;
      }
      found.push({ stream, path, kind, json });
    }
    return found;
  }

  #tellFull(stream: string): void {
    if (this.#toldFull) return;
    this.#toldFull = true;
    const { entitiesMax, uplinkName, logger } = this.#parts;
    logger.warn("no more Home Assistant entities; raise homeAssistant.entitiesMax", {
      uplink: uplinkName,
      entitiesMax,
      stream,
    });
  }

  #tellAll(): void {
    const { prefix } = this.#parts;
    this.#takeBackOld();
    for (const [stream, record] of this.#records) {
      if (record.prefix !== prefix && this.#connection !== undefined) {
        this.#silence(record);
        record.prefix = prefix;
        this.#keep(stream, record);
      }
      for (const entity of record.entities) this.#tell(entity);
    }
  }

  #takeBackOld(): void {
    const { enabled, forgetAfterDays } = this.#parts;
    const today = this.#today();
    for (const [stream, record] of this.#records) {
      const { seenOnDay } = record;
      const old =
        forgetAfterDays > 0 &&
        today !== undefined &&
        seenOnDay !== undefined &&
        today - seenOnDay > forgetAfterDays;
      if (old || !enabled) this.#takeBack(stream, record);
    }
  }

  #takeBack(stream: string, record: StreamRecord): void {
    if (this.#connection === undefined) return;
    this.#silence(record);
    this.#records.delete(stream);
    this.#entities -= record.entities.length;
    this.#write([{ type: "del", key: this.#key(stream) }]);
  }

  /** Empty retained messages where the entities were announced. */
  #silence({ entities, prefix }: StreamRecord): void {
    for (const entity of entities) {
      const topic = discoveryTopic(entity, prefix, this.#parts.device.agentId);
      this.#connection?.publishRetained({ topic, payload: "" });
    }
  }

  #tell(entity: Entity): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    const { topicPrefix, enveloped } = connection;
    const wire: HomeAssistantWire = { prefix: this.#parts.prefix, topicPrefix, enveloped };
    connection.publishRetained(discoveryMessage(entity, this.#parts.device, wire));
  }

  /** A clock that is not trusted makes nothing look old. */
  #today(): number | undefined {
    const { clock } = this.#parts;
    return clock.wallTrusted() ? Math.floor(clock.wallMs() / DAY_MS) : undefined;
  }

  async #load(): Promise<void> {
    const prefix = this.#key("");
    const { store, entitiesMax } = this.#parts;
    const entries = await store.range({ gte: prefix, lt: `${prefix}~`, limit: entitiesMax });
    for (const [key, value] of entries) {
      const stream = decodeURIComponent(key.slice(prefix.length));
      const record = parsed(stream, value);
      if (record === undefined || this.#records.has(stream)) continue;
      this.#records.set(stream, record);
      this.#entities += record.entities.length;
    }
  }

  #keep(stream: string, { entities, prefix, seenOnDay }: StreamRecord): void {
    const kept = entities.map(({ path, kind, json }) => ({ path, kind, json }));
    const value = Buffer.from(JSON.stringify({ prefix, seenOnDay, entities: kept }));
    this.#write([{ type: "put", key: this.#key(stream), value }]);
  }

  #write(operations: readonly StoreOperation[]): void {
    const { store, logger } = this.#parts;
    store
      .write(operations, { durable: false })
      .catch((error: unknown) =>
        logger.warn("could not keep what Home Assistant was told", { reason: String(error) }),
      );
  }

  /** Keys are ASCII; a name with half a surrogate pair has no such form and loses it. */
  #key(stream: string): string {
    return `u/home-assistant/${this.#parts.uplinkName}/${encodeURIComponent(stream.toWellFormed()).replaceAll("~", "%7E")}`;
  }
}

function samePath(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((step, n) => step === right[n]);
}

function parsed(stream: string, value: Uint8Array): StreamRecord | undefined {
  try {
    const kept = JSON.parse(Buffer.from(value).toString("utf8")) as Pick<
      StreamRecord,
      "entities" | "prefix" | "seenOnDay"
    >;
    const entities = kept.entities.map((entity) => ({ ...entity, stream }));
    return { entities, prefix: kept.prefix, seenOnDay: kept.seenOnDay, updates: 0 };
  } catch {
    // A record that a crash has damaged is made again when the stream speaks.
    return undefined;
  }
}
