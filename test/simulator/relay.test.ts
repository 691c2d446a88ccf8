// Agents without an uplink and those that relay for them, as they are composed, in virtual time.
import t, { type Test } from "tap";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { type RelayAgent, RelayWorld } from "../support/relay-world.ts";

const upTo = (count: number): number[] => Array.from({ length: count }, (_, at) => at + 1);

async function publish(agent: RelayAgent, count: number, stream = "a"): Promise<void> {
  await agent.publish(`sensors/${stream}`, upTo(count).map(String));
}

const relayed = (guest: RelayAgent) => guest.uplink("neighbour")?.state === "up";

async function stopAll(t: Test, world: RelayWorld): Promise<void> {
  for (const agent of world.agents.values()) await agent.stop();
  await world.clock.advance(60_000);
  t.same(world.clock.waiting, [], "no timer is left behind");
}

t.test("a guest without an uplink delivers everything once, in order", async (t) => {
  const world = new RelayWorld("plain");
  const host = world.agent("host", ["cloud"]);
  const guest = world.agent("guest", ["neighbour"]);
  await host.start();
  await guest.start(host);
  await world.until("the guest to be relayed for", () => relayed(guest));
  t.match(guest.uplink("neighbour"), { url: "mesh:host", active: true });
  t.match(guest.relay.hosts, [{ agentId: "host", hops: 1, route: [host.peer] }]);
  await publish(guest, 500, "a");
  await publish(guest, 500, "b");
  await publish(host, 100, "a");
  await world.until("all to arrive", () => guest.queued + host.queued === 0, 60_000);
  const streams = world.distinct();
  t.strictSame(streams.get("guest/sensors/a"), upTo(500));
  t.strictSame(streams.get("guest/sensors/b"), upTo(500));
  t.strictSame(streams.get("host/sensors/a"), upTo(100), "of the same name, and another stream");
  t.equal(world.repeats, 0);
  t.match(host.relay, {
    enabled: true,
    offering: true,
    guests: [{ agentId: "guest", updates: 0 }],
  });
  t.match(host.relay.guests[0], { taken: 1_000, delivered: 1_000, repeated: 0, dead: 0 });
  await stopAll(t, world);
});

t.test(
  "host and guest lose their power again and again: nothing is lost, order holds",
  async (t) => {
    const world = new RelayWorld("power");
    const host = world.agent("host", ["cloud"]);
    const guest = world.agent("guest", ["neighbour"]);
    const random = new SeededRandom("power cuts");
    await host.start();
    await guest.start(host);
    let published = 0;
    for (let round = 0; round < 24; round++) {
      const count = 100 + Math.floor(random.next() * 400);
      await publish(guest, count);
      published += count;
      // Anywhere between handing over, storing, sending on and telling.
      await world.clock.advance(random.next() * 400);
      const dying = random.next() < 0.6 ? host : guest;
      dying.crash();
      await world.clock.advance(random.next() * 3_000);
      await dying.start(...(dying === guest ? [host] : []));
      await world.until("the guest to be relayed for", () => relayed(guest));
    }
    await world.until("all to arrive", () => guest.queued === 0);
    t.strictSame(world.distinct().get("guest/sensors/a"), upTo(published));
    t.comment(`${published} updates, ${world.repeats} of them twice on the wire`);
    t.ok(world.repeats < published);
    await world.until("the host to be done", () => host.relay.guests[0]?.updates === 0);
    await stopAll(t, world);
  },
);

