// The guest's side as a pure machine: inputs by hand, effects looked at.
import t from "tap";
import type { GuestEffect, GuestInput } from "../../../../src/mesh/relay/guest-effects.ts";
import { GuestSession } from "../../../../src/mesh/relay/guest-session.ts";
import type { HostCandidate } from "../../../../src/mesh/relay/host-choice.ts";
import { decodeRequest, encodeAnswer } from "../../../../src/mesh/relay/relay-codec.ts";
import type { SendOutcome } from "../../../../src/platform/uplink-connection.ts";
import { outbound } from "../../../conformance/uplink-connection.ts";

type Happening = GuestInput extends infer Each
  ? Each extends GuestInput
    ? Omit<Each, "nowMs">
    : never
  : never;

const host = (peer = "H", over: Partial<HostCandidate> = {}): HostCandidate => ({
  peer,
  agentId: peer.toLowerCase(),
  linked: true,
  route: [],
  loadPercent: 0,
  ...over,
});
const WELCOME = {
  session: 7,
  route: ["H"],
  passedMax: 3,
  batchBytesMax: 65_536,
  updateBytesMax: 10_000,
};

/** A guest that has heard and said nothing yet. */
class GuestUnderTest {
  readonly session = new GuestSession({ self: "G", agentId: "agent-1", via: [], hopsMax: 3 });
  readonly outcomes = new Map<number, SendOutcome>();
  nowMs = 0;
  effects: readonly GuestEffect[] = [];

  input(happening: Happening): readonly GuestEffect[] {
    this.effects = this.session.step({ ...happening, nowMs: this.nowMs });
    for (const effect of this.effects)
      if (effect.kind === "settle")
        this.outcomes.set(effect.sending.update.sequence, effect.outcome);
    return this.effects;
  }

  kinds(): string[] {
    return this.effects.map((effect) =>
      effect.kind === "ask" ? (decodeRequest(effect.bytes)?.case ?? "") : effect.kind,
    );
  }

  /** What was asked last of that kind. */
  asked(kind: string): GuestEffect & { kind: "ask" } {
    for (const effect of this.effects)
      if (effect.kind === "ask" && decodeRequest(effect.bytes)?.case === kind) return effect;
    throw new Error(`no ${kind} among ${this.kinds().join()}`);
  }

  answer(to: { attempt: number }, body: Parameters<typeof encodeAnswer>[0]) {
    return this.input({ kind: "answered", attempt: to.attempt, bytes: encodeAnswer(body) });
  }

  down(): (GuestEffect & { kind: "down" }) | undefined {
    return this.effects.find((effect) => effect.kind === "down");
  }

  connect(
    candidates: readonly HostCandidate[] = [host()],
    welcome: Partial<typeof WELCOME> = {},
  ): this {
    this.input({ kind: "connect", candidates });
    const hello = this.asked("hello");
    this.answer(hello, { case: "welcome", value: { ...WELCOME, ...welcome } });
    return this;
  }

  send(first: number, last: number, over: Parameters<typeof outbound>[1] = {}) {
    const sendings = [];
    for (let n = first; n <= last; n++)
      sendings.push({ update: outbound(n, over), settle: () => undefined });
    return this.input({ kind: "send", sendings });
  }

  batchOf(asked: GuestEffect & { kind: "ask" }) {
    const body = decodeRequest(asked.bytes);
    if (body?.case !== "batch") throw new Error("no batch");
    return body.value;
  }
}

const receipt = (taken: number, over: object = {}) =>
  ({ case: "receipt", value: { taken, ...over } }) as const;
const mark = (settled: number, dead: object[] = []) => ({
  agentId: "agent-1",
  stream: "sensors/a",
  settled: BigInt(settled),
  dead,
});

t.test("hands over one batch after the other, and acknowledges what was delivered", async (t) => {
  const guest = new GuestUnderTest().connect();
  t.same(guest.kinds(), ["chosen", "wake", "up"]);
  guest.send(1, 3);
  const first = guest.asked("batch");
  t.equal(first.to, "H");
  t.match(guest.batchOf(first), { session: 7, streams: [{ agentId: "agent-1", path: ["G"] }] });
  guest.send(4, 5);
  t.same(guest.kinds(), [], "the next one waits for the receipt");
  guest.answer(first, receipt(3));
  t.same(guest.kinds(), ["progress", "batch", "poll"]);
  t.equal(guest.outcomes.size, 0, "stored is not delivered");
  t.match(guest.session.status(), { hops: 1, updates: 5, stored: 3 });
  const poll = guest.asked("poll");
  guest.answer(poll, {
    case: "report",
    value: { number: 1, marks: [mark(2)], route: ["H"], passedMax: 3 },
  });
  t.same([...guest.outcomes.keys()], [1, 2]);
  t.same(guest.kinds(), ["settle", "settle", "progress", "poll"]);
});

