import { closeSync, openSync, read, readdirSync } from "node:fs";
import { join } from "node:path";

/** What a file held, without its trailing newline, or the error code that reading it gave. */
export type FileRead =
  | { readonly text: string; readonly code?: never }
  | { readonly text?: never; readonly code: string };

/** Larger than any single-value file and than `/proc/stat` of a 200-core machine. */
const bufferBytes = 16_384;
/** Tables (`/proc/mounts`, `/proc/diskstats`) are cut here: a broken root must not fill the memory. */
const tableBytesMax = 262_144;

/**
 * Reads the kernel's text files under a root directory.
 *
 * Opening and listing never leave the kernel's memory, so they happen at once. Reading may: a sysfs file
 * can ask a gauge on an I2C bus that hangs, so it goes through the thread pool and never stalls the agent.
 */
export class KernelFiles {
  readonly root: string;
  readonly #spare: Buffer[] = [];

  constructor(root: string) {
    this.root = root;
  }

  /** Reads a single-value file, or the head of a longer one. Never rejects. */
  async read(path: string): Promise<FileRead> {
    return await this.#readSome(path, 1);
  }

  /** Reads a file of many records, which the kernel hands out in pieces. Never rejects. */
  async readTable(path: string): Promise<FileRead> {
    return await this.#readSome(path, tableBytesMax / bufferBytes);
  }

  /** @returns the content, or undefined when it can not be read. */
  async text(path: string): Promise<string | undefined> {
    return (await this.read(path)).text;
  }

  /** @returns the decimal number the file holds, or undefined when it holds anything else. */
  async number(path: string): Promise<number | undefined> {
    return parseNumber(await this.text(path));
  }

  /** @returns names in a directory, shorter ones first, so that numbered ones are in order; none when it is not there. */
  list(path: string): readonly string[] {
    try {
      return readdirSync(join(this.root, path)).sort(byNumber);
    } catch {
      return [];
    }
  }

  async #readSome(path: string, piecesMax: number): Promise<FileRead> {
    let descriptor: number;
    try {
      descriptor = openSync(join(this.root, path), "r");
    } catch (error) {
      return { code: codeOf(error) };
    }
    const buffer = this.#spare.pop() ?? Buffer.allocUnsafe(bufferBytes);
    try {
      let text = "";
      for (let piece = 0; piece < piecesMax; piece += 1) {
        const bytes = await readPiece(descriptor, buffer);
        if (bytes === 0) break;
        text += buffer.toString("utf8", 0, bytes);
      }
      return { text: text.trimEnd() };
    } catch (error) {
      return { code: codeOf(error) };
    } finally {
      closeSync(descriptor);
      this.#spare.push(buffer);
    }
  }
}

/** @returns the number in a decimal text such as `42`, `-1` or `0.05`; undefined for anything else. */
export function parseNumber(text: string | undefined): number | undefined {
  const trimmed = text?.trim() ?? "";
  return /^-?\d{1,20}(\.\d{1,9})?$/.test(trimmed) ? Number(trimmed) : undefined;
}

/** @returns the number after rounding away what binary fractions add. */
export function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

function readPiece(descriptor: number, buffer: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    // Position null: sequential, since some files under /proc and sysfs can not be read from an offset.
    read(descriptor, buffer, 0, buffer.length, null, (error, bytes) => {
      if (error === null) resolve(bytes);
      else reject(error);
    });
  });
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "EIO";
}

/** `policy4` before `policy10`, without the locale tables that a numeric collation would load. */
function byNumber(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : 1);
}
