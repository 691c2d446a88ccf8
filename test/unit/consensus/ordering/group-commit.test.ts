import t from "tap";
import { GroupCommit } from "../../../../src/consensus/ordering/group-commit.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";
import { silentLogger } from "../../../../src/platform/silent-logger.ts";
import { VirtualClock } from "../../../../src/simulator/virtual-clock.ts";

function made(write: (items: readonly string[]) => Promise<void> | undefined) {
  const clock = new VirtualClock();
  const done: string[] = [];
  const lost: Error[] = [];
  const asides: string[] = [];
  const commit = new GroupCommit<string>({
    clock,
    random: new SeededRandom("group-commit"),
    logger: silentLogger,
    timer: "test.write",
    write,
    done: (item) => done.push(item),
    lost: (error) => lost.push(error),
    between: {
      waits: () => asides.length > 0,
      run: async () => {
        const aside = asides.pop();
        if (aside !== undefined) done.push(aside);
      },
    },
  });
  return { clock, commit, done, lost, asides };
}

t.test("what is done between two writes needs no write to be done", async (t) => {
  const { clock, commit, done, asides } = made(() => undefined);
  asides.push("snapshot");
  commit.wake();
  await clock.advance(1);
  t.same(done, ["snapshot"]);
  t.ok(commit.isIdle);
});

t.test(
  "a write that always fails is made again ever more slowly, and its items wait",
  async (t) => {
    const atMs: number[] = [];
    const { clock, commit, done } = made(() => {
      atMs.push(clock.monotonicMs());
      return Promise.reject(new Error("no space left"));
    });
    commit.push("a");
    await clock.advance(60_000);
    t.same(done, []);
    t.notOk(commit.isIdle);
    const gapsMs = atMs.slice(1).map((at, index) => at - (atMs[index] ?? 0));
    t.ok(gapsMs.length >= 12, `${gapsMs.length} further attempts in a minute`);
    t.ok(Math.max(...gapsMs) <= 5_000, "never rarer than every five seconds");
    t.ok((gapsMs.at(-1) ?? 0) > (gapsMs[0] ?? 0));
    await commit.close();
    const attempts = atMs.length;
    await clock.advance(60_000);
    t.equal(atMs.length, attempts, "nor after the end");
  },
);

t.test("a disk that lost something is not written again", async (t) => {
  let writes = 0;
  const { clock, commit, lost } = made(() => {
    writes++;
    return Promise.reject(Object.assign(new Error("repaired"), { code: "store.corrupt" }));
  });
  commit.push("a");
  await clock.advance(60_000);
  t.equal(lost.length, 1);
  t.equal(writes, 1);
});
