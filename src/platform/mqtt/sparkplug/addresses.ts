/** Who this edge node is; each id goes into topics as it stands. */
export interface EdgeNodeIdentity {
  readonly groupId: string;
  readonly edgeNodeId: string;
}

/** Verbs of messages that an edge node publishes (Sparkplug 3.0 section 4.1.3). */
export type NodeVerb = "NBIRTH" | "NDATA" | "NDEATH";
/** Verbs of messages about a device of its own. */
export type DeviceVerb = "DBIRTH" | "DDATA" | "DDEATH";

const NAMESPACE = "spBv1.0";
/** Names on node level that a stream can not take: the specification's own, and {@link AGENT_STATE}. */
const RESERVED = /^(bdSeq$|Node Control\/|Agent\/State$)/;

/** Name of the metric that carries the agent's state document. */
export const AGENT_STATE = "Agent/State";

/** Name of the metric by which a host asks for births (section 6.4.19). */
export const REBIRTH = "Node Control/Rebirth";

/** Topics of one edge node (section 4.1). */
export class Addresses {
  readonly #identity: EdgeNodeIdentity;

  constructor(identity: EdgeNodeIdentity) {
    this.#identity = identity;
  }

  node(verb: NodeVerb | "NCMD"): string {
    const { groupId, edgeNodeId } = this.#identity;
    return `${NAMESPACE}/${groupId}/${verb}/${edgeNodeId}`;
  }

  device(verb: DeviceVerb | "DCMD", device: string): string {
    const { groupId, edgeNodeId } = this.#identity;
    return `${NAMESPACE}/${groupId}/${verb}/${edgeNodeId}/${device}`;
  }

  /** @returns the device of a DCMD topic, undefined for NCMD, or null for any other topic. */
  commandTarget(topic: string): string | undefined | null {
    if (topic === this.node("NCMD")) return undefined;
    const prefix = this.device("DCMD", "");
    const device = topic.slice(prefix.length);
    return topic.startsWith(prefix) && device !== "" && !device.includes("/") ? device : null;
  }
}

/** @returns the topic on which a host application says whether it is there (section 4.3). */
export function stateTopic(hostId: string): string {
  return `${NAMESPACE}/STATE/${hostId}`;
}

/** Where a stream's values are reported. */
export interface MetricPlace {
  /** Undefined: on the node itself. */
  readonly device: string | undefined;
  /** Metric name, or what the field names are appended to. */
  readonly name: string;
}

/**
 * Maps a stream to where its metrics stand.
 *
 * @param deviceLevels how many leading levels of the stream name the device; 0, or a stream that has no more
 * levels than that, puts it on the node
 */
export function placeOf(stream: string, deviceLevels: number): MetricPlace {
  const levels = stream.split("/");
  if (deviceLevels === 0 || levels.length <= deviceLevels)
    return { device: undefined, name: stream };
  // A device id may not contain a slash (section 4.2.2.1); a colon that was there is told from ours.
  const device = levels
    .slice(0, deviceLevels)
    .map((level) => level.replace(/[%:]/g, (char) => (char === "%" ? "%25" : "%3A")))
    .join(":");
  const name = levels.slice(deviceLevels).join("/");
  // An empty id or name would make a topic with an empty level, or a metric that nobody can address.
  return device === "" || name === "" ? { device: undefined, name: stream } : { device, name };
}

/** @returns the stream that {@link placeOf} maps to this place. */
export function streamOf({ device, name }: MetricPlace): string {
  if (device === undefined) return name;
  const levels = device
    .split(":")
    .map((level) => level.replace(/%3A|%25/g, (code) => (code === "%25" ? "%" : ":")));
  return `${levels.join("/")}/${name}`;
}

/** @returns whether no stream may take this name. */
export function isReserved({ device, name }: MetricPlace): boolean {
  return device === undefined && RESERVED.test(name);
}
