import t from "tap";
import type { FleetSight } from "../../../../src/consensus/committee/fleet-sight.ts";
import { FounderDesk } from "../../../../src/consensus/committee/founder-desk.ts";
import { readPromise } from "../../../../src/consensus/committee/founder-promise.ts";
import { isSignedBy, makeFounding } from "../../../../src/consensus/committee/founding.ts";
import type { CommitteeReply } from "../../../../src/consensus/committee/message-codec.ts";
import type { Fitness } from "../../../../src/consensus/committee/next-step.ts";
import { defaultCommitteeOptions } from "../../../../src/consensus/committee/options.ts";
import type { KnownCommittee } from "../../../../src/consensus/committee/record.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";
import { MemoryKeyValueStore } from "../../../../src/simulator/memory-key-value-store.ts";
import { VirtualClock } from "../../../../src/simulator/virtual-clock.ts";
import { VirtualKeys } from "../../../../src/simulator/virtual-signer.ts";

const keys = new VirtualKeys();
const signers = ["a", "b", "c", "d"].map((name) => keys.signer(name));
const peers = signers.map(({ peerId }) => peerId);
const [a, b, c, d] = peers as [string, string, string, string];
const group = "00112233445566778899aabbccddeeff";

function make(self: number, known?: KnownCommittee) {
  const clock = new VirtualClock();
  const store = new MemoryKeyValueStore();
  const seen = {
    wanted: [a, b, c],
    lost: new Set<string>(),
    unfit: new Map<string, Exclude<Fitness, "lost" | "fit">>(),
  };
  const sight: FleetSight = {
    self: peers[self]!,
    wanted: () => seen.wanted,
    fitness: (peer) => seen.unfit.get(peer) ?? "fit",
    neighbours: () => [],
  };
  const answers = new Map<string, () => Promise<CommitteeReply>>();
  const desk = new FounderDesk(
    {
      clock,
      store,
      sight,
      signer: signers[self]!,
      random: new SeededRandom("founder"),
      options: { ...defaultCommitteeOptions, protocol: "raft", foundersMin: 3 },
      ask: (peer, question) => {
        const answer = answers.get(peer);
        if (answer === undefined) return Promise.reject(new Error(`${peer} is not there`));
        t.equal(question.case, "invitation");
        return answer();
      },
    },
    () => known,
    (peer) => (seen.lost.has(peer) ? "lost" : sight.fitness(peer)),
  );
  return { clock, store, seen, desk, answers };
}

const foundingOf = (founders: readonly string[], replaces?: string) =>
  makeFounding(signers[0]!, { group, protocol: "raft", founders, replaces });

t.test("a committee is founded when the roles have been the same for a while", async (t) => {
  const { clock, seen, desk } = make(0);
  t.notOk(desk.isDue(), "not at once");
  await clock.advance(9_999);
  t.notOk(desk.isDue());
  seen.wanted = [a, b, d];
  t.notOk(desk.isDue());
  await clock.advance(9_999);
  t.notOk(desk.isDue(), "it begins anew with each change");
  await clock.advance(1);
  t.ok(desk.isDue());
  seen.wanted = [b, a, d];
  desk.isDue();
  await clock.advance(20_000);
  t.notOk(desk.isDue(), "somebody else is the coordinator");
  seen.wanted = [a, b];
  desk.isDue();
  await clock.advance(20_000);
  t.notOk(desk.isDue(), "there are too few");
});

t.test("all founders sign, or there is no committee", async (t) => {
  const { desk, answers, store } = make(0);
  await t.rejects(desk.found(undefined), /is not there/);
  t.notOk(desk.isDue(), "it waits before it tries again");
  const others = [make(1), make(2)];
  for (const [at, { desk: other }] of others.entries())
    answers.set(peers[at + 1]!, async () => ({
      case: "signature",
      value: await other.sign(a, foundingOf([a, b, c]).bytes),
    }));
  await t.rejects(desk.found(undefined), { code: "committee.unsigned" }, "it was another founding");
  t.type((await readPromise(store))?.group, "string");
});

t.test("an agent signs what its own view of the fleet bears out, and nothing else", async (t) => {
  const sound = foundingOf([a, b, c]);
  const { desk, seen, store, clock } = make(1);
  const signature = await desk.sign(a, sound.bytes);
  t.ok(isSignedBy(signers[1]!, sound, { founder: b, signature }));
  t.match(await readPromise(store), { group });
  t.same(await desk.sign(a, sound.bytes), signature, "the same again");

  const other = makeFounding(signers[0]!, {
    group: "f".repeat(32),
    protocol: "raft",
    founders: [a, b, c],
  });
  await desk.sign(a, other.bytes);
  t.match(await readPromise(store), { group: "f".repeat(32) });

  const refusals: readonly (readonly [code: string, () => Promise<unknown>])[] = [
    ["committee.malformed-founding", () => make(1).desk.sign(a, Uint8Array.of(1, 2, 3))],
    ["committee.not-coordinator", () => make(1).desk.sign(c, sound.bytes)],
    ["committee.too-few", () => make(3).desk.sign(a, sound.bytes)],
    ["committee.too-few", () => make(1).desk.sign(a, foundingOf([a, b]).bytes)],
    [
      "committee.protocol",
      () =>
        make(1).desk.sign(
          a,
          makeFounding(signers[0]!, { group, protocol: "pbft", founders: peers }).bytes,
        ),
    ],
  ];
  for (const [code, sign] of refusals) await t.rejects(sign(), { code }, code);
  seen.wanted = [c, a, b];
  await t.rejects(desk.sign(c, sound.bytes), { code: "committee.promised" }, "not to two at once");
  await clock.advance(30_000);
  await desk.sign(c, sound.bytes);
  seen.wanted = [a, b, c];
  seen.unfit.set(c, "unfit");
  await clock.advance(30_000);
  await t.rejects(desk.sign(a, sound.bytes), { code: "committee.unfit" });
});

t.test("a committee that can still decide is not replaced", async (t) => {
  const founding = makeFounding(signers[0]!, {
    group: "e".repeat(32),
    protocol: "raft",
    founders: [b, c, d],
  });
  const known: KnownCommittee = { founding, signatures: [], changes: [], members: [b, c, d] };
  const { desk, seen } = make(1, known);
  await t.rejects(desk.sign(a, foundingOf([a, b, c]).bytes), { code: "committee.known" });
  const heir = foundingOf([a, b, c], "e".repeat(32));
  await t.rejects(desk.sign(a, heir.bytes), { code: "committee.alive" });
  seen.unfit.set(d, "gone");
  await t.rejects(desk.sign(a, heir.bytes), { code: "committee.alive" }, "two of three are there");
  seen.unfit.set(b, "gone");
  await t.rejects(
    desk.sign(a, heir.bytes),
    { code: "committee.unfit" },
    "nor may a founder be gone",
  );
});

t.test("a promise is void after the store was repaired", async (t) => {
  const { desk, store } = make(1);
  await desk.sign(a, foundingOf([a, b, c]).bytes);
  t.match(await readPromise(store), { group });
  Object.defineProperty(store, "generation", { value: 1 });
  t.equal(await readPromise(store), undefined);
});
