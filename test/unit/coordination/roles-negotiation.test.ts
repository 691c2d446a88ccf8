// What one negotiation makes of what others say, step by step.
import { create, toBinary } from "@bufbuild/protobuf";
import t from "tap";
import {
  beats,
  type KnownAssignment,
  TERM_GAP_MAX,
} from "../../../src/coordination/roles/assignment.ts";
import {
  readAssignment,
  signAssignment,
  signRenewal,
} from "../../../src/coordination/roles/assignment-codec.ts";
import type { RoleEffects } from "../../../src/coordination/roles/effects.ts";
import { decodeMessage, encodeMessage } from "../../../src/coordination/roles/message-codec.ts";
import { RoleNegotiation } from "../../../src/coordination/roles/negotiation.ts";
import { defaultRoleOptions } from "../../../src/coordination/roles/options.ts";
import type { Member, MemberState } from "../../../src/mesh/membership/member.ts";
import type { KnownRecord } from "../../../src/mesh/records/known-record.ts";
import { CachingVerifier } from "../../../src/mesh/records/record-verifier.ts";
import { SeededRandom } from "../../../src/platform/seeded-random.ts";
import type { PeerId, Signer } from "../../../src/platform/signer.ts";
import { VirtualKeys } from "../../../src/simulator/virtual-signer.ts";
import { RolesAsk, RolesMessageSchema } from "../../../src/wire/agent_mesh/v1/roles_pb.ts";
import { type Device, recordOf } from "../../support/role-records.ts";

const keys = new VirtualKeys();
const verifier = new CachingVerifier(keys.signer("verifier"), 1_000);
const pi: Device = { supply: "mains", cores: 4, memoryGiB: 4 };
const battery: Device = { supply: "battery", cores: 8, memoryGiB: 16, batteryPercent: 100 };

interface Agent {
  readonly signer: Signer;
  readonly record: KnownRecord;
}

function agent(name: string, device: Device = pi): Agent {
  const signer = keys.signer(name);
  return { signer, record: recordOf(signer, verifier, device) };
}

function assignmentBy(
  { signer, record }: Agent,
  term: number,
  validators: readonly PeerId[] = [],
  number = 0,
) {
  const assignment = signAssignment(signer, verifier, {
    term,
    validators,
    aggregators: [],
    reason: "vacant",
    recordBytes: record.bytes,
  });
  return { assignment, renewal: signRenewal(signer, assignment, number, false) };
}

/** One negotiation, with members that the test plays. */
function negotiation(self: Agent, others: readonly Agent[], { partial = false } = {}) {
  const members = new Map<PeerId, { record: KnownRecord; state: MemberState }>();
  for (const { record } of [self, ...others])
    members.set(record.peerId, { record, state: "alive" });
  const member = (one: { record: KnownRecord; state: MemberState }): Member => ({
    ...one,
    sinceMs: 0,
    heardOfAtMs: 0,
    recordAtMs: 0,
  });
  const core = new RoleNegotiation({
    signer: self.signer,
    verifier,
    random: new SeededRandom("negotiation"),
    members: {
      self: self.record.peerId,
      all: () => [...members.values()].map(member),
      get: (peer) => {
        const one = members.get(peer);
        return one === undefined ? undefined : member(one);
      },
      isPartial: () => partial,
    },
    options: defaultRoleOptions,
    startMs: 0,
  });
  const said = (effects: RoleEffects) =>
    effects.send.map(({ to, bytes }) => ({ to, message: decodeMessage(bytes) }));
  return {
    core,
    members,
    said,
    link: (peer: PeerId, nowMs = 0) => core.step({ kind: "link-up", peer, nowMs }),
    hear: (from: PeerId, words: Parameters<typeof encodeMessage>[0], nowMs: number) =>
      core.step({ kind: "message", from, bytes: encodeMessage(words), nowMs }),
    term: (nowMs: number) => core.inForce(nowMs)?.assignment.term,
  };
}

