import * as fc from "fast-check";
import t from "tap";
import { accusationNews, encodeMessage, type News } from "../../src/mesh/membership/codec.ts";
import type { MembershipEffects } from "../../src/mesh/membership/effects.ts";
import { Membership } from "../../src/mesh/membership/membership.ts";
import { defaultMembershipOptions } from "../../src/mesh/membership/options.ts";
import { signRecord } from "../../src/mesh/records/record-codec.ts";
import { CachingVerifier } from "../../src/mesh/records/record-verifier.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { VirtualKeys } from "../../src/simulator/virtual-signer.ts";
import { grown, type World } from "../simulator/membership-world.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed, numRuns: Number(process.env["FC_RUNS"] ?? 100) });

const keys = new VirtualKeys();
const verifier = new CachingVerifier(keys.signer("verifier"), 10_000);
const authors = ["a", "b", "c", "d"].map((name) => keys.signer(name));
const neighbours = ["n1", "n2"].map((name) => keys.signer(name).peerId);

function newcomer(name: string, keysOfAll = keys): Membership {
  const signer = keysOfAll.signer(name);
  const membership = new Membership({
    signer,
    verifier: keysOfAll === keys ? verifier : new CachingVerifier(signer, 1_000),
    random: new SeededRandom(name),
    options: defaultMembershipOptions,
    self: { agentId: name, version: "1", addresses: [] },
    epoch: 1,
    startMs: 0,
  });
  for (const peer of neighbours)
    membership.step({ kind: "link-up", peer, direction: "inbound", nowMs: 0 });
  return membership;
}

/** What a membership knows, in words that can be compared. */
function known(membership: Membership): string[] {
  return [...membership.members()]
    .filter(({ record }) => record.peerId !== membership.self.peerId)
    .map(({ record, state }) => `${Buffer.from(record.bytes).toString("base64")} ${state}`)
    .sort();
}

const signed = fc
  .record({
    author: fc.nat({ max: authors.length - 1 }),
    epoch: fc.integer({ min: 1, max: 3 }),
    sequence: fc.nat({ max: 4 }),
    name: fc.constantFrom("x", "y"),
    leaving: fc.boolean(),
  })
  .map(({ author, epoch, sequence, name, leaving }) =>
    signRecord(
      authors[author]!,
      { agentId: name, version: "1", addresses: [] },
      { epoch, sequence },
      leaving,
    ),
  );

t.test(
  "records in any order, any company and any number of times make the same table",
  async (t) => {
    fc.assert(
      fc.property(
        fc.array(signed, { minLength: 1, maxLength: 20 }).chain((records) =>
          fc.record({
            first: fc.shuffledSubarray(records, { minLength: records.length }),
            second: fc.shuffledSubarray([...records, ...records.slice(0, 5)], {
              minLength: records.length + Math.min(5, records.length),
            }),
            cuts: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 5 }),
          }),
        ),
        ({ first, second, cuts }) => {
          const [one, two] = [newcomer("one"), newcomer("two")];
          for (const bytes of first)
            one.step({
              kind: "message",
              from: neighbours[0]!,
              bytes: encodeMessage(undefined, [{ kind: "record", bytes }]),
              nowMs: 1,
            });
          for (let at = 0, n = 0; at < second.length; n++) {
            const some = second.slice(at, at + (cuts[n % cuts.length] ?? 1));
            at += some.length;
            const news = some.map((bytes): News => ({ kind: "record", bytes }));
            two.step({
              kind: "message",
              from: neighbours[n % 2]!,
              bytes: encodeMessage(undefined, news),
              nowMs: 1 + n,
            });
          }
          const [a, b] = [known(one), known(two)];
          if (a.length === 0 || JSON.stringify(a) !== JSON.stringify(b))
            throw new Error(`${a.join("\n")}\nis not\n${b.join("\n")}`);
        },
      ),
    );
    t.pass();
  },
);

/** Every message that agents of a small fleet send each other while one dies and another one joins. */
function overheard(): { readonly world: World; readonly heard: Uint8Array[] } {
  const world = grown({ seed: "overheard", loss: 0.05 }, 5);
  const heard: Uint8Array[] = [];
  // Plain probes are all the same.
  world.onMessage = (bytes) => {
    if (bytes.length > 40) heard.push(bytes);
  };
  world.cutPower(2);
  world.run(20_000);
  world.restart(2, []);
  world.introduce(2, 0);
  world.run(20_000);
  return { world, heard };
}