t.test(
  "a refused update is told with its reason; one that can not travel is not sent",
  async (t) => {
    const guest = new GuestUnderTest().connect();
    guest.send(1, 1, { payload: Buffer.alloc(10_001) });
    t.match(guest.outcomes.get(1), { kind: "refused", permanent: true, reason: /10001 bytes/ });
    guest.send(2, 2, { stream: "$odd" });
    t.match(guest.outcomes.get(2), { permanent: true, reason: /name/ });
    guest.send(3, 5);
    guest.answer(
      guest.asked("batch"),
      receipt(3, { unfit: [{ index: 1, reason: "is known as x" }] }),
    );
    t.match(guest.outcomes.get(4), { permanent: true, reason: "is known as x" });
    const dead = [{ sequence: 5n, reason: "not authorized" }];
    guest.answer(guest.asked("poll"), {
      case: "report",
      value: { number: 1, marks: [mark(5, dead)], route: ["H"], passedMax: 3 },
    });
    t.match(guest.outcomes.get(3), { kind: "acknowledged" });
    t.match(guest.outcomes.get(5), { permanent: true, reason: "not authorized" });
  },
);

t.test("a host that wants a moment is waited for; one that wants longer is left", async (t) => {
  const guest = new GuestUnderTest().connect();
  guest.send(1, 4);
  const refusal = { code: "relay.quota", detail: "full", retryAfterMs: 2_000 };
  guest.answer(guest.asked("batch"), receipt(1, { refusal }));
  t.same(guest.kinds(), ["progress", "wake", "poll"]);
  guest.send(5, 5);
  t.same(guest.kinds(), [], "held");
  guest.nowMs = 2_000;
  guest.input({ kind: "tick", candidates: [host()] });
  t.same(
    guest.batchOf(guest.asked("batch")).updates.map(({ sequence }) => Number(sequence)),
    [2, 3, 4, 5],
    "in order, from the first that was not taken",
  );
  const long = { code: "relay.power", detail: "tired", retryAfterMs: 60_000 };
  guest.answer(guest.asked("batch"), receipt(0, { refusal: long }));
  t.match(guest.down(), { reason: "h: tired", retryAfterMs: 50 });
  guest.input({ kind: "connect", candidates: [host(), host("I")] });
  t.equal(guest.asked("hello").to, "I", "somebody else is asked");
  guest.input({ kind: "disconnect" });
  guest.input({ kind: "connect", candidates: [host()] });
  t.match(guest.down(), { reason: "h: tired", retryAfterMs: 60_000 });
  guest.input({ kind: "seen", candidate: host(), anew: false });
  t.same(guest.kinds(), []);
  guest.input({ kind: "seen", candidate: host(), anew: true });
  t.same(guest.kinds(), ["retry"], "it says anew that it relays");
});

t.test("ways that lead back here, or too far, are not taken", async (t) => {
  const ways: [readonly string[], number, RegExp][] = [
    [["H", "X", "G"], 3, /leads through this agent/],
    [["H", "X", "Y", "Z"], 3, /has 4 agents/],
    [["H"], 0, /relay.hopsMax/],
  ];
  for (const [route, passedMax, reason] of ways) {
    const guest = new GuestUnderTest().connect([host()], { route: [...route], passedMax });
    t.match(guest.down()?.reason, reason);
    t.equal(guest.session.status(), undefined);
    const later = new GuestUnderTest().connect();
    later.send(1, 1);
    later.answer(later.asked("batch"), receipt(1));
    const value = { number: 1, route: [...route], passedMax };
    later.answer(later.asked("poll"), { case: "report", value });
    t.match(later.down()?.reason, reason, "nor when they become so");
  }
});

t.test("an update of another agent that came too far leaves the own ones alone", async (t) => {
  const guest = new GuestUnderTest().connect([host()], { passedMax: 2 });
  t.equal(guest.session.passedMax, 2);
  guest.send(1, 1, { agentId: "other", path: ["O"] });
  t.match(guest.batchOf(guest.asked("batch")).streams, [{ path: ["O", "G"] }]);
  guest.answer(guest.asked("batch"), receipt(1));
  guest.send(2, 2, { agentId: "other", path: ["O", "P"] });
  t.match(guest.down()?.reason, /came through more agents than the 2/);
  guest.connect([host()], { passedMax: 2 });
  t.equal(guest.session.passedMax, 1, "others stay behind from now on");
  guest.input({ kind: "disconnect" });
  guest.connect([host()], { passedMax: 3 });
  t.equal(guest.session.passedMax, 3, "until more are allowed");
});

