import { Socket } from "node:net";
import type { MultiaddrConnection } from "@libp2p/interface";

/** What a connection over TCP has and does not declare. */
interface TcpInternals {
  readonly socket: Socket;
  sendData(data: unknown): { sentBytes: number; canSendMore: boolean };
}

/**
 * js-libp2p writes every piece of a packet by itself, and Nagle's algorithm is off: the two bytes that tell how long a
 * Noise message is go in a system call, and on the wire in a packet, of their own. From now on all that this connection
 * is given within one turn of the event loop goes out together, what comes of the promises and the other sockets of that turn
 * included. Connections that are not over TCP stay as they are.
 */
export function writeTogether(connection: MultiaddrConnection): void {
  const { socket, sendData } = connection as MultiaddrConnection & Partial<TcpInternals>;
  if (!(socket instanceof Socket) || sendData === undefined) return;
  let corked = false;
  const uncork = (): void => {
    corked = false;
    socket.uncork();
  };
  (connection as MultiaddrConnection & TcpInternals).sendData = (data) => {
    if (!corked) {
      corked = true;
      socket.cork();
      setImmediate(uncork);
    }
    return sendData.call(connection, data);
  };
}
