import t from "tap";
import { TaskMemory } from "../../../../src/federated/running/task-memory.ts";
import type { TensorShelf } from "../../../../src/federated/tensors/tensor-shelf.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";
import {
  MemoryKeyValueStore,
  VirtualDisk,
} from "../../../../src/simulator/memory-key-value-store.ts";
import { SimulatedStore } from "../../../../src/simulator/simulated-store.ts";
import { VirtualClock } from "../../../../src/simulator/virtual-clock.ts";
import { signerOf, TASK, wordBy } from "../../../support/rounds/words.ts";

/** A disk that was repaired so often. */
function memory(disk: VirtualDisk, generation: number) {
  const clock = new VirtualClock();
  const store = new SimulatedStore(disk, {
    clock,
    random: new SeededRandom("disk"),
    manners: { syncMs: [0, 0], writeFailureRate: 0 },
    generation,
    repairs: [],
  });
  const memory = new TaskMemory({ store, signer: signerOf("t"), shelf: {} as TensorShelf });
  const soon = async <T>(work: Promise<T>): Promise<T> => {
    for (let turn = 0; turn < 5; turn++) await clock.advance(1);
    return work;
  };
  return { memory, soon };
}

t.test(
  "after a damage an agent is not sure of what it said, until it says something of which it is",
  async (t) => {
    const disk = new VirtualDisk();
    const before = memory(disk, 0);
    t.equal(await before.soon(before.memory.damages(TASK)), 0, "nothing was ever said");
    await before.soon(before.memory.keepWord(TASK, wordBy("t")));
    t.equal(await before.soon(before.memory.damages(TASK)), 0);

    const damaged = memory(disk, 1);
    t.equal(await damaged.soon(damaged.memory.damages(TASK)), 1);
    await damaged.soon(damaged.memory.keepWord(TASK, wordBy("t", { edition: 5 })));
    t.equal(
      await damaged.soon(damaged.memory.damages(TASK)),
      1,
      "that edition says that it is not sure",
    );
    await damaged.soon(damaged.memory.keepWord(TASK, wordBy("t", { baseRound: 4 })));
    t.equal(await damaged.soon(damaged.memory.damages(TASK)), 0);
    t.match(await damaged.soon(damaged.memory.word(TASK)), { baseRound: 4 });

    await new MemoryKeyValueStore(disk).write([{ type: "del", key: `l/spoken/${TASK}` }], {
      durable: true,
    });
    t.equal(await damaged.soon(damaged.memory.damages(TASK)), 1, "what says so may be lost itself");
  },
);
