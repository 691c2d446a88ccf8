/**
 * Bare js-libp2p, driven by the suite `mesh`: one kept stream, no framing, no ids, no digest, nothing checked. The
 * server sends back whatever comes in the very pieces in which it comes, so nothing on libp2p could be faster.
 */
import type { Stream } from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p } from "libp2p";
import { type MeshEnd, obey, REQUEST_BYTES } from "../support/mesh-end.ts";

const ECHO = "/bare/echo/1.0.0";
const BULK = "/bare/bulk/1.0.0";
const CHUNK_BYTES = 65_536;

const node = await createLibp2p({
  addresses: { listen: ["/ip4/127.0.0.1/tcp/0"] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  connectionMonitor: { enabled: false },
});

const chunk = Buffer.alloc(CHUNK_BYTES, 7);
let echo: Stream | undefined;

function drained(stream: Stream): Promise<void> {
  return new Promise((resolve) => {
    const drain = (): void =>
      queueMicrotask(() => {
        if (stream.writableNeedsDrain && stream.writeBufferLength > 0) return;
        stream.removeEventListener("drain", drain);
        resolve();
      });
    stream.addEventListener("drain", drain);
  });
}

async function open(protocol: string): Promise<Stream> {
  const [connection] = node.getConnections();
  if (connection === undefined) throw new Error("there is no connection");
  return connection.newStream(protocol);
}

const end: MeshEnd = {
  async listen() {
    await node.handle(ECHO, (stream) =>
      stream.addEventListener("message", ({ data }) => void stream.send(data)),
    );
    await node.handle(BULK, (stream) => {
      stream.addEventListener("remoteCloseWrite", () => {
        stream.send(Uint8Array.of(1));
        void stream.close();
      });
      stream.addEventListener("message", () => undefined);
    });
    return node.getMultiaddrs().map(String);
  },
  async connect(addresses) {
    await node.dial(addresses.map((address) => multiaddr(address)));
    echo = await open(ECHO);
  },
  requests(count, inFlight) {
    const stream = echo;
    if (stream === undefined) throw new Error("there is no stream");
    return new Promise((resolve) => {
      const request = Buffer.alloc(REQUEST_BYTES, 7);
      let asked = Math.min(count, inFlight);
      let answered = 0;
      let rest = 0;
      const hear = ({ data }: { data: { byteLength: number } }): void => {
        rest += data.byteLength;
        const answers = Math.floor(rest / REQUEST_BYTES);
        rest %= REQUEST_BYTES;
        answered += answers;
        const more = Math.min(answers, count - asked);
        asked += more;
        if (more > 0) stream.send(more === 1 ? request : Buffer.alloc(more * REQUEST_BYTES, 7));
        if (answered < count) return;
        stream.removeEventListener("message", hear);
        resolve();
      };
      stream.addEventListener("message", hear);
      stream.send(Buffer.alloc(asked * REQUEST_BYTES, 7));
    });
  },
  async bulk(bytes) {
    const stream = await open(BULK);
    const answered = new Promise((resolve) => {
      stream.addEventListener("message", resolve, { once: true });
    });
    for (let left = bytes; left > 0; left -= CHUNK_BYTES)
      if (!stream.send(chunk.subarray(0, Math.min(left, CHUNK_BYTES)))) await drained(stream);
    await stream.close();
    await answered;
  },
};

obey(end);
