// Tensors by hash over real libp2p: whole, resumed over a broken link, from several holders, within their bounds.
import { createHash } from "node:crypto";
import t, { type Test } from "tap";
import {
  defaultTensorExchangeOptions,
  defaultTensorShelfOptions,
  type TensorExchangeOptions,
} from "../../src/federated/tensors/options.ts";
import { TENSORS_PROTOCOL, TensorExchange } from "../../src/federated/tensors/tensor-exchange.ts";
import { TensorShelf } from "../../src/federated/tensors/tensor-shelf.ts";
import { LevelStore } from "../../src/platform/level/level-store.ts";
import type { Network } from "../../src/platform/network.ts";
import { nodeHasher } from "../../src/platform/node/hasher.ts";
import { SystemClock } from "../../src/platform/node/system-clock.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { silentLogger } from "../../src/platform/silent-logger.ts";
import { MemoryKeyValueStore } from "../../src/simulator/memory-key-value-store.ts";
import { SOON, until } from "../conformance/network-ground.ts";
import { libp2pNodes } from "../support/libp2p-under-test.ts";

/** As a peer may send beyond what it was told has arrived: the window of a bulk transfer, and what TCP holds. */
const ON_THE_WAY_BYTES = 2_097_152 + 1_048_576;

interface Agent {
  readonly network: Network;
  readonly shelf: TensorShelf;
  readonly exchange: TensorExchange;
  readonly offences: readonly string[];
}

const make = libp2pNodes();

/** @returns an agent that opens links to the others by itself, once it was shown them */
async function agent(
  t: Test,
  others: Agent[],
  over: Partial<TensorExchangeOptions> = {},
): Promise<Agent> {
  let exchange: TensorExchange | undefined;
  const shelf = await TensorShelf.open(
    { store: new MemoryKeyValueStore(), hasher: nodeHasher, logger: silentLogger },
    defaultTensorShelfOptions,
  );
  const offences: string[] = [];
  const { network } = await make(t, {
    gate: { offence: (peer, kind) => void offences.push(`${peer} ${kind}`) },
    before: (network) => {
      exchange = new TensorExchange(
        {
          self: network.self,
          network,
          reach: async (peer, question) => {
            if (!network.links().some((link) => link.peer === peer)) {
              const there = others.find(({ network: { self } }) => self === peer);
              await network.connect({ peer, addresses: there?.network.addresses() ?? [] }, SOON);
            }
            return network.request(peer, TENSORS_PROTOCOL, question, SOON);
          },
          shelf,
          hasher: nodeHasher,
          clock: new SystemClock(),
          random: new SeededRandom("tensors"),
          logger: silentLogger,
          gate: { offence: (peer, kind) => void offences.push(`${peer} ${kind}`) },
          mayServe: () => true,
        },
        { ...defaultTensorExchangeOptions, ...over },
      );
    },
  });
  if (exchange === undefined) throw new Error("no exchange was made");
  t.teardown(() => exchange?.stop());
  const made = { network, shelf, exchange, offences };
  others.push(made);
  return made;
}

function tensor(sizeBytes: number, seed: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(sizeBytes / 4));
  for (let at = 0; at < words.length; at++) words[at] = Math.imul(at ^ seed, 2_654_435_761);
  return new Uint8Array(words.buffer).slice(0, sizeBytes);
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

t.test("800 kB and 20 MB go from one to another, and a short one in the answer", async (t) => {
  const fleet: Agent[] = [];
  const holder = await agent(t, fleet);
  const fetcher = await agent(t, fleet);
  const holders = [holder.network.self];
  for (const sizeBytes of [1, 65_536, 65_537, 800_000, 20_000_000]) {
    const hash = holder.shelf.put(tensor(sizeBytes, sizeBytes));
    const progress: number[] = [];
    const bytes = await fetcher.exchange.fetch(hash, {
      sizeBytes,
      holders,
      onProgress: (there) => progress.push(there),
    });
    t.equal(sha256(bytes), hash, `${sizeBytes} bytes`);
    t.equal(progress.at(-1), sizeBytes);
    t.ok(progress.every((there, n) => n === 0 || there > (progress[n - 1] ?? 0)));
    t.equal(fetcher.shelf.sizeOf(hash), sizeBytes, "it can serve others now");
  }
  t.equal(holder.exchange.counters().sentBytes, 1 + 65_536 + 65_537 + 800_000 + 20_000_000);
  await until(() => holder.exchange.counters().uploads === 0, "the end of all uploads");
  t.equal(holder.exchange.counters().served, 5);
  t.match(fetcher.exchange.counters(), { fetches: 5, fetched: 5, failures: 0, inFlightBytes: 0 });
  t.equal(holder.offences.length + fetcher.offences.length, 0);
});

