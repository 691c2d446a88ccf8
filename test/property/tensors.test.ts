// Whatever links, holders and disks do: nobody gets wrong bytes, nobody honest is accused, and every fetch ends.
import * as fc from "fast-check";
import t from "tap";
import { sha256, smallExchange, TensorWorld, tensor } from "../support/tensors/tensor-world.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed });

const HONEST = ["ann", "ben", "cid"] as const;
const LIARS = ["lou", "liz"] as const;
const NAMES = [...HONEST, ...LIARS];
/** Around the length that comes in the answer, and some that take a while. */
const SIZES = [1, 65_536, 65_537, 200_000, 400_000, 700_000];
const TENSORS = SIZES.map((sizeBytes, n) => {
  const bytes = tensor(sizeBytes, 1 + n);
  return { sizeBytes, bytes, hash: sha256(bytes) };
});

const which = fc.nat({ max: TENSORS.length - 1 });
const event = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("fetch" as const),
      by: fc.constantFrom("cid", "cid", "ben"),
      which: fc.constantFrom(0, 1, 2, 3, 4, 5, 3, 4, 5),
      holders: fc.shuffledSubarray(NAMES, { minLength: 1 }),
      giveUpAfterMs: fc.option(fc.integer({ min: 1, max: 4_000 })),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("cut" as const), who: fc.constantFrom(...NAMES) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("crash" as const),
      who: fc.constantFrom(...NAMES),
      noticedAfterMs: fc.constantFrom(0, 3_000, 15_000),
      downMs: fc.integer({ min: 100, max: 30_000 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("rest" as const),
      who: fc.constantFrom(...NAMES),
      restMs: fc.integer({ min: 50, max: 5_000 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.nat({ max: 1_500 }) }),
  },
);

const weather = fc.record({
  seed: fc.string({ maxLength: 4 }),
  lossRate: fc.constantFrom(0, 0.05),
  breakRate: fc.constantFrom(0, 0.03, 0.1),
  bytesPerMs: fc.constantFrom(50, 300),
});
/** Where a liar's bytes are wrong: from some part of the tensor on. */
const lies = fc.tuple(...LIARS.map(() => fc.double({ min: 0, max: 0.99, noNaN: true })));

t.test("links that break, holders that crash, rest and lie", async (t) => {
  let fetches = 0;
  let got = 0;
  let convicted = 0;
  let resumed = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(event, { minLength: 1, maxLength: 25 }),
      weather,
      lies,
      async (events, { seed, ...ether }, lies) => {
        const world = new TensorWorld(seed, { ether });
        const restUntilMs = new Map<string, number>();
        world.mayServe = (holder) => (restUntilMs.get(holder) ?? 0) <= world.clock.monotonicMs();
        const stock = (name: string): void => {
          const lie = lies[LIARS.indexOf(name as (typeof LIARS)[number])];
          // One honest agent has everything, another one half of it, the third nothing.
          const has =
            name === "ann"
              ? TENSORS
              : name === "ben"
                ? TENSORS.slice(3)
                : lie === undefined
                  ? []
                  : TENSORS;
          for (const { hash, bytes } of has) {
            const own = Uint8Array.from(bytes);
            if (lie !== undefined)
              for (let at = Math.floor(lie * own.length); at < own.length; at += 1_000)
                own[at] = (own[at] ?? 0) ^ 0xff;
            world.get(name)?.shelf.hold(hash, own);
          }
          // What lies there is needed for what comes to be refused rather than take its place.
          world.get(name)?.shelf.pin(
            "test",
            TENSORS.slice(0, 3).map(({ hash }) => hash),
          );
        };
        for (const name of NAMES) {
          await world.start(name);
          stock(name);
        }
        const begun: { readonly fetch: ReturnType<TensorWorld["fetch"]>; readonly run: unknown }[] =
          [];
        const look = (): void => {
          for (const { exchange, shelf } of world.all()) {
            const { inFlightBytes, flights, uploads } = exchange.counters();
            if (inFlightBytes > smallExchange.inFlightBytesMax)
              throw new Error("too much in flight");
            if (flights > smallExchange.fetchesMax) throw new Error(`${flights} flights`);
            if (uploads > smallExchange.uploadsMax) throw new Error(`${uploads} uploads`);
            if (shelf.counters().memoryBytes > 2_000_000) throw new Error("too much in memory");
          }
        };
        for (const happening of events) {
          if (happening.kind === "fetch") {
            const { by, holders, giveUpAfterMs } = happening;
            const wanted = TENSORS[happening.which];
            if (wanted === undefined || world.get(by) === undefined) continue;
            const abort = new AbortController();
            if (giveUpAfterMs !== null)
              world.clock.setTimer("test", giveUpAfterMs, () => abort.abort());
            const { hash, sizeBytes } = wanted;
            const fetch = world.fetch(by, hash, sizeBytes, holders, abort.signal);
            begun.push({ fetch, run: world.get(by) });
          } else if (happening.kind === "cut") world.cut(happening.who);
          else if (happening.kind === "rest")
            restUntilMs.set(happening.who, world.clock.monotonicMs() + happening.restMs);
          else if (happening.kind === "crash") {
            const { who, downMs, noticedAfterMs } = happening;
            world.crash(who, noticedAfterMs);
            world.clock.setTimer("test", downMs, () => {
              if (world.get(who) === undefined) void world.start(who).then(() => stock(who));
            });
          } else await world.clock.advance(happening.ms);
          look();
        }
        for (let step = 0; step < 60; step++) {
          await world.clock.advance(10_000);
          look();
        }
        for (const { fetch, run } of begun) {
          // One whose agent died with it ends nowhere.
          if (world.get(fetch.by) !== run) continue;
          fetches++;
          if (fetch.bytes !== undefined) {
            got++;
            if (sha256(fetch.bytes) !== fetch.hash) throw new Error("wrong bytes");
          } else if (!/^tensor\.(unavailable|aborted)$/.test(fetch.code ?? ""))
            throw new Error(`a fetch by ${fetch.by}: ${fetch.code ?? "it never ended"}`);
        }
        for (const offence of world.offences)
          if (!LIARS.some((liar) => offence.endsWith(liar))) throw new Error(offence);
        convicted += world.offences.size;
        // Now that everybody is well again, everything can be had by everybody.
        world.ether.change({ lossRate: 0, breakRate: 0 });
        const last = TENSORS.map(({ hash, sizeBytes }) =>
          world.fetch("cid", hash, sizeBytes, NAMES.toReversed()),
        );
        await world.clock.advance(300_000);
        for (const { hash, bytes, code, error } of last)
          if (bytes === undefined || sha256(bytes) !== hash)
            throw new Error(`${hash} can not be had: ${code} ${String(error)}`);
        for (const { exchange } of world.all()) {
          const counters = exchange.counters();
          resumed += counters.resumed;
          if (counters.flights + counters.waiting + counters.uploads > 0)
            throw new Error(`something goes on for ever: ${JSON.stringify(counters)}`);
        }
      },
    ),
    { numRuns: Number(process.env["FC_RUNS"] ?? 120) },
  );
  t.comment(`${fetches} fetches, ${got} got; resumed ${resumed} times; ${convicted} accusations`);
  t.ok(got > 0 && resumed > 0 && convicted > 0, "the runs have seen all of it");
});

