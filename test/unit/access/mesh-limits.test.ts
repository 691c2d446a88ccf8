// What stands at the door, part by part: names, rates, numbers, addresses, and how much is told of all that.
import t from "tap";
import { IdentityLimiter, networkOf } from "../../../src/access/identity-limiter.ts";
import { meshAccessFaults } from "../../../src/access/mesh-access-options.ts";
import { RateLimits } from "../../../src/access/rate-limits.ts";
import { ReplayGuard } from "../../../src/access/replay-guard.ts";
import { Requirements } from "../../../src/access/requirements.ts";
import { isRoleName, RoleTable } from "../../../src/access/roles.ts";
import { Throttle } from "../../../src/access/throttle.ts";
import { accessOptions, TestSigner } from "../../support/access.ts";

t.test("roles are the built-in ones and those of the settings", async (t) => {
  const roles = new RoleTable({ auditor: ["observe"] });
  t.same(roles.permissionsOf("trainer"), ["read_data", "submit_update"]);
  t.same(roles.permissionsOf("aggregator"), ["read_updates", "write_model"]);
  t.same(roles.permissionsOf("validator"), ["read_model", "validate"]);
  t.same(roles.permissionsOf("auditor"), ["observe"]);
  t.same(roles.permissionsOf("constructor"), [], "no name of the language is a role");
  t.equal(roles.has("nobody"), false);
  t.same(
    roles.list().map(({ name }) => name),
    ["aggregator", "auditor", "member", "operator", "trainer", "validator"],
  );
  for (const name of ["", "A", "a b", "1a", "a".repeat(33)]) t.equal(isRoleName(name), false, name);
});

t.test("settings have defaults, and faults are named", async (t) => {
  const options = accessOptions();
  t.equal(options.mode, "open");
  t.equal(options.ban.scoreLimit, 100);
  t.equal(options.rates.identitiesPerMinute, 16);
  t.equal(
    accessOptions({ rates: { protocols: { "/x/1": {} } } }).rates.protocols["/x/1"]
      ?.framesPerSecond,
    100,
  );
  const signer = new TestSigner("a");
  const isPeerId = (text: string) => signer.publicKeyOf(text) !== undefined;
  t.same(meshAccessFaults(accessOptions({ authorities: [signer.peerId] }), isPeerId), []);
  const wrong = accessOptions({
    authorities: ["nobody"],
    roles: { trainer: ["observe"], "Not a name": ["observe"] },
    ban: { cooldownMs: 5_000, cooldownMaxMs: 2_000 },
  });
  t.match(meshAccessFaults(wrong, isPeerId), [
    /authorities\.0 is not/,
    /roles\.trainer is built in/,
    /roles\.Not a name can not be a role/,
    /cooldownMs is over/,
  ]);
});

t.test(
  "requirements: protocols by name, topics by whole levels, nothing of ours by default",
  async (t) => {
    const requirements = new Requirements();
    requirements.protocol("/agent-mesh/learning/1.0.0", { send: "submit_update" });
    requirements.topics("agent-mesh/learning", { send: "read_updates" });
    requirements.topics("agent-mesh/learning/model", {
      send: "write_model",
      receive: "read_model",
    });
    const send = (what: string) => requirements.of(what)?.send;
    t.equal(send("/agent-mesh/learning/1.0.0"), "submit_update");
    t.equal(send("/agent-mesh/learning/1.0.0/x"), undefined, "protocols are exact");
    t.equal(send("/other/1.0.0"), undefined);
    t.equal(send("agent-mesh/learning"), "read_updates");
    t.equal(send("agent-mesh/learning/round/7"), "read_updates");
    t.equal(send("agent-mesh/learning/model/7"), "write_model");
    t.equal(send("agent-mesh/learningx"), undefined, "a level is a level");
    t.equal(send("agent-mesh/other"), undefined, "what is ours and not registered is nobody's");
    t.equal(send("weather/hall"), "publish");
    t.equal(requirements.of("weather/hall")?.receive, "subscribe");
    t.equal(send(`agent-mesh/learning/${"x".repeat(10_000)}`), "read_updates");
    t.throws(() => requirements.topics("agent-mesh/learning", { send: "x" }), {
      code: "access.requirement-taken",
    });
    t.throws(() => requirements.protocol("no-slash", { send: "x" }), { code: "access.name" });
    t.throws(() => requirements.topics("/slash", { send: "x" }), { code: "access.name" });
    t.equal(send("agent-mesh/later/x"), undefined);
    requirements.topics("agent-mesh/later", { send: "observe" });
    t.equal(send("agent-mesh/later/x"), "observe", "what is registered later counts at once");
    requirements.remove("agent-mesh/learning/model");
    t.equal(
      send("agent-mesh/learning/model/7"),
      "read_updates",
      "answers are not remembered too long",
    );
    t.throws(
      () => {
        for (let at = 0; at < 2_000; at++) requirements.topics(`t${at}`, { send: "x" });
      },
      { code: "access.too-many-requirements" },
    );
  },
);

