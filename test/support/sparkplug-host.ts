import { createRequire } from "node:module";
import mqtt, { type MqttClient } from "mqtt";
import { get as tahu } from "sparkplug-payload";
import type { Test } from "tap";
import { eventually } from "./mosquitto.ts";

// Eclipse Tahu's own encoder and decoder. The messages themselves are reached through its generated module, since
// its reader of payloads knows no data metrics: those carry no type.
const load = createRequire(import.meta.url);
const proto = load("sparkplug-payload/lib/sparkplugPayloadProto.js") as {
  org: { eclipse: { tahu: { protobuf: { Payload: { decode(bytes: Uint8Array): RawPayload } } } } };
};

interface RawMetric {
  readonly name?: string;
  readonly alias?: object;
  readonly timestamp?: object;
  readonly datatype?: number;
  readonly isHistorical?: boolean;
  readonly isNull?: boolean;
  readonly value?: string;
  readonly properties?: { readonly keys: string[]; readonly values: { intValue?: number }[] };
}

interface RawPayload {
  readonly timestamp?: object;
  readonly seq?: object;
  readonly metrics: readonly RawMetric[];
}

/** A metric as Tahu's decoder reads it; `field` is the wire field that its value came in. */
export interface SeenMetric {
  readonly name?: string;
  readonly alias?: number;
  readonly timestampMs?: number;
  readonly datatype?: number;
  readonly historical: boolean;
  readonly isNull: boolean;
  readonly quality?: number;
  readonly field?: string;
  readonly value: unknown;
}

/** A message as Tahu's decoder reads it. */
export interface SeenPayload {
  readonly timestampMs?: number;
  readonly seq?: number;
  readonly metrics: readonly SeenMetric[];
}

const has = (object: object, key: string): boolean => Object.hasOwn(object, key);
const numberOf = (value: unknown): number => Number(String(value));

/** Reads a payload with a decoder that was not written here. */
export function decode(bytes: Uint8Array): SeenPayload {
  const raw = proto.org.eclipse.tahu.protobuf.Payload.decode(bytes);
  return {
    ...(has(raw, "timestamp") ? { timestampMs: numberOf(raw.timestamp) } : {}),
    ...(has(raw, "seq") ? { seq: numberOf(raw.seq) } : {}),
    metrics: raw.metrics.map((metric) => {
      const field = metric.value;
      const value = field === undefined ? null : (metric as Record<string, unknown>)[field];
      const quality = metric.properties?.values[metric.properties.keys.indexOf("Quality")];
      return {
        ...(has(metric, "name") ? { name: metric.name ?? "" } : {}),
        ...(has(metric, "alias") ? { alias: numberOf(metric.alias) } : {}),
        ...(has(metric, "timestamp") ? { timestampMs: numberOf(metric.timestamp) } : {}),
        ...(has(metric, "datatype") ? { datatype: metric.datatype ?? 0 } : {}),
        ...(quality?.intValue === undefined ? {} : { quality: quality.intValue }),
        ...(field === undefined ? {} : { field }),
        historical: metric.isHistorical === true,
        isNull: metric.isNull === true,
        value: field === "longValue" ? numberOf(value) : value,
      };
    }),
  };
}

/** @returns a command as Tahu's encoder writes it. */
export function encodeCommand(
  metrics: readonly { name?: string; alias?: number; type: string; value: unknown }[],
): Buffer {
  const codec = tahu("spBv1.0");
  if (codec === null) throw new Error("Tahu knows no spBv1.0");
  const stamped = metrics.map((metric) => ({ ...metric, timestamp: Date.now() }));
  return Buffer.from(codec.encodePayload({ timestamp: Date.now(), metrics: stamped } as never));
}

/** A message that a {@link SparkplugHost} received. */
export interface Seen {
  readonly verb: string;
  readonly device?: string;
  readonly qos: number;
  readonly retain: boolean;
  readonly payload: SeenPayload;
}

const GROUP = "plant";
const NODE = "edge-1";

/** A Sparkplug host application: it listens to one edge node, checks its numbers, and commands it. */
export class SparkplugHost {
  readonly #client: MqttClient;
  readonly #hostId: string;
  readonly #startedMs = Date.now();
  readonly seen: Seen[] = [];
  /** What a host must not see: a number out of order, data before a birth, a metric that nobody declared. */
  readonly faults: string[] = [];
  #expected: number | undefined;
  #birthSequence: number | undefined;
  readonly #declared = new Set<string>();
  #subscribed = false;
  #marks = 0;
  #markSeen = 0;

  private constructor(client: MqttClient, hostId: string) {
    this.#client = client;
    this.#hostId = hostId;
  }

