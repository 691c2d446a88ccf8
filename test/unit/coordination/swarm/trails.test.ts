// Deposits as they travel, whose ticks are which, and what a hostile neighbour gets out of it.
import t from "tap";
import {
  decodeMessage,
  encodeMessage,
  isSigned,
  MESSAGE_BYTES_MAX,
  readDeposit,
  signDeposit,
  type ToldDeposit,
} from "../../../../src/coordination/swarm/message-codec.ts";
import {
  defaultChoiceOptions,
  defaultPheromoneOptions,
} from "../../../../src/coordination/swarm/options.ts";
import { TrailsRunner } from "../../../../src/coordination/swarm/runner.ts";
import { TickFrames } from "../../../../src/coordination/swarm/tick-frames.ts";
import { NetworkError, type Service } from "../../../../src/platform/network.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";
import { silentLogger } from "../../../../src/platform/silent-logger.ts";
import { VirtualClock } from "../../../../src/simulator/virtual-clock.ts";
import { VirtualKeys } from "../../../../src/simulator/virtual-signer.ts";

const keys = new VirtualKeys();
const a = keys.signer("a");
const b = keys.signer("b");
const content = { trail: "north", epoch: 3, tick: 17, amount: 12.5 };

t.test("a deposit travels in its agent's own words", async (t) => {
  const proof = signDeposit(a, content);
  t.strictSame(readDeposit(b, proof), { origin: a.peerId, ...content });
  t.ok(isSigned(b, proof));
  t.notOk(isSigned(b, { ...proof, publicKey: b.publicKey }), "in another one's name");
  t.notOk(isSigned(b, { ...proof, deposit: signDeposit(b, content).deposit.with(1, 99) }));
  for (const bad of [
    { ...proof, publicKey: new Uint8Array(31) },
    { ...proof, deposit: new Uint8Array(500) },
    { ...proof, deposit: Uint8Array.of(0xff) },
    signDeposit(a, { ...content, trail: "" }),
    signDeposit(a, { ...content, trail: "x".repeat(129) }),
    signDeposit(a, { ...content, amount: 0 }),
    signDeposit(a, { ...content, amount: Number.NaN }),
  ])
    t.equal(readDeposit(b, bad), undefined);
});

t.test("messages come back as they were, and what is none is none", async (t) => {
  const proof = signDeposit(a, content);
  const words = { deposits: [{ proof, ageTicks: 4 }], through: 9, acknowledged: 2 };
  t.match(decodeMessage(encodeMessage(words)), {
    deposits: [{ ageTicks: 4 }],
    through: 9,
    acknowledged: 2,
  });
  const acknowledgement = { deposits: [], through: 0, acknowledged: 5 };
  t.strictSame(decodeMessage(encodeMessage(acknowledgement)), acknowledgement);
  t.equal(decodeMessage(encodeMessage({ ...words, through: 0 })), undefined);
  t.equal(decodeMessage(encodeMessage({ ...acknowledgement, through: 3 })), undefined);
  const many = Array.from({ length: 257 }, (): ToldDeposit => ({ proof, ageTicks: 0 }));
  t.equal(decodeMessage(encodeMessage({ ...words, deposits: many })), undefined);
  t.equal(decodeMessage(new Uint8Array(MESSAGE_BYTES_MAX + 1)), undefined);
  t.equal(decodeMessage(Uint8Array.of(0xff)), undefined);
  const long = signDeposit(a, { ...content, trail: "ä".repeat(128) });
  const full = {
    ...words,
    deposits: many.slice(1).map(() => ({ proof: long, ageTicks: 2 ** 32 })),
  };
  t.equal(decodeMessage(encodeMessage(full))?.deposits.length, 256, "the largest fits");
});

t.test(
  "one deposit means one tick, whichever way it comes and however long that takes",
  async (t) => {
    const frames = new TickFrames(10);
    const name = { origin: "x", epoch: 1, tick: 100 };
    t.equal(frames.toOwn(name, 5, 1_000, false), 995);
    t.equal(frames.toOwn(name, 40, 1_000, false), 995, "what others reckon changes nothing");
    t.equal(
      frames.toOwn({ ...name, tick: 102 }, 0, 1_003, false),
      997,
      "later by two of its ticks",
    );
    t.equal(
      frames.toOwn({ ...name, tick: 110 }, 0, 1_010, true),
      1_010,
      "its own word counts more",
    );
    t.equal(frames.toOwn({ ...name, tick: 111 }, 0, 1_012, true), 1_011, "a tick of delay is none");
    t.equal(frames.toOwn({ ...name, tick: 200 }, 0, 1_103, true), 1_103, "clocks drift apart");
    t.equal(frames.toOwn({ ...name, epoch: 2, tick: 1 }, 0, 1_110, false), 1_110, "it began anew");
    t.equal(frames.toOwn(name, 0, 1_120, true), undefined, "what it said before is over");
  },
);