t.test("a guest changes hosts while the old one still holds what it was given", async (t) => {
  const world = new RelayWorld("switch");
  const first = world.agent("first", ["cloud"]);
  const second = world.agent("second", ["cloud"]);
  const guest = world.agent("guest", ["neighbour"]);
  await first.start();
  await guest.start(first);
  await world.until("the first to relay", () => relayed(guest));
  await publish(guest, 200);
  await world.until("them to arrive", () => guest.queued === 0);
  first.receiver.reachable = false;
  await publish(guest, 300);
  await world.until("the first to hold them", () => first.relay.guests[0]?.updates === 300);
  t.equal(guest.queued, 300, "stored is not delivered: the guest keeps them");
  await second.start(first, guest);
  await world.until("the first to give up", () => !first.relay.offering);
  await world.until("the second to relay", () => guest.uplink("neighbour")?.url === "mesh:second");
  await publish(guest, 100);
  await world.until("all to arrive", () => guest.queued === 0);
  t.strictSame(world.distinct().get("guest/sensors/a"), upTo(600));
  t.equal(world.repeats, 0, "the first one had not sent anything");
  await publish(guest, 50);
  first.receiver.reachable = true;
  await world.until("the first to be done", () => first.relay.guests[0]?.updates === 0);
  await world.until("all to arrive", () => guest.queued === 0);
  t.strictSame(world.distinct().get("guest/sensors/a"), upTo(650), "the late ones change nothing");
  t.equal(world.repeats, 300);
  await stopAll(t, world);
});

t.test("a host whose disk is lost for good loses nothing", async (t) => {
  const world = new RelayWorld("lost disk");
  const host = world.agent("host", ["cloud"]);
  const guest = world.agent("guest", ["neighbour"]);
  await host.start();
  await guest.start(host);
  await world.until("the guest to be relayed for", () => relayed(guest));
  host.receiver.verdict = () => "lose-acknowledgement";
  host.receiver.latencyMs = 1e9;
  await publish(guest, 300);
  await world.until("the host to hold them", () => host.relay.guests[0]?.updates === 300);
  host.crash();
  host.loseDisk();
  host.repairReceiver();
  await host.start();
  await world.until("all to arrive", () => guest.queued === 0);
  t.strictSame(world.distinct().get("guest/sensors/a"), upTo(300));
  await stopAll(t, world);
});

t.test("two guests get equal shares, the host more, and nobody starves", async (t) => {
  const world = new RelayWorld("fair");
  const host = world.agent("host", ["cloud"], ["uplinks.0.updatesPerSecondMax=50"]);
  const greedy = world.agent("greedy", ["neighbour"]);
  const modest = world.agent("modest", ["neighbour"]);
  await host.start();
  await greedy.start(host);
  await modest.start(host);
  await world.until("both to be relayed for", () => relayed(greedy) && relayed(modest));
  await publish(greedy, 2_000);
  await world.clock.advance(2_000);
  await publish(modest, 200);
  await publish(host, 200);
  const before = world.arrivals.length;
  await world.clock.advance(10_000);
  const since = world.arrivals.slice(before);
  const of = (id: string) => since.filter(({ update }) => update.agentId === id).length;
  t.comment(`in ten seconds: greedy ${of("greedy")}, modest ${of("modest")}, host ${of("host")}`);
  t.ok(of("modest") > 50, "a guest that comes late is served beside the greedy one");
  t.ok(Math.abs(of("modest") - of("greedy")) < 100, "and as much");
  t.ok(of("host") > of("modest"), "the host's own weigh more");
  await world.until("all to arrive", () => greedy.queued + modest.queued + host.queued === 0);
  t.strictSame(world.distinct().get("greedy/sensors/a"), upTo(2_000));
  await stopAll(t, world);
});

t.test("a guest over its quota is told to come later, and loses nothing", async (t) => {
  const world = new RelayWorld("quota");
  const sets = ["relay.bytesPerGuestMax=65536", "uplinks.0.updatesPerSecondMax=200"];
  const host = world.agent("host", ["cloud"], sets);
  const guest = world.agent("guest", ["neighbour"]);
  await host.start();
  await guest.start(host);
  await world.until("the guest to be relayed for", () => relayed(guest));
  await guest.publish(
    "sensors/a",
    upTo(2_000).map((n) => `${n} ${"x".repeat(200)}`),
  );
  let most = 0;
  await world.until("all to arrive", () => {
    most = Math.max(most, host.relay.bytes);
    return guest.queued === 0;
  });
  t.ok(most <= 65_536, `the host kept ${most} bytes at most`);
  t.ok((host.relay.guests[0]?.refused["relay.quota"] ?? 0) > 0, "and said so");
  t.ok(eventsOf(host).includes("relay.refused"));
  t.strictSame(world.distinct().get("guest/sensors/a"), upTo(2_000));
  t.equal(world.repeats, 0);
  await stopAll(t, world);
});

