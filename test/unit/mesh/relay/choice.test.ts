// Who relays, and whether this agent does: pure decisions.
import t from "tap";
import { Allowance } from "../../../../src/mesh/relay/allowance.ts";
import {
  type ChoiceTerms,
  chooseHost,
  type HostCandidate,
} from "../../../../src/mesh/relay/host-choice.ts";
import { HostsAvoided } from "../../../../src/mesh/relay/hosts-avoided.ts";
import {
  OfferPolicy,
  type RelayConditions,
  type WayOut,
} from "../../../../src/mesh/relay/offer.ts";

const terms: ChoiceTerms = { self: "me", via: [], hopsMax: 3, last: undefined, avoided: new Set() };
const candidate = (peer: string, over: Partial<HostCandidate> = {}): HostCandidate => ({
  peer,
  agentId: `${peer}'s name`,
  linked: true,
  route: [],
  loadPercent: 0,
  ...over,
});
const chosen = (candidates: readonly HostCandidate[], over: Partial<ChoiceTerms> = {}) =>
  chooseHost(candidates, { ...terms, ...over })?.peer;

t.test("the fewest hops, then room, then a link, then the one of last time", async (t) => {
  t.equal(chosen([]), undefined);
  const far = candidate("far", { route: ["x"] });
  t.equal(chosen([far, candidate("near", { loadPercent: 79, linked: false })]), "near");
  const crowded = candidate("crowded", { loadPercent: 80 });
  t.equal(chosen([crowded, candidate("roomy", { linked: false })]), "roomy");
  t.equal(chosen([candidate("away", { linked: false }), candidate("here")]), "here");
  for (const last of ["a", "b", "c"])
    t.equal(
      chosen(
        ["a", "b", "c"].map((peer) => candidate(peer)),
        { last },
      ),
      last,
    );
  t.equal(chosen([candidate("near"), far], { last: "far" }), "near", "nearer is better than known");
});

t.test(
  "who is no host: itself, its own guest, one too far, one avoided, one not named",
  async (t) => {
    t.equal(chosen([candidate("me")]), undefined);
    t.equal(chosen([candidate("guest", { route: ["other", "me"] })]), undefined);
    t.equal(chosen([candidate("far", { route: ["x", "y", "z"] })]), undefined);
    t.equal(chosen([candidate("far", { route: ["x", "y"] })]), "far");
    t.equal(chosen([candidate("a")], { avoided: new Set(["a"]) }), undefined);
    t.equal(chosen([candidate("a")], { via: ["b's name"] }), undefined);
    t.equal(chosen([candidate("a"), candidate("b")], { via: ["b's name"] }), "b");
  },
);

t.test("many guests spread over equal hosts, each always to the same one", async (t) => {
  const hosts = ["a", "b", "c", "d"].map((peer) => candidate(peer));
  const counts = new Map<string, number>();
  for (let guest = 0; guest < 400; guest++) {
    const self = `guest ${guest}`;
    const host = chosen(hosts, { self }) ?? "";
    t.equal(chosen(hosts.toReversed(), { self }), host);
    counts.set(host, (counts.get(host) ?? 0) + 1);
  }
  for (const [host, count] of counts) t.ok(count > 50, `${host}: ${count} of 400`);
  t.equal(counts.size, 4);
});

t.test(
  "hosts that were lost are left alone longer and longer; those that said no as they wish",
  async (t) => {
    const avoided = new HostsAvoided();
    t.same(avoided.explain(0), {});
    avoided.lost("a", "a: gone", 0);
    t.same([...avoided.peers(999)], ["a"]);
    t.same([...avoided.peers(1_000)], []);
    avoided.lost("a", "a: gone", 1_000);
    t.same(avoided.explain(1_000), { reason: "a: gone", retryAfterMs: 2_000 });
    avoided.relinked("a");
    t.same([...avoided.peers(1_001)], [], "there is a link again");
    avoided.refused("b", "b: full", 0, 10_000);
    avoided.relinked("b");
    t.same([...avoided.peers(9_999)], ["b"], "a link does not change a no");
    avoided.refused("c", "c: never", 0, 1e12);
    t.same(avoided.explain(0), { reason: "b: full", retryAfterMs: 10_000 });
    t.same([...avoided.peers(300_000)], [], "nobody is left alone for ever");
    avoided.forgive("b");
    avoided.forgive(undefined);
    t.same([...avoided.peers(0)], ["c"]);
    for (let n = 0; n < 1_000; n++) avoided.lost(`peer ${n}`, "gone", 0);
    t.ok(avoided.peers(0).size <= 256, "and they are bounded");
  },
);

