import t from "tap";
import { AddressBook } from "../../../src/mesh/membership/address-book.ts";
import { BroadcastQueue, PENDING_MAX } from "../../../src/mesh/membership/broadcast-queue.ts";
import { BrokenLinks } from "../../../src/mesh/membership/broken-links.ts";
import type { News } from "../../../src/mesh/membership/codec.ts";
import { Deadlines } from "../../../src/mesh/membership/deadlines.ts";
import { Dials } from "../../../src/mesh/membership/dials.ts";
import { BUCKETS, bucketOf, inMask, TableDigest } from "../../../src/mesh/membership/digest.ts";
import { ProbeTurns } from "../../../src/mesh/membership/probe-turns.ts";
import { Suspicions, suspicionMs } from "../../../src/mesh/membership/suspicion.ts";
import { MemberTable } from "../../../src/mesh/membership/table.ts";
import { TokenBucket } from "../../../src/mesh/membership/token-bucket.ts";
import { fnv1a } from "../../../src/mesh/records/fnv1a.ts";
import type { KnownRecord } from "../../../src/mesh/records/known-record.ts";
import { SeededRandom } from "../../../src/platform/seeded-random.ts";
import { knownRecord } from "../../support/known-record.ts";

const random = new SeededRandom("parts");
const record = (peerId: string, sequence = 0): KnownRecord => knownRecord(peerId, { sequence });

t.test("suspicion", async (t) => {
  const span = { minMs: 2_000, maxMs: 12_000, confirmationsWanted: 3 };
  const version = { epoch: 1, sequence: 4 };
  const by = (accuser: string, teller = accuser): { accuser: string; teller: string } => ({
    accuser,
    teller,
  });

  t.test("lasts shorter the more share it, and never shorter than its least", async (t) => {
    t.equal(suspicionMs(span, 0), 12_000);
    t.equal(suspicionMs(span, 1), 7_000);
    t.ok(suspicionMs(span, 2) < 5_000 && suspicionMs(span, 2) > 4_000);
    t.equal(suspicionMs(span, 3), 2_000);
    t.equal(suspicionMs(span, 30), 2_000);
    t.equal(suspicionMs({ ...span, confirmationsWanted: 0 }, 0), 2_000, "nobody could confirm");
  });

  t.test("each neighbour vouches for one accuser only", async (t) => {
    const suspicions = new Suspicions();
    suspicions.start("x", version, by("a", "liar"), span, 0);
    t.notOk(suspicions.confirm("x", version, by("b", "liar")), "the same teller again");
    t.notOk(suspicions.confirm("x", version, by("a", "c")), "the same accuser again");
    t.notOk(suspicions.confirm("x", { epoch: 1, sequence: 3 }, by("b")), "of another version");
    t.notOk(suspicions.confirm("y", version, by("b")), "of somebody else");
    t.equal(suspicions.get("x")?.deadlineMs, 12_000);
    t.ok(suspicions.confirm("x", version, by("b")));
    t.equal(suspicions.get("x")?.deadlineMs, 7_000);
    t.equal(suspicions.takeDue(6_999), undefined);
    t.equal(suspicions.takeDue(7_000)?.about, "x");
    t.equal(suspicions.takeDue(20_000), undefined, "once");
  });

  t.test("ends with a refutation, and begins anew when this agent slept", async (t) => {
    const suspicions = new Suspicions();
    suspicions.start("x", version, by("a"), span, 0);
    suspicions.start("y", version, by("a"), span, 0);
    suspicions.confirm("y", version, by("b"));
    suspicions.end("x");
    suspicions.restart(100_000);
    t.equal(suspicions.get("y")?.deadlineMs, 112_000);
    t.equal(suspicions.takeDue(111_999), undefined);
    t.equal(suspicions.takeDue(112_000)?.about, "y");
  });
});

