import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";

/** Nobody writes more settings than this by hand; anything larger is a mistake or an attack. */
const fileBytesMax = 1_048_576;

/** A YAML file could not be read or parsed; the message names the file and, for syntax, line and column. */
export class YamlFileError extends Error {
  override readonly name = "YamlFileError";
  readonly code: "yaml.unreadable" | "yaml.syntax" | "yaml.too-large";
  constructor(code: YamlFileError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * Reads one YAML 1.2 document. Duplicate keys are an error, aliases are bounded.
 *
 * @returns the document as plain objects; null for an empty file
 * @throws YamlFileError
 */
export async function readYamlFile(path: string): Promise<unknown> {
  let text: string;
  try {
    const { size } = await stat(path);
    if (size > fileBytesMax) {
      throw new YamlFileError(
        "yaml.too-large",
        `${path} has ${size} bytes; settings files may have ${fileBytesMax}`,
      );
    }
    text = await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof YamlFileError) throw error;
    const { code = "EIO" } = error as NodeJS.ErrnoException;
    const reason = reasons[code] ?? code;
    throw new YamlFileError("yaml.unreadable", `${path} can not be read: ${reason}`, {
      cause: error,
    });
  }
  // JSON is YAML, and the bundle's own profiles are JSON so that starting does not wait for the parser.
  if (path.endsWith(".json")) return parseJson(path, text);
  // Loaded when first needed: an agent without a settings file never pays for it.
  const { parseDocument } = await import("yaml");
  const document = parseDocument(text, { prettyErrors: true, uniqueKeys: true });
  const [fault] = document.errors;
  if (fault !== undefined) {
    const line = fault.linePos?.[0].line;
    const column = fault.linePos?.[0].col;
    const [summary = fault.message] = fault.message.split("\n");
    const where = line === undefined ? "" : `:${line}:${column ?? 1}`;
    throw new YamlFileError(
      "yaml.syntax",
      `${path}${where}: ${summary.replace(/ at line \d+, column \d+:?$/, "")}`,
      { cause: fault },
    );
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw new YamlFileError("yaml.syntax", `${path}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  if (isEndless(value))
    throw new YamlFileError(
      "yaml.syntax",
      `${path}: an alias (*) stands within its own anchor (&)`,
    );
  return value;
}

/** YAML can say what contains itself; whoever walks through such a document never comes back. */
function isEndless(value: unknown): boolean {
  try {
    JSON.stringify(value);
    return false;
  } catch {
    return true;
  }
}

/**
 * Reads every `*.yaml`, `*.yml` and `*.json` in a directory, in the order of their names.
 *
 * @returns file names (without directory) and documents; none when the directory is not there
 * @throws YamlFileError for the first file that can not be read or parsed
 */
export async function readYamlDirectory(
  directory: string,
): Promise<{ fileName: string; document: unknown }[]> {
  let names: string[];
  try {
    names = await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw new YamlFileError("yaml.unreadable", `${directory} can not be listed`, { cause: error });
  }
  const files: { fileName: string; document: unknown }[] = [];
  for (const name of names.filter((name) => /\.(ya?ml|json)$/.test(name)).sort()) {
    files.push({ fileName: basename(name), document: await readYamlFile(join(directory, name)) });
  }
  return files;
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new YamlFileError("yaml.syntax", `${path}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "this user may not read it",
  EISDIR: "it is a directory",
};
