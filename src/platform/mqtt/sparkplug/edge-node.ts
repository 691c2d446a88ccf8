import type { OutboundUpdate } from "../../uplink-connection.ts";
import { type PayloadScalar, payloadValues } from "../payload-values.ts";
import {
  Addresses,
  AGENT_STATE,
  type EdgeNodeIdentity,
  isReserved,
  type MetricPlace,
  placeOf,
  REBIRTH,
} from "./addresses.ts";
import type { MetricDeclaration } from "./metric-catalogue.ts";
import { asType, type KnownMetric, MetricCatalogue, noteValue } from "./metric-catalogue.ts";
import { BAD_QUALITY, DataType, encodePayload, type Metric } from "./payload.ts";

/** What an {@link EdgeNode} is and how it names things. */
export interface EdgeNodeOptions extends EdgeNodeIdentity {
  /** Leading levels of a stream that name its device; 0: all metrics are the node's. */
  readonly deviceLevels: number;
  /** Data messages carry numbers for names. */
  readonly aliases: boolean;
  readonly metricsMax: number;
  /** A device that says nothing for this long is dead; 0: devices live as long as the node. */
  readonly deviceSilenceMs: number;
}

/** The two times that a step is told. */
export interface Moment {
  /** Goes into messages; may jump. */
  readonly wallMs: number;
  /** Measures silence. */
  readonly monotonicMs: number;
}

/** A message to publish: QoS 0 and not retained, unless it carries data and the uplink was told otherwise. */
export interface Outgoing {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** Which of the updates handed in this message carries. */
  readonly update?: OutboundUpdate;
}

/** What follows from updates: messages in order, and updates that no message can carry. */
export interface DataEffects {
  readonly publish: readonly Outgoing[];
  readonly refused: readonly { readonly update: OutboundUpdate; readonly reason: string }[];
  /** Metrics that are new or have another type: to be remembered. */
  readonly declared: readonly MetricDeclaration[];
}

interface PlannedValue {
  readonly metric: KnownMetric;
  readonly value: PayloadScalar;
  readonly quality: number | undefined;
}

interface Plan {
  readonly update: OutboundUpdate;
  readonly device: string | undefined;
  readonly values: readonly PlannedValue[];
}

const SEQUENCES = 256;
/** Fixed header, topic length, packet identifier and empty properties of a PUBLISH, at most. */
const PUBLISH_OVERHEAD_BYTES = 16;

/**
 * The life of a Sparkplug B edge node (Sparkplug 3.0 sections 5.4 to 5.12): births, data, deaths, and the
 * sequence number that runs through them. Input in, messages out: no I/O, no clock.
 */
export class EdgeNode {
  readonly #options: EdgeNodeOptions;
  readonly #addresses: Addresses;
  readonly #catalogue: MetricCatalogue;
  readonly #lastHeardMs = new Map<string, number>();
  readonly #alive = new Set<string>();
  #birthSequence = 0;
  #sequence = 0;
  /** Wall time of the connection's first birth: what was observed before waited through an outage. */
  #bornAtMs: number | undefined;

  constructor(options: EdgeNodeOptions) {
    this.#options = options;
    this.#addresses = new Addresses(options);
    // Room for the agent's own state beside what the setting allows.
    this.#catalogue = new MetricCatalogue(options.metricsMax + 1);
    this.#catalogue.admit(undefined, AGENT_STATE, "");
  }

  get born(): boolean {
    return this.#bornAtMs !== undefined;
  }

  /** Takes back a metric that was declared before a restart. */
  restore(declaration: MetricDeclaration): void {
    this.#catalogue.restore(declaration);
  }

  /** A new CONNECT is being made. @returns the death certificate that goes with it as will. */
  connecting(birthSequence: number, now: Moment): Outgoing {
    this.#birthSequence = birthSequence;
    this.#bornAtMs = undefined;
    this.#alive.clear();
    return this.#deathCertificate(now);
  }

  /** The session stands and a host may listen. @returns the first births. */
  birth(now: Moment): readonly Outgoing[] {
    this.#bornAtMs = now.wallMs;
    return this.rebirth(now);
  }

