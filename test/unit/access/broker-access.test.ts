// Who may use the embedded broker: permissions, attempts, users.
import t from "tap";
import { AttemptLimiter } from "../../../src/access/attempt-limiter.ts";
import { covers, TopicPermissions } from "../../../src/access/topic-permissions.ts";
import { UserGate, type UserGateParts } from "../../../src/access/user-gate.ts";
import { nodeHasher } from "../../../src/platform/node/hasher.ts";
import { scryptHasher } from "../../../src/platform/node/scrypt-hasher.ts";
import { SeededRandom } from "../../../src/platform/seeded-random.ts";
import { topicMatcher } from "../../../src/readings/topic-filter.ts";
import { VirtualClock } from "../../../src/simulator/virtual-clock.ts";
import { keptLog } from "../../support/kept-log.ts";

t.test("a filter covers another when every topic of the other is its own", (t) => {
  const words = ["a", "b", "", "+"];
  const topics = [1, 2, 3].flatMap((depth) => paths(["a", "b", "", "$x"], depth));
  const filters = [1, 2, 3].flatMap((depth) => paths(words, depth));
  const all = [...filters, ...filters.map((filter) => `${filter}/#`), "#"];
  const matchers = new Map(all.map((filter) => [filter, topicMatcher(filter)]));
  let compared = 0;
  for (const permitted of all) {
    // `#` alone is everything, what begins with $ included; a broker's own topics are not secret.
    if (permitted === "#") continue;
    for (const asked of all) {
      const mine = matchers.get(permitted)!;
      const theirs = matchers.get(asked)!;
      const answer = covers(permitted.split("/"), asked.split("/"));
      compared++;
      if (answer && topics.some((topic) => theirs(topic) && !mine(topic)))
        t.fail(`${permitted} does not cover ${asked}`);
      if (permitted === asked && !answer) t.fail(`${permitted} covers itself`);
    }
    for (const topic of topics)
      if (covers(permitted.split("/"), topic.split("/")) !== matchers.get(permitted)!(topic))
        t.fail(`${permitted} and the topic ${topic}`);
  }
  t.ok(compared > 10_000);
  t.end();
});

function paths(words: readonly string[], depth: number): string[] {
  if (depth === 0) return [];
  if (depth === 1) return [...words];
  return paths(words, depth - 1).flatMap((path) => words.map((word) => `${path}/${word}`));
}

t.test("names are filled in, unless they would widen the filter", (t) => {
  const filters = ["u/%u", "c/%c/#", "both/%u-%c"];
  const plain = new TopicPermissions(filters, { user: "ann", clientId: "k1" });
  for (const topic of ["u/ann", "c/k1/x", "both/ann-k1"]) t.ok(plain.allow(topic), topic);
  for (const topic of ["u/k1", "c/ann/x", "c/#", "both/ann-k2"]) t.notOk(plain.allow(topic), topic);
  for (const clientId of ["+", "#", "k/1", ""]) {
    const wide = new TopicPermissions(filters, { user: "ann", clientId });
    t.notOk(wide.allow("c/k1/x"), clientId);
    t.notOk(wide.allow(`c/${clientId}/x`), clientId);
    t.ok(wide.allow("u/ann"));
  }
  t.notOk(new TopicPermissions(filters, { user: undefined, clientId: "a" }).allow("u/undefined"));
  const many = new TopicPermissions(["a/+"], { user: undefined, clientId: "a" });
  for (let n = 0; n < 1_000; n++) t.equal(many.allow(`a/${n}`), true);
  t.notOk(many.allow("b/1"));
  t.end();
});

t.test("attempts: five a minute for one user from one address", async (t) => {
  const clock = new VirtualClock();
  const attempts = new AttemptLimiter(clock);
  for (let n = 1; n <= 5; n++) {
    t.ok(attempts.allows("10.0.0.1", "ann"));
    t.equal(attempts.failed("10.0.0.1", "ann"), n);
  }
  t.notOk(attempts.allows("10.0.0.1", "ann"));
  t.ok(attempts.allows("10.0.0.1", "bob"));
  t.ok(attempts.allows("10.0.0.2", "ann"));
  await clock.advance(60_000);
  t.ok(attempts.allows("10.0.0.1", "ann"));
  for (let n = 0; n < 5_000; n++) attempts.failed("10.0.0.3", `user ${n}`);
  for (let n = 0; n < 5; n++) attempts.failed("10.0.0.1", "ann");
  t.notOk(attempts.allows("10.0.0.1", "ann"), "many names push out their own, not the newest");
});

function gate(parts: Partial<UserGateParts>): UserGate {
  return new UserGate({
    users: [],
    anonymous: { allow: false, publish: [], subscribe: [] },
    passwords: scryptHasher,
    hasher: nodeHasher,
    random: new SeededRandom(1),
    clock: new VirtualClock(),
    logger: keptLog(),
    ...parts,
  });
}

t.test("a password that was right once is not hashed slowly again", async (t) => {
  let checks = 0;
  const passwords = {
    hash: () => Promise.resolve(""),
    verify: (password: Uint8Array) => {
      checks++;
      return Promise.resolve(Buffer.from(password).toString() === "right");
    },
  };
  const users = [{ name: "ann", passwordHash: "x", publish: ["#"], subscribe: [] }];
  const one = gate({ users, passwords });
  const admit = (password: string, name = "ann") =>
    one.admit({ clientId: "c", username: name, password: Buffer.from(password), address: "a" });
  t.match(await admit("right"), { user: "ann" });
  t.match(await admit("right"), { user: "ann" });
  t.equal(checks, 1);
  t.equal(await admit("wrong"), "bad-credentials");
  t.equal(await admit("right", "bob"), "bad-credentials");
  t.equal(checks, 3, "one who is unknown costs as much");
  for (let n = 0; n < 5; n++) await admit("wrong");
  t.equal(await admit("wrong"), "too-many-attempts");
  t.match(await admit("right"), { user: "ann" }, "who is known still gets in");
  t.equal(await admit("right", "x".repeat(300)), "bad-credentials");
});

t.test("only so many passwords are checked at once", async (t) => {
  const waiting: (() => void)[] = [];
  const passwords = {
    hash: () => Promise.resolve(""),
    verify: () => new Promise<boolean>((resolve) => waiting.push(() => resolve(false))),
  };
  const one = gate({ passwords });
  const asked = Array.from({ length: 100 }, (_, n) =>
    one.admit({ clientId: "c", username: `u${n}`, password: Buffer.from("x"), address: "a" }),
  );
  const answers: string[] = [];
  for (const answer of asked)
    void answer.then((text) => answers.push(typeof text === "string" ? text : "let in"));
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(waiting.length, 2);
  t.equal(answers.filter((answer) => answer === "busy").length, 34);
  while (answers.length < 100) {
    waiting.splice(0).forEach((go) => go());
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.equal(answers.filter((answer) => answer === "bad-credentials").length, 66);
});

t.test("hashes", async (t) => {
  const password = Buffer.from("correct horse");
  const [one, two] = await Promise.all([scryptHasher.hash(password), scryptHasher.hash(password)]);
  t.match(one, /^\$scrypt\$ln=14,r=8,p=5\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  t.not(one, two, "salted");
  t.ok(await scryptHasher.verify(password, one));
  t.notOk(await scryptHasher.verify(Buffer.from("correct hors"), one));
  for (const none of ["", "correct horse", one.slice(0, -1), one.replace("ln=14", "ln=30")])
    t.notOk(await scryptHasher.verify(password, none));
});
