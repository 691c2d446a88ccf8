import { existsSync, readFileSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";

/**
 * Follows what a process did to the files of a store, as strace wrote it down, so that afterwards everything
 * can be taken away that was written and not synced: what a power cut may leave, at worst.
 */
export class PowerCut {
  readonly #store: string;
  /** By path: bytes written, and those of them that a sync has covered. */
  readonly #files = new Map<string, { written: number; synced: number }>();

  constructor(store: string) {
    this.#store = store;
  }

  /** Takes in one process's record, once it has ended. */
  take(log: string): void {
    const started = new Map<string, string>();
    for (const line of existsSync(log) ? readFileSync(log, "utf8").split("\n") : []) {
      const [, thread = "", rest = ""] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
      if (rest.endsWith("<unfinished ...>")) {
        started.set(thread, rest.slice(0, -"<unfinished ...>".length));
        continue;
      }
      const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest);
      this.#call(resumed === null ? rest : `${started.get(thread) ?? ""}${resumed[1]}`);
    }
  }

  /**
   * Cuts the power: every file keeps what was synced, and a part of what followed.
   * @param keep from 0 (nothing that was not synced) to 1 (everything)
   * @returns bytes that are gone
   */
  cut(keep: () => number): number {
    let gone = 0;
    for (const [path, { synced }] of this.#files) {
      if (!existsSync(path)) continue;
      const { size } = statSync(path);
      const left = Math.min(size, synced + Math.floor((size - Math.min(size, synced)) * keep()));
      gone += size - left;
      // Its name is there: LevelDB syncs the directory with the manifest, and keeps the log before until then.
      truncateSync(path, left);
      this.#files.set(path, { written: left, synced: left });
    }
    return gone;
  }

  #call(text: string): void {
    const wrote = /^(?:write|pwrite64)\(\d+<([^>]+)>.*\)\s+= (\d+)/.exec(text);
    if (wrote !== null) this.#at(wrote[1] ?? "").written += Number(wrote[2]);
    const synced = /^f(?:data)?sync\(\d+<([^>]+)>\s*\)\s+= 0/.exec(text);
    if (synced !== null) {
      const file = this.#at(synced[1] ?? "");
      file.synced = file.written;
    }
    const renamed = /^rename\("([^"]+)", "([^"]+)"\)\s+= 0/.exec(text);
    if (renamed !== null) {
      const [, from = "", to = ""] = renamed;
      this.#files.set(to, this.#at(from));
      this.#files.delete(from);
    }
    const unlinked = /^unlink\("([^"]+)"\)\s+= 0/.exec(text);
    if (unlinked !== null) this.#files.delete(unlinked[1] ?? "");
  }

  /** LevelDB only ever appends; the file of its messages and the directory itself do not count. */
  #at(path: string): { written: number; synced: number } {
    const known = this.#files.get(path);
    if (known !== undefined) return known;
    const fresh = { written: 0, synced: 0 };
    if (path.startsWith(join(this.#store, "/")) && !/\/LOG(\.old)?$/.test(path))
      this.#files.set(path, fresh);
    return fresh;
  }
}
