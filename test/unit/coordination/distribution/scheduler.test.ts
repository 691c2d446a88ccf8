import t from "tap";
import {
  type DistributionOptions,
  defaultDistributionOptions,
} from "../../../../src/coordination/distribution/options.ts";
import { Scheduler } from "../../../../src/coordination/distribution/scheduler.ts";
import type {
  AgentOffer,
  Attempt,
  TaskSpec,
} from "../../../../src/coordination/distribution/task.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";

const OFFER: AgentOffer = {
  peer: "p",
  skills: [],
  memoryBytes: 1_000,
  cpuShare: 4,
  mains: true,
  tasksMax: 4,
  weight: 1,
  load: 0,
};
const SPEC: TaskSpec = {
  id: "t",
  needs: { skills: [], memoryBytes: 100, cpuShare: 1, mains: false },
  priority: 5,
  after: [],
  timeoutMs: 10_000,
  attemptsMax: 3,
};
const spec = (id: string, over: Partial<TaskSpec> = {}): TaskSpec => ({ ...SPEC, id, ...over });

/** A scheduler whose effects are one line each. */
function bench(offers: readonly Partial<AgentOffer>[], options: Partial<DistributionOptions> = {}) {
  const scheduler = new Scheduler({
    options: { ...defaultDistributionOptions, ...options },
    random: new SeededRandom("bench"),
  });
  const attempts = new Map<string, Attempt>();
  const step = (input: Parameters<Scheduler["step"]>[0]): string[] => {
    const { assign, revoke, changes } = scheduler.step(input);
    for (const { attempt } of assign) attempts.set(attempt.id, attempt);
    return [
      ...changes.map((change) => {
        const detail = "detail" in change ? ` ${[change.detail].flat().join(" ")}` : "";
        return `${change.kind} ${change.id}${"reason" in change ? ` ${change.reason}` : ""}${detail}`;
      }),
      ...revoke.map(({ id, peer }) => `revoke ${id} ${peer}`),
      ...assign.map(({ attempt }) => `assign ${attempt.id} ${attempt.peer}`),
    ].map((line) => line.trim());
  };
  for (const offer of offers) step({ kind: "offer", offer: { ...OFFER, ...offer }, nowMs: 0 });
  const attempt = (id: string): Attempt => attempts.get(id) ?? { id, peer: "", number: 0 };
  return {
    scheduler,
    attempt,
    submit: (nowMs: number, ...tasks: TaskSpec[]) => step({ kind: "submit", tasks, nowMs }),
    offer: (nowMs: number, offer: Partial<AgentOffer>) =>
      step({ kind: "offer", offer: { ...OFFER, ...offer }, nowMs }),
    done: (nowMs: number, id: string) => step({ kind: "done", attempt: attempt(id), nowMs }),
    failed: (nowMs: number, id: string) =>
      step({ kind: "failed", attempt: attempt(id), reason: "broken", nowMs }),
    declined: (nowMs: number, id: string) =>
      step({ kind: "declined", attempt: attempt(id), nowMs }),
    gone: (nowMs: number, peer: string) => step({ kind: "gone", peer, nowMs }),
    cancel: (nowMs: number, id: string) => step({ kind: "cancel", id, nowMs }),
    tick: (nowMs: number) => step({ kind: "tick", nowMs }),
  };
}

t.test("a task goes to an agent that meets all it needs, and ends", async (t) => {
  const { submit, done, scheduler } = bench([
    { peer: "small", memoryBytes: 50 },
    { peer: "battery", mains: false, skills: ["camera"] },
    { peer: "able", skills: ["camera", "gpu"] },
  ]);
  const needs = { ...SPEC.needs, skills: ["camera"], mains: true };
  t.same(submit(0, spec("a", { needs })), ["taken a", "assign a able"]);
  t.same(scheduler.tasksOf("able"), ["a"]);
  t.same(done(10, "a"), ["done a"]);
  t.same(done(20, "a"), [], "said twice, counted once");
  t.equal(scheduler.counters().stale, 1);
  t.equal(scheduler.size, 0);
});

t.test(
  "what nobody can do is refused with what is missing, and keeps nothing else waiting",
  async (t) => {
    const { submit } = bench([{ mains: false, skills: ["gpu"] }]);
    const needs = { skills: ["camera", "gpu"], memoryBytes: 1e9, cpuShare: 99, mains: true };
    t.same(submit(0, spec("a", { needs }), spec("b")), [
      "refused a unmet skill camera memory processor mains",
      "taken b",
      "assign b p",
    ]);
    const apart = bench([
      { peer: "p", skills: ["camera"] },
      { peer: "q", skills: ["gpu"] },
    ]);
    const both = { ...SPEC.needs, skills: ["camera", "gpu"] };
    t.same(apart.submit(0, spec("c", { needs: both })), ["refused c unmet all at once"]);
    t.same(bench([]).submit(0, spec("d")), ["refused d unmet an agent"]);
  },
);

t.test(
  "a large task that has to wait does not keep small ones from the room there is",
  async (t) => {
    const { submit, done } = bench([{ cpuShare: 4 }]);
    const large = { ...SPEC.needs, cpuShare: 4 };
    submit(0, spec("running"));
    t.same(submit(1, spec("large", { needs: large, priority: 9 })), ["taken large"]);
    t.same(submit(2, spec("small", { priority: 0 })), ["taken small", "assign small p"]);
    done(3, "small");
    t.same(done(4, "running"), ["done running", "assign large p"]);
  },
);

