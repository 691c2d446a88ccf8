// Requests, topics and bulk over real sockets.
import { createHash, randomBytes } from "node:crypto";
import t from "tap";
import { BridgeError, type BridgeMessage } from "../../src/platform/bridge.ts";
import { type BulkSink, Refused } from "../../src/platform/network.ts";
import { clientOf, codeOf, echo, requestOf, startDoor } from "../support/grpc-door.ts";

/** Half noise, half repetition. */
function payload(length: number): Buffer {
  const bytes = Buffer.alloc(length, "temperature=21.5;");
  randomBytes(length >>> 1).copy(bytes);
  return bytes;
}

for (const gzip of [false, true])
  t.test(`100 MB there and back, gzip ${gzip ? "on" : "off"}`, async (t) => {
    const { server, url } = await startDoor(t, echo());
    const client = clientOf(t, url, { gzip });
    const bytes = payload(104_857_600);
    const answer = await client.exchange(requestOf(bytes));
    t.ok(bytes.equals(answer), "the same bytes came back");
    const { sentBytes } = server.counters();
    t.equal(sentBytes < 80_000_000, gzip, "compressed on the way back only when asked for");
    t.same(server.counters().statuses, { OK: 1 });
  });

t.test("what is over the limit is refused and counted, on either side", async (t) => {
  const limits = { messageBytesMax: 1_000_000 };
  const { server, url } = await startDoor(
    t,
    echo({ exchange: () => Promise.resolve(new Uint8Array(1_000_001)) }),
    { limits },
  );
  const client = clientOf(t, url);
  t.equal(await codeOf(client.exchange(requestOf(payload(1_000_001)))), "bridge.too-large");
  t.equal(await codeOf(client.exchange(requestOf(payload(5_000_000)))), "bridge.too-large");
  t.equal(await codeOf(client.exchange(requestOf(payload(10)))), "bridge.too-large", "an answer");
  const bomb = clientOf(t, url, { gzip: true });
  t.equal(await codeOf(bomb.exchange(requestOf(Buffer.alloc(50_000_000)))), "bridge.too-large");
  const careful = clientOf(t, url, { messageBytesMax: 100 });
  t.equal(await codeOf(careful.exchange(requestOf(payload(101)))), "bridge.too-large");
  t.match(server.counters(), {
    statuses: { RESOURCE_EXHAUSTED: 4 },
    refusals: { "bridge.too-large": 4 },
  });
});

t.test("deadlines count, and an agent's refusal arrives with its code", async (t) => {
  const given: number[] = [];
  const { server, url } = await startDoor(
    t,
    echo({
      exchange: ({ task, timeoutMs }) => {
        given.push(timeoutMs);
        if (task === "no") return Promise.reject(new Refused("access.denied", "not you \ud800"));
        if (task === "bug") return Promise.reject(new TypeError("secret detail"));
        return new Promise(() => undefined);
      },
    }),
  );
  const client = clientOf(t, url);
  const request = requestOf(payload(10), 150);
  t.equal(await codeOf(client.exchange(request)), "bridge.timeout");
  t.ok(given[0]! > 0 && given[0]! <= 151, "the time left was passed on");
  await t.rejects(client.exchange({ ...request, timeoutMs: 20_000, task: "no" }), {
    code: "bridge.refused",
    refusal: "access.denied",
  });
  const bug = await client
    .exchange({ ...request, timeoutMs: 20_000, task: "bug" })
    .catch((error: BridgeError) => error);
  t.match(bug, { code: "bridge.failed", message: "internal error" });
  t.equal(await codeOf(client.exchange({ ...request, target: "" })), "bridge.malformed");
  t.equal(await codeOf(client.exchange({ ...request, id: "x".repeat(65) })), "bridge.malformed");
  t.match(server.counters().statuses, { FAILED_PRECONDITION: 1, INTERNAL: 1, INVALID_ARGUMENT: 2 });
});

t.test("more requests at once than the bound are refused", async (t) => {
  const { promise, resolve } = Promise.withResolvers<Uint8Array>();
  const { server, url } = await startDoor(t, echo({ exchange: () => promise }), {
    limits: { callsPerPrincipalMax: 2 },
  });
  const client = clientOf(t, url);
  const held = [1, 2].map(() => client.exchange(requestOf(payload(10))));
  while (server.counters().callsNow < 2) await new Promise((resolve) => setImmediate(resolve));
  t.equal(await codeOf(client.exchange(requestOf(payload(10)))), "bridge.busy");
  resolve(payload(1));
  await Promise.all(held);
  while (server.counters().callsNow > 0) await new Promise((resolve) => setImmediate(resolve));
  t.equal((await client.exchange(requestOf(payload(10)))).length, 1, "there is room again");
});