t.test("no message makes it throw, and what is no message is an offence", async (t) => {
  const { world, heard: messages } = overheard();
  t.ok(messages.length > 100);
  const victim = newcomer("victim", world.keys);
  let nowMs = 10;
  const take = (bytes: Uint8Array): MembershipEffects => {
    nowMs += 7;
    // Neighbours that never answer a probe are left.
    for (const peer of neighbours)
      victim.step({ kind: "link-up", peer, direction: "inbound", nowMs });
    const effects = victim.step({ kind: "message", from: neighbours[nowMs % 2]!, bytes, nowMs });
    if (effects.nextTickAtMs < nowMs) throw new Error("a tick in the past");
    for (const { bytes } of effects.send)
      if (bytes.length > 65_536) throw new Error(`sent ${bytes.length} bytes`);
    return effects;
  };
  let offences = 0;
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 300 }),
        fc
          .tuple(
            fc.constantFrom(...messages),
            fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 }),
            fc.nat(),
          )
          .map(([message, changes, cut]) => {
            const mutated = message.slice(
              0,
              cut % 5 === 0 ? cut % (message.length + 1) : undefined,
            );
            for (const [at, byte] of changes)
              if (mutated.length > 0) mutated[at % mutated.length] = byte;
            return mutated;
          }),
      ),
      fc.boolean(),
      (bytes, tick) => {
        offences += take(bytes).offences.length;
        if (tick) victim.step({ kind: "tick", nowMs });
      },
    ),
    { numRuns: 3_000 },
  );
  t.ok(offences > 100, `${offences} offences`);
  t.equal(victim.counters().unlinkedMessages, 0);
  t.ok(victim.counters().duplicateRecords > 10, "many a message got through whole");
  t.ok(victim.counts().alive >= 1);
  const effects = take(new Uint8Array(65_537));
  t.same(
    effects.offences.map(({ kind }) => kind),
    ["malformed-message"],
  );
});

t.test(
  "who is well and can be reached is never dead, however slow the network is in time",
  async (t) => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 14 }),
        fc.integer({ min: 1, max: 110 }),
        fc.nat({ max: 2 ** 31 }),
        fc.constantFrom(1, 4),
        (size, delayMaxMs, worldSeed, pace) => {
          const world = grown(
            {
              seed: String(worldSeed),
              delayMs: [1, delayMaxMs],
              membership: {
                pace: {
                  ...defaultMembershipOptions.pace,
                  probeIntervalMs: 2_000 * pace,
                  probeTimeoutMs: 500 * pace,
                },
              },
            },
            size,
          );
          world.run(120_000);
          const bad = world.sightings.filter(({ change }) =>
            ["suspect", "dead", "forgotten"].includes(change.kind),
          );
          if (bad.length > 0)
            throw new Error(`${bad.length} false alarms, the first ${bad[0]?.change.kind}`);
          if (world.offences.length > 0) throw new Error(`offence ${world.offences[0]?.kind}`);
        },
      ),
      { numRuns: 20 },
    );
    t.pass();
  },
);

t.test("an accused agent that hears of it is never buried by who hears its answer", async (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat({ max: 3 }), fc.nat({ max: 3 }), fc.boolean()), {
        minLength: 1,
        maxLength: 40,
      }),
      fc.nat({ max: 2 ** 31 }),
      (lies, worldSeed) => {
        const world = grown({ seed: String(worldSeed) }, 4);
        const liar = world.addRogue((signer, send) => ({
          peer: signer.peerId,
          hear: () => undefined,
          linked: (peer) => send(peer, encodeMessage(undefined, [])),
        }));
        for (let at = 0; at < 4; at++) world.dialFrom(liar, at);
        world.run(1_000);
        for (const [to, about, dead] of lies) {
          const { peerId, epoch, sequence } = world.record(about);
          const by = world.peer((about + 1) % 4);
          const news = accusationNews({ about: peerId, epoch, sequence, by, dead });
          world.say(liar, to, encodeMessage(undefined, [news]));
          world.run(300);
        }
        world.run(20_000);
        const buried = world.sightings.filter(({ change }) => change.kind === "dead");
        if (buried.length > 0) throw new Error("buried alive");
        for (const { membership } of world.running())
          if (membership?.counts().alive !== 4) throw new Error("still suspected");
      },
    ),
    { numRuns: 20 },
  );
  t.pass();
});