t.test("a guest over its bytes a minute is slowed down", async (t) => {
  const world = new RelayWorld("rate");
  const host = world.agent("host", ["cloud"], ["relay.bytesPerGuestPerMinuteMax=60000"]);
  const guest = world.agent("guest", ["neighbour"]);
  await host.start();
  await guest.start(host);
  await world.until("the guest to be relayed for", () => relayed(guest));
  const startMs = world.clock.monotonicMs();
  await guest.publish(
    "sensors/a",
    upTo(1_000).map((n) => `${n} ${"x".repeat(60)}`),
  );
  await world.until("all to arrive", () => guest.queued === 0);
  const seconds = (world.clock.monotonicMs() - startMs) / 1_000;
  t.ok(seconds > 50 && seconds < 120, `${seconds} s for about 120 kB at 1 kB a second`);
  t.ok((host.relay.guests[0]?.refused["relay.rate"] ?? 0) > 0);
  t.strictSame(world.distinct().get("guest/sensors/a"), upTo(1_000));
  await stopAll(t, world);
});

t.test("a host on a low battery takes nothing, and does again when it is charged", async (t) => {
  const world = new RelayWorld("battery");
  const host = world.agent("host", ["cloud"]);
  const guest = world.agent("guest", ["neighbour"]);
  host.body.device.battery = { chargePercent: 60, charging: false };
  await host.start();
  await guest.start(host);
  await world.until("the guest to be relayed for", () => relayed(guest));
  await publish(guest, 10);
  await world.until("them to arrive", () => guest.queued === 0);
  host.body.device.battery = { chargePercent: 39, charging: false };
  await world.until("the host to withdraw", () => !host.relay.offering);
  t.match(host.relay.reason, /battery is at 39 %, under relay.minBatteryPercent/);
  await publish(guest, 10);
  await world.clock.advance(60_000);
  t.equal(guest.queued, 10);
  t.match(guest.uplink("neighbour")?.reason, /battery|no agent of the mesh relays/);
  host.body.device.battery = { chargePercent: 39, charging: true };
  const chargedAtMs = world.clock.monotonicMs();
  await world.until("them to arrive", () => guest.queued === 0);
  const seconds = (world.clock.monotonicMs() - chargedAtMs) / 1_000;
  t.ok(seconds < 60, `${seconds} s after the charger was plugged in`);
  t.strictSame(world.distinct().get("guest/sensors/a"), upTo(20));
  host.body.device.battery = { chargePercent: 4, charging: false };
  await world.until("the host to withdraw", () => !host.relay.offering);
  t.match(host.relay.reason, /power mode (aggressive|critical)/);
  await stopAll(t, world);
});

t.test("a chain of two hosts: once, in order, though the one in the middle dies", async (t) => {
  const world = new RelayWorld("chain");
  const gateway = world.agent("gateway", ["cloud"]);
  const middle = world.agent("middle", ["neighbour"], ["relay.enabled=true"]);
  const end = world.agent("end", ["neighbour"], ['uplinks.0.via=["middle"]']);
  await gateway.start();
  await middle.start(gateway);
  await end.start(middle);
  await world.until("the chain to stand", () => relayed(end));
  t.match(end.relay.hosts, [{ hops: 2, route: [middle.peer, gateway.peer] }]);
  t.same(middle.relay.route, [gateway.peer]);
  await publish(end, 300);
  await publish(middle, 300);
  await world.clock.advance(150);
  middle.crash();
  await world.clock.advance(1_000);
  await middle.start(gateway);
  await world.until("all to arrive", () => end.queued + middle.queued === 0);
  t.strictSame(world.distinct().get("end/sensors/a"), upTo(300));
  t.strictSame(world.distinct().get("middle/sensors/a"), upTo(300));
  t.ok(world.arrivals.every(({ over }) => over === "gateway"));
  t.comment(`${world.repeats} twice on the wire`);
  await stopAll(t, world);
});

