import t from "tap";
import {
  canaryOf,
  decodeVersions,
  encodeVersions,
  noVersions,
  servingOf,
  VERSIONS_MAX,
  type VersionBook,
} from "../../../../src/federated/serving/version-book.ts";
import {
  stepVersions,
  type VersionInput,
  type VersionStep,
} from "../../../../src/federated/serving/version-step.ts";

const rules = { shadowWindows: 3, worseShareMax: 0.1 };
const hashOf = (round: number) => round.toString(16).padStart(64, "0");

/** Goes through steps, one millisecond each. */
class Device {
  book: VersionBook = noVersions;
  last: VersionStep = { book: noVersions, effects: [] };
  #atMs = 0;

  step(input: VersionInput, own = rules): VersionStep {
    this.last = stepVersions(this.book, input, own, ++this.#atMs);
    this.book = this.last.book;
    return this.last;
  }
  offer(round: number, holdOutError = 1): VersionStep {
    return this.step({ kind: "offered", round, hash: hashOf(round), holdOutError });
  }
  shadow(round: number, canaryError: number, servingError = 1, many = 3): VersionStep {
    for (let at = 0; at < many; at++)
      this.step({ kind: "shadowed", round, canaryError, servingError });
    return this.last;
  }
  get effects(): string {
    return this.last.effects
      .map(({ kind, version }) => `${kind} ${version?.round ?? "none"}`)
      .join(", ");
  }
  get states(): string {
    return this.book.versions.map(({ round, state }) => `${round} ${state}`).join(", ");
  }
}

t.test("the first model serves at once; the next is tried beside it, then serves", async (t) => {
  const device = new Device();
  device.offer(1);
  t.equal(device.effects, "serve 1, decided 1");
  device.offer(2, 0.9);
  t.equal(device.effects, "shadow 2");
  device.shadow(2, 1.05, 1, 2);
  t.equal(servingOf(device.book)?.round, 1, "the trial is not over");
  device.shadow(2, 1.05, 1, 1);
  t.equal(device.effects, "serve 2, decided 2, shadow none");
  t.equal(device.states, "2 serving, 1 retired");
});

t.test("one that is worse does not serve: on the hold-out, or in the shadow", async (t) => {
  const device = new Device();
  device.offer(1, 1);
  device.offer(2, 1.2);
  t.equal(device.states, "2 rejected, 1 serving");
  t.match(device.last.effects.at(-1), { reason: /hold-out is 1\.2/ });
  device.offer(3, 1);
  device.shadow(3, 1.2);
  t.equal(device.states, "3 rejected, 2 rejected, 1 serving");
  t.equal(device.effects, "decided 3, shadow none");
});

t.test("both are compared on what is held out today, not on what was then", async (t) => {
  const device = new Device();
  device.offer(1, 1);
  const offer = {
    kind: "offered",
    round: 2,
    hash: hashOf(2),
    holdOutError: 5,
    servingHoldOutError: 6,
  } as const;
  device.step(offer);
  t.equal(canaryOf(device.book)?.round, 2);
});

t.test("a failure in the middle of a trial decides nothing", async (t) => {
  const device = new Device();
  device.offer(1, 1);
  device.offer(2, 1);
  device.shadow(2, 1, 1, 2);
  device.shadow(2, 1e9, 1e8, 1);
  t.equal(servingOf(device.book)?.round, 2, "both were wrong about it, each as much as counts");
});

t.test(
  "rounds that come faster than trials end: the newest is next, and each trial ends",
  async (t) => {
    const device = new Device();
    for (let round = 1; round <= 5; round++) device.offer(round);
    t.equal(device.states, "5 waiting, 4 retired, 3 retired, 2 canary, 1 serving");
    device.shadow(2, 1);
    t.equal(device.effects, "serve 2, decided 2, shadow 5");
    device.shadow(5, 1);
    t.equal(servingOf(device.book)?.round, 5);
  },
);

t.test("by hand: promote, roll back, pin", async (t) => {
  const device = new Device();
  for (const round of [1, 2]) device.offer(round);
  device.step({ kind: "promote", round: 2 });
  t.equal(device.effects, "shadow none, serve 2, decided 2");
  device.step({ kind: "rollback" });
  t.equal(device.states, "2 rejected, 1 serving");
  device.step({ kind: "pin", round: 1 });
  device.offer(3, 0.1);
  t.equal(device.states, "3 retired, 2 rejected, 1 serving", "nothing replaces what is pinned");
  t.match(device.step({ kind: "promote", round: 3 }).refusal, /round 1 is pinned: unpin it first/);
  device.step({ kind: "unpin" });
  device.step({ kind: "promote", round: 3 });
  t.equal(servingOf(device.book)?.round, 3);
  device.step({ kind: "rollback", round: 2 });
  t.equal(device.states, "3 rejected, 2 serving, 1 retired");
});

t.test("what can not be done is refused, and changes nothing", async (t) => {
  const device = new Device();
  t.match(device.step({ kind: "rollback" }).refusal, /no version to go back to/);
  t.match(device.step({ kind: "unpin" }).refusal, /no version is pinned/);
  device.offer(1);
  const before = device.book;
  t.match(device.offer(1).refusal, /known already/);
  t.match(device.offer(2, Number.NaN).refusal, /not finite/);
  t.match(
    device.step({ kind: "promote", round: 9 }).refusal,
    /no model of round 9 is kept, only of 1/,
  );
  t.match(device.step({ kind: "promote", round: 1 }).refusal, /serves already/);
  t.match(device.shadow(7, 1, 1, 1).refusal, /not on trial/);
  t.same(device.book, before);
});

t.test("what can not be had is forgotten, unless it serves; the next is tried", async (t) => {
  const device = new Device();
  for (const round of [1, 2, 3]) device.offer(round);
  device.step({ kind: "lost", round: 2 });
  t.equal(device.effects, "forget 2, shadow 3");
  t.match(device.step({ kind: "lost", round: 1 }).refusal, /it serves/);
  t.equal(device.states, "3 canary, 1 serving");
});

t.test("without shadow windows the hold-out decides at once", async (t) => {
  const device = new Device();
  device.offer(1);
  device.step(
    { kind: "offered", round: 2, hash: hashOf(2), holdOutError: 1 },
    { ...rules, shadowWindows: 0 },
  );
  t.equal(device.states, "2 serving, 1 retired");
});

t.test(
  "few versions are kept; what is forgotten is named, so that its parameters can go",
  async (t) => {
    const device = new Device();
    const forgotten: number[] = [];
    for (let round = 1; round <= 30; round++)
      for (const effect of device.offer(round).effects)
        if (effect.kind === "forget") forgotten.push(effect.version.round);
    t.equal(device.book.versions.length, VERSIONS_MAX);
    t.equal(forgotten.length, 30 - VERSIONS_MAX);
    t.notOk(forgotten.includes(1), "what serves stays");
  },
);

t.test("it goes on after a restart, in the middle of a trial", async (t) => {
  const device = new Device();
  device.offer(1);
  device.offer(2);
  device.offer(3);
  device.shadow(2, 1, 1, 2);
  const again = new Device();
  again.book = decodeVersions(encodeVersions(device.book));
  t.same(again.book, device.book);
  again.shadow(2, 1, 1, 1);
  t.equal(servingOf(again.book)?.round, 2);
});

t.test("a book that is none, or contradicts itself, is refused", async (t) => {
  const device = new Device();
  device.offer(1);
  device.offer(2);
  const text = new TextDecoder().decode(encodeVersions(device.book));
  for (const wrong of [
    "",
    "null",
    "{}",
    text.replace('"format":1', '"format":2'),
    text.replace("canary", "serving"),
    text.replace('"round":2', '"round":1'),
    text.replace('"trial":{"round":2', '"trial":{"round":1'),
    text.replace('"versions"', '"pinnedRound":7,"versions"'),
    text.replace(hashOf(1), "xyz"),
  ])
    t.throws(() => decodeVersions(Buffer.from(wrong)), { code: "data.format" }, wrong.slice(0, 60));
});
