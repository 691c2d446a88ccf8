import { ConfigError } from "../../config/resolve.ts";
import { readYamlFile } from "../../platform/yaml/read-yaml.ts";

/**
 * Reads what is to be learned; whether it can be is for the agent to say.
 * @param file YAML or JSON; - for standard input
 * @param sets `key.key=value`, each replacing one setting of the file; a value is JSON, or else text
 * @throws YamlFileError; ConfigError
 */
export async function readTaskFile(file: string, sets: readonly string[]): Promise<object> {
  const document = await readYamlFile(file === "-" ? "/dev/stdin" : file);
  if (typeof document !== "object" || document === null || Array.isArray(document))
    throw new ConfigError(file, ["it must hold keys and values, such as `rounds: 20`"]);
  for (const set of sets) setIn(document, set);
  return document;
}

function setIn(document: object, set: string): void {
  const at = set.indexOf("=");
  const path = set.slice(0, Math.max(0, at)).split(".");
  if (path.some((key) => ["", "__proto__", "constructor", "prototype"].includes(key)))
    throw new ConfigError(`--set ${set}`, ["write it as key=value, such as pace.agentsMin=3"]);
  let node = document as Record<string, unknown>;
  for (const [depth, key] of path.slice(0, -1).entries()) {
    const next = (Object.hasOwn(node, key) ? node[key] : undefined) ?? {};
    if (typeof next !== "object")
      throw new ConfigError(`--set ${set}`, [
        `${path.slice(0, depth + 1).join(".")} has no keys below it`,
      ]);
    node[key] = next;
    node = next as Record<string, unknown>;
  }
  const last = path.at(-1) ?? "";
  if (Array.isArray(node) && !(/^\d{1,3}$/.test(last) && Number(last) <= node.length))
    throw new ConfigError(`--set ${set}`, [`"${last}" must be the number of an entry, from 0`]);
  node[last] = valueOf(set.slice(at + 1));
}

function valueOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Plain text is a value too.
    return text;
  }
}
