import { closest } from "fastest-levenshtein";
import type { TSchema } from "typebox";
import { Errors } from "typebox/value";

interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly enum?: readonly unknown[];
  readonly description?: string;
}

/** Enough to mend a file by; more would bury the first. */
const faultsMax = 5;

/** @returns what is wrong with a document, in words: key, fault and the nearest known key. Empty when fine. */
export function describeFaults(schema: TSchema, document: unknown): readonly string[] {
  const faults: string[] = [];
  for (const error of Errors(schema, document)) {
    const path = error.instancePath.split("/").slice(1).map(unescapePointer);
    const key = path.join(".");
    // An unknown key is reported twice: once by its parent, where its name is, and once as a false schema.
    if (error.keyword === "boolean") continue;
    const node = nodeAt(schema, path);
    if (error.keyword === "additionalProperties") {
      for (const unknown of error.params.additionalProperties) {
        faults.push(unknownKey([...path, unknown].join("."), unknown, node));
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
  return faults.slice(0, faultsMax);
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
  for (const name of path) node = node?.properties?.[name] ?? node?.items;
  return node;
}

function unescapePointer(part: string): string {
  return part.replaceAll("~1", "/").replaceAll("~0", "~");
}
