import * as fc from "fast-check";
import t from "tap";
import { beats, type KnownAssignment } from "../../src/coordination/roles/assignment.ts";
import { signAssignment, signRenewal } from "../../src/coordination/roles/assignment-codec.ts";
import { choose, type Eligible } from "../../src/coordination/roles/choice.ts";
import {
  COMMITTEE_SIZES_MAX,
  committeeSizes,
} from "../../src/coordination/roles/committee-sizes.ts";
import type { RoleEffects, RoleInput } from "../../src/coordination/roles/effects.ts";
import { encodeMessage, MESSAGE_BYTES_MAX } from "../../src/coordination/roles/message-codec.ts";
import { RoleNegotiation } from "../../src/coordination/roles/negotiation.ts";
import { defaultRoleOptions } from "../../src/coordination/roles/options.ts";
import { suitabilityOf } from "../../src/coordination/roles/suitability.ts";
import type { Member } from "../../src/mesh/membership/member.ts";
import { CachingVerifier } from "../../src/mesh/records/record-verifier.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { VirtualKeys } from "../../src/simulator/virtual-signer.ts";
import { RolesWorld } from "../simulator/roles-world.ts";
import { type Device, recordOf } from "../support/role-records.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed, numRuns: Number(process.env["FC_RUNS"] ?? 100) });

const keys = new VirtualKeys();
const verifier = new CachingVerifier(keys.signer("verifier"), 10_000);
const makers = ["a", "b", "c", "d"].map((name, at) => {
  const signer = keys.signer(name);
  const device: Device =
    at === 3
      ? { supply: "battery", cores: 4, memoryGiB: 4, batteryPercent: 90 }
      : { supply: "mains", cores: 4 + (at >> 1), memoryGiB: 4 };
  return { signer, record: recordOf(signer, verifier, device) };
});

function assignmentBy(maker: number, term: number, aggregator: number): KnownAssignment {
  const { signer, record } = makers[maker] ?? makers[0]!;
  return signAssignment(signer, verifier, {
    term,
    validators: [],
    aggregators: [makers[aggregator]!.signer.peerId],
    reason: "vacant",
    recordBytes: record.bytes,
  });
}

const arbitraryAssignment = fc
  .record({
    maker: fc.nat({ max: 3 }),
    term: fc.integer({ min: 1, max: 3 }),
    aggregator: fc.nat({ max: 3 }),
  })
  .map(({ maker, term, aggregator }) => assignmentBy(maker, term, aggregator));

t.test("assignments are in one order for everybody", async () => {
  fc.assert(
    fc.property(arbitraryAssignment, arbitraryAssignment, arbitraryAssignment, (a, b, c) => {
      const same = Buffer.compare(a.signature, b.signature) === 0;
      if (same) return !beats(a, b) && !beats(b, a);
      if (beats(a, b) === beats(b, a)) return false;
      return !(beats(a, b) && beats(b, c)) || beats(a, c);
    }),
  );
});

const health = fc.record({
  cpuPercent: fc.integer({ min: 0, max: 100 }),
  memoryPercent: fc.integer({ min: 0, max: 100 }),
  celsius: fc.integer({ min: -20, max: 120 }),
  uplinkUp: fc.boolean(),
  status: fc.constantFrom("ok", "degraded"),
});

t.test("strain alone never amounts to the margin", async () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 16 }),
      fc.integer({ min: 0, max: 20 }),
      health,
      health,
      (cores, memoryGiB, one, other) => {
        const device: Device = { supply: "mains", cores, memoryGiB };
        const score = (strain: typeof one): number =>
          suitabilityOf(recordOf(keys.signer("a"), verifier, { ...device, ...strain }));
        return score(one) * 100 <= score(other) * (100 + defaultRoleOptions.marginPercent);
      },
    ),
  );
});

