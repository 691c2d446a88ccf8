import type { PayloadScalar } from "../payload-values.ts";
import { guessClass } from "./sensor-classes.ts";

/** What Home Assistant makes of a value: a sensor with a number or a text, or a binary sensor. */
export type EntityKind = "number" | "text" | "boolean";

/** A value of a stream that Home Assistant shall show. */
export interface Entity {
  readonly stream: string;
  /** Where in a JSON payload the value stands; empty for a payload that is one value. */
  readonly path: readonly string[];
  readonly kind: EntityKind;
  /** False where the payload is plain text. */
  readonly json: boolean;
}

/** The device that all entities of an agent belong to. */
export interface HomeAssistantDevice {
  readonly agentId: string;
  readonly manufacturer?: string | undefined;
  readonly model?: string | undefined;
  readonly serial?: string | undefined;
  readonly version: string;
}

/** How the uplink sends what the entities are made of. */
export interface HomeAssistantWire {
  /** Discovery prefix, `homeassistant` unless Home Assistant was told another one. */
  readonly prefix: string;
  /** Goes in front of the stream, with its slash. */
  readonly topicPrefix: string;
  /** True where payloads travel within a JSON envelope. */
  readonly enveloped: boolean;
}

/** A retained message; an empty payload takes an entity away. */
export interface DiscoveryMessage {
  readonly topic: string;
  readonly payload: string;
}

/** What Home Assistant allows in the ids of a discovery topic. */
const NOT_IN_IDS = /[^a-zA-Z0-9_-]/g;
const ID_LENGTH_MAX = 96;
/** The longest state that Home Assistant takes. */
const STATE_LENGTH_MAX = 255;

const MANUFACTURERS: Readonly<Record<string, string>> = {
  raspberrypi: "Raspberry Pi",
  nvidia: "NVIDIA",
};

/** @returns who made the device, from the vendor in its device tree's `compatible` list. */
export function manufacturerOf(compatible: readonly string[]): string | undefined {
  const vendor = compatible[0]?.split(",", 1)[0];
  return vendor === undefined || vendor === "" ? undefined : (MANUFACTURERS[vendor] ?? vendor);
}

/** @returns what kind of entity shows this value, or undefined for null and bytes, which none can show. */
export function kindOf(value: PayloadScalar): EntityKind | undefined {
  if (typeof value === "number") return "number";
  if (typeof value === "boolean") return "boolean";
  return typeof value === "string" ? "text" : undefined;
}

/** @returns the topic on which an entity is configured (Home Assistant, MQTT discovery, discovery topic). */
export function discoveryTopic(entity: Entity, prefix: string, agentId: string): string {
  const component = entity.kind === "boolean" ? "binary_sensor" : "sensor";
  return `${prefix}/${component}/${safeId(agentId)}/${objectId(entity)}/config`;
}

/** @returns the retained message that makes Home Assistant show the entity. */
export function discoveryMessage(
  entity: Entity,
  device: HomeAssistantDevice,
  wire: HomeAssistantWire,
): DiscoveryMessage {
  const { agentId, manufacturer, model, serial, version } = device;
  const name = [entity.stream, ...entity.path].join(" ");
  const config = {
    name,
    unique_id: `agent-mesh_${safeId(agentId)}_${objectId(entity)}`,
    state_topic: `${wire.topicPrefix}${entity.stream}`,
    value_template: valueTemplate(entity, wire.enveloped),
    qos: 1,
    ...(entity.kind === "number" ? guessClass(entity.path.at(-1) ?? lastLevel(entity.stream)) : {}),
    availability: [
      // An agent that sleeps between its transmissions is as available as ever.
      {
        topic: `${wire.topicPrefix}$state`,
        value_template: "{{ 'offline' if value_json.state == 'offline' else 'online' }}",
      },
    ],
    device: {
      identifiers: [`agent-mesh_${agentId}`],
      name: agentId,
      ...(manufacturer === undefined ? {} : { manufacturer }),
      ...(model === undefined ? {} : { model }),
      ...(serial === undefined ? {} : { serial_number: serial }),
      sw_version: version,
    },
    origin: { name: "Agent Mesh", sw_version: version },
  };
  return { topic: discoveryTopic(entity, wire.prefix, agentId), payload: JSON.stringify(config) };
}

/** @returns a Jinja template that takes the value out of what the uplink really sends. */
function valueTemplate({ path, kind, json }: Entity, enveloped: boolean): string {
  const inJson = json || enveloped;
  const steps = [...(enveloped ? ["payload"] : []), ...path];
  const value = inJson ? `value_json${steps.map((step) => `[${quoted(step)}]`).join("")}` : "value";
  if (kind === "boolean") {
    const truth = json ? value : `${value} == 'true'`;
    return `{{ 'ON' if ${truth} else 'OFF' }}`;
  }
  if (kind === "text") return `{{ (${value} | default('') | string)[:${STATE_LENGTH_MAX}] }}`;
  // An empty state is one that Home Assistant passes over: the field was not in this payload.
  return `{{ ${value} | default('') }}`;
}

/** A name as a string literal of Jinja; braces can not end the template from within it. */
function quoted(name: string): string {
  const escaped = name.replace(
    /[\\'"{}%#\p{Cc}]/gu,
    (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  return `'${escaped}'`;
}

function objectId({ stream, path }: Entity): string {
  return safeId([stream, ...path].join("/"));
}

/** Two names that would look the same are told apart by a digest of what they were. */
function safeId(name: string): string {
  const safe = name.replaceAll("/", "_").replace(NOT_IN_IDS, "-");
  if (safe === name && safe.length <= ID_LENGTH_MAX) return safe;
  return `${safe.slice(0, ID_LENGTH_MAX - 9)}_${digest(name)}`;
}

/** FNV-1a, 32 bits: short and the same everywhere. */
function digest(text: string): string {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text, "utf8")) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, "0");
}

function lastLevel(stream: string): string {
  return stream.slice(stream.lastIndexOf("/") + 1);
}
