import { createHash } from "node:crypto";
import type { Test } from "tap";
import {
  type BulkOffer,
  type BulkSink,
  type BulkSource,
  type Network,
  type NetworkError,
  Refused,
} from "../../src/platform/network.ts";
import { codeOf, type MakeNode, pair, until } from "./network-ground.ts";

const BULK = "/agent-mesh-test/bulk/1.0.0";
/** What may be on the way, with room for what a transport takes beside it. */
const AHEAD_BYTES_MAX = 4_194_304;

function content(sizeBytes: number, name = "content"): BulkSource & { readonly whole: Buffer } {
  const whole = Buffer.alloc(sizeBytes);
  for (let at = 0; at + 4 <= sizeBytes; at += 4)
    whole.writeUInt32LE((at * 2_654_435_761) >>> 0, at);
  return {
    name,
    sizeBytes,
    sha256: createHash("sha256").update(whole).digest(),
    read: (offset, length) => whole.subarray(offset, offset + length),
    whole,
  };
}

/** Keeps what comes. */
class Keeper implements BulkSink {
  readonly pieces: Buffer[] = [];
  offset = 0;
  /** "done", or how it broke. */
  ended: string | undefined;

  get whole(): Buffer {
    return Buffer.concat(this.pieces);
  }

  get bytes(): number {
    return this.pieces.reduce((sum, { length }) => sum + length, 0);
  }

  read(offset: number, length: number): Uint8Array {
    return this.whole.subarray(offset, offset + length);
  }

  write(bytes: Uint8Array): void | Promise<void> {
    this.pieces.push(Buffer.from(bytes));
  }

  done(): void | Promise<void> {
    this.ended = "done";
  }

  broken({ code, refusal }: NetworkError): void {
    this.ended = refusal === undefined ? code : `${code} ${refusal}`;
  }
}

