import { Clone, Default } from "typebox/value";
import { describeFaults } from "../device/schema-faults.ts";
import { crossFaults } from "./cross-faults.ts";
import { type Config, configSchema } from "./schema.ts";

/** The configuration can not be used; `message` names every key and what to do about it. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly code = "config.invalid";
  readonly faults: readonly string[];
  constructor(source: string, faults: readonly string[]) {
    super([`${source} can not be used:`, ...faults.map((fault) => `  ${fault}`)].join("\n"));
    this.faults = faults;
  }
}

/** Where settings come from; later ones win over earlier ones. */
export interface ConfigLayers {
  /** A parsed YAML document, with the name of its file for messages. */
  readonly file?: { readonly name: string; readonly document: unknown };
  /** The process environment; `AGENT_MESH__A__B` is `a.b`. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** `key=value`, from the command line. */
  readonly sets?: readonly string[];
}

const ENVIRONMENT_PREFIX = "AGENT_MESH__";

/**
 * Puts the layers together, fills in defaults and checks everything.
 * @throws ConfigError naming every unknown or wrong key, with the nearest known one.
 */
export function resolveConfig(layers: ConfigLayers): Config {
  const names: string[] = [];
  const document = startingDocument(layers, names);
  for (const [name, value] of Object.entries(layers.environment ?? {})) {
    if (!name.startsWith(ENVIRONMENT_PREFIX) || value === undefined) continue;
    const path = name.slice(ENVIRONMENT_PREFIX.length).split("__").map(fromScreamingCase);
    setAt(document, path, value, name);
    names.push(name);
  }
  for (const set of layers.sets ?? []) {
    const at = set.indexOf("=");
    if (at <= 0) throw new ConfigError("--set", [`"${set}" is not key=value`]);
    // The value stays out of messages: it may be a password.
    const source = `--set ${set.slice(0, at)}`;
    setAt(document, set.slice(0, at).split("."), set.slice(at + 1), source);
    names.push(source);
  }
  switchMeshOn(document);
  const filled: unknown = Default(configSchema, document);
  const source = names.length === 0 ? "the configuration" : names.join(", ");
  const faults = describeFaults(configSchema, filled);
  if (faults.length > 0) throw new ConfigError(source, faults);
  const config = filled as Config;
  const contradictions = crossFaults(config);
  if (contradictions.length > 0) throw new ConfigError(source, contradictions);
  return config;
}

/** Whoever sets anything of the mesh wants it, unless `mesh.enabled` says otherwise. */
function switchMeshOn(document: Record<string, unknown>): void {
  const { mesh } = document;
  if (typeof mesh !== "object" || mesh === null || Array.isArray(mesh)) return;
  const settings = mesh as Record<string, unknown>;
  if (!("enabled" in settings)) settings["enabled"] = Object.keys(settings).length > 0;
}

function startingDocument(layers: ConfigLayers, names: string[]): Record<string, unknown> {
  if (layers.file === undefined) return {};
  const { name, document } = layers.file;
  names.push(name);
  // An empty file is a configuration that leaves everything as it is.
  if (document === null || document === undefined) return {};
  if (typeof document !== "object" || Array.isArray(document))
    throw new ConfigError(name, ["it must hold keys and values, such as `api: { port: 8080 }`"]);
  return Clone(document as Record<string, unknown>);
}

function setAt(
  document: Record<string, unknown>,
  path: readonly string[],
  text: string,
  source: string,
): void {
  let node: Record<string, unknown> | unknown[] = document;
  for (const [depth, key] of path.slice(0, -1).entries()) {
    const next = read(node, key) ?? (/^\d+$/.test(path[depth + 1] ?? "") ? [] : {});
    if (typeof next !== "object" || next === null)
      throw new ConfigError(source, [`${path.slice(0, depth + 1).join(".")} has no keys below it`]);
    write(node, key, next, source);
    node = next as Record<string, unknown> | unknown[];
  }
  write(node, path.at(-1) ?? "", valueOf(text, path), source);
}

function read(node: Record<string, unknown> | unknown[], key: string): unknown {
  if (Array.isArray(node)) return node[Number(key)];
  return Object.hasOwn(node, key) ? node[key] : undefined;
}

function write(
  node: Record<string, unknown> | unknown[],
  key: string,
  value: unknown,
  source: string,
): void {
  if (["__proto__", "constructor", "prototype", ""].includes(key))
    throw new ConfigError(source, [`"${key}" can not be a key`]);
  if (!Array.isArray(node)) {
    node[key] = value;
    return;
  }
  if (!/^\d{1,4}$/.test(key))
    throw new ConfigError(source, [`"${key}" must be the number of a list's entry, from 0`]);
  node[Number(key)] = value;
}

interface SchemaNode {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>;
  readonly anyOf?: readonly SchemaNode[];
}

/** Text stays text where the schema wants it; otherwise it is read as JSON, and as text if it is none. */
function valueOf(text: string, path: readonly string[]): unknown {
  const nodes = path.reduce<readonly SchemaNode[]>(below, [configSchema]);
  if (nodes.some(({ type, enum: texts }) => type === "string" || texts?.includes(text) === true))
    return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** One step down; where there are alternatives, into each that has the key. */
function below(nodes: readonly SchemaNode[], key: string): readonly SchemaNode[] {
  return nodes
    .flatMap(
      ({ properties, items, patternProperties }) =>
        properties?.[key] ?? items ?? Object.values(patternProperties ?? {}),
    )
    .flatMap((node) => [node, ...(node.anyOf ?? [])]);
}

/** `BYTES_MAX` is `bytesMax`; a name that has lower case letters already stays as it is. */
function fromScreamingCase(name: string): string {
  if (/[a-z]/.test(name)) return name;
  return name.toLowerCase().replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
