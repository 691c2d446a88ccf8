import { type FileHandle, open } from "node:fs/promises";
import { resolve } from "node:path";
import type { Writable } from "node:stream";
import type { ReceivedUpdate, UpdateSink } from "../update-sink.ts";

/**
 * Appends updates to a file, one line each. Every delivery is synced, and the file's length is the mark: after a crash
 * the file is cut back to what was noted, so that no line is in it twice.
 */
export class FileSink implements UpdateSink {
  readonly name: string;
  readonly #path: string;
  #file: FileHandle | undefined;

  constructor(path: string) {
    this.#path = resolve(path);
    this.name = `file:${this.#path}`;
  }

  /** @throws Error naming `--forward-to` when the file can not be written */
  async resume(mark: number | undefined): Promise<number> {
    try {
      this.#file = await open(this.#path, "a", 0o600);
      const { size } = await this.#file.stat();
      // A shorter file was taken away or rotated meanwhile.
      if (mark === undefined || size <= mark) return size;
      await this.#file.truncate(mark);
      return mark;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`--forward-to: can not write ${this.#path}: ${reason}`, { cause: error });
    }
  }

  async deliver(updates: readonly ReceivedUpdate[]): Promise<number> {
    if (this.#file === undefined) throw new Error(`${this.#path} is not open`);
    const { size } = await this.#file.stat();
    try {
      await this.#file.appendFile(linesOf(updates));
      await this.#file.datasync();
    } catch (error) {
      // What was written of it would be in the file twice after the next attempt.
      await this.#file.truncate(size).catch(() => undefined);
      throw error;
    }
    return (await this.#file.stat()).size;
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }
}

/** Writes updates to a stream, one line each, no faster than it is read. After a crash the last may come again. */
export class StreamSink implements UpdateSink {
  readonly name: string;
  readonly #stream: Writable;
  #lines = 0;

  constructor(name: string, stream: Writable) {
    this.name = name;
    this.#stream = stream;
    // A reader that went away is told by each write; it must not end the process.
    stream.on("error", () => undefined);
  }

  resume(mark = 0): Promise<number> {
    this.#lines = mark;
    return Promise.resolve(mark);
  }

  deliver(updates: readonly ReceivedUpdate[]): Promise<number> {
    this.#lines += updates.length;
    return new Promise((resolve, reject) => {
      this.#stream.write(linesOf(updates), (error) => {
        if (error === null || error === undefined) resolve(this.#lines);
        else reject(error);
      });
    });
  }
}

function linesOf(updates: readonly ReceivedUpdate[]): string {
  let text = "";
  for (const { line } of updates) text += `${line}\n`;
  return text;
}
