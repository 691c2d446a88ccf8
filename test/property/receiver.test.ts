// A receiver on a slow virtual disk that runs full and loses power at any moment, beside a plain list of what was sent.
import t from "tap";
import { StoreError } from "../../src/platform/key-value-store.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import type { UpdateSink } from "../../src/platform/update-sink.ts";
import { createReceiver, type Receiver } from "../../src/receiver/receiver.ts";
import { VirtualDisk } from "../../src/simulator/memory-key-value-store.ts";
import { VirtualClock } from "../../src/simulator/virtual-clock.ts";
import { keptLog } from "../support/kept-log.ts";
import { ProcessClock, SlowStore } from "../support/virtual-process.ts";

const RUNS = Number(process.env["RUNS"] ?? 150);
const LAST = 40;
const STREAMS = ["a", "b"];
const seed = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);
t.setTimeout(30_000 + RUNS * 500);
t.comment(`seed ${seed}, ${RUNS} runs (SEED=${seed} RUNS=${RUNS} runs these again)`);

const line = (stream: string, sequence: number): string =>
  JSON.stringify({
    id: `pi-1/${stream}/${sequence}`,
    stream,
    sequence,
    observedAt: "2026-11-22T12:00:00.000Z",
    contentType: "text/plain",
    payload: `${stream}${sequence}`,
  });

/** A file as {@link UpdateSink}: what is in it survives, and it is cut back to the mark that was noted. */
function fileSink(file: string[], random: SeededRandom): UpdateSink {
  return {
    name: "file",
    resume(mark = file.length) {
      file.length = Math.min(file.length, mark);
      return Promise.resolve(file.length);
    },
    deliver(updates) {
      if (random.next() < 0.1) return Promise.reject(new Error("not now"));
      for (const { stream, sequence } of updates) file.push(`${stream}${sequence}`);
      return Promise.resolve(file.length);
    },
  };
}

async function run(runSeed: number): Promise<void> {
  const random = new SeededRandom(runSeed);
  const below = (n: number): number => Math.floor(random.next() * n);
  const clock = new VirtualClock();
  const disk = new VirtualDisk();
  const file: string[] = [];
  const sent = new Set<string>();
  const accepted = new Map<string, number>();
  const settledBelow = new Map<string, number>();
  let own = new ProcessClock(clock);
  let receiver: Receiver;
  const faults: string[] = [];
  const check = (condition: boolean, what: string): void => {
    if (!condition) faults.push(what);
  };

  const done = async <T>(work: Promise<T>): Promise<T> => {
    const state = { settled: false };
    const settled = work.finally(() => {
      state.settled = true;
    });
    settled.catch(() => undefined);
    for (let turns = 0; !state.settled; turns++) {
      if (turns > 10_000) throw new Error("it never ends");
      await clock.advance(5);
    }
    return settled;
  };

  const start = async (): Promise<void> => {
    own = new ProcessClock(clock);
    const store = new SlowStore({
      disk,
      clock: own,
      random: random.fork("disk"),
      beforeWrite: () => undefined,
    });
    receiver = await done(
      createReceiver({
        store,
        clock: own,
        logger: keptLog(),
        limits: { rangesMax: 4 },
        sink: fileSink(file, random),
      }),
    );
  };

  const take = async (stream: string, sequences: readonly number[]): Promise<void> => {
    const process = own;
    for (const sequence of sequences) sent.add(`${stream}${sequence}`);
    const result = await receiver.take(sequences.map((sequence) => line(stream, sequence)));
    if (process !== own) return;
    const refused = new Set(result.refused.map(({ id }) => id));
    for (const { permanent, code } of result.refused)
      check(!permanent, `refused for good: ${code}`);
    if (refused.size === 0 && result.duplicates === 0)
      for (const sequence of sequences) {
        const name = `${stream}${sequence}`;
        accepted.set(name, (accepted.get(name) ?? 0) + 1);
        check(accepted.get(name) === 1, `${name} was accepted twice`);
      }
  };

  const ask = async (stream: string, first: number | undefined): Promise<void> => {
    if (first !== undefined)
      settledBelow.set(stream, Math.max(first, settledBelow.get(stream) ?? 1));
    const { marks } = await receiver.marks({ agent: "pi-1", streams: new Map([[stream, first]]) });
    const { through = 0, ranges = [] } = marks.get(stream) ?? {};
    for (let n = 1; n <= LAST; n++) {
      const claimed = n <= through || ranges.some(([a, b]) => a <= n && n <= b);
      const may = sent.has(`${stream}${n}`) || n < (settledBelow.get(stream) ?? 1);
      check(!claimed || may, `${stream}${n} is claimed and was never sent`);
    }
  };

  await start();
  for (let step = 0; step < 50; step++) {
    const stream = STREAMS[below(2)] ?? "a";
    const kind = random.next();
    const from = 1 + below(LAST);
    const some = Array.from({ length: 1 + below(6) }, (_, at) => from + at * (1 + below(2)));
    const fitting = [...new Set(some)].filter((n) => n <= LAST);
    if (kind < 0.6)
      void take(stream, fitting).catch((error: unknown) => faults.push(String(error)));
    else if (kind < 0.75)
      void ask(stream, random.next() < 0.5 ? undefined : from).catch((error: unknown) =>
        check(error instanceof StoreError, String(error)),
      );
    else if (kind < 0.83) disk.bytesMax = disk.bytes + below(400);
    else if (kind < 0.9) disk.bytesMax = Number.POSITIVE_INFINITY;
    else {
      own.kill();
      disk.crash();
      disk.bytesMax = Number.POSITIVE_INFINITY;
      await start();
    }
    await clock.advance(below(20));
  }
  disk.bytesMax = Number.POSITIVE_INFINITY;
  const all = Array.from({ length: LAST }, (_, at) => at + 1);
  for (const stream of STREAMS) {
    const result = await done(receiver!.take(all.map((n) => line(stream, n))));
    check(result.refused.length === 0, `refused at the end: ${JSON.stringify(result.refused)}`);
    const page = await done(receiver!.read({ agent: "pi-1", stream, from: 1, limit: 1_000 }));
    check(
      page.updates.map((update) => update.sequence).join() === all.join(),
      `${stream} is not whole`,
    );
  }
  for (let turns = 0; receiver!.status().sink?.commitsBehind !== 0; turns++) {
    if (turns > 1_000) throw new Error("the sink never gets everything");
    await clock.advance(1_000);
  }
  await done(receiver!.close());
  check(file.length === LAST * 2, `${file.length} were passed on`);
  check(new Set(file).size === file.length, "some were passed on twice");
  if (faults.length > 0) throw new Error(`seed ${runSeed}: ${faults.slice(0, 3).join("; ")}`);
}

t.test("every update once, here and behind, whatever happens to the disk", async (t) => {
  for (let n = 0; n < RUNS; n++) await run(seed + n);
  t.pass(`${RUNS} runs`);
});
