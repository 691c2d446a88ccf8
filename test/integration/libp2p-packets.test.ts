// What is mended in js-libp2p from outside: who meets other names in a new version of it fails here.
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { MultiaddrConnection } from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p, type Libp2p } from "libp2p";
import t, { type Test } from "tap";
import { unthrowing } from "../../src/platform/libp2p/noise-prefix.ts";
import { writeTogether } from "../../src/platform/libp2p/write-together.ts";

const PROTOCOL = "/test/echo/1.0.0";
const PORT = /\/tcp\/(\d+)/;

/** Answers with what it gets. */
async function echo(t: Test): Promise<Libp2p> {
  const node = await peer(t, () => undefined);
  await node.handle(PROTOCOL, (stream) => {
    stream.addEventListener("message", ({ data }) => void stream.send(data.slice()));
  });
  return node;
}

async function peer(t: Test, onConnected: (connection: MultiaddrConnection) => void) {
  const node = await createLibp2p({
    addresses: { listen: ["/ip4/127.0.0.1/tcp/0"] },
    transports: [tcp()],
    connectionEncrypters: [unthrowing(noise())],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    connectionGater: {
      denyDialMultiaddr: () => false,
      denyOutboundEncryptedConnection: (_, connection) => {
        onConnected(connection);
        return false;
      },
    },
  });
  t.teardown(() => node.stop());
  return node;
}

/** A way to a port on which what goes there comes apart, in pieces of one, two and three bytes and of whatever length. */
async function crumbling(t: Test, toPort: number): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect({ port: toPort, host: "127.0.0.1", noDelay: true });
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        near.destroy();
        far.destroy();
      });
    }
    far.pipe(near);
    void (async () => {
      let piece = 0;
      for await (const chunk of near as AsyncIterable<Buffer>)
        for (let from = 0; from < chunk.length; ) {
          const size = [1, 2, 3, 4_096][piece++ % 4] ?? 1;
          far.write(chunk.subarray(from, from + size));
          from += size;
          // Pieces that the kernel gets together it hands over together.
          await new Promise(setImmediate);
        }
    })().catch(() => undefined);
  });
  await new Promise<void>((done) => {
    server.listen(0, "127.0.0.1", done);
  });
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** @returns what comes back */
async function echoed(node: Libp2p, address: string, sent: Uint8Array): Promise<Buffer> {
  const connection = await node.dial(multiaddr(address));
  const stream = await connection.newStream(PROTOCOL);
  const came: Uint8Array[] = [];
  let bytes = 0;
  const all = new Promise<void>((resolve) => {
    stream.addEventListener("message", ({ data }) => {
      came.push(data.subarray().slice());
      bytes += data.byteLength;
      if (bytes === sent.length) resolve();
    });
  });
  for (let from = 0; from < sent.length; from += 10_000)
    if (!stream.send(sent.subarray(from, from + 10_000))) await stream.onDrain();
  await all;
  return Buffer.concat(came);
}

const sent = Uint8Array.from({ length: 200_000 }, (_, at) => (at * 7_919) % 251);

t.test(
  "messages that come in crumbs are put together, and no error is thrown for that",
  async (t) => {
    const other = await echo(t);
    const [, port] = PORT.exec(String(other.getMultiaddrs()[0])) ?? [];
    const by = await crumbling(t, Number(port));
    const node = await peer(t, () => undefined);
    const address = `/ip4/127.0.0.1/tcp/${by}/p2p/${other.peerId.toString()}`;
    // Handshakes decode by themselves.
    await echoed(node, address, sent.subarray(0, 10));
    let thrown = 0;
    const original = globalThis.RangeError;
    t.teardown(() => {
      globalThis.RangeError = original;
    });
    globalThis.RangeError = new Proxy(original, {
      apply(target, _, [message]: [string]) {
        if (message.includes("int16")) thrown++;
        return target(message);
      },
    });
    const came = await echoed(node, address, sent);
    t.equal(Buffer.compare(came, sent), 0);
    t.equal(thrown, 0);
  },
);

t.test(
  "what is written in one turn goes out in one call, in order, and none is left behind",
  async (t) => {
    const other = await echo(t);
    let calls = 0;
    let pieces = 0;
    const node = await peer(t, (connection) => {
      const { socket } = connection as MultiaddrConnection & { socket: Socket };
      const write = socket.write.bind(socket) as (...all: unknown[]) => boolean;
      socket.write = (...all: unknown[]) => {
        pieces++;
        return write(...all);
      };
      const uncork = socket.uncork.bind(socket);
      socket.uncork = () => {
        // All of it in one call to the kernel.
        calls++;
        uncork();
      };
      writeTogether(connection);
      t.ok(Object.hasOwn(connection, "sendData"), "the connection is one that can be mended");
    });
    const came = await echoed(node, String(other.getMultiaddrs()[0]), sent);
    t.equal(Buffer.compare(came, sent), 0);
    t.ok(
      calls > 0 && pieces >= 2 * calls,
      `${pieces} pieces in ${calls} calls: no length goes by itself`,
    );
  },
);

t.test("a socket that is ended with words on their way says them", async (t) => {
  let heard = "";
  const ended = Promise.withResolvers<void>();
  const server = createServer((socket) => {
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => {
      heard += text;
    });
    socket.on("end", ended.resolve);
  });
  await new Promise<void>((done) => {
    server.listen(0, "127.0.0.1", done);
  });
  t.teardown(() => server.close());
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  await new Promise((done) => socket.once("connect", done));
  const connection = {
    socket,
    sendData: (words: string[]) => {
      for (const word of words) socket.write(word);
    },
  };
  writeTogether(connection as unknown as MultiaddrConnection);
  connection.sendData(["good", "bye"]);
  connection.sendData([", ", "all"]);
  t.equal(socket.bytesWritten - socket.writableLength, 0, "nothing has gone out yet");
  socket.destroySoon();
  await ended.promise;
  t.equal(heard, "goodbye, all");
});