t.test("rates: a burst, then the rate, for peer, protocol and all together", async (t) => {
  const limits = new RateLimits({
    peer: { framesPerSecond: 10, bytesPerSecond: 1_000, burstSeconds: 2 },
    global: { framesPerSecond: 100, bytesPerSecond: 1e9, burstSeconds: 1 },
    protocols: { "/tight": { framesPerSecond: 1, bytesPerSecond: 1e9, burstSeconds: 1 } },
    peersMax: 4,
  });
  const taken = (peer: string, what: string, bytes: number, nowMs: number, tries: number) => {
    let count = 0;
    for (let at = 0; at < tries; at++)
      if (limits.take(peer, what, bytes, nowMs) === undefined) count++;
    return count;
  };
  t.equal(taken("a", "/x", 1, 0, 50), 20);
  t.equal(limits.take("a", "/x", 1, 0), "peer");
  t.equal(taken("a", "/x", 1, 1_000, 50), 10);
  t.equal(taken("a", "/x", 1, 1_000, 50), 0, "time has to go by");
  t.equal(taken("b", "/tight", 1, 0, 5), 1);
  t.equal(limits.take("b", "/tight", 1, 0), "protocol");
  t.equal(taken("b", "/x", 1, 0, 50), 19, "what was refused has cost nothing");
  t.equal(limits.take("c", "/x", 50_000, 0), undefined, "larger than the burst, once");
  t.equal(limits.take("c", "/x", 1, 40_000), "peer", "and paid off");
  t.equal(limits.take("c", "/x", 1, 60_000), undefined);
  let all = 0;
  for (let peer = 0; peer < 30; peer++) all += taken(`p${peer}`, "/x", 1, 120_000, 20);
  t.equal(all, 100, "many peers together come under the global limit");
  t.equal(limits.take("fresh", "/x", 1, 120_000), "global");
  t.ok(limits.size <= 4);
  t.equal(limits.take("a", "/x", 1, 100_000), "global", "a clock that goes back gives nothing");
});

t.test("of who was quiet nothing is kept once it has nothing to pay off", async (t) => {
  const limits = new RateLimits({
    peer: { framesPerSecond: 10, bytesPerSecond: 100, burstSeconds: 2 },
    global: { framesPerSecond: 1e6, bytesPerSecond: 1e9, burstSeconds: 1 },
    protocols: { "/tight": { framesPerSecond: 0.01, bytesPerSecond: 1e9, burstSeconds: 1 } },
    peersMax: 1_000,
  });
  for (let peer = 0; peer < 500; peer++) limits.take(`stranger ${peer}`, "/x", 10, peer);
  t.equal(limits.take("heavy", "/x", 20_000, 1_000), undefined);
  t.equal(limits.take("tight", "/tight", 1, 1_000), undefined);
  t.equal(limits.size, 502);
  t.equal(limits.take("friend", "/x", 1, 62_000), undefined);
  t.equal(limits.size, 3, "strangers are forgotten, who still pays is not");
  t.equal(limits.take("heavy", "/x", 1, 62_000), "peer");
  t.equal(limits.take("tight", "/tight", 1, 62_000), "protocol");
});

