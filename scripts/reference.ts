/**
 * Writes docs/configuration.md from the configuration's own schema.
 * With --check it writes nothing, and exits 1 when the file is not what it would write.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { configSchema } from "../src/config/schema.ts";
import { markdownTable } from "./markdown-table.ts";

const root = resolve(import.meta.dirname, "..");

interface SchemaNode {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly default?: unknown;
  readonly description?: string;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>;
  readonly anyOf?: readonly SchemaNode[];
}

interface Key {
  readonly path: string;
  readonly node: SchemaNode;
  readonly required: boolean;
}

const code = (value: unknown): string =>
  `\`${typeof value === "string" ? value : JSON.stringify(value)}\``;

/** A choice as it is written in YAML, where a bare 5 would be a number. */
const choice = (value: unknown): string =>
  code(typeof value === "string" && Number.isFinite(Number(value)) ? `"${value}"` : value);

const digits = (value: number): string => value.toLocaleString("en");

function range(node: SchemaNode): string {
  const { minimum, exclusiveMinimum, maximum } = node;
  if (exclusiveMinimum !== undefined && maximum !== undefined)
    return `, over ${digits(exclusiveMinimum)}, up to ${digits(maximum)}`;
  if (minimum !== undefined && maximum !== undefined)
    return `, ${digits(minimum)} to ${digits(maximum)}`;
  if (minimum !== undefined) return `, from ${digits(minimum)}`;
  if (maximum !== undefined) return `, up to ${digits(maximum)}`;
  return "";
}

function entries({ minItems, maxItems }: SchemaNode): string {
  if (minItems !== undefined && minItems === maxItems) return `${minItems} of: `;
  return maxItems === undefined ? "" : `up to ${digits(maxItems)} `;
}

/** What may be said, in words: `integer, 0 to 65,535`. @throws Error for a schema it has no words for. */
function allowed(node: SchemaNode): string {
  if (node.const !== undefined) return code(node.const);
  if (node.enum !== undefined) return node.enum.map(choice).join(", ");
  if (node.properties !== undefined) return "keys, see below";
  if (node.type === "boolean") return "`true`, `false`";
  if (node.type === "string")
    return node.pattern === undefined ? "text" : `text like ${code(node.pattern)}`;
  if (node.type === "integer" || node.type === "number") return `${node.type}${range(node)}`;
  if (node.type === "array" && node.items !== undefined) {
    const plain = node.items.properties === undefined && node.items.anyOf === undefined;
    const what = plain ? allowed(node.items) : "entries, see below";
    return `list, ${entries(node)}${what}`;
  }
  const [named] = Object.values(node.patternProperties ?? {});
  if (named !== undefined) {
    const what = named.properties === undefined ? allowed(named) : "keys, see below";
    return `names of your own, each with: ${what}`;
  }
  throw new Error(`scripts/reference.ts has no words for ${JSON.stringify(node)}`);
}

/** @returns what the properties have in common, when they differ by nothing but their own name. */
function alike(properties: Readonly<Record<string, SchemaNode>>): SchemaNode | undefined {
  const texts = Object.entries(properties).map(([name, node]) =>
    JSON.stringify(node).replaceAll(new RegExp(`\\b${name}\\b`, "g"), "that"),
  );
  const [first = "{}"] = texts;
  if (texts.length < 2 || texts.some((text) => text !== first)) return undefined;
  const common = JSON.parse(first) as SchemaNode;
  return common.properties === undefined ? undefined : common;
}

/** @returns every key below `node` that holds a value, and before them those that explain a group. */
function keysOf(node: SchemaNode, path: string): Key[] {
  const { properties = {}, required = [] } = node;
  const common = alike(properties);
  if (common !== undefined) return keysOf(common, `${path}{${Object.keys(properties).join(",")}}.`);
  return Object.entries(properties).flatMap(([name, child]): Key[] => {
    const key = { path: `${path}${name}`, node: child, required: required.includes(name) };
    if (child.properties === undefined) return [key];
    const inner = keysOf(child, `${path}${name}.`);
    return child.description === undefined ? inner : [key, ...inner];
  });
}

function unset({ node, required }: Key): string {
  if (node.properties !== undefined) return "";
  if (node.default !== undefined) return node.enum ? choice(node.default) : code(node.default);
  return required ? "required" : "";
}

function table(keys: readonly Key[]): string {
  return markdownTable(
    ["Key", "Allowed", "Default", "Meaning"],
    keys.map((key) => [code(key.path), allowed(key.node), unset(key), key.node.description ?? ""]),
  );
}