t.test("frames from hearsay are found out anew after a while, and few are kept", async (t) => {
  const frames = new TickFrames(2);
  const name = { origin: "x", epoch: 1, tick: 0 };
  frames.toOwn(name, 0, 1_000, false);
  t.equal(frames.toOwn({ ...name, tick: 9_000 }, 0, 10_010, false), 10_010);
  for (const origin of ["y", "z"]) frames.toOwn({ ...name, origin }, 0, 10_010, false);
  t.equal(frames.size, 2);
});

function running() {
  const clock = new VirtualClock();
  const offences: string[] = [];
  const sent: { to: string; bytes: Uint8Array }[] = [];
  let service: Service = {};
  const runner = new TrailsRunner({
    signer: b,
    clock,
    random: new SeededRandom("trails"),
    logger: silentLogger,
    gate: { offence: (_, kind) => void offences.push(kind) },
    epoch: 1,
    tickMs: 10_000,
    pheromone: defaultPheromoneOptions,
    choice: defaultChoiceOptions,
    isMember: (peer) => peer !== keys.signer("stranger").peerId,
    network: {
      serve: (_, served) => {
        service = served;
      },
      links: () => [],
      send: (to, _, bytes) => {
        sent.push({ to, bytes });
        return to === "old"
          ? Promise.reject(new NetworkError("network.unsupported", "what is that?"))
          : Promise.resolve();
      },
    },
  });
  const hear = (...deposits: ToldDeposit[]) =>
    service.message?.(
      "near",
      encodeMessage({ deposits, through: deposits.length, acknowledged: 0 }),
    );
  return {
    runner,
    clock,
    offences,
    sent,
    hear,
    raw: (bytes: Uint8Array) => service.message?.("near", bytes),
  };
}

t.test("forged, altered and replayed deposits do nothing but harm to who tells them", async (t) => {
  const { runner, offences, hear, raw, clock } = running();
  runner.start();
  const proof = signDeposit(a, content);
  hear({ proof: { ...proof, signature: new Uint8Array(64) }, ageTicks: 0 });
  t.same(offences, ["forged-deposit"]);
  t.same(runner.list(9, ""), []);
  raw(Uint8Array.of(9));
  hear({ proof: { ...proof, publicKey: new Uint8Array(3) }, ageTicks: 0 });
  hear({ proof: signDeposit(a, { ...content, amount: 1e9 }), ageTicks: 0 });
  t.same(offences.slice(1), ["malformed-message", "malformed-deposit", "too-strong"]);
  hear({ proof: signDeposit(keys.signer("stranger"), content), ageTicks: 0 });
  t.equal(offences.length, 4, "who is not known yet is nobody's fault");
  t.same(runner.list(9, ""), []);

  hear({ proof, ageTicks: 0 });
  t.match(runner.list(9, ""), [{ trail: "north", level: 12.5 }]);
  await clock.advance(66_000);
  const before = runner.list(9, "")[0]?.level ?? 0;
  hear({ proof, ageTicks: 0 });
  t.equal(runner.list(9, "")[0]?.level, before, "said again as if it were of now");
  await clock.advance(2_000_000);
  t.same(runner.list(9, ""), []);
  hear({ proof, ageTicks: 0 });
  t.same(runner.list(9, ""), [], "and when nothing of it was left");
  t.equal(runner.counts().counters.faint, 1);
});

t.test(
  "it tells again until it is acknowledged, and leaves nodes alone that do not know trails",
  async (t) => {
    const { runner, sent, clock, raw } = running();
    runner.start();
    const link = { direction: "outbound", transport: "tcp", address: "", openedAtMs: 0 } as const;
    for (const peer of ["near", "old"]) runner.take({ kind: "link-up", link: { ...link, peer } });
    t.equal(runner.deposit("north", 3), 3);
    t.equal(runner.deposit("north", 4), 7);
    await clock.advance(30_000);
    const to = (peer: string) => sent.filter((one) => one.to === peer);
    t.equal(to("old").length, 1);
    t.equal(to("near").length, 3, "once each tick");
    const first = decodeMessage(to("near")[0]?.bytes ?? new Uint8Array());
    t.match(readDeposit(a, first!.deposits[0]!.proof), {
      trail: "north",
      epoch: 1,
      tick: 0,
      amount: 7,
    });
    raw(encodeMessage({ deposits: [], through: 0, acknowledged: first!.through }));
    await clock.advance(60_000);
    t.equal(to("near").length, 3);
    runner.stop();
    t.same(clock.waiting, []);
  },
);
