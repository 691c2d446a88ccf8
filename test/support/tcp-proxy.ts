import type { AddressInfo } from "node:net";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Test } from "tap";

/** A link between a client and a server on this machine, which can swallow answers and break. */
export class TcpProxy {
  readonly #server: Server;
  readonly #pairs = new Set<{ client: Socket; server: Socket }>();
  #muted = false;

  private constructor(targetPort: number) {
    this.#server = createServer((client) => {
      const server = connect(targetPort, "127.0.0.1");
      const pair = { client, server };
      this.#pairs.add(pair);
      client.on("data", (chunk) => server.write(chunk));
      server.on("data", (chunk) => {
        if (!this.#muted) client.write(chunk);
      });
      for (const socket of [client, server]) {
        socket.on("error", () => undefined);
        socket.on("close", () => {
          this.#pairs.delete(pair);
          client.destroy();
          server.destroy();
        });
      }
    });
  }

  /** Listens on a free port until the test ends. */
  static async start(t: Test, targetPort: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetPort);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    t.teardown(() => {
      proxy.cut();
      proxy.#server.close();
    });
    return proxy;
  }

  url(scheme: string): string {
    return `${scheme}://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** From now on nothing of what the server says arrives. */
  muteServer(): void {
    this.#muted = true;
  }

  /** Breaks every connection. */
  cut(): void {
    for (const { client, server } of this.#pairs) {
      client.destroy();
      server.destroy();
    }
  }

  heal(): void {
    this.#muted = false;
  }
}
