import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { Test } from "tap";

/** A door in front of a port: shut, it lets nobody in and throws everybody out. */
export class Gate {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #open = false;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @returns a gate that is shut. The test's end removes it. */
  static async create(t: Test, toPort: number): Promise<Gate> {
    const server = createServer((socket) => gate.#let(socket, toPort));
    const gate = new Gate(server);
    await new Promise<void>((done) => {
      server.listen(0, "127.0.0.1", done);
    });
    t.teardown(() => {
      gate.shut();
      return new Promise((done) => {
        server.close(done);
      });
    });
    return gate;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  open(): void {
    this.#open = true;
  }

  shut(): void {
    this.#open = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  #let(outer: Socket, port: number): void {
    if (!this.#open) {
      outer.destroy();
      return;
    }
    const inner = connect({ port, host: "127.0.0.1", noDelay: true });
    for (const [socket, other] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      this.#sockets.add(socket);
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  }
}
