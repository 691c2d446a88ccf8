import type { EventEmitter } from "node:events";

interface CountedSocket extends EventEmitter {
  readonly bytesRead: number;
}

/** Counts what comes in over a server's connections, TLS and headers included. */
export class WireBytes {
  readonly #open = new Set<CountedSocket>();
  #closed = 0;

  /** @param server whose connections are counted, from now on */
  constructor(server: EventEmitter) {
    server.on("connection", (socket: CountedSocket) => {
      this.#open.add(socket);
      socket.once("close", () => {
        this.#open.delete(socket);
        this.#closed += socket.bytesRead;
      });
    });
  }

  get total(): number {
    let sum = this.#closed;
    for (const { bytesRead } of this.#open) sum += bytesRead;
    return sum;
  }
}