/** Keeps what comes, and can break off. */
class Store implements BulkSink {
  bytes: Uint8Array;
  breakAt = Number.POSITIVE_INFINITY;
  finished = false;
  constructor(bytes: Uint8Array = new Uint8Array()) {
    this.bytes = bytes;
  }
  get offset(): number {
    return this.bytes.length;
  }
  write(bytes: Uint8Array): void {
    if (this.bytes.length + bytes.length > this.breakAt)
      throw new BridgeError("bridge.queue-full", "no room");
    this.bytes = Buffer.concat([this.bytes, bytes]);
  }
  done(): void {
    this.finished = true;
  }
  broken(): void {
    this.finished = false;
  }
}

t.test("an upload goes on where it stopped, and has to be what was offered", async (t) => {
  const store = new Store();
  const { url } = await startDoor(
    t,
    echo({
      uploadOffset: () => Promise.resolve(store.offset),
      upload: () => Promise.resolve(store),
    }),
  );
  const bytes = payload(3_000_000);
  const reads: number[] = [];
  const source = {
    name: "model.bin",
    sizeBytes: bytes.length,
    sha256: createHash("sha256").update(bytes).digest(),
    read: (offset: number, length: number) => {
      reads.push(offset);
      return bytes.subarray(offset, offset + length);
    },
  };
  const client = clientOf(t, url);
  store.breakAt = 2_000_000;
  t.equal(await codeOf(client.upload("pi-1", source)), "bridge.queue-full");
  const there = store.offset;
  t.ok(there > 0 && there < bytes.length);
  store.breakAt = Number.POSITIVE_INFINITY;
  reads.length = 0;
  await client.upload("pi-1", source);
  t.equal(reads[0], there, "nothing is sent twice");
  t.ok(store.finished && bytes.equals(store.bytes));
  store.bytes = new Uint8Array();
  const wrong = { ...source, sha256: new Uint8Array(32) };
  t.equal(await codeOf(client.upload("pi-1", wrong)), "bridge.conflict");
  t.notOk(store.finished);
});

t.test("a download goes on where it stopped, unless the content is another by now", async (t) => {
  const bytes = payload(2_500_000);
  const sha256 = createHash("sha256").update(bytes).digest();
  const { url } = await startDoor(
    t,
    echo({
      download: (_target, name) =>
        name === "model.bin"
          ? Promise.resolve({
              name,
              sizeBytes: bytes.length,
              sha256,
              read: (offset, length) => bytes.subarray(offset, offset + length),
            })
          : Promise.reject(new BridgeError("bridge.not-found", "no such content")),
    }),
  );
  const client = clientOf(t, url, { gzip: true });
  const whole = new Store();
  await client.download("pi-1", "model.bin", undefined, (content) => {
    t.equal(content.sizeBytes, bytes.length);
    return whole;
  });
  t.ok(whole.finished && bytes.equals(whole.bytes));
  const half = new Store(bytes.subarray(0, 1_000_001));
  await client.download("pi-1", "model.bin", { offset: half.offset, sha256 }, () => half);
  t.ok(half.finished && bytes.equals(half.bytes));
  const other = { offset: 5, sha256: new Uint8Array(32) };
  t.equal(await codeOf(client.download("pi-1", "model.bin", other, () => half)), "bridge.conflict");
  t.equal(
    await codeOf(client.download("pi-1", "nothing", undefined, () => half)),
    "bridge.not-found",
  );
});

t.test(
  "publishing: author and id are kept, and an id is made up where there is none",
  async (t) => {
    const published: BridgeMessage[] = [];
    const { url } = await startDoor(
      t,
      echo({ publish: (message) => Promise.resolve(published.push(message)) }),
      {
        authenticate: () => ({
          name: "pi",
          peerId: "12D3KooWx",
          allows: (_, topic) => topic !== "no",
        }),
      },
    );
    const client = clientOf(t, url);
    const message = { id: "m1", topic: "a/b", payload: payload(10), via: [] };
    t.equal(await client.publish(message), 1);
    t.equal(await client.publish({ ...message, id: "" }), 2);
    t.match(published[0], { id: "m1", topic: "a/b", from: "12D3KooWx" });
    t.match(published[1]?.id, /^[0-9a-f]{32}$/);
    t.equal(await codeOf(client.publish({ ...message, topic: "a/#" })), "bridge.malformed");
    t.equal(await codeOf(client.publish({ ...message, topic: "no" })), "bridge.denied");
  },
);