const [self, first, second] = [agent("self"), agent("first"), agent("second")];
const [one, two] = [first.record.peerId, second.record.peerId];

t.test("of two assignments everybody takes the same", async (t) => {
  const strong = agent("strong", { ...pi, cores: 8 });
  const at = (by: Agent, term: number): KnownAssignment => assignmentBy(by, term).assignment;
  t.ok(beats(at(first, 2), at(strong, 1)), "the later term");
  t.ok(beats(at(strong, 1), at(first, 1)), "the more suitable maker");
  t.ok(beats(at(first, 1), at(agent("sensor", battery), 1)), "the one with a quorum");
  const [smaller, larger] = one < two ? [first, second] : [second, first];
  t.ok(beats(at(smaller, 1), at(larger, 1)), "the smaller peer id");
  t.ok(beats(at(first, 5), at(first, 6 + TERM_GAP_MAX)), "an invented term is nothing");
  t.ok(beats(at(first, 5 + TERM_GAP_MAX), at(first, 5)));
  const [x, y] = [at(first, 1), assignmentBy(first, 1, [two]).assignment];
  t.not(beats(x, y), beats(y, x), "of two of one maker, always the same one");
});

t.test("what is offered is taken, passed on, and answered when one's own is better", async (t) => {
  const { hear, link, said, term } = negotiation(self, [first, second]);
  link(one);
  link(two);
  const early = assignmentBy(first, 3);
  const taken = hear(one, early, 10);
  t.equal(term(10), 3);
  t.same(
    said(taken).map(({ to }) => to),
    [two],
    "everybody but the one that brought it",
  );
  t.match(taken.changes[0], { kind: "assignment", assignment: { term: 3 } });
  t.same(hear(one, early, 20).send, [], "once");

  const late = hear(two, assignmentBy(second, 2), 30);
  t.equal(term(30), 3);
  const [answer] = said(late);
  t.match(answer, { to: two, message: { instead: true } });
  t.ok(answer?.message?.assignment);
  const stubborn = hear(two, { ...assignmentBy(second, 2), instead: true }, 40);
  t.same(stubborn.send, [], "who insists is not argued with");

  const named = assignmentBy(second, 9);
  const asked = hear(two, { renewal: named.renewal }, 50);
  t.match(said(asked), [{ to: two, message: { ask: RolesAsk.SEND } }], "only the name came");
  const shown = hear(two, { ask: "send" }, 60);
  t.ok(said(shown)[0]?.message?.assignment);
  const newcomer = hear(one, { ask: "compare" }, 70);
  t.ok(said(newcomer)[0]?.message?.assignment, "who knows nothing is told");
});

t.test("signs of life are passed on once, and count while they are young", async (t) => {
  const { core, hear, link, said, term, members } = negotiation(self, [first, second], {
    partial: true,
  });
  link(one);
  link(two);
  const { assignment, renewal } = assignmentBy(first, 3);
  hear(one, { assignment, renewal, ageMs: 100_000 }, 1_000);
  t.equal(term(1_000), 3);
  const next = signRenewal(first.signer, assignment, 1, false);
  const passed = hear(one, { renewal: next, ageMs: 5_000 }, 2_000);
  t.match(said(passed), [{ to: two, message: { ageMs: 5_000 } }]);
  t.same(hear(two, { renewal: next }, 3_000).send, []);
  const behind = hear(two, { renewal, ask: "compare" }, 4_000);
  t.ok(said(behind)[0]?.message?.renewal, "who is behind is told");
  // The table has forgotten the maker; only its silence tells.
  members.delete(one);
  let tick = core.step({ kind: "tick", nowMs: 5_000 });
  while (term(tick.nextTickAtMs) !== undefined)
    tick = core.step({ kind: "tick", nowMs: tick.nextTickAtMs });
  t.equal(tick.nextTickAtMs, 2_000 - 5_000 + defaultRoleOptions.leaseMs, "its lease is over");
  const endMs = tick.nextTickAtMs;
  t.match(core.step({ kind: "tick", nowMs: endMs }).changes, [{ assignment: undefined }]);
  t.same(hear(two, { assignment, renewal: next, ageMs: 240_000 }, endMs + 100).changes, []);
  t.equal(term(endMs + 100), undefined, "what has ended does not come back");

  const last = signRenewal(second.signer, assignmentBy(second, 4).assignment, 1, true);
  hear(two, { assignment: assignmentBy(second, 4).assignment, renewal: last }, endMs + 200);
  t.equal(term(endMs + 200), undefined, "resigned before it was heard of");
});