t.test("broadcast queue", async (t) => {
  const news = (text: string, kind: News["kind"] = "record"): News => ({
    kind,
    bytes: Buffer.from(text),
  });
  const texts = (taken: readonly News[]): string[] =>
    taken.map(({ bytes }) => Buffer.from(bytes).toString());
  const never = Number.POSITIVE_INFINITY;
  const queue = (...peers: string[]): BroadcastQueue => {
    const made = new BroadcastQueue(random, () => 5_000);
    for (const peer of peers) made.linkUp(peer);
    return made;
  };

  t.test("newest first, each once, within the bytes there are", async (t) => {
    const q = queue("n");
    for (const about of ["a", "b", "c"]) q.add(about, news(about), "now", { copies: 9 }, 0);
    t.same(texts(q.take("n", 2 * 3, 0)), ["c", "b"]);
    t.equal(q.dueAtMs, 0);
    t.same(texts(q.take("n", 100, 0)), ["a"]);
    t.equal(q.dueAtMs, never);
    t.equal(q.aboutCount, 0, "nothing is left over");
  });

  t.test("a newer record takes the place of what was said before", async (t) => {
    const q = queue("n");
    q.add("a", news("old"), "now", { copies: 9 }, 0);
    q.add("a", news("suspected", "accusation"), "twice", { copies: 9 }, 0);
    q.add("a", news("new"), "now", { copies: 9 }, 0);
    t.same(texts(q.take("n", 100, 0)), ["new"]);
    t.equal(q.aboutCount, 0);
  });

  t.test("accusations of several stand beside each other", async (t) => {
    const q = queue("n");
    q.add("a", news("by x", "accusation"), "now", { copies: 9 }, 0);
    q.add("a", news("by y", "accusation"), "now", { copies: 9 }, 0);
    t.same(texts(q.take("n", 100, 0)), ["by y", "by x"]);
    t.equal(q.aboutCount, 0);
  });

  t.test("goes to no one who told it, and to no more than asked", async (t) => {
    const q = queue("a", "b", "c", "d");
    q.add("m", news("m"), "now", { copies: 9, from: "a" }, 0);
    q.toldRecord("m", "b");
    t.same(
      ["a", "b", "c", "d"].map((peer) => q.take(peer, 100, 0).length),
      [0, 0, 1, 1],
    );
    q.add("m", news("m"), "now", { copies: 2 }, 0);
    t.equal(
      ["a", "b", "c", "d"].reduce((sum, peer) => sum + q.take(peer, 100, 0).length, 0),
      2,
    );
    t.equal(q.dueAtMs, never);
  });

  t.test("an accusation goes to no one who made it, and none to who goes beyond it", async (t) => {
    const q = queue("a", "b", "c");
    const [byX, byY] = [news("by x", "accusation"), news("by y", "accusation")];
    q.add("m", news("record"), "now", { copies: 9 }, 0);
    q.add("m", byX, "twice", { copies: 9 }, 0);
    q.add("m", byY, "now", { copies: 9 }, 0);
    q.toldAccusation("m", "a", byX.bytes);
    q.toldAccusation("m", "b");
    t.same(texts(q.take("a", 100, 0)), ["by y", "record"]);
    t.same(texts(q.take("b", 100, 0)), ["record"]);
    t.same(texts(q.take("c", 100, 0)), ["by y", "by x", "record"]);
    q.toldAccusation("m", "c", byX.bytes);
    t.same(texts(q.take("c", 100, 0)), [], "nor once more");
  });

  t.test("what is urgent is sent to each twice", async (t) => {
    const q = queue("n");
    q.add("m", news("m"), "twice", { copies: 9 }, 0);
    t.equal(q.take("n", 100, 0).length, 1);
    t.equal(q.dueAtMs, 0);
    t.equal(q.take("n", 100, 0).length, 1);
    t.equal(q.dueAtMs, never);
  });

  t.test("is bounded, and forgets a neighbour that is gone", async (t) => {
    const q = queue("n", "o");
    for (let at = 0; at < 3 * PENDING_MAX; at++)
      q.add(`m${at}`, news("m"), "now", { copies: 9 }, 0);
    t.ok(q.aboutCount <= PENDING_MAX);
    q.linkDown("n");
    q.linkDown("o");
    t.equal(q.dueAtMs, never);
    t.equal(q.aboutCount, 0);
    t.same(q.take("n", 100, 0), []);
  });

  t.test("what can wait goes with other news, or in its time", async (t) => {
    const q = queue("n");
    q.add("a", news("a"), "later", { copies: 9 }, 0);
    t.equal(q.dueAtMs, 5_000);
    t.same(q.due(4_999), []);
    t.same(q.due(5_000), ["n"]);
    q.add("b", news("b"), "soon", { copies: 9 }, 1_000);
    t.equal(q.dueAtMs, 1_000, "a neighbour that was told nothing lately");
    t.same(texts(q.take("n", 100, 1_000)), ["b", "a"]);
    t.equal(q.dueAtMs, never);
    q.add("c", news("c"), "soon", { copies: 9 }, 1_200);
    t.equal(q.dueAtMs, 2_000);
    q.add("d", news("d"), "now", { copies: 9 }, 1_300);
    t.equal(q.dueAtMs, 1_300);
    t.same(texts(q.take("n", 3, 1_300)), ["d"]);
    t.equal(q.dueAtMs, 1_300, "what did not fit goes next");
  });

  t.test("what overtakes a record on its way goes as fast and as far as that", async (t) => {
    const q = queue("n", "o", "p");
    q.add("a", news("refutation"), "twice", { copies: 9 }, 0);
    q.take("n", 100, 0);
    q.add("a", news("refresh"), "later", { copies: 1 }, 100);
    t.same(q.due(100).sort(), ["n", "o", "p"]);
    for (const peer of ["n", "o", "p"])
      t.same(
        [texts(q.take(peer, 100, 100)), texts(q.take(peer, 100, 300))],
        [["refresh"], ["refresh"]],
      );
    q.add("a", news("next"), "later", { copies: 1 }, 400);
    t.equal(q.dueAtMs, 5_400, "nothing of it was left");
  });

  t.test("what waits goes at once when somebody is accused who may need it", async (t) => {
    const q = queue("n", "o");
    q.add("a", news("a"), "later", { copies: 9, from: "o" }, 0);
    q.hasten("b", 100);
    t.equal(q.dueAtMs, 5_000, "another");
    q.hasten("a", 200);
    t.equal(q.dueAtMs, 200);
    t.same(q.due(200), ["n"]);
  });
});