t.test("urgent ones first: by priority, by deadline, by order", async (t) => {
  const { submit, done } = bench([{ tasksMax: 1 }]);
  submit(0, spec("first"));
  submit(1, spec("late"), spec("soon", { deadlineMs: 60_000 }), spec("high", { priority: 9 }));
  t.match(done(2, "first"), ["done first", "assign high p"]);
  t.match(done(3, "high"), ["done high", "assign soon p"]);
  t.match(done(4, "soon"), ["done soon", "assign late p"]);
});

t.test("tasks wait for those before them; circles are refused by name", async (t) => {
  const { submit, done, failed } = bench([{}]);
  const lines = submit(
    0,
    spec("c", { after: ["a", "b"] }),
    spec("a"),
    spec("b", { after: ["a"] }),
    spec("x", { after: ["y"] }),
    spec("y", { after: ["x"] }),
    spec("z", { after: ["x"] }),
    spec("self", { after: ["self"] }),
  );
  t.same(lines, [
    "refused x cycle x y",
    "refused y cycle x y",
    "refused self cycle self",
    "refused z unknown-dependency x",
    "taken a",
    "taken b",
    "taken c",
    "assign a p",
  ]);
  t.same(done(1, "a"), ["done a", "assign b p"]);
  t.same(done(2, "b"), ["done b", "assign c p"]);
  t.same(submit(3, spec("d", { after: ["a"] })), ["taken d", "assign d p"]);
  submit(4, spec("e", { after: ["d"], attemptsMax: 1 }), spec("f", { after: ["e"] }));
  done(5, "d");
  t.same(failed(6, "e"), ["failed e attempts broken", "failed f dependency e"]);
  t.same(submit(7, spec("g", { after: ["f"] })), ["refused g failed-dependency f"]);
});

t.test("what fails is tried again elsewhere, later and later, so often and no more", async (t) => {
  const { submit, failed, tick, scheduler } = bench([{ peer: "p" }, { peer: "q" }]);
  submit(0, spec("a"));
  t.same(failed(1, "a"), ["attempt-failed a broken"]);
  const again = tick(1_001);
  t.same(again, ["assign a q"], "p has just failed at it");
  t.same(tick(11_001), ["attempt-failed a timeout", "revoke a q"]);
  t.same(tick(13_001), ["assign a p"]);
  t.same(failed(13_002, "a"), ["failed a attempts broken"]);
  t.equal(scheduler.size, 0);
});

t.test("a deadline ends a task wherever it is; so does its cancellation", async (t) => {
  const { submit, tick, cancel } = bench([{ tasksMax: 1 }]);
  const deadlineMs = 5_000;
  submit(0, spec("runs", { deadlineMs }), spec("waits", { deadlineMs }), spec("next"));
  t.same(tick(5_000), [
    "failed waits deadline",
    "failed runs deadline",
    "revoke runs p",
    "assign next p",
  ]);
  t.same(cancel(6_000, "next"), ["failed next cancelled", "revoke next p"]);
});

t.test("an agent that leaves gives its tasks back", async (t) => {
  const { submit, gone, offer, done, attempt, scheduler } = bench([
    { peer: "p" },
    { peer: "q", weight: 9 },
  ]);
  submit(0, spec("a"));
  const before = attempt("a");
  t.equal(before.peer, "q");
  t.same(gone(1, "q"), ["returned a", "assign a p"]);
  t.same(offer(2, { peer: "q" }), []);
  t.same(scheduler.step({ kind: "done", attempt: before, nowMs: 3 }).changes, [], "an old attempt");
  t.same(done(4, "a"), ["done a"]);
});

t.test("what nobody can do any more waits for a while, then fails", async (t) => {
  const { submit, gone, offer, tick } = bench([{ peer: "p" }]);
  submit(0, spec("a"), spec("b"));
  t.same(gone(1_000, "p"), ["returned a", "returned b"]);
  t.same(offer(2_000, { peer: "q" }), ["assign a q", "assign b q"]);
  gone(3_000, "q");
  t.same(tick(63_000), ["failed a unmet", "failed b unmet"]);
});

t.test("tables are bounded, and ids are used once", async (t) => {
  const { submit, done, offer, scheduler } = bench([{}], {
    tasksMax: 2,
    kindsMax: 1,
    agentsMax: 1,
  });
  const other = { ...SPEC.needs, memoryBytes: 1 };
  t.same(submit(0, spec("a"), spec("a"), spec("b", { needs: other }), spec("c"), spec("d")), [
    "refused a duplicate",
    "refused b full kinds",
    "refused d full tasks",
    "taken a",
    "taken c",
    "assign a p",
    "assign c p",
  ]);
  done(1, "a");
  t.same(submit(2, spec("a")), ["refused a duplicate"]);
  t.match(submit(3, spec("e", { priority: 10 })), [/refused e invalid priority/]);
  offer(4, { peer: "q" });
  t.equal(scheduler.counters().unknownAgents, 1);
  t.throws(() => offer(5, { weight: 0 }), RangeError);
});

t.test(
  "an agent that is busier than it said declines: that costs no attempt, and ends",
  async (t) => {
    const { submit, declined, tick, scheduler } = bench([{ peer: "p" }, { peer: "q" }], {
      returnsMax: 3,
      retryMinMs: 100,
      retryMaxMs: 100,
    });
    const [, first] = submit(0, spec("a", { attemptsMax: 1 }));
    t.same(declined(0, "a"), ["returned a"]);
    const [second] = tick(101);
    t.not(second, first, "another one is asked");
    t.same(declined(101, "a"), ["returned a"]);
    t.same(declined(101, "a"), [], "said twice, counted once");
    tick(202);
    t.same(declined(202, "a"), ["returned a"]);
    tick(303);
    t.match(declined(303, "a"), [/^failed a returned [pq]$/]);
    t.equal(scheduler.size, 0);
  },
);
