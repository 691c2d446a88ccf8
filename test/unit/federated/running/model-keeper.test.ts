import t from "tap";
import type { RoundHead } from "../../../../src/federated/rounds/chain.ts";
import { ModelKeeper } from "../../../../src/federated/running/model-keeper.ts";
import { TaskMemory } from "../../../../src/federated/running/task-memory.ts";
import { TensorShelf } from "../../../../src/federated/tensors/tensor-shelf.ts";
import { nodeHasher } from "../../../../src/platform/node/hasher.ts";
import { silentLogger } from "../../../../src/platform/silent-logger.ts";
import {
  MemoryKeyValueStore,
  VirtualDisk,
} from "../../../../src/simulator/memory-key-value-store.ts";
import { signerOf, TASK } from "../../../support/rounds/words.ts";
import { tensor } from "../../../support/tensors/tensor-world.ts";

const BYTES = 1_000;

/** A process that has a disk, and the keeper of one task in it. */
async function started(disk: VirtualDisk, storeBytesMax = 100_000) {
  const store = new MemoryKeyValueStore(disk);
  const options = { memoryBytesMax: 100_000, storeBytesMax };
  const shelf = await TensorShelf.open(
    { store, hasher: nodeHasher, logger: silentLogger },
    options,
  );
  const memory = new TaskMemory({ store, shelf, signer: signerOf("keeper") });
  const keeper = new ModelKeeper({
    shelf,
    clock: { monotonicMs: () => 1 },
    logger: silentLogger,
    kept: await memory.kept(TASK),
    remember: (kept) => memory.keep(TASK, kept),
  });
  return { shelf, memory, keeper };
}

/** @returns where a task stands after a round, and what came of it, both on the shelf */
function roundOn(shelf: TensorShelf, round: number): RoundHead {
  return {
    round,
    modelHash: shelf.put(tensor(BYTES, round)),
    stateHash: shelf.put(tensor(BYTES, 100 + round)),
    sheetHash: undefined,
    aggregator: undefined,
    samplesTotal: round,
  };
}

const hashesOf = ({ modelHash, stateHash = "" }: RoundHead): string[] => [modelHash, stateHash];

t.test(
  "what was voted for outlasts a power cut, until the round is known to be over",
  async (t) => {
    const disk = new VirtualDisk();
    const before = await started(disk);
    const [first, second, third] = [1, 2, 3].map((round) => roundOn(before.shelf, round)) as [
      RoundHead,
      RoundHead,
      RoundHead,
    ];
    await before.keeper.keepHead(() => first);
    t.equal(await before.keeper.keepVoted({ round: 2, hashes: hashesOf(second) }), true);
    disk.crash();

    const after = await started(disk);
    const kept = (): Set<string> => new Set(after.shelf.kept());
    t.same(kept(), new Set([...hashesOf(first), ...hashesOf(second)]));
    await after.memory.sweep([TASK]);
    // It does not know yet what came of the vote.
    await after.keeper.keepHead(() => first);
    t.same(kept(), new Set([...hashesOf(first), ...hashesOf(second)]));
    await after.keeper.keepHead(() => second);
    t.same(kept(), new Set(hashesOf(second)), "what is before it is not needed any more");
    for (const hash of hashesOf(third))
      after.shelf.put(tensor(BYTES, hash === third.modelHash ? 3 : 103));
    t.equal(await after.keeper.keepVoted({ round: 3, hashes: hashesOf(third) }), true);
    const other = roundOn(after.shelf, 4);
    t.equal(await after.keeper.keepVoted({ round: 3, hashes: hashesOf(other) }), true);
    t.same(kept(), new Set([...hashesOf(second), ...hashesOf(other)]), "one vote at a time");
  },
);

t.test("what can not be made durable is not voted for, and costs nothing else", async (t) => {
  const disk = new VirtualDisk();
  const { shelf, keeper } = await started(disk, 3 * BYTES);
  const [first, second] = [roundOn(shelf, 1), roundOn(shelf, 2)];
  await keeper.keepHead(() => first);
  t.equal(
    await keeper.keepVoted({ round: 2, hashes: hashesOf(second) }),
    false,
    "no room for both",
  );
  const missing = nodeHasher.sha256Hex(tensor(BYTES, 9));
  t.equal(await keeper.keepVoted({ round: 2, hashes: [missing] }), false, "not here");
  t.equal(await keeper.keepVoted({ round: 2, hashes: [second.modelHash] }), true);
  for (const hash of hashesOf(first)) t.ok(shelf.kept().includes(hash));
});