t.test(
  "of many neighbours four hear of a sign of life at once, all of the last word",
  async (t) => {
    const { link, hear } = negotiation(self, [first, second]);
    for (const peer of [one, two, "a", "b", "c", "d", "e"]) link(peer);
    const { assignment, renewal } = assignmentBy(first, 3);
    t.equal(hear(one, { assignment, renewal }, 1_000).send.length, 6, "an assignment goes to all");
    const told = new Set<PeerId>();
    for (let number = 1; number <= 20; number++) {
      const next = signRenewal(first.signer, assignment, number, false);
      const { send } = hear(one, { renewal: next }, 1_000 + number * 60_000);
      t.equal(new Set(send.map(({ to }) => to)).size, 4);
      for (const { to } of send) told.add(to);
    }
    t.same([...told].sort(), [two, "a", "b", "c", "d", "e"].sort(), "others every time");
    const last = signRenewal(first.signer, assignment, 21, true);
    t.equal(hear(one, { renewal: last }, 1_300_000).send.length, 6);
  },
);

t.test("the maker's end is the assignment's end, and is claimed by rank", async (t) => {
  const strong = agent("strong", { ...pi, cores: 8 });
  for (const [others, least, most] of [
    [[first], 7_000, 8_000],
    [[first, strong], 8_000, 9_250],
  ] as const) {
    const { core, hear, link, members } = negotiation(self, others);
    link(one);
    hear(one, assignmentBy(first, 3), 10);
    const entry = members.get(one);
    if (entry !== undefined) entry.state = "dead";
    const { changes, nextTickAtMs } = core.step({
      kind: "member",
      peer: one,
      change: "dead",
      nowMs: 20,
    });
    t.match(changes, [{ kind: "assignment", assignment: undefined }]);
    t.ok(nextTickAtMs >= least && nextTickAtMs <= most, `${nextTickAtMs} ms`);
    const claimed = core.step({ kind: "tick", nowMs: nextTickAtMs });
    t.match(claimed.changes[0], { assignment: { term: 4, maker: self.record.peerId } });
    t.equal(core.roles.coordination, "coordinator");
    t.equal(claimed.send.length, 1, "and everybody is told");
  }
});

t.test("a maker that is dead or unknown is waited for", async (t) => {
  const stranger = agent("stranger");
  const { core, hear, link, members, term } = negotiation(self, [first]);
  link(one);
  hear(one, assignmentBy(stranger, 3), 10);
  t.equal(term(10), undefined, "nobody of the fleet, as far as is known");
  members.set(stranger.record.peerId, { record: stranger.record, state: "alive" });
  core.step({ kind: "member", peer: stranger.record.peerId, change: "joined", nowMs: 20 });
  t.equal(term(20), 3);

  const partial = negotiation(self, [first], { partial: true });
  partial.link(one);
  partial.hear(one, assignmentBy(stranger, 3), 10);
  t.equal(partial.term(10), 3, "where the table is full there are others");
});