const deed = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("keep" as const), which }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("release" as const), which }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.nat({ max: 80 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("crash" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("damage" as const),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
);

t.test("what is kept survives power cuts, and what is damaged is never believed", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(deed, { minLength: 1, maxLength: 40 }),
      fc.string({ maxLength: 4 }),
      async (deeds, seed) => {
        const world = new TensorWorld(seed);
        let agent = await world.start("ann");
        /** Has to be there: kept, and not released or damaged since. */
        const sure = new Set<string>();
        let wasDamaged = false;
        /** What was asked for last of each tensor; what was asked for before it says nothing any more. */
        const latest = new Map<string, object>();
        const restart = async (): Promise<void> => {
          agent = await world.start("ann");
          const kept = new Set(agent.shelf.kept());
          for (const hash of sure)
            if (!kept.has(hash) && !wasDamaged) throw new Error(`${hash} was lost`);
          for (const hash of kept) {
            const bytes = await world.during(agent.shelf.get(hash));
            if (bytes !== undefined && sha256(bytes) !== hash) throw new Error("wrong bytes");
            if (bytes === undefined && !wasDamaged) throw new Error(`${hash} was half written`);
          }
          if (wasDamaged) sure.clear();
          wasDamaged = false;
        };
        for (const deed of deeds) {
          const { shelf } = agent;
          if (deed.kind === "keep" || deed.kind === "release") {
            const { hash, bytes } = TENSORS[deed.which] ?? { hash: "", bytes: new Uint8Array() };
            sure.delete(hash);
            latest.set(hash, deed);
            if (deed.kind === "release") void shelf.release(hash);
            else {
              shelf.hold(hash, bytes);
              void shelf.keep(hash).then(() => {
                if (agent.shelf === shelf && latest.get(hash) === deed) sure.add(hash);
              });
            }
          } else if (deed.kind === "wait") await world.clock.advance(deed.ms);
          else {
            world.crash("ann", 0);
            if (deed.kind === "damage") {
              world.damage("ann", deed.at, 0.1);
              wasDamaged = true;
            }
            await restart();
          }
        }
        await world.clock.advance(60_000);
        world.crash("ann", 0);
        await restart();
        for (const hash of agent.shelf.kept()) await world.during(agent.shelf.release(hash));
        const { storeBytes, storeTensors } = agent.shelf.counters();
        if (storeBytes + storeTensors > 0) throw new Error(`${storeBytes} bytes are left`);
      },
    ),
    { numRuns: Number(process.env["FC_RUNS"] ?? 150) },
  );
});
