import t from "tap";
import type { Announce } from "../../../../src/coordination/contract-net/messages.ts";
import { defaultParticipantOptions } from "../../../../src/coordination/contract-net/options.ts";
import { Participant } from "../../../../src/coordination/contract-net/participant.ts";
import type { Task } from "../../../../src/coordination/contract-net/task.ts";
import { TASK } from "../../../support/coordination/contract-world.ts";

function participant(options: Partial<typeof defaultParticipantOptions> = {}) {
  const core = new Participant({
    self: "self",
    options: { ...defaultParticipantOptions, capacity: 2, ...options },
    hasSkill: (skill) => skill === "camera",
    appraise: ({ name }) => (name === "dull" ? undefined : { cost: 1, endsInMs: 100 }),
    passesOn: () => false,
  });
  const step = (input: Parameters<Participant["step"]>[0]) => {
    const { send, changes } = core.step(input);
    return [
      ...send.map(({ message }) =>
        "reason" in message ? `${message.kind} ${message.reason}` : message.kind,
      ),
      ...changes.map(({ kind }) => kind.toUpperCase()),
    ];
  };
  return {
    core,
    announce: (
      nowMs: number,
      call: string,
      task: Partial<Task> = {},
      over: Partial<Announce> = {},
    ) =>
      step({
        kind: "message",
        from: "boss",
        message: {
          kind: "announce",
          call,
          task: { ...TASK, ...task },
          route: { root: `boss/${call}`, path: ["boss"], hopsLeft: 0 },
          bidWithinMs: 1_000,
          holdMs: 1_000,
          expiresInMs: 20_000,
          ...over,
        },
        nowMs,
      }),
    hear: (nowMs: number, kind: "award" | "reject" | "cancel" | "settle", call: string) =>
      step({ kind: "message", from: "boss", message: { kind, call }, nowMs }),
    tick: (nowMs: number) => step({ kind: "tick", nowMs }),
    gone: (nowMs: number) => step({ kind: "gone", peer: "boss", nowMs }),
    done: (nowMs: number, call: string) =>
      step({ kind: "done", initiator: "boss", call, output: "x", nowMs }),
    failed: (nowMs: number, call: string) =>
      step({ kind: "failed", initiator: "boss", call, reason: "withdrawn", nowMs }),
  };
}

t.test(
  "it bids for what it can do, keeps room for that, and begins when it is awarded",
  async (t) => {
    const { announce, hear, done, core } = participant();
    t.same(announce(0, "c1", { needs: ["camera"] }), ["bid"]);
    t.same(announce(5, "c1"), ["bid"], "the first bid may have been lost");
    t.equal(core.taken, 1);
    t.same(hear(10, "award", "c1"), ["accept", "BEGIN"]);
    t.same(hear(20, "award", "c1"), ["accept"], "it begins once");
    t.same(done(30, "c1"), ["result"]);
    t.equal(core.taken, 0);
    t.same(hear(40, "award", "c1"), ["result"], "an old award");
    t.same(hear(50, "settle", "c1"), []);
    t.same(hear(60, "award", "c1"), [], "what has ended is not done again");
    t.equal(core.size, 0);
  },
);

t.test("it says why it does not bid", async (t) => {
  const { announce } = participant({ openPerInitiatorMax: 2 });
  t.same(announce(0, "c1", { needs: ["wings"] }), ["refuse not-able"]);
  t.same(announce(0, "c1", { demand: 3 }), ["refuse not-able"]);
  t.same(announce(0, "c1", { name: "dull" }), ["refuse unwilling"]);
  const route = { root: "self/1", path: ["self", "boss"], hopsLeft: 1 };
  t.same(announce(0, "c1", {}, { route }), ["refuse loop"]);
  t.same(
    announce(0, "c1", {}, { route: { ...route, path: ["other"] } }),
    ["refuse loop"],
    "a way that does not end at who says so",
  );
  t.same(announce(0, "c1", { demand: 1.5 }), ["bid"]);
  t.same(announce(0, "c2"), ["refuse no-capacity"]);
  t.same(
    announce(0, "c2", { demand: 0.5 }, { route: { root: "boss/c1", path: ["boss"], hopsLeft: 0 } }),
    ["refuse known"],
  );
  t.same(announce(0, "c3", { demand: 0.5 }), ["bid"]);
  t.same(announce(0, "c4", { demand: 0.1 }), ["refuse busy"]);
});

t.test(
  "a bid does not hold for ever, and is taken up again where there still is room",
  async (t) => {
    const { announce, hear, tick, core } = participant({ capacity: 1 });
    announce(0, "c1");
    t.same(tick(2_000), ["LAPSED"]);
    t.equal(core.taken, 0);
    t.same(hear(2_100, "award", "c1"), ["accept", "BEGIN"]);
    const full = participant({ capacity: 1 });
    full.announce(0, "c1");
    full.tick(2_000);
    full.announce(2_000, "c2");
    t.same(full.hear(2_100, "award", "c1"), ["failure no-capacity"]);
    t.same(full.hear(2_100, "award", "c9"), ["failure unknown"], "as after a restart");
  },
);

t.test(
  "it stops when it is told to, when time is up, and when nobody waits any more",
  async (t) => {
    const { announce, hear, tick, gone, core } = participant();
    announce(0, "c1");
    t.same(hear(10, "reject", "c1"), ["LAPSED"]);
    t.same(hear(20, "award", "c1"), [], "what was rejected is not awarded");
    announce(30, "c2");
    hear(40, "award", "c2");
    t.same(hear(50, "cancel", "c2"), ["STOP"]);
    t.same(hear(60, "award", "c2"), [], "an award that was under way for longer than the cancel");
    announce(70, "c3");
    hear(80, "award", "c3");
    t.same(tick(8_080), ["progress"], "a sign of life");
    t.same(tick(20_070), ["STOP"]);
    announce(30_000, "c4");
    hear(30_000, "award", "c4");
    t.same(gone(30_010), ["STOP"]);
    t.equal(core.size, 0);
  },
);

t.test("an end is said until it is settled, so often and no more", async (t) => {
  const { announce, hear, tick, failed, core } = participant({ sendsMax: 3 });
  announce(0, "c1");
  hear(0, "award", "c1");
  t.same(failed(10, "c1"), ["failure withdrawn"]);
  t.same(tick(1_010), ["failure withdrawn"]);
  t.same(tick(3_010), ["failure withdrawn"]);
  t.same(tick(7_010), []);
  t.equal(core.size, 0);
  announce(8_000, "c2");
  t.same(failed(8_010, "c2"), ["failure withdrawn"], "a bid is withdrawn as well");
  t.equal(core.taken, 0);
});
