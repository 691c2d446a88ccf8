import { type BridgeContent, BridgeError } from "../../platform/bridge.ts";
import { type BulkSink, type BulkSource, NetworkError } from "../../platform/network.ts";

/** Sends content to an agent of the mesh. @throws NetworkError */
export type SendContent = (source: BulkSource) => Promise<void>;

interface Piece {
  readonly bytes: Uint8Array;
  readonly taken: () => void;
  readonly failed: (error: unknown) => void;
}

/**
 * Joins what is pushed here by a client with a transfer that pulls: one piece is held at a time, and the client waits
 * until the other side has taken it.
 */
class UploadPipe implements BulkSink {
  readonly #content: BridgeContent;
  readonly #begun = Promise.withResolvers<number>();
  readonly #sent: Promise<void>;
  #piece: Piece | undefined;
  #used = 0;
  #wanted: { give: () => void; fail: (error: unknown) => void } | undefined;
  #fault: { readonly error: unknown } | undefined;
  #offset = 0;

  constructor(content: BridgeContent, send: SendContent) {
    this.#content = content;
    const { name, sizeBytes, sha256 } = content;
    const read = (offset: number, length: number): Promise<Uint8Array> =>
      this.#read(offset, length);
    // Who begins hears of it; later it is told to whoever writes.
    this.#begun.promise.catch(() => undefined);
    this.#sent = send({ name, sizeBytes, sha256, read });
    this.#sent
      // Nothing was read: all of it is there already.
      .then(() => this.#begun.resolve(sizeBytes))
      .catch((error: unknown) => this.#fail(error));
  }

  /** Resolves when it is known how much is there already. @throws NetworkError */
  async begun(): Promise<this> {
    this.#offset = await this.#begun.promise;
    return this;
  }

  get offset(): number {
    return this.#offset;
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return;
    if (this.#fault !== undefined) throw this.#fault.error;
    const { promise, resolve: taken, reject: failed } = Promise.withResolvers<void>();
    this.#piece = { bytes, taken, failed };
    this.#used = 0;
    this.#wanted?.give();
    await promise;
  }

  done(): Promise<void> {
    return this.#sent;
  }

  broken(error: NetworkError): void {
    this.#fail(error);
  }

  async #read(offset: number, length: number): Promise<Uint8Array> {
    this.#begun.resolve(offset);
    if (this.#fault !== undefined) throw this.#fault.error;
    if (this.#piece === undefined) {
      const { promise, resolve: give, reject: fail } = Promise.withResolvers<void>();
      this.#wanted = { give, fail };
      await promise;
      this.#wanted = undefined;
    }
    const piece = this.#piece;
    if (piece === undefined)
      throw new BridgeError("bridge.failed", `nothing to send of ${this.#content.name}`);
    const bytes = piece.bytes.subarray(this.#used, this.#used + length);
    this.#used += bytes.length;
    if (this.#used === piece.bytes.length) {
      this.#piece = undefined;
      piece.taken();
    }
    return bytes;
  }

  #fail(error: unknown): void {
    this.#fault ??= { error };
    this.#begun.reject(error);
    this.#piece?.failed(error);
    this.#piece = undefined;
    this.#wanted?.fail(error);
  }
}

/**
 * Begins to pass content on as it comes.
 * @returns where a client's bytes go; its `done` resolves when the other side has everything and found the digest right
 * @throws NetworkError
 */
export function openUpload(content: BridgeContent, send: SendContent): Promise<BulkSink> {
  return new UploadPipe(content, send).begun();
}

/** Finds out how much of some content is there already; the transfer that it begins for that is broken off. */
export async function probeUpload(content: BridgeContent, send: SendContent): Promise<number> {
  const sink = await openUpload(content, send);
  const { offset } = sink;
  if (offset < content.sizeBytes)
    sink.broken(new NetworkError("network.closed", "this was only a question"));
  return offset;
}