const eligible = (peer: string): fc.Arbitrary<Eligible> =>
  fc.record({
    peer: fc.constant(peer),
    standing: fc.constantFrom("quorum", "reserve"),
    score: fc.integer({ min: 0, max: 820 }),
    mayValidate: fc.boolean(),
    mayAggregate: fc.boolean(),
    settled: fc.boolean(),
  });

t.test("a choice has a proper size, and only those in it who may", async () => {
  const names = Array.from({ length: 20 }, (_, at) => `agent-${at}`);
  fc.assert(
    fc.property(
      eligible("maker"),
      fc.tuple(...names.map(eligible)),
      fc.nat({ max: 20 }),
      fc.subarray(names),
      fc.subarray(names),
      fc.constantFrom(...COMMITTEE_SIZES_MAX),
      fc.constantFrom("raft", "pbft"),
      fc.option(fc.integer({ min: 20, max: 100 }), { nil: undefined }),
      (maker, all, count, validators, aggregators, max, protocol, marginPercent) => {
        const others = all.slice(0, count);
        const holders = {
          validators: [...validators].sort(),
          aggregators: [...aggregators].sort(),
        };
        const input = {
          maker,
          others,
          livingCount: count + 1,
          holders,
          committeeSizes: committeeSizes(protocol, max),
          ...(marginPercent !== undefined && { marginPercent }),
        };
        const choice = choose(input);
        const find = (peer: string) => [maker, ...others].find((one) => one.peer === peer);
        const chosen = [...choice.validators, ...choice.aggregators];
        if (maker.standing !== "quorum" && choice.validators.length > 0) return false;
        if (choice.validators.length + 1 > max) return false;
        if (choice.validators.includes("maker")) return false;
        if (new Set(choice.validators).size !== choice.validators.length) return false;
        if (!choice.validators.every((peer) => find(peer)?.mayValidate)) return false;
        if (!choice.aggregators.every((peer) => find(peer)?.mayAggregate)) return false;
        if (!chosen.every((peer) => find(peer)?.standing === maker.standing)) return false;
        // What was chosen is kept as it is, while nothing changes.
        const again = choose({ ...input, holders: choice });
        return (
          choice.validators.every((peer) => again.validators.includes(peer)) ||
          marginPercent !== undefined
        );
      },
    ),
  );
});

function newcomer(): { core: RoleNegotiation; startMs: number } {
  const members = new Map(
    makers.map(({ record }) => [
      record.peerId,
      { record, state: "alive", sinceMs: 0, heardOfAtMs: 0, recordAtMs: 0 } satisfies Member,
    ]),
  );
  const [self] = makers;
  const core = new RoleNegotiation({
    signer: self!.signer,
    verifier,
    random: new SeededRandom("newcomer"),
    members: {
      self: self!.record.peerId,
      all: () => members.values(),
      get: (peer) => members.get(peer),
      isPartial: () => false,
    },
    options: defaultRoleOptions,
    startMs: 0,
  });
  return { core, startMs: 0 };
}

const peers = makers.map(({ signer }) => signer.peerId);
const words = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc
    .record({
      assignment: arbitraryAssignment,
      maker: fc.nat({ max: 3 }),
      number: fc.nat({ max: 3 }),
      resigned: fc.boolean(),
      ageMs: fc.nat({ max: 500_000 }),
      whole: fc.boolean(),
      instead: fc.boolean(),
      ask: fc.constantFrom(undefined, "compare" as const, "send" as const),
      flip: fc.option(fc.nat({ max: 1_000 }), { nil: undefined }),
    })
    .map(({ assignment, maker, number, resigned, whole, ask, flip, ...rest }) => {
      const { signer } = makers[maker]!;
      const bytes = encodeMessage({
        renewal: signRenewal(signer, assignment, number, resigned),
        ...(whole && { assignment }),
        ...(ask !== undefined && { ask }),
        ...rest,
      });
      if (flip !== undefined) bytes[flip % bytes.length]! ^= 1 << (flip % 8);
      return bytes;
    }),
);

