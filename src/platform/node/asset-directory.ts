import { readdir, readFile, stat } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import type { Asset, AssetDirectory } from "../asset-directory.ts";

const FILES_MAX = 1_000;

/** Files under a directory of the real file system; the listing is read once, at the first request. */
export class NodeAssetDirectory implements AssetDirectory {
  readonly #root: string;
  #listing: Promise<ReadonlyMap<string, string>> | undefined;

  /** @param root a directory; one that does not exist holds no files. */
  constructor(root: string) {
    this.#root = root;
  }

  async read(path: string): Promise<Asset | undefined> {
    this.#listing ??= list(this.#root);
    const file = (await this.#listing).get(path);
    if (file === undefined) return undefined;
    try {
      const [body, { mtimeMs, size }] = await Promise.all([readFile(file), stat(file)]);
      return { body, etag: `"${size.toString(36)}-${Math.trunc(mtimeMs).toString(36)}"` };
    } catch {
      return undefined;
    }
  }
}

async function list(root: string): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    if (!entry.isFile() || files.size >= FILES_MAX) continue;
    const file = join(entry.parentPath, entry.name);
    files.set(relative(root, file).split(sep).join("/"), file);
  }
  return files;
}
