import mqtt, { type IPublishPacket, type MqttClient } from "mqtt";

/** An update as it reached the upstream broker. */
export interface Arrival {
  readonly id: string;
  readonly stream: string;
  readonly sequence: number;
  readonly payload: string;
}

/**
 * Sees everything that an upstream broker takes from agents. It subscribes with QoS 0: Mosquitto writes such
 * a message to its subscribers before it acknowledges it to the publisher, so that nothing acknowledged is
 * missed even when Mosquitto is killed.
 */
export class RoadObserver {
  readonly arrivals: Arrival[] = [];
  #client: MqttClient | undefined;

  /** Subscribes; to be called again after the broker was gone. */
  async attach(port: number, filter = "agent-mesh/#"): Promise<void> {
    const url = `mqtt://127.0.0.1:${port}`;
    const client = mqtt.connect(url, { protocolVersion: 5, reconnectPeriod: 0 });
    this.#client = client;
    client.on("error", () => undefined);
    client.on("message", (topic, payload, packet) => {
      if (!topic.includes("$")) this.arrivals.push(arrivalOf(payload, packet));
    });
    await new Promise<void>((done, fail) => {
      client.once("connect", () => done());
      client.once("close", () => fail(new Error("the observer was not let in")));
    });
    await client.subscribeAsync(filter, { qos: 0 });
  }

  async detach(): Promise<void> {
    await this.#client?.endAsync(true);
  }

  /** First arrivals of each id, in the order in which they came. */
  distinct(): Arrival[] {
    const seen = new Set<string>();
    return this.arrivals.filter(({ id }) => !seen.has(id) && seen.add(id));
  }
}

/** With MQTT 5 the id travels in user properties; otherwise in a JSON envelope. */
function arrivalOf(payload: Buffer, { properties }: IPublishPacket): Arrival {
  const user = properties?.userProperties;
  if (user === undefined) {
    const envelope = JSON.parse(payload.toString()) as Omit<Arrival, "payload"> & {
      payload: unknown;
    };
    return { ...envelope, payload: String(envelope.payload) };
  }
  return {
    id: String(user["id"]),
    stream: String(user["stream"]),
    sequence: Number(user["sequence"]),
    payload: payload.toString(),
  };
}

/** What is wrong with a run. All lists are empty and all counts 0 when all is well. */
export interface RoadFaults {
  /** Acknowledged to the publisher, and not arrived. */
  readonly lost: readonly number[];
  /** Ids that do not follow the one before them in their stream. */
  readonly disordered: readonly string[];
  /** Published numbers whose first arrival came after that of a later one of their stream. */
  readonly overtaken: readonly string[];
}

/** Compares what was acknowledged with what arrived, each id counted once. */
export function roadFaults(
  acknowledged: Iterable<number>,
  distinct: readonly Arrival[],
): RoadFaults {
  const arrived = new Set(distinct.map(({ payload }) => Number(payload)));
  const lastSequence = new Map<string, number>();
  const highest = new Map<string, number>();
  const disordered: string[] = [];
  const overtaken: string[] = [];
  const seen = new Set<number>();
  for (const { id, stream, sequence, payload } of distinct) {
    if (sequence !== (lastSequence.get(stream) ?? 0) + 1) disordered.push(id);
    lastSequence.set(stream, sequence);
    const number = Number(payload);
    if (!seen.has(number) && number < (highest.get(stream) ?? -1)) overtaken.push(id);
    seen.add(number);
    highest.set(stream, Math.max(number, highest.get(stream) ?? -1));
  }
  return {
    lost: [...acknowledged].filter((number) => !arrived.has(number)).slice(0, 20),
    disordered: disordered.slice(0, 20),
    overtaken: overtaken.slice(0, 20),
  };
}