t.test("digest", async (t) => {
  const versions = Array.from({ length: 200 }, (_, at) => ({
    hash: fnv1a(`peer ${at}`),
    version: { epoch: at % 3, sequence: at },
  }));

  t.test("does not depend on order, and tells in which buckets tables differ", async (t) => {
    const [a, b] = [new TableDigest(), new TableDigest()];
    for (const { hash, version } of versions) a.add(hash, version);
    for (const { hash, version } of [...versions].reverse()) b.add(hash, version);
    t.same(a.differences(b.words()), [0, 0]);
    const { hash, version } = versions[7]!;
    b.remove(hash, version);
    b.add(hash, { ...version, sequence: 8 });
    const mask = a.differences(b.words());
    t.same(
      Array.from({ length: BUCKETS }, (_, at) => at).filter((at) => inMask(mask, at)),
      [bucketOf(hash)],
    );
    b.remove(hash, { ...version, sequence: 8 });
    b.add(hash, version);
    t.same(a.differences(b.words()), [0, 0], "taken back");
  });

  t.test("members spread over the buckets", async (t) => {
    t.ok(new Set(versions.map(({ hash }) => bucketOf(hash))).size > 50);
  });
});

t.test("table", async (t) => {
  t.test("counts, and forgets those first that are gone", async (t) => {
    const table = new MemberTable("me", 6);
    table.add(record("me"), "alive", 0, 0);
    for (const [at, peer] of ["a", "b", "c", "d", "e"].entries())
      table.add(record(peer), "alive", 100, at);
    t.ok(table.full);
    t.same(table.counts(), { alive: 6, suspect: 0, dead: 0, left: 0 });
    t.equal(table.leastWanted(() => false, 1_000)?.record.peerId, "e", "not heard of for longest");
    t.equal(table.leastWanted((peer) => peer === "e", 1_000)?.record.peerId, "d");
    t.equal(
      table.leastWanted(() => false, 96),
      undefined,
      "nobody who was heard of just now",
    );
    table.heardOf("e", 100);
    t.equal(table.leastWanted(() => false, 98)?.record.peerId, "d", "who was silent meanwhile");
    table.heardOf("d", 100);
    t.equal(
      table.leastWanted(() => false, 98),
      undefined,
    );
    table.forget("a");
    table.add(record("f"), "alive", 110, 60);
    t.equal(table.leastWanted(() => false, 98)?.record.peerId, "f", "known by an old tale only");
    table.forget("f");
    table.add(record("a"), "alive", 100, 0);
    table.change("b", 50, { state: "suspect" });
    t.equal(table.livingCount, 6, "a suspect is alive until proven otherwise");
    table.change("b", 60, { state: "dead" });
    t.equal(table.leastWanted(() => false, 1_000)?.record.peerId, "b");
    table.change("c", 70, { state: "left" });
    t.same(table.counts(), { alive: 4, suspect: 0, dead: 1, left: 1 });
    t.equal(table.leastWanted(() => false, 1_000)?.record.peerId, "c");
    t.same(
      table.goneSinceBefore(65).map(({ record }) => record.peerId),
      ["b"],
    );
    table.forget("b");
    t.equal(table.get("b"), undefined);
    t.equal(table.randomDead(random), undefined);
    const left = new TableDigest();
    for (const peer of ["me", "a", "d", "e"]) left.add(fnv1a(peer), { epoch: 1, sequence: 0 });
    t.same(table.digest.differences(left.words()), [0, 0], "the digest is of the living");
  });

  t.test("scores how much of what was alive is out of reach", async (t) => {
    const table = new MemberTable("me", 16);
    table.add(record("me"), "alive", 0, 0);
    t.equal(table.partitionScore(0), 0);
    for (const peer of ["a", "b", "c", "d"]) table.add(record(peer), "alive", 0, 0);
    t.equal(table.partitionScore(0), 0);
    table.change("a", 1_000, { state: "suspect" });
    t.equal(table.partitionScore(0), 0.25);
    table.change("a", 2_000, { state: "dead" });
    table.change("b", 3_000, { state: "suspect" });
    t.equal(table.partitionScore(0), 0.5);
    t.equal(table.partitionScore(1_001), 1 / 3, "a has been gone for longer than asked");
    table.change("b", 4_000, { state: "left" });
    t.equal(table.partitionScore(0), 1 / 3, "who left is not missed");
    table.add(record("e"), "dead", 0, 0);
    t.equal(table.partitionScore(0), 1 / 3, "nor is who was never alive here");
  });
});