t.test("agents without any uplink among them stay quiet", async (t) => {
  const world = new RelayWorld("quiet");
  const agents = ["one", "two", "three"].map((id) =>
    world.agent(id, ["neighbour"], ["relay.enabled=true"]),
  );
  const [one, two, three] = agents as [RelayAgent, RelayAgent, RelayAgent];
  await one.start();
  await two.start(one);
  await three.start(one, two);
  await publish(one, 10);
  await publish(two, 10);
  await world.clock.advance(120_000);
  const asked = () =>
    agents.reduce((sum, { agent }) => sum + agent.context.mesh.counters().requestsSent, 0);
  const before = asked();
  await world.clock.advance(600_000);
  t.equal(asked(), before, "nobody asks anybody");
  for (const { relay } of agents) {
    t.equal(relay.offering, false);
    t.same([relay.hosts, relay.guests], [[], []]);
  }
  t.match(one.uplink("neighbour"), { state: "waiting", reason: /no agent of the mesh relays now/ });
  t.equal(one.queued, 10);
  await stopAll(t, world);
});

t.test(
  "two that could relay for each other lose their uplinks: no loop, and back again",
  async (t) => {
    const world = new RelayWorld("mutual");
    const left = world.agent("left", ["cloud", "neighbour"]);
    const right = world.agent("right", ["cloud", "neighbour"]);
    await left.start();
    await right.start(left);
    await world.until("both to have a way", () => left.relay.offering && right.relay.offering);
    left.receiver.reachable = false;
    await publish(left, 100);
    await world.until("left's to arrive by way of right", () => left.queued === 0);
    t.ok(world.arrivals.every(({ over }) => over === "right"));
    right.receiver.reachable = false;
    await publish(left, 100);
    await publish(right, 100);
    await world.until("both to give up", () => !left.relay.offering && !right.relay.offering);
    await world.clock.advance(120_000);
    t.same([left.relay.hosts, right.relay.hosts], [[], []], "neither leads through the other");
    // Now it is the other way round: what right holds of left comes back to left.
    left.receiver.reachable = true;
    await world.until("all to arrive", () => left.queued + right.queued === 0);
    t.strictSame(world.distinct().get("left/sensors/a"), upTo(200));
    t.strictSame(world.distinct().get("right/sensors/a"), upTo(100));
    const held = () => right.relay.guests.find(({ agentId }) => agentId === "left")?.updates ?? 0;
    await world.until("right to hold nothing", () => held() === 0);
    await stopAll(t, world);
  },
);

t.test("two lose their uplinks at once, and neither takes the other for a way out", async (t) => {
  const world = new RelayWorld("at once");
  const left = world.agent("left", ["cloud", "neighbour"]);
  const right = world.agent("right", ["cloud", "neighbour"]);
  await left.start();
  await right.start(left);
  await world.until("both to relay", () => left.relay.offering && right.relay.offering);
  // For a minute either of them still says that it relays.
  left.receiver.reachable = false;
  right.receiver.reachable = false;
  await publish(left, 100);
  await publish(right, 100);
  await world.clock.advance(20_000);
  left.receiver.reachable = true;
  right.receiver.reachable = true;
  await world.until("all to arrive", () => left.queued + right.queued === 0, 300_000);
  t.strictSame(world.distinct().get("left/sensors/a"), upTo(100));
  t.strictSame(world.distinct().get("right/sensors/a"), upTo(100));
  await stopAll(t, world);
});