t.test("so many bytes a minute, saved up for ten seconds", async (t) => {
  const allowance = new Allowance(60_000, 0);
  t.equal(allowance.waitMs(0), 0);
  allowance.take(10_000);
  t.ok(allowance.waitMs(0) > 0, "what was saved up is used up");
  t.equal(allowance.waitMs(1), 0);
  allowance.take(5_000);
  const waitMs = allowance.waitMs(1);
  t.ok(waitMs >= 5_000 && waitMs < 5_010, `a large one is paid off: ${waitMs} ms`);
  t.equal(allowance.waitMs(1 + waitMs), 0);
  t.equal(allowance.waitMs(0), 0, "a clock that goes back takes nothing away");
});

const cloud: WayOut = {
  takesGuests: true,
  route: undefined,
  passedMax: 3,
  up: true,
  active: true,
  resting: false,
};
const neighbour: WayOut = { ...cloud, route: ["host"], passedMax: 3 };
const fine: RelayConditions = {
  ways: [cloud],
  paused: false,
  powerMode: "normal",
  dischargingPercent: undefined,
  flashBudgetUsed: 0,
  storeWorks: true,
};
const policy = () => new OfferPolicy({ hopsMax: 3, powerModeMin: "saving", minBatteryPercent: 40 });

t.test("relays while an uplink works, and for a minute after", async (t) => {
  const own = { route: [], passedMax: 3 };
  const down = { ...fine, ways: [{ ...cloud, up: false, active: false }] };
  t.match(policy().decide(0, down), { code: "relay.no-uplink" }, "not before it was up");
  const decided = policy();
  t.same(decided.decide(0, fine), own);
  t.same(decided.decide(60_000, down), own);
  t.match(decided.decide(60_001, down), { code: "relay.no-uplink" });
  const resting = { ...fine, ways: [{ ...cloud, up: false, active: false, resting: true }] };
  t.match(decided.decide(60_002, resting), { code: "relay.no-uplink" }, "resting proves nothing");
  t.same(decided.decide(70_000, fine), own);
  t.same(decided.decide(10_000_000, resting), own, "but what worked until it was let go does");
});

t.test("relays over a neighbour as far as the hops allow", async (t) => {
  const over = (way: Partial<WayOut>) => ({ ...fine, ways: [{ ...neighbour, ...way }] });
  t.same(policy().decide(0, over({})), { route: ["host"], passedMax: 2 });
  t.same(policy().decide(0, over({ passedMax: 2 })), { route: ["host"], passedMax: 1 });
  t.match(policy().decide(0, over({ passedMax: 1 })), { code: "relay.hops" });
  t.match(policy().decide(0, over({ route: ["a", "b", "c"] })), { code: "relay.hops" });
  t.match(policy().decide(0, over({ up: false, active: false })), { code: "relay.no-uplink" });
  const both = policy();
  both.decide(0, fine);
  const failing = { ...cloud, up: false, active: false };
  t.same(
    both.decide(1_000, { ...fine, ways: [failing, neighbour] }),
    { route: ["host"], passedMax: 2 },
    "what is told is the way that updates take, not the one that worked a moment ago",
  );
});

t.test("never at the cost of the device", async (t) => {
  const decide = (over: Partial<RelayConditions>) => policy().decide(0, { ...fine, ...over });
  t.match(decide({ powerMode: "saving" }), { route: [] });
  for (const powerMode of ["aggressive", "critical"] as const)
    t.match(decide({ powerMode }), { code: "relay.power", detail: /power mode/ });
  const strict = new OfferPolicy({ hopsMax: 3, powerModeMin: "normal", minBatteryPercent: 40 });
  t.match(strict.decide(0, { ...fine, powerMode: "saving" }), { code: "relay.power" });
  t.match(decide({ dischargingPercent: 40 }), { route: [] });
  t.match(decide({ dischargingPercent: 39.4 }), { code: "relay.power", detail: /39 %/ });
  t.match(decide({ paused: true }), { code: "relay.paused" });
  t.match(decide({ flashBudgetUsed: 0.91 }), { code: "relay.flash" });
  t.match(decide({ storeWorks: false }), { code: "relay.store" });
  t.match(decide({ ways: [{ ...cloud, takesGuests: false }] }), { code: "relay.no-uplink" });
});