t.test("a host that is lost, says nonsense, or withdraws", async (t) => {
  const losses: ((guest: GuestUnderTest) => void)[] = [
    (guest) => guest.input({ kind: "link-down", peer: "H" }),
    (guest) => {
      guest.input({ kind: "failed", attempt: guest.asked("batch").attempt, reason: "timeout" });
    },
    (guest) => {
      const { attempt } = guest.asked("batch");
      guest.input({ kind: "answered", attempt, bytes: Buffer.from([255]) });
    },
    (guest) => {
      const { attempt } = guest.asked("batch");
      guest.input({ kind: "answered", attempt, bytes: encodeAnswer({ case: "marks", value: {} }) });
    },
    (guest) => {
      const value = { code: "relay.session", detail: "over", retryAfterMs: 0 };
      guest.answer(guest.asked("batch"), { case: "refusal", value });
    },
    (guest) => {
      guest.answer(guest.asked("batch"), receipt(1));
      const withdrawn = { code: "relay.no-uplink", detail: "down", retryAfterMs: 15_000 };
      guest.answer(guest.asked("poll"), { case: "report", value: { withdrawn } });
    },
  ];
  for (const [at, lose] of losses.entries()) {
    const guest = new GuestUnderTest().connect();
    guest.send(1, 1);
    const old = guest.asked("batch");
    lose(guest);
    t.match(guest.down()?.reason, /^h: /, `loss ${at}`);
    guest.answer(old, receipt(1));
    t.same(guest.effects, [], "what comes late says nothing");
    t.equal(guest.outcomes.size, 0);
  }
  const asking = new GuestUnderTest();
  asking.input({ kind: "connect", candidates: [host()] });
  asking.input({
    kind: "answered",
    attempt: asking.asked("hello").attempt,
    bytes: Buffer.from([1]),
  });
  t.match(asking.down()?.reason, /can not be read/);
  asking.input({ kind: "connect", candidates: [] });
  t.match(asking.down()?.reason, /can not be read/, "why the last one was no host");
  const nobody = new GuestUnderTest();
  nobody.input({ kind: "connect", candidates: [] });
  t.match(nobody.down(), { reason: "no agent of the mesh relays now" });
});

t.test("marks leave out what was refused", async (t) => {
  const guest = new GuestUnderTest().connect();
  const marks = (settled: number, dead: readonly number[]) => {
    guest.input({ kind: "ask-marks", streams: ["sensors/a"] });
    const refused = dead.map((n) => ({ sequence: BigInt(n), reason: "no" }));
    guest.answer(guest.asked("marks"), {
      case: "marks",
      value: { marks: [mark(settled, refused)] },
    });
    const effect = guest.effects.find(({ kind }) => kind === "marks");
    if (effect?.kind !== "marks") throw new Error("no marks");
    const { through, ranges } = effect.marks?.get("sensors/a") ?? {};
    return [through, ranges];
  };
  t.same(marks(5, []), [5, []]);
  t.same(marks(5, [3]), [2, [[4, 5]]]);
  t.same(marks(5, [5, 1]), [0, [[2, 4]]]);
  t.same(marks(0, []), [0, []]);
});

t.test("a host that is nearer to an uplink takes over", async (t) => {
  const guest = new GuestUnderTest().connect([host("H", { route: ["X"] })], { route: ["H", "X"] });
  guest.nowMs = 60_000;
  guest.input({ kind: "tick", candidates: [host("N", { linked: false })] });
  t.equal(guest.down(), undefined, "not without a link");
  guest.input({ kind: "tick", candidates: [host("N")] });
  t.match(guest.down(), { reason: "n is nearer to an uplink" });
});

t.test("batches are bounded by count and size", async (t) => {
  const guest = new GuestUnderTest().connect();
  guest.send(1, 1_000);
  t.equal(guest.batchOf(guest.asked("batch")).updates.length, 512);
  guest.answer(guest.asked("batch"), receipt(512));
  t.equal(guest.batchOf(guest.asked("batch")).updates.length, 488);
  const large = new GuestUnderTest().connect();
  large.send(1, 20, { payload: Buffer.alloc(9_000) });
  t.equal(large.batchOf(large.asked("batch")).updates.length, 7, "64 KiB, as the host wants it");
});