t.test("a better uplink that is up again does not wait for what a neighbour holds", async (t) => {
  const world = new RelayWorld("held");
  const host = world.agent("host", ["cloud"], ["uplinks.0.stallTimeoutMs=3600000"]);
  const guest = world.agent("guest", ["cloud", "neighbour"]);
  await host.start();
  await guest.start(host);
  await world.until("the host to relay", () => host.relay.offering);
  guest.receiver.reachable = false;
  // The host is connected, and its receiver does not answer.
  const { verdict } = host.receiver;
  host.receiver.verdict = (update, owner) => {
    verdict(update, owner);
    return "lose-acknowledgement";
  };
  await world.until("the neighbour to carry", () => guest.uplink("neighbour")?.active === true);
  await publish(guest, 50);
  await world.clock.advance(300_000);
  t.equal(guest.uplink("neighbour")?.active, true, "a host that says that it holds them is kept");
  t.equal(guest.uplink("neighbour")?.inFlight, 50);
  guest.receiver.reachable = true;
  await world.until("all to arrive", () => guest.queued === 0, 200_000);
  t.strictSame(world.distinct().get("guest/sensors/a"), upTo(50));
  t.equal(guest.uplink("cloud")?.active, true);
  await stopAll(t, world);
});

t.test("a guest dials a host that it only knows by hearsay", async (t) => {
  const world = new RelayWorld("hearsay");
  const few = ["mesh.limits.neighboursWanted=1"];
  const host = world.agent("host", ["cloud"], few);
  const between = world.agent("between", [], few);
  const guest = world.agent("guest", ["neighbour"], few);
  await host.start();
  await between.start(host);
  await guest.start(between);
  await publish(guest, 10);
  await world.until("all to arrive", () => guest.queued === 0, 120_000);
  t.strictSame(world.distinct().get("guest/sensors/a"), upTo(10));
  await stopAll(t, world);
});

t.test("no way is longer than relay.hopsMax", async (t) => {
  const world = new RelayWorld("hops");
  const sets = ["relay.enabled=true", "relay.hopsMax=2"];
  const gateway = world.agent("gateway", ["cloud"], ["relay.hopsMax=2"]);
  const first = world.agent("first", ["neighbour"], [...sets, 'uplinks.0.via=["gateway"]']);
  const second = world.agent("second", ["neighbour"], [...sets, 'uplinks.0.via=["first"]']);
  const third = world.agent("third", ["neighbour"], [...sets, 'uplinks.0.via=["second"]']);
  await gateway.start();
  await first.start(gateway);
  await second.start(first);
  await third.start(second);
  await world.until("the second to be relayed for", () => relayed(second));
  await publish(second, 10);
  await publish(third, 10);
  await world.until("those of the second to arrive", () => second.queued === 0);
  await world.clock.advance(60_000);
  t.equal(second.relay.offering, false);
  t.match(second.relay.reason, /relay.hopsMax/);
  t.equal(third.queued, 10);
  await stopAll(t, world);
});

t.test("what the receiver refuses for good becomes a dead letter of the guest", async (t) => {
  const world = new RelayWorld("dead");
  const host = world.agent("host", ["cloud"]);
  const guest = world.agent("guest", ["neighbour"]);
  await host.start();
  await guest.start(host);
  await world.until("the guest to be relayed for", () => relayed(guest));
  const { verdict } = host.receiver;
  host.receiver.verdict = (update, owner) =>
    update.sequence === 7
      ? { kind: "refused", permanent: true, reason: "not authorized" }
      : verdict(update, owner);
  await publish(guest, 20);
  await world.until("the rest to arrive", () => guest.queued === 0);
  t.strictSame(
    world.distinct().get("guest/sensors/a"),
    upTo(20).filter((n) => n !== 7),
  );
  const { deadLetters } = await guest.agent.context.queue.listDeadLetters({ limit: 10 });
  t.match(deadLetters, [{ updateId: "guest/sensors/a/7", reason: /not authorized/ }]);
  t.equal(host.agent.context.queue.status().deadLetters, 0);
  await stopAll(t, world);
});

function eventsOf({ agent }: RelayAgent): string[] {
  return agent.context.events.since(0).events.map(({ type }) => type);
}