/** One heading and one table for a section, and one more of each for every list of entries in it. */
function section(name: string, node: SchemaNode): string {
  const keys =
    node.items === undefined ? keysOf(node, `${name}.`) : [{ path: name, node, required: false }];
  const introduction = node.items === undefined ? (node.description ?? "") : "";
  const parts = [`## \`${name}\``, introduction, table(keys)];
  for (const { path, node: list } of keys) {
    if (list.items?.anyOf !== undefined) parts.push(...alternatives(path, list.items.anyOf));
    const [named] = Object.values(list.patternProperties ?? {});
    if (named?.properties !== undefined)
      parts.push(`### \`${path}.<name>\``, "One of them:", table(keysOf(named, "")));
    if (list.items?.properties === undefined) continue;
    parts.push(`### \`${path}[]\``, "One entry:", table(keysOf(list.items, "")));
  }
  return parts.filter((part) => part !== "").join("\n\n");
}

/** One table for what all alternatives have in common, and one for the rest of each. */
function alternatives(path: string, nodes: readonly SchemaNode[]): string[] {
  const tables = nodes.map((node) => keysOf(node, ""));
  const rows = tables.map((keys) => keys.map((key) => JSON.stringify(key)));
  const [first = [], ...others] = rows;
  const common = new Set(first.filter((row) => others.every((other) => other.includes(row))));
  const all = (tables[0] ?? []).filter((key) => common.has(JSON.stringify(key)));
  const parts = [`### \`${path}[]\``, "Every entry, besides the keys of its kind:", table(all)];
  for (const keys of tables) {
    const kind = keys.find((key) => key.path === "kind")?.node;
    parts.push(`### \`${path}[]\` with \`kind: ${String(kind?.const)}\``, kind?.description ?? "");
    parts.push(table(keys.filter((key) => !common.has(JSON.stringify(key)))));
  }
  return parts;
}

const exitCodes = markdownTable(
  ["Code", "Meaning"],
  [
    ["0", "Done; for `run`: stopped when told to."],
    [
      "1",
      "It failed: a port in use, a data directory without write permission, what `doctor` found.",
    ],
    ["2", "The command line or the configuration is wrong. Starting again does not help."],
  ],
);

/** @returns docs/configuration.md as it should be now. */
export function configurationDocument(): string {
  const example = readFileSync(join(root, "examples/complete.yaml"), "utf8").trimEnd();
  const { properties } = configSchema as unknown as SchemaNode;
  const sections = Object.entries(properties ?? {}).map(([name, node]) => section(name, node));
  return `# Configuration

An agent runs without any configuration. What should be different goes into a YAML file, into the environment, or
onto the command line. This file is generated from \`src/config/schema.ts\` by \`npm run docs\`.

\`\`\`sh
agent-mesh config check --config config.yaml   # what is wrong, and how to mend it
agent-mesh config show --config config.yaml    # what is in force, with defaults, without secrets
agent-mesh config schema                       # JSON Schema, for editors
\`\`\`

## Where settings come from

Later ones win over earlier ones, key by key:

1. the defaults below;
2. the YAML file: \`--config FILE\`, or else the file that \`AGENT_MESH_CONFIG\` names;
3. the environment: \`AGENT_MESH__MQTT__BROKER__PORT=1884\` is \`mqtt.broker.port\`, and
   \`AGENT_MESH__OUTBOX__BYTES_MAX\` is \`outbox.bytesMax\`;
4. the command line: \`--set mqtt.broker.port=1884\`, as often as needed, and \`--profile ID\` for \`device.profile\`.

Entries of a list go by their number, from 0: \`--set uplinks.0.url=mqtt://10.0.0.2:1883\`. They change the list in the
file. Where the file has no such list, they begin a new one, which takes the place of the default. A whole list can be
given as JSON: \`--set 'mqtt.topics=[{"filter":"plant/#","priority":7}]'\`.

A key that is not known, or a value that does not fit, is refused, and the message names the key, its source and
the nearest known key. Changes count from the next start.

## Exit codes

${exitCodes}

## A complete file

Something from every section; shorter ones to start from are in [\`examples/\`](../examples).

\`\`\`yaml
${example}
\`\`\`

${sections.join("\n\n")}
`;
}

function main(): void {
  const { values } = parseArgs({
    options: {
      check: { type: "boolean", default: false },
      file: { type: "string", default: join(root, "docs/configuration.md") },
    },
  });
  const wanted = configurationDocument();
  if (!values.check) {
    writeFileSync(values.file, wanted);
    return;
  }
  let found = "";
  try {
    found = readFileSync(values.file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  if (found === wanted) return;
  console.error(`${values.file} is not in step with the code; run: npm run docs`);
  process.exitCode = 1;
}

if (import.meta.main) main();
