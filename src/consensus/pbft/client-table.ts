import { ByteWriter, decodeAll } from "./bytes.ts";
import type { PbftOptions } from "./options.ts";
import { CLIENT_BYTES_MAX, type Request } from "./request.ts";

/** How far the timestamp of a client may jump; 139 years of milliseconds. Nobody uses all timestamps up with a few requests. */
const JUMP_MAX = 2 ** 42;

interface LastReply {
  readonly timestamp: number;
  readonly result: Uint8Array;
}

/** What becomes of a request: executed, the one executed last of its client, an older one, or one that jumps too far. */
export type Standing = "new" | "last" | "old" | "too-far";

/**
 * The last request of each client that was executed, with its reply. Part of the replicated state: it changes with
 * executions alone, so it is the same everywhere. When it is full, the client that was idle for longest goes; so that none
 * of its requests is executed again, clients that are not in the table have to begin above what those who went had reached.
 */
export class ClientTable {
  readonly #options: PbftOptions;
  /** In order of their last execution. */
  #last = new Map<string, LastReply>();
  #floor = 0;

  constructor(options: PbftOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#last.size;
  }

  standingOf({ client, timestamp }: Pick<Request, "client" | "timestamp">): Standing {
    const last = this.#last.get(client);
    const reached = last?.timestamp ?? this.#floor;
    if (timestamp > reached) return timestamp - reached > JUMP_MAX ? "too-far" : "new";
    return last !== undefined && timestamp === reached ? "last" : "old";
  }

  /** Requests of this client up to this timestamp are executed no more. */
  reached(client: string): number {
    return this.#last.get(client)?.timestamp ?? this.#floor;
  }

  resultOf(client: string): Uint8Array | undefined {
    return this.#last.get(client)?.result;
  }

  /** @returns those of a batch that are to be executed, in their order */
  fresh(requests: readonly Request[]): Request[] {
    const inBatch = new Map<string, number>();
    return requests.filter((request) => {
      const before = inBatch.get(request.client);
      if (this.standingOf(request) !== "new" || (before ?? -1) >= request.timestamp) return false;
      inBatch.set(request.client, request.timestamp);
      return true;
    });
  }

  executed({ client, timestamp }: Request, result: Uint8Array): void {
    this.#last.delete(client);
    this.#last.set(client, { timestamp, result });
    if (this.#last.size <= this.#options.clientsMax) return;
    for (const [idle, { timestamp }] of this.#last) {
      this.#last.delete(idle);
      this.#floor = Math.max(this.#floor, timestamp);
      return;
    }
  }

  encode(): Uint8Array {
    const writer = new ByteWriter(64 * (1 + this.#last.size)).u53(this.#floor).u32(this.#last.size);
    for (const [client, { timestamp, result }] of this.#last)
      writer.text(client).u53(timestamp).sized(result);
    return writer.finish();
  }

  /** Takes over a table that another replica encoded. @returns false when it is none, and changes nothing then */
  install(bytes: Uint8Array): boolean {
    const { clientsMax, resultBytesMax } = this.#options;
    const table = decodeAll(bytes, (reader) => {
      const floor = reader.u53();
      const count = reader.count(clientsMax);
      const last = new Map<string, LastReply>();
      for (let read = 0; read < count; read++) {
        const client = reader.text(CLIENT_BYTES_MAX);
        last.set(client, { timestamp: reader.u53(), result: reader.sized(resultBytesMax) });
      }
      return { floor, last };
    });
    if (table === undefined) return false;
    this.#floor = table.floor;
    this.#last = table.last;
    return true;
  }
}