  /** Connects and subscribes; it comes back by itself when the broker does. */
  static async connect(t: Test, url: string, hostId = "scada"): Promise<SparkplugHost> {
    const client = mqtt.connect(url, { reconnectPeriod: 50, protocolVersion: 4 });
    client.on("error", () => undefined);
    const host = new SparkplugHost(client, hostId);
    t.teardown(() => client.end(true));
    client.on("message", (topic, payload, { qos, retain }) =>
      host.#take(topic, payload, qos, retain),
    );
    client.on("close", () => {
      host.#subscribed = false;
    });
    client.on("connect", () => {
      client.subscribe(`spBv1.0/${GROUP}/+/${NODE}/#`, { qos: 1 }, (error) => {
        host.#subscribed = error === null;
      });
    });
    await host.listening();
    return host;
  }

  /** Waits until the broker has granted the subscription. */
  listening(): Promise<void> {
    return eventually(() => this.#subscribed, "the host's subscription");
  }

  /** Waits until everything that the broker had read by now has arrived. */
  async caughtUp(): Promise<void> {
    const mark = String(++this.#marks);
    await this.#client.publishAsync(`spBv1.0/${GROUP}/MARK/${NODE}`, mark, { qos: 1 });
    await eventually(() => this.#markSeen >= Number(mark), "the host's mark");
  }

  of(verb: string): readonly Seen[] {
    return this.seen.filter((message) => message.verb === verb);
  }

  /** Values of a metric in data messages, in order of arrival. */
  values(name: string): readonly SeenMetric[] {
    return this.seen
      .filter(({ verb }) => verb.endsWith("DATA"))
      .flatMap(({ payload }) => payload.metrics.filter((metric) => metric.name === name));
  }

  rebirth(): void {
    this.command("NCMD", [{ name: "Node Control/Rebirth", type: "Boolean", value: true }]);
  }

  command(verb: "NCMD" | "DCMD", metrics: Parameters<typeof encodeCommand>[0], device?: string) {
    const topic = `spBv1.0/${GROUP}/${verb}/${NODE}${device === undefined ? "" : `/${device}`}`;
    this.#client.publish(topic, encodeCommand(metrics), { qos: 0 });
  }

  raw(topic: string, payload: Buffer | string): void {
    this.#client.publish(topic, payload, { qos: 0 });
  }

  /** Says on STATE whether this host is there. */
  state(online: boolean, timestampMs = this.#startedMs): Promise<void> {
    const payload = JSON.stringify({ online, timestamp: timestampMs });
    return new Promise((resolve) => {
      const topic = `spBv1.0/STATE/${this.#hostId}`;
      this.#client.publish(topic, payload, { qos: 1, retain: true }, () => resolve());
    });
  }

  async stop(): Promise<void> {
    await this.#client.endAsync(true);
  }

  #take(topic: string, bytes: Uint8Array, qos: number, retain: boolean): void {
    const [, , verb = "", , device] = topic.split("/");
    if (verb === "MARK") this.#markSeen = Number(Buffer.from(bytes).toString());
    if (verb === "MARK" || verb.endsWith("CMD")) return;
    const payload = decode(bytes);
    this.seen.push({ verb, ...(device === undefined ? {} : { device }), qos, retain, payload });
    this.#check(verb, device, payload);
  }

  #check(verb: string, device: string | undefined, { seq, metrics }: SeenPayload): void {
    const fault = (words: string): void => {
      this.faults.push(`${verb} ${device ?? ""} seq ${seq}: ${words}`);
    };
    const birthSequence = metrics.find(({ name }) => name === "bdSeq")?.value;
    if (verb === "NDEATH") {
      if (seq !== undefined) fault("a node's death has no sequence number");
      if (this.#birthSequence !== undefined && birthSequence !== this.#birthSequence)
        fault(`bdSeq ${String(birthSequence)} after a birth with ${this.#birthSequence}`);
      this.#expected = undefined;
      return;
    }
    if (verb === "NBIRTH") {
      if (seq !== 0) fault("a node's birth has sequence number 0");
      this.#birthSequence = Number(birthSequence);
      this.#declared.clear();
    } else if (seq !== this.#expected) fault(`expected ${this.#expected}`);
    this.#expected = ((seq ?? 0) + 1) % 256;
    for (const { name, alias } of metrics) {
      const keys = [`${device}|${name}`, `${device}|#${alias}`];
      if (verb.endsWith("BIRTH")) for (const key of keys) this.#declared.add(key);
      else if (!keys.some((key) => this.#declared.has(key))) fault(`${name ?? alias} not declared`);
    }
  }
}