t.test(
  "a link that is killed half way costs what was on the way, not what was there",
  async (t) => {
    const fleet: Agent[] = [];
    const holder = await agent(t, fleet);
    const fetcher = await agent(t, fleet);
    const sizeBytes = 20_000_000;
    const hash = holder.shelf.put(tensor(sizeBytes, 3));
    let kills = 0;
    const bytes = await fetcher.exchange.fetch(hash, {
      sizeBytes,
      holders: [holder.network.self],
      onProgress: (there) => {
        if (there < ((kills + 1) * sizeBytes) / 4 || kills === 3) return;
        kills++;
        void holder.network.disconnect(fetcher.network.self);
      },
    });
    t.equal(sha256(bytes), hash);
    t.equal(kills, 3);
    const { resumed, receivedBytes } = fetcher.exchange.counters();
    t.equal(resumed, 3);
    const { sentBytes } = holder.exchange.counters();
    t.comment(`${sentBytes} bytes sent, ${receivedBytes} received of ${sizeBytes}`);
    t.equal(receivedBytes, sizeBytes, "no byte was taken twice");
    t.ok(sentBytes <= 1.02 * sizeBytes + kills * ON_THE_WAY_BYTES, `${sentBytes} bytes were sent`);
  },
);

t.test(
  "of four agents one lies and one dies; the tensor comes whole from those that are left",
  async (t) => {
    const fleet: Agent[] = [];
    const [liar, dying, honest, fetcher] = [
      await agent(t, fleet),
      await agent(t, fleet),
      await agent(t, fleet),
      await agent(t, fleet),
    ];
    const sizeBytes = 20_000_000;
    const right = tensor(sizeBytes, 4);
    const hash = sha256(right);
    dying.shelf.hold(hash, right);
    honest.shelf.hold(hash, right);
    const wrong = Uint8Array.from(right);
    wrong[sizeBytes - 1] = (wrong[sizeBytes - 1] ?? 0) ^ 1;
    liar.shelf.hold(hash, wrong);
    let died = false;
    const bytes = await fetcher.exchange.fetch(hash, {
      sizeBytes,
      holders: [liar, dying, honest].map(({ network }) => network.self),
      onProgress: (there) => {
        if (died || fetcher.offences.length === 0 || there < sizeBytes / 2) return;
        died = true;
        void dying.network.stop();
      },
    });
    t.equal(sha256(bytes), hash);
    t.ok(died);
    t.same(fetcher.offences, [`${liar.network.self} malformed`]);
    const { sentBytes } = honest.exchange.counters();
    t.ok(sentBytes < 0.6 * sizeBytes, `the last one gave the rest alone: ${sentBytes} bytes`);
    t.equal(fetcher.exchange.counters().receivedBytes, 2 * sizeBytes);
  },
);

t.test("50 fetches at once stay within the bounds of memory, and all come", async (t) => {
  const fleet: Agent[] = [];
  const over = { fetchesMax: 4, inFlightBytesMax: 2_000_000 };
  const holder = await agent(t, fleet);
  const fetcher = await agent(t, fleet, over);
  const sizeBytes = 800_000;
  const hashes = Array.from({ length: 50 }, (_, n) => holder.shelf.put(tensor(sizeBytes, 7 * n)));
  let mostBytes = 0;
  let mostFlights = 0;
  const look = (): void => {
    const { inFlightBytes, flights } = fetcher.exchange.counters();
    mostBytes = Math.max(mostBytes, inFlightBytes);
    mostFlights = Math.max(mostFlights, flights);
  };
  const all = await Promise.all(
    hashes.map((hash) =>
      fetcher.exchange.fetch(hash, {
        sizeBytes,
        holders: [holder.network.self],
        onProgress: look,
      }),
    ),
  );
  for (const [n, bytes] of all.entries()) t.equal(sha256(bytes), hashes[n]);
  t.equal(mostBytes, 1_600_000);
  t.equal(mostFlights, 2);
  t.ok(fetcher.shelf.counters().memoryBytes <= defaultTensorShelfOptions.memoryBytesMax);
  t.equal(fetcher.exchange.counters().inFlightBytes, 0);
});

t.test(
  "what is kept in LevelDB is there after a restart, and leaves it without a trace",
  async (t) => {
    const directory = t.testdir();
    const hasher = nodeHasher;
    const open = async (): Promise<[LevelStore, TensorShelf]> => {
      const store = await LevelStore.open({ directory, logger: silentLogger });
      const parts = { store, hasher, logger: silentLogger };
      return [store, await TensorShelf.open(parts, defaultTensorShelfOptions)];
    };
    const [before, shelf] = await open();
    const hash = shelf.put(tensor(3_000_000, 5));
    await shelf.keep(hash);
    await before.close();
    const [after, later] = await open();
    t.teardown(() => after.close());
    t.same(later.kept(), [hash]);
    const bytes = await later.get(hash);
    t.equal(bytes === undefined ? "nothing" : sha256(bytes), hash);
    await later.release(hash);
    t.same(await after.range({ gte: "f/", lt: "f/~", limit: 10 }), []);
  },
);
