/** One end of a link of ours, driven by the suite `mesh`. */
import { createHash } from "node:crypto";
import type { BulkSink, Protocol } from "../../src/platform/network.ts";
import { libp2pNode } from "../../test/support/libp2p-node.ts";
import { type MeshEnd, obey, REQUEST_BYTES } from "./mesh-end.ts";

const ECHO: Protocol = {
  id: "/agent-mesh-bench/echo/1.0.0",
  messageBytesMax: 65_536,
  queueBytesMax: 1_048_576,
  requestsInFlightMax: 64,
};
const BULK = "/agent-mesh-bench/bulk/1.0.0";
const BULK_DIGEST = "/agent-mesh-bench/bulk-digest/1.0.0";
const DEADLINE = { timeoutMs: 20_000 };

const network = await libp2pNode();
await network.start(() => undefined);
let far = "";

const checked: BulkSink = {
  offset: 0,
  write: () => undefined,
  done: () => undefined,
  broken: () => undefined,
};
const unchecked: BulkSink = { ...checked, unchecked: true };
const digests = new Map<number, { whole: Buffer; sha256: Buffer }>();

function content(bytes: number): { whole: Buffer; sha256: Buffer } {
  const known = digests.get(bytes);
  if (known !== undefined) return known;
  const whole = Buffer.alloc(bytes, 7);
  const made = { whole, sha256: createHash("sha256").update(whole).digest() };
  digests.set(bytes, made);
  return made;
}

const end: MeshEnd = {
  listen() {
    network.serve(ECHO, { request: (_, payload) => payload });
    network.serveBulk(BULK, () => unchecked);
    network.serveBulk(BULK_DIGEST, () => checked);
    return Promise.resolve(network.addresses());
  },
  async connect(addresses) {
    far = await network.connect({ addresses }, DEADLINE);
  },
  async requests(count, inFlight) {
    let left = count;
    const ask = async (): Promise<void> => {
      while (left-- > 0) {
        const answer = await network.request(far, ECHO, Buffer.alloc(REQUEST_BYTES, 7), DEADLINE);
        if (answer.length !== REQUEST_BYTES) throw new Error(`${answer.length} bytes came back`);
      }
    };
    await Promise.all(Array.from({ length: inFlight }, ask));
  },
  async bulk(bytes, digest) {
    const { whole, sha256 } = content(bytes);
    await network.sendBulk(far, digest ? BULK_DIGEST : BULK, {
      name: "bench",
      sizeBytes: bytes,
      sha256,
      read: (offset, length) => whole.subarray(offset, offset + length),
    });
  },
};

obey(end);
