import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A link between agent and upstream that can fail the ways links do. */
export class Link {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #toPort: number;
  #state: "open" | "shut" | "silent" | "deaf" = "shut";

  private constructor(server: Server, toPort: number) {
    this.#server = server;
    this.#toPort = toPort;
    server.on("connection", (socket) => this.#let(socket));
  }

  /** @returns a link that is shut. */
  static async create(
    owner: { teardown(end: () => unknown): void },
    toPort: number,
  ): Promise<Link> {
    const link = new Link(createServer(), toPort);
    await new Promise<void>((done) => {
      link.#server.listen(0, "127.0.0.1", done);
    });
    owner.teardown(() => {
      link.shut();
      link.#server.close();
    });
    return link;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  open(): void {
    // What was swallowed is gone: a connection with a hole in it must not go on.
    if (this.#state !== "open") this.#destroyAll();
    this.#state = "open";
  }

  shut(): void {
    this.#state = "shut";
    this.#destroyAll();
  }

  /** Nothing gets through any more, and nobody is told. */
  silence(): void {
    this.#state = "silent";
  }

  /** What the agent sends arrives; answers do not come back. */
  loseAnswers(): void {
    this.#state = "deaf";
  }

  #destroyAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #let(outer: Socket): void {
    if (this.#state === "shut") {
      outer.destroy();
      return;
    }
    const inner = connect({ port: this.#toPort, host: "127.0.0.1", noDelay: true });
    for (const [from, to, isAnswer] of [
      [outer, inner, false],
      [inner, outer, true],
    ] as const) {
      this.#sockets.add(from);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      from.on("data", (chunk) => {
        if (this.#state === "silent" || (isAnswer && this.#state === "deaf")) return;
        to.write(chunk);
      });
    }
  }
}