t.test("who can not lead gives up at once", async (t) => {
  const { core, link, members, said } = negotiation(self, [first]);
  link(one);
  core.step({ kind: "tick", nowMs: 9_000 });
  t.equal(core.roles.coordination, "coordinator");
  const drained = recordOf(self.signer, verifier, battery, 2);
  members.set(self.record.peerId, { record: drained, state: "alive" });
  const peer = self.record.peerId;
  const effects = core.step({ kind: "member", peer, change: "updated", nowMs: 10_000 });
  t.equal(core.roles.coordination, "worker");
  t.equal(said(effects).length, 1);
  t.equal(core.inForce(10_000), undefined);

  const leaver = negotiation(self, [first]);
  leaver.link(one);
  leaver.core.step({ kind: "tick", nowMs: 9_000 });
  const bye = leaver.core.step({ kind: "leave", nowMs: 10_000 });
  t.equal(bye.send.length, 1);
  t.equal(bye.nextTickAtMs, Number.POSITIVE_INFINITY);
  t.same(leaver.core.step({ kind: "tick", nowMs: 11_000 }).send, []);
});

t.test("what breaks the rules is told, and changes nothing", async (t) => {
  const { core, hear, link, term } = negotiation(self, [first, second]);
  t.same(hear(one, { ask: "send" }, 0).offences, [], "without a link nothing is heard");
  link(one);
  hear(one, assignmentBy(first, 3), 1);
  const offenceOf = (bytes: Uint8Array) =>
    core.step({ kind: "message", from: one, bytes, nowMs: 2 }).offences[0]?.kind;
  t.equal(offenceOf(Uint8Array.of(1, 2, 3)), "malformed-message");
  t.equal(offenceOf(new Uint8Array(10_000)), "malformed-message");
  const { assignment, renewal } = assignmentBy(second, 9);
  t.equal(offenceOf(encodeMessage({ assignment })), "malformed-message", "no sign of life");

  const mute = { ...renewal.signed, publicKey: new Uint8Array(31) };
  const raw = (words: Parameters<typeof create<typeof RolesMessageSchema>>[1]) =>
    toBinary(RolesMessageSchema, create(RolesMessageSchema, words));
  t.equal(offenceOf(raw({ renewal: mute })), "malformed-message");
  const carried = { assignment: assignment.bytes, signature: assignment.signature };
  const bent = { ...carried, signature: assignment.signature.toReversed() };
  t.equal(offenceOf(raw({ renewal: renewal.signed, assignment: bent })), "forged-assignment");
  const torn = { ...carried, assignment: assignment.bytes.subarray(3) };
  t.equal(offenceOf(raw({ renewal: renewal.signed, assignment: torn })), "malformed-assignment");
  const other = assignmentBy(second, 8).renewal;
  t.equal(offenceOf(encodeMessage({ assignment, renewal: other })), "forged-renewal");
  const held = assignmentBy(first, 3);
  const fake = signRenewal(first.signer, held.assignment, 7, true);
  const signature = fake.signed.signature.toReversed();
  t.equal(offenceOf(raw({ renewal: { ...fake.signed, signature } })), "forged-renewal");

  const sensor = agent("sensor", { ...battery, batteryPercent: 10 });
  t.throws(() => assignmentBy(sensor, 4), /unfit-maker/);
  t.throws(
    () => assignmentBy(agent("big sensor", battery), 4, [one]),
    /unfit-maker/,
    "no committee",
  );
  t.throws(() => assignmentBy(first, 4, [one]), /malformed-assignment/, "it is in it already");
  t.throws(() => assignmentBy(first, 4, [two, two]), /malformed-assignment/);
  const many = Array.from({ length: 10 }, (_, at) => keys.signer(`validator ${at}`).peerId);
  t.throws(() => assignmentBy(first, 4, many), /malformed-assignment/);
  t.throws(() => assignmentBy(first, 4, ["nobody"]), /no Ed25519 key/);
  t.equal(
    readAssignment(first.signer, verifier, {
      assignment: new Uint8Array(7_000),
      signature: new Uint8Array(64),
    }),
    "malformed-assignment",
  );
  t.equal(term(2), 3, "nothing of that counted");

  let floods = 0;
  for (let at = 0; at < 100; at++)
    floods += core
      .step({ kind: "message", from: one, bytes: encodeMessage({ ask: "send" }), nowMs: 3 })
      .offences.filter(({ kind }) => kind === "roles-flood").length;
  t.ok(floods > 30, `${floods} of 100`);
});

