import { closest } from "fastest-levenshtein";
import type { TSchema } from "typebox";
import { Clone, Default, Errors } from "typebox/value";

interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>;
  readonly anyOf?: readonly SchemaNode[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly description?: string;
}

/** Enough to mend a file by; more would bury the first. */
const faultsMax = 5;
/** What tells the alternatives of a union apart. */
const DISCRIMINATOR = "kind";

/** @returns what is wrong with a document, in words: key, fault and the nearest known key. Empty when fine. */
export function describeFaults(schema: TSchema, document: unknown): readonly string[] {
  const choices = choicesIn(schema, document, []);
  const faults = faultsOf(schema, document, [], new Set(choices.map(({ path }) => path.join("/"))));
  for (const { path, alternatives, value } of choices) {
    const chosen = alternatives.find((node) => kindOf(node) === kindIn(value));
    faults.push(
      ...(chosen === undefined
        ? wrongKind(path, alternatives, value)
        : // A union fills in defaults only where nothing is wrong: what is left out is no fault.
          faultsOf(chosen, Default(chosen, Clone(value)), path, new Set(), alternatives)),
    );
  }
  return faults.slice(0, faultsMax);
}

/** A value that may take several shapes, told apart by its `kind`. */
interface Choice {
  readonly path: readonly string[];
  readonly alternatives: readonly SchemaNode[];
  readonly value: unknown;
}

/** A union's own errors speak of every alternative at once; each value is judged by the one it chose. */
function choicesIn(node: SchemaNode, value: unknown, path: readonly string[]): Choice[] {
  if (node.anyOf?.every((each) => kindOf(each) !== undefined) === true)
    return [{ path, alternatives: node.anyOf, value }];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]: [string, unknown]) => {
    const child = Array.isArray(value) ? node.items : ownProperty(node, name);
    return child === undefined ? [] : choicesIn(child, inner, [...path, name]);
  });
}

function faultsOf(
  schema: SchemaNode,
  document: unknown,
  above: readonly string[],
  elsewhere: ReadonlySet<string>,
  alternatives: readonly SchemaNode[] = [],
): string[] {
  const faults: string[] = [];
  for (const error of Errors(schema as TSchema, document)) {
    const inside = error.instancePath.split("/").slice(1).map(unescapePointer);
    if (inside.some((_, depth) => elsewhere.has(inside.slice(0, depth + 1).join("/")))) continue;
    const path = [...above, ...inside];
    const key = path.join(".");
    // An unknown key is reported twice: once by its parent, where its name is, and once as a false schema.
    if (error.keyword === "boolean") continue;
    const node = nodeAt(schema, inside);
    if (error.keyword === "additionalProperties") {
      for (const unknown of error.params.additionalProperties) {
        const name = [...path, unknown].join(".");
        faults.push(
          (inside.length === 0 ? keyOfAnother(name, unknown, node, alternatives) : undefined) ??
            unknownKey(name, unknown, node),
        );
      }
    } else if (error.keyword === "required") {
      for (const missing of error.params.requiredProperties) {
        faults.push(`${[...path, missing].join(".")} is missing`);
      }
    } else if (error.keyword === "enum" && node?.enum !== undefined) {
      faults.push(`${key} must be one of ${node.enum.map(choice).join(", ")}`);
    } else if (error.keyword === "pattern" && node?.description !== undefined) {
      faults.push(`${key} ${error.message}: ${node.description}`);
    } else {
      faults.push(`${key === "" ? "the document" : key} ${error.message}`);
    }
  }
  return faults;
}

function wrongKind(
  path: readonly string[],
  alternatives: readonly SchemaNode[],
  value: unknown,
): string[] {
  const kinds = alternatives.map(kindOf);
  const where = path.join(".");
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return [`${where} must hold keys and values, ${DISCRIMINATOR} among them`];
  const key = `${where}.${DISCRIMINATOR}`;
  return [
    Object.hasOwn(value, DISCRIMINATOR)
      ? `${key} must be one of ${kinds.join(", ")}`
      : `${key} is missing: one of ${kinds.join(", ")}`,
  ];
}

function keyOfAnother(
  key: string,
  name: string,
  node: SchemaNode | undefined,
  alternatives: readonly SchemaNode[],
): string | undefined {
  const owners = alternatives.filter((other) => ownProperty(other, name) !== undefined);
  if (node === undefined || owners.length === 0) return undefined;
  return `${key} is not known to ${DISCRIMINATOR} ${kindOf(node)}, only to ${owners.map(kindOf).join(", ")}`;
}

function kindOf(node: SchemaNode): string | undefined {
  const kind = ownProperty(node, DISCRIMINATOR)?.const;
  return typeof kind === "string" ? kind : undefined;
}

function kindIn(value: unknown): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, DISCRIMINATOR)
    ? (value as Record<string, unknown>)[DISCRIMINATOR]
    : undefined;
}

function ownProperty(node: SchemaNode, name: string): SchemaNode | undefined {
  if (node.properties !== undefined && Object.hasOwn(node.properties, name))
    return node.properties[name];
  const named = Object.entries(node.patternProperties ?? {});
  return named.find(([pattern]) => new RegExp(pattern, "u").test(name))?.[1];
}

/** As it is written in YAML, where a bare 5 would be a number. */
function choice(value: unknown): string {
  const looksLikeNumber = typeof value === "string" && Number.isFinite(Number(value));
  return looksLikeNumber ? `"${value}"` : String(value);
}

function unknownKey(key: string, name: string, node: SchemaNode | undefined): string {
  const known = Object.keys(node?.properties ?? {});
  return known.length === 0
    ? `${key} is not known`
    : `${key} is not known; did you mean ${closest(name, known)}?`;
}

function nodeAt(schema: SchemaNode, path: readonly string[]): SchemaNode | undefined {
  let node: SchemaNode | undefined = schema;
  for (const name of path)
    node = node === undefined ? undefined : (ownProperty(node, name) ?? node.items);
  return node;
}

function unescapePointer(part: string): string {
  return part.replaceAll("~1", "/").replaceAll("~0", "~");
}
