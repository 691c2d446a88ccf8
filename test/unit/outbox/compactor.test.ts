import t from "tap";
import { Compactor } from "../../../src/outbox/compactor.ts";
import { Lane } from "../../../src/outbox/lane.ts";
import { MemoryKeyValueStore } from "../../../src/simulator/memory-key-value-store.ts";
import { keptLog } from "../../support/kept-log.ts";

const MB = 1024 * 1024;

function compactorWith() {
  const store = new MemoryKeyValueStore();
  let compactions = 0;
  store.compact = () => {
    compactions++;
    return Promise.resolve();
  };
  const compactor = new Compactor({ store, logger: keptLog() });
  const lane = new Lane(5);
  lane.cursor = 1;
  const commit = async (addedBytes: number, removedBytes: number): Promise<void> => {
    compactor.committed(addedBytes, removedBytes, [lane]);
    await compactor.done;
  };
  return { commit, compactions: () => compactions };
}

t.test("what leaves after an outage is given back soon", async (t) => {
  const { commit, compactions } = compactorWith();
  for (let added = 0; added < 1_000; added++) await commit(MB, 0);
  t.equal(compactions(), 0, "there is nothing to give back");
  for (let left = 0; left < 40; left++) await commit(0, MB);
  t.equal(compactions(), 10);
});

t.test("while as much comes as leaves it waits longer, but not for ever", async (t) => {
  const { commit, compactions } = compactorWith();
  for (let passed = 0; passed < 160; passed++) await commit(MB, MB);
  t.equal(compactions(), 10);
});