t.test("a real term wins back those who believed an invented one", async (t) => {
  const { hear, link, term } = negotiation(self, [first, second]);
  link(one);
  link(two);
  hear(one, assignmentBy(first, 2 ** 52), 10);
  t.equal(term(10), 2 ** 52, "a newcomer can not know");
  hear(two, assignmentBy(second, 17), 20);
  t.equal(term(20), 17);
  hear(one, assignmentBy(first, 2 ** 52), 30);
  t.equal(term(30), 17);
});

t.test("who slept does not take the silence for the maker's", async (t) => {
  const { core, hear, link, term } = negotiation(self, [first]);
  link(one);
  hear(one, assignmentBy(first, 3), 1_000);
  core.step({ kind: "tick", nowMs: 3_600_000 });
  t.equal(term(3_600_000), 3);
  t.equal(term(3_600_000 + 20_000), undefined, "but not for long");
});

/** Ticks until that time. @returns what was changed on the way */
function runUntil(core: RoleNegotiation, fromMs: number, untilMs: number) {
  const changes: { atMs: number; change: RoleEffects["changes"][number] }[] = [];
  let effects = core.step({ kind: "tick", nowMs: fromMs });
  while (effects.nextTickAtMs <= untilMs) {
    const atMs = effects.nextTickAtMs;
    effects = core.step({ kind: "tick", nowMs: atMs });
    for (const change of effects.changes) changes.push({ atMs, change });
  }
  return changes;
}

t.test("what a maker gave up is not taken up again from those who lag behind", async (t) => {
  const { hear, link, term } = negotiation(self, [first, second]);
  link(one);
  link(two);
  const { assignment } = assignmentBy(first, 5);
  hear(one, { assignment, renewal: signRenewal(first.signer, assignment, 0, false) }, 10);
  hear(one, { renewal: signRenewal(first.signer, assignment, 1, true) }, 20);
  hear(two, assignmentBy(first, 4), 30);
  t.equal(term(30), undefined);
  hear(two, assignmentBy(second, 4), 40);
  t.equal(term(40), 4, "but another side's earlier term may follow");
});

t.test("a much better agent takes over at a rebalance, if nobody is better still", async (t) => {
  const [fast, faster] = [
    agent("fast", { ...pi, cores: 8 }),
    agent("faster", { ...pi, cores: 8, memoryGiB: 8 }),
  ];
  const tookOver = (others: readonly Agent[], heldFromMs: number) => {
    const { core, hear, link } = negotiation(fast, [first, ...others]);
    link(one);
    const { assignment } = assignmentBy(first, 3);
    hear(one, assignmentBy(first, 3), 1_000);
    runUntil(core, 1_000, 200_000);
    const renewal = signRenewal(first.signer, assignment, 1, false);
    hear(one, { assignment, renewal }, 200_000);
    runUntil(core, 200_000, heldFromMs);
    if (heldFromMs > 200_000) hear(two, assignmentBy(second, 4), heldFromMs);
    const changes = runUntil(core, heldFromMs, 335_000);
    return changes.some(
      ({ change }) => change.kind === "assignment" && change.assignment?.reason === "better",
    );
  };
  t.ok(tookOver([], 200_000));
  t.notOk(tookOver([faster], 200_000), "that one's turn");
  const { core, hear, link, term } = negotiation(fast, [first, second]);
  link(one);
  hear(one, assignmentBy(first, 3), 280_000);
  runUntil(core, 280_000, 332_000);
  t.equal(term(332_000), 3, "who has led for less than a minute is left alone");
});

