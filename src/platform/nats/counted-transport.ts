import { connect, type Socket } from "node:net";
import { checkServerIdentity, type PeerCertificate, type TLSSocket } from "node:tls";
import type { NodeConnectionOptions } from "@nats-io/transport-node";
import { NodeTransport } from "@nats-io/transport-node/lib/node_transport.js";

/** The sockets of one connection, below TLS: to count their bytes and to be sure that they end. */
export class SocketLedger {
  readonly #sockets: Socket[] = [];

  /** Bytes on the wire both ways. */
  get wireBytes(): number {
    return this.#sockets.reduce(
      (sum, { bytesRead, bytesWritten }) => sum + bytesRead + bytesWritten,
      0,
    );
  }

  add(socket: Socket): void {
    this.#sockets.push(socket);
  }

  /** Ends whatever is still open. */
  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

/**
 * The library's transport, over sockets that are known outside of it: it leaves a socket open whose server says
 * nothing in time, and it verifies a server that was dialled by its address as if it were called localhost.
 */
export class CountedTransport extends NodeTransport {
  readonly #ledger: SocketLedger;
  readonly #peer: string;

  /** @param peer name or address that the server's certificate has to be for */
  constructor(ledger: SocketLedger, peer: string) {
    super();
    this.#ledger = ledger;
    this.#peer = peer;
  }

  override dial({ hostname, port }: { hostname: string; port: number }): Promise<Socket> {
    const socket = connect({ host: hostname, port });
    this.#ledger.add(socket);
    socket.setNoDelay(true);
    return new Promise((resolve, reject) => {
      socket.once("connect", () => {
        socket.removeAllListeners();
        resolve(socket);
      });
      socket.once("error", reject);
      socket.once("close", () => reject(new Error("connection closed by the server")));
    });
  }

  override startTLS(): Promise<TLSSocket> {
    const options: NodeConnectionOptions = this.options;
    const tls = {
      ...options.tls,
      checkServerIdentity: (_: string, certificate: PeerCertificate) =>
        checkServerIdentity(this.#peer, certificate),
    };
    this.options = { ...options, tls };
    return super.startTLS();
  }
}