t.test("deadlines come in order of time", async (t) => {
  const deadlines = new Deadlines();
  t.equal(deadlines.nextAtMs, Number.POSITIVE_INFINITY);
  const times = Array.from({ length: 300 }, () => Math.floor(random.next() * 1_000));
  for (const atMs of times) deadlines.add(atMs, String(atMs));
  t.equal(deadlines.takeDue(-1), undefined);
  const taken: number[] = [];
  for (let key = deadlines.takeDue(1_000); key !== undefined; key = deadlines.takeDue(1_000))
    taken.push(Number(key));
  t.same(
    taken,
    times.sort((a, b) => a - b),
  );
});

t.test("probe turns: each at its time, and who is put off is not due before", async (t) => {
  const turns = new ProbeTurns(random);
  t.equal(turns.nextAtMs, Number.POSITIVE_INFINITY);
  for (const [at, peer] of ["a", "b", "c"].entries()) turns.set(peer, 1_000 * (at + 1));
  t.equal(turns.nextAtMs, 1_000);
  t.same(turns.due(999), []);
  turns.set("a", 5_000);
  t.same(turns.due(1_000), [], "it was put off");
  t.equal(turns.nextAtMs, 2_000, "and the next one is looked for");
  t.same(turns.due(3_000), ["b", "c"]);
  turns.set("b", 4_000);
  turns.set("c", 4_500);
  turns.remove("b");
  t.same(turns.due(4_000), []);
  t.equal(turns.nextAtMs, 4_500);
  turns.spread(4_100, 800);
  t.same(turns.due(4_500), ["a", "c"], "one sooner, the other not later");
  t.equal(new Set(turns.draw(2)).size, 2);
  t.notOk(turns.draw(9, "a").includes("a"));
});

