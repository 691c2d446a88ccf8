/** What a log tells of: the number of its last change. */
export interface Changed {
  version: number;
}

/** Lengths up to this are not worth tidying up. */
const SLACK = 64;

/**
 * The order in which items changed last. An item that changes again is told of once, at its new place. It keeps at most
 * twice as many lines as there are living items.
 */
export class ChangeLog<T extends Changed> {
  #lines: { readonly version: number; readonly item: T }[] = [];
  #version = 0;

  /** The number of the last change; 0 before the first. */
  get version(): number {
    return this.#version;
  }

  /** @param living how many items there are */
  changed(item: T, living: number): void {
    item.version = ++this.#version;
    this.#lines.push({ version: item.version, item });
    if (this.#lines.length > 2 * living + SLACK)
      this.#lines = this.#lines.filter((line) => line.version === line.item.version);
  }

  /** The item is gone. */
  removed(item: T): void {
    item.version = 0;
  }

  /** Items that changed after a version, in the order of their changes. */
  *since(version: number): Generator<T> {
    for (let at = this.#firstAfter(version); at < this.#lines.length; at++) {
      const line = this.#lines[at];
      if (line !== undefined && line.version === line.item.version) yield line.item;
    }
  }

  #firstAfter(version: number): number {
    let low = 0;
    let high = this.#lines.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#lines[middle]?.version ?? 0) <= version) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