  /** @returns births of the node and all its living devices, numbered from 0. */
  rebirth(now: Moment): readonly Outgoing[] {
    this.#sequence = 0;
    const metrics: Metric[] = [
      control("bdSeq", DataType.Int64, this.#birthSequence, now),
      control(REBIRTH, DataType.Boolean, false, now),
      ...this.#declarations(undefined, now),
    ];
    const node = this.#message(this.#addresses.node("NBIRTH"), chronological(metrics), now);
    this.#alive.clear();
    const devices = this.#catalogue.devices().filter((device) => this.#isHeard(device, now));
    return [node, ...devices.map((device) => this.#deviceBirth(device, now))];
  }

  /** @returns the messages that carry these updates, after whatever births they need. */
  data(updates: readonly OutboundUpdate[], packetBytesMax: number, now: Moment): DataEffects {
    const refused: DataEffects["refused"][number][] = [];
    const declared = new Set<KnownMetric>();
    const plans: Plan[] = [];
    for (const update of updates) {
      const plan = this.#plan(update, declared);
      if (typeof plan === "string") refused.push({ update, reason: plan });
      else plans.push(plan);
    }
    const publish: Outgoing[] = [...this.#birthsFor(plans, declared, now)];
    for (const plan of plans) {
      const message = this.#dataMessage(plan, packetBytesMax, now);
      if (typeof message === "string") refused.push({ update: plan.update, reason: message });
      else publish.push(message);
    }
    return { publish, refused, declared: [...declared] };
  }

  /**
   * Takes note of the agent's state document. Before the birth that is all, since the birth will carry it.
   * @returns a message that tells it to a host that does not have it yet
   */
  state(document: string, now: Moment): Outgoing | undefined {
    const metric = this.#catalogue.find(undefined, AGENT_STATE);
    if (metric === undefined || metric.value === document) return undefined;
    // Not by time, which may have jumped back: the latest word counts.
    metric.value = document;
    metric.observedAtMs = now.wallMs;
    if (!this.born) return undefined;
    const value = { metric, value: document, quality: undefined };
    const metrics = [this.#reported(value, now.wallMs, false)];
    return this.#message(this.#addresses.node("NDATA"), metrics, now);
  }

  /** @returns death certificates of devices that have been silent for too long. */
  silentDevices(now: Moment): readonly Outgoing[] {
    if (!this.born) return [];
    const silent = [...this.#alive].filter((device) => !this.#isHeard(device, now));
    return silent.map((device) => {
      this.#alive.delete(device);
      return this.#message(this.#addresses.device("DDEATH", device), [], now);
    });
  }

  /** An orderly end. @returns the node's death certificate. */
  death(now: Moment): Outgoing {
    this.#bornAtMs = undefined;
    return this.#deathCertificate(now);
  }

  /** @returns the name that a command means by this alias. */
  nameOf(alias: number): string | undefined {
    return this.#catalogue.byAlias(alias)?.name;
  }

  #plan(update: OutboundUpdate, declared: Set<KnownMetric>): Plan | string {
    const place = placeOf(update.stream, this.#options.deviceLevels);
    const { values, malformed } = payloadValues(update);
    const quality = malformed ? BAD_QUALITY : undefined;
    const planned: PlannedValue[] = [];
    for (const { path, value } of values) {
      const name = [place.name, ...path].join("/");
      if (isReserved({ device: place.device, name }))
        return `the metric name ${name} has a meaning of its own in Sparkplug; publish on another topic`;
      const admitted = this.#catalogue.admit(place.device, name, value);
      if (admitted === undefined)
        return `there are ${this.#options.metricsMax} metrics already; raise metricsMax`;
      if (admitted.changed) declared.add(admitted.metric);
      planned.push({ metric: admitted.metric, value, quality });
    }
    if (malformed) planned.push(...this.#unreadable(place));
    return { update, device: place.device, values: planned };
  }

  /** Fields that the stream had before have no value in a payload that does not parse. */
  #unreadable({ device, name }: MetricPlace): PlannedValue[] {
    const fields = [...this.#catalogue.of(device)].filter((metric) =>
      metric.name.startsWith(`${name}/`),
    );
    return fields.map((metric) => ({ metric, value: null, quality: BAD_QUALITY }));
  }

  #birthsFor(
    plans: readonly Plan[],
    declared: ReadonlySet<KnownMetric>,
    now: Moment,
  ): readonly Outgoing[] {
    const devices = new Set<string>();
    for (const { device } of declared) if (device !== undefined) devices.add(device);
    for (const { device } of plans)
      if (device !== undefined) {
        this.#lastHeardMs.set(device, now.monotonicMs);
        if (!this.#alive.has(device)) devices.add(device);
      }
    // Only the node's own birth can declare metrics of the node; it takes its devices with it.
    if ([...declared].some(({ device }) => device === undefined)) return this.rebirth(now);
    return [...devices].map((device) => this.#deviceBirth(device, now));
  }

  #dataMessage({ update, device, values }: Plan, bytesMax: number, now: Moment): Outgoing | string {
    const historical = update.observedAtMs < (this.#bornAtMs ?? 0);
    const topic =
      device === undefined
        ? this.#addresses.node("NDATA")
        : this.#addresses.device("DDATA", device);
    const metrics = values.map((value) => this.#reported(value, update.observedAtMs, historical));
    const before = this.#sequence;
    const message = this.#message(topic, metrics, now);
    const bytes = message.payload.length + Buffer.byteLength(topic) + PUBLISH_OVERHEAD_BYTES;
    if (bytes > bytesMax) {
      // It will not be sent, so its number is still free.
      this.#sequence = before;
      return `a packet of ${bytes} bytes is over the broker's maximum (${bytesMax})`;
    }
    for (const { metric, value, quality } of values)
      noteValue(metric, asType(metric.type, value), update.observedAtMs, quality);
    return { ...message, update };
  }

  #reported(
    { metric, value, quality }: PlannedValue,
    timestampMs: number,
    historical: boolean,
  ): Metric {
    const { name, alias, type } = metric;
    return {
      ...(this.#options.aliases ? { alias } : { name }),
      timestampMs,
      type,
      declared: false,
      historical,
      ...(quality === undefined ? {} : { quality }),
      value: asType(type, value),
    };
  }

  #deviceBirth(device: string, now: Moment): Outgoing {
    this.#alive.add(device);
    const topic = this.#addresses.device("DBIRTH", device);
    return this.#message(topic, chronological(this.#declarations(device, now)), now);
  }

  #declarations(device: string | undefined, now: Moment): Metric[] {
    return Array.from(this.#catalogue.of(device), (metric) => ({
      name: metric.name,
      ...(this.#options.aliases ? { alias: metric.alias } : {}),
      timestampMs: metric.observedAtMs ?? now.wallMs,
      type: metric.type,
      declared: true,
      ...(metric.quality === undefined ? {} : { quality: metric.quality }),
      value: metric.value,
    }));
  }

  #isHeard(device: string, now: Moment): boolean {
    const { deviceSilenceMs } = this.#options;
    if (deviceSilenceMs === 0) return true;
    const heardMs = this.#lastHeardMs.get(device);
    return heardMs !== undefined && now.monotonicMs - heardMs < deviceSilenceMs;
  }

  #message(topic: string, metrics: readonly Metric[], now: Moment): Outgoing {
    const seq = this.#sequence;
    this.#sequence = (seq + 1) % SEQUENCES;
    return { topic, payload: encodePayload({ timestampMs: now.wallMs, metrics, seq }) };
  }

  #deathCertificate(now: Moment): Outgoing {
    const metrics = [control("bdSeq", DataType.Int64, this.#birthSequence, now)];
    return {
      topic: this.#addresses.node("NDEATH"),
      payload: encodePayload({ timestampMs: now.wallMs, metrics }),
    };
  }
}

function control(name: string, type: Metric["type"], value: number | boolean, now: Moment): Metric {
  return { name, timestampMs: now.wallMs, type, declared: true, value };
}

/** Births keep their metrics in order of time (tck-id-operational-behavior-data-publish-nbirth-order). */
function chronological(metrics: readonly Metric[]): readonly Metric[] {
  return metrics.toSorted((left, right) => left.timestampMs - right.timestampMs);
}