t.test(
  "whatever comes in any order: no throw, no word to strangers, nothing too large",
  async () => {
    const input: fc.Arbitrary<Partial<RoleInput> & { readonly waitMs: number }> = fc.oneof(
      fc.record({ kind: fc.constant("tick"), waitMs: fc.nat({ max: 400_000 }) }),
      fc.record({
        kind: fc.constantFrom("link-up", "link-down"),
        peer: fc.constantFrom(...peers.slice(1)),
        waitMs: fc.nat({ max: 1_000 }),
      }),
      fc.record({
        kind: fc.constant("message"),
        from: fc.constantFrom(...peers.slice(1)),
        bytes: words,
        waitMs: fc.nat({ max: 1_000 }),
      }),
      fc.record({
        kind: fc.constant("member"),
        peer: fc.constantFrom(...peers),
        change: fc.constantFrom(
          "joined",
          "updated",
          "suspect",
          "dead",
          "left",
          "back",
          "forgotten",
        ),
        waitMs: fc.nat({ max: 1_000 }),
      }),
    );
    fc.assert(
      fc.property(fc.array(input, { maxLength: 60 }), (inputs) => {
        const { core } = newcomer();
        const linked = new Set<string>();
        let nowMs = 0;
        for (const { waitMs, ...untimed } of inputs) {
          nowMs += waitMs;
          const one = { ...untimed, nowMs } as RoleInput;
          if (one.kind === "link-up") linked.add(one.peer);
          if (one.kind === "link-down") linked.delete(one.peer);
          const effects: RoleEffects = core.step(one);
          if (!(effects.nextTickAtMs >= nowMs)) return false;
          for (const { to, bytes } of effects.send)
            if (!linked.has(to) || bytes.length > MESSAGE_BYTES_MAX) return false;
        }
        return true;
      }),
    );
  },
);

t.test("whatever befalls a fleet, every part of it agrees in the end", async () => {
  const device = fc.record({
    supply: fc.constantFrom("mains" as const, "battery" as const),
    cores: fc.integer({ min: 1, max: 8 }),
    memoryGiB: fc.integer({ min: 1, max: 8 }),
    batteryPercent: fc.integer({ min: 0, max: 100 }),
  });
  const event = fc.record({
    kind: fc.constantFrom("kill", "revive", "change", "partition", "heal", "leave"),
    who: fc.nat({ max: 100 }),
    device,
    waitMs: fc.nat({ max: 60_000 }),
  });
  fc.assert(
    fc.property(
      fc.array(device, { minLength: 2, maxLength: 12 }),
      fc.array(event, { maxLength: 15 }),
      fc.integer({ min: 0, max: 20 }),
      (devices, events, lossPercent) => {
        const world = new RolesWorld({ seed: "fleet", loss: lossPercent / 100 });
        world.populate([{ supply: "mains", cores: 4, memoryGiB: 4 }, ...devices]);
        const size = devices.length + 1;
        let side = (_index: number): number => 0;
        for (const { kind, who, device, waitMs } of events) {
          // The first stays, on mains, so that there is somebody to agree on.
          const index = 1 + (who % devices.length);
          const { up } = world.nodes[index]!;
          if (kind === "kill" && up) world.kill(index);
          if (kind === "leave" && up) world.leave(index);
          if (kind === "revive" && !up) world.revive(index);
          if (kind === "change" && up) world.change(index, device);
          if (kind === "heal") {
            world.heal();
            side = () => 0;
          }
          if (kind === "partition") {
            side = (at) => Number(at > who % size);
            world.partition(side);
          }
          world.run(waitMs + 1_000);
        }
        world.run(330_000);
        const isMine = (index: number): boolean => side(index) === side(0);
        world.runUntil("the side with mains agrees", () => world.isAgreed(isMine), 60_000);
        return world.onBattery.length === 0 && world.offences.length === 0;
      },
    ),
    { numRuns: 60 },
  );
});