t.test("token bucket", async (t) => {
  const bucket = new TokenBucket(10, 3, 0);
  t.same(
    [0, 0, 0, 0].map((nowMs) => bucket.take(nowMs)),
    [true, true, true, false],
  );
  t.notOk(bucket.take(99));
  t.ok(bucket.take(101));
  t.notOk(bucket.take(10_000, 4), "never more than the burst");
  t.ok(bucket.take(10_000, 3));
});

t.test("dials back off, longer for those long gone, and never give up", async (t) => {
  const dials = new Dials(random);
  t.ok(dials.allows("a", 0));
  dials.begin("a", 0);
  t.notOk(dials.allows("a", 0), "one at a time");
  let nowMs = 0;
  const pauseMs = (goneForMs: number): number => {
    dials.failed("a", nowMs, goneForMs);
    const fromMs = nowMs;
    while (!dials.allows("a", nowMs)) nowMs += 100;
    return nowMs - fromMs;
  };
  const pauses = Array.from({ length: 12 }, () => pauseMs(0));
  t.ok(pauses[0]! >= 500 && pauses[0]! <= 1_000);
  t.ok(
    pauses.slice(7).every((pause) => pause >= 30_000 && pause <= 60_000),
    "a minute at most",
  );
  const long = Array.from({ length: 8 }, () => pauseMs(3_600_000));
  t.ok(long.every((pause) => pause <= 600_000) && Math.max(...long) > 300_000, "or ten");
  dials.begin("a", nowMs);
  dials.succeeded("a");
  t.ok(dials.allows("a", nowMs));
  dials.begin("b", nowMs);
  dials.expire(nowMs + 60_000);
  t.equal(dials.underWay, 0, "one of which nobody tells has failed");
});

t.test("address book: discoveries do not push out who was known", async (t) => {
  const book = new AddressBook(10);
  book.former({ peer: "friend", addresses: ["/a"] });
  for (let at = 0; at < 2_000; at++) book.discovered({ peer: `d${at}`, addresses: [] });
  t.equal(book.size, 257);
  t.ok(book.draw(random, 300).some(({ peer }) => peer === "friend"));
  for (let at = 0; at < 20; at++) book.former({ peer: `f${at}`, addresses: [] });
  t.equal(book.size, 266);
  book.remove("d1999");
  t.equal(book.size, 265);
});

t.test("broken links: each has its time, a bounded number at once", async (t) => {
  const broken = new BrokenLinks();
  t.equal(broken.nextAtMs, Number.POSITIVE_INFINITY);
  t.ok(broken.add("a", 200));
  t.ok(broken.add("b", 100));
  t.equal(broken.nextAtMs, 100);
  t.same(broken.takeDue(99), []);
  t.same(broken.takeDue(150), ["b"]);
  t.equal(broken.nextAtMs, 200);
  broken.restart(300);
  t.same(broken.takeDue(299), []);
  t.ok(broken.delete("a"));
  t.notOk(broken.delete("a"));
  t.same(broken.takeDue(1_000), []);

  let taken = 0;
  while (taken < 1_000 && broken.add(`peer-${taken}`, 10)) taken++;
  t.ok(taken >= 32 && taken < 1_000, `${taken} are waited for`);
  t.ok(broken.add("peer-0", 20), "one of them breaks once more");
  t.notOk(broken.add("another", 10));
  t.equal(broken.takeDue(20).length, taken);
  t.ok(broken.add("another", 30));
});
