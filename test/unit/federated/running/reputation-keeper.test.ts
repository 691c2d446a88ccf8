// Whoever lied is not trusted again because an agent began anew.
import t from "tap";
import { Reputation } from "../../../../src/federated/rounds/reputation.ts";
import { ReputationKeeper } from "../../../../src/federated/running/reputation-keeper.ts";
import { TaskMemory } from "../../../../src/federated/running/task-memory.ts";
import { silentLogger } from "../../../../src/platform/silent-logger.ts";
import {
  MemoryKeyValueStore,
  VirtualDisk,
} from "../../../../src/simulator/memory-key-value-store.ts";
import { VirtualClock } from "../../../../src/simulator/virtual-clock.ts";
import { signerOf, TASK } from "../../../support/rounds/words.ts";

/** One run of an agent on a disk. */
async function run(disk: VirtualDisk, clock: VirtualClock) {
  const store = new MemoryKeyValueStore(disk);
  let writes = 0;
  const memory = new TaskMemory({ store, signer: signerOf("a"), shelf: undefined as never });
  const reputation = new Reputation(await memory.reputation(TASK));
  const keeper = new ReputationKeeper({
    reputation,
    clock,
    logger: silentLogger,
    keep: (scores) => {
      writes++;
      return memory.keepReputation(TASK, scores);
    },
  });
  return {
    reputation,
    keeper,
    writes: () => writes,
    blame: (peer: string) => {
      reputation.blame(peer, "equivocation");
      keeper.changed();
    },
  };
}

t.test(
  "what an agent holds of others outlasts a power cut, but for the last seconds",
  async (t) => {
    const [disk, clock] = [new VirtualDisk(), new VirtualClock()];
    const first = await run(disk, clock);
    first.blame("x");
    first.blame("x");
    first.blame("y");
    t.equal(first.writes(), 0, "flash is spared");
    await clock.advance(10_000);
    t.equal(first.writes(), 1, "all that happened meanwhile at once");
    first.blame("y");
    disk.crash();
    const second = await run(disk, clock);
    t.equal(second.reputation.of("x"), 0.25);
    t.notOk(second.reputation.isTrusted("x"));
    t.equal(second.reputation.of("y"), 0.5);
    t.equal(second.reputation.of("z"), 1);
  },
);

t.test("whoever stops in order writes what is left", async (t) => {
  const [disk, clock] = [new VirtualDisk(), new VirtualClock()];
  const first = await run(disk, clock);
  first.blame("x");
  await first.keeper.stop();
  t.equal((await run(disk, clock)).reputation.of("x"), 0.5);
  await first.keeper.stop();
  t.equal(first.writes(), 1);
  t.same(clock.waiting, []);
});