t.test("a number is fresh once, within a window, in one epoch", async (t) => {
  const guard = new ReplayGuard({ authorsMax: 2 });
  t.equal(guard.accept("a", 1, 5_000), "fresh");
  t.equal(guard.accept("a", 1, 5_000), "replayed");
  t.equal(guard.accept("a", 1, 3_977), "fresh", "the oldest of the window");
  t.equal(guard.accept("a", 1, 3_976), "too-old");
  t.equal(guard.accept("a", 1, 2 ** 53 - 1), "fresh", "however far it leaps");
  t.equal(guard.accept("a", 1, 5_001), "too-old");
  t.equal(guard.accept("a", 0, 9_999), "too-old", "an earlier start of the program");
  t.equal(guard.accept("a", 2, 0), "fresh");
  t.equal(guard.accept("a", 2, 0), "replayed");
  for (const [epoch, sequence] of [
    [-1, 1],
    [2 ** 32, 1],
    [1, -1],
    [1, 2 ** 53],
    [1, Number.NaN],
    [0.5, 1],
  ] as const)
    t.equal(guard.accept("b", epoch, sequence), "invalid");
  t.equal(guard.size, 1, "nonsense takes no room");
  guard.accept("b", 1, 1);
  guard.accept("c", 1, 1);
  t.equal(guard.size, 2);
});

t.test("addresses are counted by the network that one owner holds", async (t) => {
  t.equal(networkOf("10.1.2.3"), "10.1.2.0/24");
  t.equal(networkOf("/ip4/10.1.2.77/tcp/4001/p2p/12D3KooWx"), "10.1.2.0/24");
  t.equal(networkOf("2001:db8::1"), "2001:db8:0:0::/64");
  t.equal(networkOf("/ip6/2001:DB8:0:0:9::1/tcp/1"), "2001:db8:0:0::/64");
  t.equal(networkOf("fe80::1%eth0"), "fe80:0:0:0::/64");
  t.equal(networkOf("/ip6zone/eth0/ip6/fe80::1/tcp/1"), "fe80:0:0:0::/64");
  t.equal(networkOf("::ffff:10.1.2.3"), "10.1.2.0/24", "IPv4 in other clothes");
  t.equal(networkOf("::1"), "0:0:0:0::/64");
  for (const nothing of [
    "",
    "300.1.1.1",
    "a:b",
    "1:2:3",
    "::1::2",
    "/dns4/x/tcp/1",
    "/ip4/10.1.2.3/tcp/1/p2p/x/p2p-circuit",
    ":".repeat(1_000),
  ])
    t.equal(networkOf(nothing), "none", nothing.slice(0, 40));

  const limiter = new IdentityLimiter({ identitiesPerMinute: 3, networksMax: 2 });
  const tries = Array.from({ length: 10 }, (_, at) =>
    limiter.admits(`10.0.0.${at}`, `fake${at}`, at),
  );
  t.equal(tries.filter(Boolean).length, 3, "three of ten fakes");
  t.equal(limiter.admits("10.0.0.99", "fake0", 20), true, "one that came before may come again");
  t.equal(limiter.admits("10.0.1.1", "honest", 20), true, "another network is another matter");
  t.equal(limiter.admits("10.0.0.5", "fake5", 60_010), true, "a minute later there is room");
});

t.test(
  "each thing is told once a minute, few altogether, and nothing is left out of the count",
  async (t) => {
    const throttle = new Throttle({ perMinuteMax: 3, keysMax: 10 });
    t.same(throttle.happened("a", 0), { key: "a", more: 0 });
    for (let at = 0; at < 1_234; at++) t.equal(throttle.happened("a", 1), undefined);
    t.same(throttle.happened("a", 60_000), { key: "a", more: 1_234 });
    throttle.happened("b", 60_000);
    throttle.happened("c", 60_000);
    t.equal(throttle.happened("d", 60_000), undefined, "over the bound of all");
    throttle.happened("b", 60_001);
    t.same(throttle.drain(60_002), { told: [], others: 1 });
    t.same(throttle.drain(120_001), { told: [{ key: "b", more: 1 }], others: 0 });
    t.same(throttle.drain(500_000), { told: [], others: 0 });
  },
);
