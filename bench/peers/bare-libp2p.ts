/**
 * Bare js-libp2p, driven by the suite `mesh`, with the least that makes a conversation of it: one kept stream,
 * messages of one length and so without any framing, answers in the order of the requests and so without ids, what
 * belongs to one turn sent together, a promise for each answer. No deadlines, no bounds, nothing checked. Content is
 * raw bytes on a stream of its own, with a digest at the end or without.
 */
import { createHash } from "node:crypto";
import type { Stream } from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p } from "libp2p";
import { type MeshEnd, obey, REQUEST_BYTES } from "../support/mesh-end.ts";

const ECHO = "/bare/echo/1.0.0";
const BULK = "/bare/bulk/1.0.0";
const BULK_DIGEST = "/bare/bulk-digest/1.0.0";
const CHUNK_BYTES = 65_536;

const node = await createLibp2p({
  addresses: { listen: ["/ip4/127.0.0.1/tcp/0"] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  connectionMonitor: { enabled: false },
});

let content = Buffer.alloc(0);
/** Cuts what comes into messages, and sends what is said in one turn together. */
class Conversation {
  readonly #stream: Stream;
  #rest: Uint8Array = new Uint8Array(0);
  #said: Uint8Array[] = [];

  constructor(stream: Stream, hear: (message: Uint8Array) => void) {
    this.#stream = stream;
    stream.addEventListener("message", ({ data }) => {
      const came = data.subarray();
      const all = this.#rest.length === 0 ? came : Buffer.concat([this.#rest, came]);
      let at = 0;
      for (; at + REQUEST_BYTES <= all.length; at += REQUEST_BYTES)
        hear(all.subarray(at, at + REQUEST_BYTES));
      this.#rest = all.subarray(at);
    });
  }

  say(message: Uint8Array): void {
    this.#said.push(message);
    if (this.#said.length > 1) return;
    queueMicrotask(() => {
      const said = this.#said;
      this.#said = [];
      this.#stream.send(said.length === 1 ? (said[0] ?? this.#rest) : Buffer.concat(said));
    });
  }
}

const waiting: ((answer: Uint8Array) => void)[] = [];
let conversation: Conversation | undefined;

function request(message: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    conversation?.say(message);
  });
}

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

function takeBulk(stream: Stream): void {
  const hash = stream.protocol === BULK_DIGEST ? createHash("sha256") : undefined;
  stream.addEventListener("message", ({ data }) => {
    if (hash !== undefined)
      for (const piece of data instanceof Uint8Array ? [data] : data) hash.update(piece);
  });
  stream.addEventListener("remoteCloseWrite", () => {
    stream.send(hash?.digest() ?? Uint8Array.of(1));
    void stream.close();
  });
}

async function open(protocol: string): Promise<Stream> {
  const [connection] = node.getConnections();
  if (connection === undefined) throw new Error("there is no connection");
  return connection.newStream(protocol);
}

const end: MeshEnd = {
  async listen() {
    await node.handle(ECHO, (stream) => {
      const answers = new Conversation(stream, (message) => answers.say(message));
    });
    for (const protocol of [BULK, BULK_DIGEST]) await node.handle(protocol, takeBulk);
    return node.getMultiaddrs().map(String);
  },
  async connect(addresses) {
    await node.dial(addresses.map((address) => multiaddr(address)));
    conversation = new Conversation(await open(ECHO), (answer) => waiting.shift()?.(answer));
  },
  async requests(count, inFlight) {
    let left = count;
    const ask = async (): Promise<void> => {
      while (left-- > 0) {
        const answer = await request(Buffer.alloc(REQUEST_BYTES, 7));
        if (answer.length !== REQUEST_BYTES) throw new Error(`${answer.length} bytes came back`);
      }
    };
    await Promise.all(Array.from({ length: inFlight }, ask));
  },
  async bulk(bytes, digest) {
    const stream = await open(digest ? BULK_DIGEST : BULK);
    const answered = new Promise((resolve) => {
      stream.addEventListener("message", resolve, { once: true });
    });
    if (content.length !== bytes) content = Buffer.alloc(bytes, 7);
    for (let at = 0; at < bytes; at += CHUNK_BYTES)
      if (!stream.send(content.subarray(at, at + CHUNK_BYTES))) await drained(stream);
    await stream.close();
    await answered;
  },
};

obey(end);