t.test("a maker changes its assignment no faster than it must", async (t) => {
  const others = ["v1", "v2", "v3"].map((name) => agent(name));
  const { core, link, members } = negotiation(agent("maker", { ...pi, cores: 8 }), others);
  link(one);
  runUntil(core, 0, 60_000);
  t.equal(core.inForce(60_000)?.assignment.validators.length, 3);
  const madeAt = (untilMs: number, fromMs: number) =>
    runUntil(core, fromMs, untilMs)
      .filter(({ change }) => change.kind === "assignment")
      .map(({ atMs }) => atMs);
  const become = (name: string, state: MemberState, nowMs: number) => {
    const { record } = agent(name);
    members.set(record.peerId, { record, state });
    const change = state === "alive" ? "joined" : "dead";
    core.step({ kind: "member", peer: record.peerId, change, nowMs });
  };
  become("v1", "dead", 60_000);
  t.same(madeAt(62_500, 60_000), [62_000], "what happens within two seconds makes one change");
  become("v2", "dead", 62_500);
  t.same(madeAt(70_000, 62_500), [67_000], "the next five seconds later");
  become("v4", "alive", 70_000);
  become("v5", "alive", 70_100);
  t.same(madeAt(110_000, 70_100), [97_000], "for newcomers there is half a minute");
  t.equal(core.inForce(110_000)?.assignment.validators.length, 3);
});

t.test("on battery one does not lead while somebody on mains could", async (t) => {
  const sensor = agent("sensor", battery);
  const { core, link, members, term } = negotiation(sensor, [first]);
  link(one);
  runUntil(core, 0, 120_000);
  t.equal(term(120_000), undefined, "that one is known to live, though it says nothing");
  const entry = members.get(one);
  if (entry !== undefined) entry.state = "dead";
  core.step({ kind: "member", peer: one, change: "dead", nowMs: 120_000 });
  runUntil(core, 120_000, 180_000);
  t.equal(core.inForce(180_000)?.assignment.quorum, false);
});

t.test("neighbours are asked now and then, and less when power is short", async (t) => {
  const asked = (factor: number) => {
    const { core, link, hear } = negotiation(self, [first]);
    link(one);
    core.setPace(factor);
    hear(one, assignmentBy(first, 3), 10);
    let [count, effects] = [0, core.step({ kind: "tick", nowMs: 20 })];
    while (effects.nextTickAtMs <= 200_000) {
      effects = core.step({ kind: "tick", nowMs: effects.nextTickAtMs });
      count += effects.send.filter(
        ({ bytes }) => decodeMessage(bytes)?.ask === RolesAsk.COMPARE,
      ).length;
    }
    return count;
  };
  t.ok(asked(1) >= 5 && asked(1) <= 9, `${asked(1)} times in 200 s`);
  t.ok(asked(15) <= 1);
});

t.test("a newcomer lets those go first whom it did not know when it started", async (t) => {
  const strong = agent("strong", { ...pi, cores: 8 });
  const { core, members, term } = negotiation(self, []);
  runUntil(core, 0, 6_000);
  members.set(strong.record.peerId, { record: strong.record, state: "alive" });
  core.step({ kind: "member", peer: strong.record.peerId, change: "joined", nowMs: 6_000 });
  runUntil(core, 6_000, 8_000);
  t.equal(term(8_000), undefined, "its time comes between 7 and 8 seconds, and is put off");
  runUntil(core, 8_000, 13_000);
  t.equal(term(13_000), 1, "not for ever");

  const stranger = agent("stranger");
  const led = negotiation(self, [first]);
  led.link(one);
  led.hear(one, assignmentBy(stranger, 3), 10);
  runUntil(led.core, 10, 29_000);
  t.equal(led.term(29_000), undefined, "somebody leads who is not met yet");
  runUntil(led.core, 29_000, 40_000);
  t.equal(led.term(40_000), 1, "and is not waited for any longer");
});
