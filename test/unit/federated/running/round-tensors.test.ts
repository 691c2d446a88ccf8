// From whom a round has what it is made of, and until when.
import t from "tap";
import { RoundTensors } from "../../../../src/federated/running/round-tensors.ts";
import { decodeQuestion } from "../../../../src/federated/tensors/message-codec.ts";
import {
  defaultTensorExchangeOptions,
  defaultTensorShelfOptions,
} from "../../../../src/federated/tensors/options.ts";
import { TensorExchange } from "../../../../src/federated/tensors/tensor-exchange.ts";
import { TensorShelf } from "../../../../src/federated/tensors/tensor-shelf.ts";
import { NetworkError } from "../../../../src/platform/network.ts";
import { nodeHasher } from "../../../../src/platform/node/hasher.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";
import { silentLogger } from "../../../../src/platform/silent-logger.ts";
import { MemoryKeyValueStore } from "../../../../src/simulator/memory-key-value-store.ts";
import { VirtualClock } from "../../../../src/simulator/virtual-clock.ts";

const hashOf = (name: string): string => nodeHasher.sha256Hex(name);

/** An agent whose questions nobody answers, or everybody refuses. */
async function under({ members, linked }: { members: string[]; linked: string[] }, seed = "one") {
  const clock = new VirtualClock();
  const asked: string[] = [];
  const wanted: string[] = [];
  const behaviour = { refuses: true };
  const random = new SeededRandom(seed);
  const logger = silentLogger;
  const store = new MemoryKeyValueStore();
  const exchange = new TensorExchange(
    {
      self: "self",
      network: {
        serve: () => undefined,
        serveBulk: () => undefined,
        sendBulk: async () => undefined,
      },
      reach: (peer, question) => {
        asked.push(peer);
        wanted.push(decodeQuestion(question)?.hash ?? "");
        return behaviour.refuses
          ? Promise.reject(new NetworkError("network.unreachable", "nobody is there"))
          : new Promise(() => undefined);
      },
      shelf: await TensorShelf.open(
        { store, hasher: nodeHasher, logger },
        defaultTensorShelfOptions,
      ),
      hasher: nodeHasher,
      clock,
      random,
      logger,
      gate: { offence: () => undefined },
      mayServe: () => true,
    },
    { ...defaultTensorExchangeOptions, attemptsMax: 1 },
  );
  const tensors = new RoundTensors({
    exchange,
    logger,
    members: () => members,
    neighbours: () => linked,
    random,
    modelBytes: 100,
    signal: new AbortController().signal,
  });
  return { clock, asked, wanted, behaviour, tensors };
}

t.test("a model is asked for where there is a link, before anybody is dialled", async (t) => {
  const members = ["m1", "m2", "m3", "m4", "m5"];
  const orders = new Set<string>();
  for (const seed of ["one", "two", "three", "four"]) {
    const { asked, tensors } = await under(
      { members, linked: ["n1", "m3", "n2", "n3", "a"] },
      seed,
    );
    t.equal(await tensors.model(hashOf("model"), "a"), undefined);
    t.same(asked.slice(0, 2), ["a", "m3"], "those with a link that have it for certain");
    t.ok(
      asked.slice(2, 4).every((peer) => peer.startsWith("n")),
      "two neighbours",
    );
    t.same(asked.slice(4).toSorted(), ["m1", "m2", "m4", "m5"], "then the others");
    orders.add(asked.slice(4).join());
  }
  t.ok(orders.size > 1, "not everybody in the same order");
});

t.test("what is fetched for a round ends with it", async (t) => {
  const { clock, wanted, behaviour, tensors } = await under({ members: ["m"], linked: [] });
  behaviour.refuses = false;
  const ending = new AbortController();
  const kinds = { kind: "fetch", what: "update", bytesMax: 100, holders: ["far"] } as const;
  // More than are fetched at once.
  const fetched = Array.from({ length: 10 }, (_, at) =>
    tensors.wanted({ ...kinds, hash: hashOf(`update ${at}`) }, ending.signal),
  );
  const model = tensors.model(hashOf("model"), undefined);
  await clock.advance(10);
  t.notOk(wanted.includes(hashOf("model")), "it waits behind them");
  ending.abort();
  t.same(
    await Promise.all(fetched),
    Array.from({ length: 10 }, () => undefined),
  );
  await clock.advance(10);
  t.ok(wanted.includes(hashOf("model")), "the next round's model does not");
  void model;
});