/** Content of any size goes over whole, at the pace of who takes it. */
export function bulkConformance(t: Test, make: MakeNode): void {
  t.test("5 MB go over whole, and an empty file too", async (t) => {
    const [near, far] = await pair(t, make);
    const offers: BulkOffer[] = [];
    const sinks: Keeper[] = [];
    far.network.serveBulk(BULK, (offer) => {
      offers.push(offer);
      const sink = new Keeper();
      sinks.push(sink);
      return offer.sizeBytes === 0 ? Promise.resolve(sink) : sink;
    });
    const source = content(5_000_000, "ä".repeat(128));
    const progress: number[] = [];
    await near.network.sendBulk(far.network.self, BULK, source, (bytes) => progress.push(bytes));
    const { name, sizeBytes, sha256 } = source;
    t.match(offers, [{ from: near.network.self, name, sizeBytes }]);
    t.ok(Buffer.from(offers[0]?.sha256 ?? []).equals(sha256));
    t.ok(sinks[0]?.whole.equals(source.whole));
    t.equal(sinks[0]?.ended, "done", "before the sender is told");
    t.equal(progress[0], 0);
    t.equal(progress.at(-1), sizeBytes);
    t.ok(progress.every((bytes, n) => n === 0 || bytes >= (progress[n - 1] ?? 0)));
    t.ok(progress.length > 5);
    await near.network.sendBulk(far.network.self, BULK, content(0));
    t.equal(sinks[1]?.ended, "done");
    t.equal(near.network.counters().sentBytes, sizeBytes);
    t.equal(far.network.counters().receivedBytes, sizeBytes);
  });

  t.test("two at once do not mix", async (t) => {
    const [near, far] = await pair(t, make);
    const sinks = new Map<string, Keeper>();
    far.network.serveBulk(BULK, ({ name }) => {
      const sink = new Keeper();
      sinks.set(name, sink);
      return sink;
    });
    const sources = [content(700_001, "one"), content(300_003, "two")];
    const { self } = far.network;
    await Promise.all(sources.map((source) => near.network.sendBulk(self, BULK, source)));
    for (const { name, whole } of sources) t.ok(sinks.get(name)?.whole.equals(whole), name);
  });

  t.test("the sender waits for a sink that is slow", async (t) => {
    const [near, far] = await pair(t, make);
    const gate = Promise.withResolvers<void>();
    let taken = 0;
    const sink = new Keeper();
    // Takes 3 MB as fast as they come, so that every window opens wide, then nothing.
    sink.write = (bytes) => {
      taken += bytes.length;
      sink.pieces.push(Buffer.from(bytes));
      return taken > 3_000_000 ? gate.promise : undefined;
    };
    far.network.serveBulk(BULK, () => sink);
    const source = content(20_000_000);
    let read = 0;
    const counted: BulkSource = {
      ...source,
      read: (offset, length) => {
        read = offset + length;
        return source.read(offset, length);
      },
    };
    const sent = near.network.sendBulk(far.network.self, BULK, counted);
    await until(() => taken > 3_000_000, "the sink to be busy");
    let still = -1;
    await until(async () => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      return still === (still = read);
    }, "the sender to stand still");
    t.ok(read - taken <= AHEAD_BYTES_MAX, `${read - taken} bytes ahead`);
    t.ok(read < source.sizeBytes);
    gate.resolve();
    await sent;
    t.ok(sink.whole.equals(source.whole));
    t.equal(sink.ended, "done");
  });

  t.test("an interrupted one goes on where it stopped, under one digest", async (t) => {
    const [near, far] = await pair(t, make);
    const source = content(3_000_000);
    const first = new Keeper();
    let sinks: BulkSink[] = [];
    far.network.serveBulk(BULK, () => sinks.shift() ?? new Keeper());
    first.write = (bytes) => {
      first.pieces.push(Buffer.from(bytes));
      // The link breaks in the middle.
      if (first.bytes > 1_000_000 && first.ended === undefined)
        return near.network.disconnect(far.network.self);
      return undefined;
    };
    sinks = [first];
    const broken = near.network.sendBulk(far.network.self, BULK, source);
    t.equal(await codeOf(broken), "network.closed");
    await until(() => first.ended !== undefined, "the sink to hear of it");
    t.equal(first.ended, "network.closed");
    const kept = first.whole;
    t.ok(kept.length < source.sizeBytes && kept.equals(source.whole.subarray(0, kept.length)));
    await near.network.connect({ addresses: far.network.addresses() }, { timeoutMs: 10_000 });
    const second = new Keeper();
    second.pieces.push(kept);
    second.offset = kept.length;
    sinks = [second];
    const progress: number[] = [];
    await near.network.sendBulk(far.network.self, BULK, source, (bytes) => progress.push(bytes));
    t.equal(progress[0], kept.length);
    t.ok(second.whole.equals(source.whole));
    t.equal(second.ended, "done");
    const whole = new Keeper();
    whole.pieces.push(source.whole);
    whole.offset = source.sizeBytes;
    sinks = [whole];
    await near.network.sendBulk(far.network.self, BULK, source);
    t.equal(whole.ended, "done", "nothing is left to send, and it is right");
  });

  t.test("what is not what it was said to be is refused", async (t) => {
    const [near, far] = await pair(t, make);
    const source = content(500_000);
    const kept = new Keeper();
    kept.pieces.push(Buffer.alloc(1_000, 1));
    kept.offset = 1_000;
    let sinks = [new Keeper(), kept];
    const all = [...sinks];
    far.network.serveBulk(BULK, () => sinks.shift() ?? new Keeper());
    const send = (over: Partial<BulkSource> = {}): Promise<string> =>
      codeOf(near.network.sendBulk(far.network.self, BULK, { ...source, ...over }));
    t.equal(await send({ sha256: Buffer.alloc(32, 1) }), "network.refused bulk.digest");
    t.equal(all[0]?.ended, "network.refused bulk.digest");
    t.equal(await send(), "network.refused bulk.digest", "what was there before counts too");
    const trusting = Object.assign(new Keeper(), { unchecked: true as const });
    sinks = [trusting];
    await send({ sha256: Buffer.alloc(32, 1) });
    t.equal(trusting.ended, "done", "unless the sink takes the sender's word");
    t.ok(trusting.whole.equals(source.whole));
    t.equal(await send({ read: () => new Uint8Array(0) }), "network.closed", "a source runs dry");
    t.equal(await send({ name: "x".repeat(257) }), "network.too-large");
    t.equal(await send({ sha256: Buffer.alloc(31) }), "network.too-large");
    sinks = [];
    t.equal(await send(), "fine");
    t.same([near.offences, far.offences], [[], []]);
  });

  t.test("who does not want it, or can not keep it, says why", async (t) => {
    const [near, far] = await pair(t, make);
    const source = content(4_000_000);
    const sinks: Keeper[] = [];
    far.network.serveBulk(BULK, ({ name }) => {
      if (name === "unwanted") throw new Refused("test.unwanted", "x".repeat(5_000));
      if (name === "later") return Promise.reject(new Refused("test.later", "no"));
      if (name === "fails") throw new TypeError("a secret");
      const sink = new Keeper();
      sinks.push(sink);
      if (name === "odd") sink.offset = source.sizeBytes + 1;
      if (name === "full")
        sink.write = (bytes) => {
          sink.pieces.push(Buffer.from(bytes));
          if (sink.bytes > 500_000) throw new Refused("test.full", "no room");
        };
      if (name === "undone") sink.done = () => Promise.reject(new TypeError("a secret"));
      return sink;
    });
    const send = (name: string): Promise<string> =>
      codeOf(near.network.sendBulk(far.network.self, BULK, { ...source, name }));
    t.equal(await send("unwanted"), "network.refused test.unwanted");
    t.equal(await send("later"), "network.refused test.later");
    t.equal(await send("fails"), "network.refused service.failed");
    t.equal(await send("odd"), "network.refused service.failed");
    t.equal(await send("full"), "network.refused test.full");
    t.equal(await send("undone"), "network.refused service.failed");
    t.equal(await send("fine"), "fine", "and after all that one still goes");
    t.same(
      sinks.map(({ ended }) => ended),
      ["network.closed", "network.refused test.full", "network.closed", "done"],
    );
    const none = near.network.sendBulk(far.network.self, "/agent-mesh-test/none/1.0.0", source);
    t.equal(await codeOf(none), "network.unsupported");
    t.equal(await codeOf(near.network.sendBulk("nonsense", BULK, source)), "network.unreachable");
    t.throws(() => far.network.serveBulk(BULK, () => new Keeper()), /is served already/);
    t.same([near.offences, far.offences], [[], []]);
  });

  t.test("one that stands still is given up on either side", async (t) => {
    const idle = { bulkIdleTimeoutMs: 400 };
    const [near, far] = await pair(t, make, { near: idle, far: idle });
    const source = content(6_000_000);
    const never = new Promise<never>(() => undefined);
    const sinks: Keeper[] = [];
    far.network.serveBulk(BULK, ({ name }) => {
      const sink = new Keeper();
      sinks.push(sink);
      if (name === "accept") return never;
      if (name === "write") sink.write = () => never;
      if (name === "done") sink.done = () => never;
      return sink;
    });
    const send = (network: Network, over: Partial<BulkSource>): Promise<string> =>
      codeOf(network.sendBulk(far.network.self, BULK, { ...source, ...over }));
    for (const name of ["accept", "write", "done"]) {
      const code = await send(near.network, { name });
      // Whoever notices first resets the stream under the other.
      t.ok(["network.timeout", "network.closed"].includes(code), `${name}: ${code}`);
      await until(() => name === "accept" || sinks.at(-1)?.ended !== undefined, "the sink to hear");
      if (name !== "accept") t.match(sinks.at(-1)?.ended, /^network\.(timeout|closed)$/);
    }
    const code = await send(near.network, { name: "source", read: () => never });
    t.match(code, /^network\.(timeout|closed)$/);
    await until(() => sinks.at(-1)?.ended !== undefined, "the sink to hear of the source");
  });
}
