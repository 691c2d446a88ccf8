// Whole bridges in any arrangement, without a network and in virtual time.
import * as fc from "fast-check";
import t from "tap";
import { VirtualClock } from "../../../src/simulator/virtual-clock.ts";
import { bridgeOf, type TestBridge, ToyMesh, wire } from "../../support/grpc-mesh.ts";

const seed = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);
t.comment(`seed ${seed} (SEED=${seed} runs these again)`);

const payload = new Uint8Array([1, 2, 3]);
const request = { id: "r", task: "/echo/1", payload, via: [], timeoutMs: 1_000 };

t.test(
  "a message is heard once by every mesh, however bridges and meshes are joined",
  async (t) => {
    // Bridge i stands in mesh i % meshes; links join any two, both ways and in circles.
    const arrangement = fc.record({
      bridges: fc.integer({ min: 2, max: 6 }),
      meshes: fc.integer({ min: 1, max: 6 }),
      links: fc.array(fc.tuple(fc.nat(5), fc.nat(5)), { minLength: 1, maxLength: 10 }),
      speaker: fc.nat(5),
    });
    let passages = 0;
    await fc.assert(
      fc.asyncProperty(arrangement, async ({ bridges: count, meshes, links, speaker }) => {
        const clock = new VirtualClock();
        const worlds = Array.from({ length: Math.min(meshes, count) }, () => new ToyMesh());
        const bridges: TestBridge[] = [];
        for (let n = 0; n < count; n++)
          bridges.push(
            bridgeOf(`b${n}`, clock, {
              mesh: worlds[n % worlds.length]!,
              limits: { hopsMax: 16, linksMax: 20 },
            }),
          );
        const joined = new Map(worlds.map((world) => [world, new Set([world])]));
        for (const [from, to] of links) {
          const [device, gateway] = [bridges[from % count]!, bridges[to % count]!];
          if (device === gateway) continue;
          wire(device, gateway);
          const all = new Set([...joined.get(device.mesh)!, ...joined.get(gateway.mesh)!]);
          for (const world of all) joined.set(world, all);
        }
        await clock.advance(10);
        const home = worlds[speaker % worlds.length]!;
        home.say({ id: "m1", topic: "a/b", payload, via: [] });
        await clock.advance(10);
        for (const world of worlds) {
          // Several bridges of one mesh may each bring the message in; each does so once, and it ends.
          const inside = bridges.filter(({ mesh }) => mesh === world).length;
          const heard = world.published.length;
          const reached = joined.get(home)!.has(world);
          if (!reached && heard > 0) throw new Error("it got where no link goes");
          if (reached && heard === 0) throw new Error("it did not get there");
          if (reached && world !== home) passages++;
          if (heard > inside + 1) throw new Error(`${heard} times in a mesh of ${inside} bridges`);
        }
        for (const { hub } of bridges) hub.stop();
      }),
      { seed, numRuns: 60 },
    );
    t.ok(passages > 20, `${passages} times from one mesh into another`);
  },
);

t.test(
  "agents are known and reached over several bridges, and forgotten when the way is gone",
  async (t) => {
    const clock = new VirtualClock();
    const [pi, gateway, cloud] = ["pi", "gateway", "cloud"].map((name) => bridgeOf(name, clock));
    const cut = wire(pi!, gateway!);
    wire(gateway!, cloud!);
    await clock.advance(10);
    t.match(cloud!.hub.agents().find(({ peerId }) => peerId === pi!.peerId)?.via, [
      "gateway/bridge",
      "pi/bridge",
    ]);
    t.same(await cloud!.hub.request({ ...request, target: "pi" }), payload);
    t.same(pi!.mesh.asked[0]?.via, ["cloud/bridge", "gateway/bridge", "pi/bridge"]);
    t.same(await pi!.hub.request({ ...request, target: cloud!.peerId }), payload);
    await t.rejects(cloud!.hub.request({ ...request, target: "pi", via: ["cloud/bridge"] }), {
      code: "bridge.loop",
    });
    cut();
    await clock.advance(10);
    t.same(
      cloud!.hub
        .agents()
        .map(({ via }) => via.length)
        .sort((a, b) => a - b),
      [0, 1],
    );
    await t.rejects(cloud!.hub.request({ ...request, target: "pi" }), { code: "bridge.not-found" });
    t.match(cloud!.hub.counters(), { agentsNow: 2, refusals: { "bridge.not-found": 1 } });
  },
);

t.test(
  "a request that is not answered ends in time, and one that waits when the link breaks",
  async (t) => {
    const clock = new VirtualClock();
    const [pi, gateway] = [bridgeOf("pi", clock), bridgeOf("gateway", clock)];
    const cut = wire(pi, gateway);
    await clock.advance(10);
    pi.mesh.answer = () => new Promise(() => undefined);
    const late = t.rejects(gateway.hub.request({ ...request, target: "pi" }), {
      code: "bridge.timeout",
    });
    await clock.advance(1_001);
    await late;
    const broken = t.rejects(gateway.hub.request({ ...request, target: "pi" }), {
      code: "bridge.closed",
    });
    await clock.advance(1);
    cut();
    await broken;
    await clock.advance(10);
    t.same(clock.waiting, [], "no timer is left behind");
  },
);

t.test("a device that attaches anew takes the place of its old link", async (t) => {
  const clock = new VirtualClock();
  const [pi, gateway] = [bridgeOf("pi", clock), bridgeOf("gateway", clock)];
  wire(pi, gateway);
  await clock.advance(10);
  wire(pi, gateway);
  await clock.advance(10);
  t.equal(gateway.hub.counters().linksNow, 1);
  t.equal(gateway.hub.agents().length, 2);
  t.same(await gateway.hub.request({ ...request, target: "pi" }), payload);
});

t.test(
  "topics stay in the mesh unless a rule lets them out, and out unless one lets them in",
  async (t) => {
    const clock = new VirtualClock();
    const pi = bridgeOf("pi", clock, {
      topicsUp: [{ filter: "sensors/#", prefix: "site/" }],
      topicsDown: [{ filter: "commands/#", prefix: "site/" }],
    });
    const gateway = bridgeOf("gateway", clock);
    wire(pi, gateway);
    await clock.advance(10);
    pi.mesh.say({ id: "1", topic: "sensors/t", payload, via: [] });
    pi.mesh.say({ id: "2", topic: "secrets/t", payload, via: [] });
    gateway.mesh.say({ id: "3", topic: "site/commands/on", payload, via: [] });
    gateway.mesh.say({ id: "4", topic: "site/secrets/on", payload, via: [] });
    await clock.advance(10);
    const topics = ({ mesh }: TestBridge): string[] => mesh.published.map(({ topic }) => topic);
    t.same(topics(gateway), ["site/commands/on", "site/secrets/on", "site/sensors/t"]);
    t.same(topics(pi), ["sensors/t", "secrets/t", "commands/on"]);
  },
);

t.test("bounds hold: links, subscribers, agents, and a hello that never comes", async (t) => {
  const clock = new VirtualClock();
  const gateway = bridgeOf("gateway", clock, {
    limits: { linksMax: 1, subscribersMax: 1, agentsMax: 2 },
  });
  const nobody = { name: "nobody", allows: () => true };
  let closed: string | undefined;
  const silent = {
    queuedBytes: 0,
    send: () => undefined,
    close: (error?: { code: string }) => {
      closed = error?.code;
    },
  };
  gateway.hub.link(silent, nobody);
  t.throws(() => gateway.hub.link(silent, nobody), { code: "bridge.busy" });
  await clock.advance(5_001);
  t.equal(closed, "bridge.timeout");
  const end = gateway.hub.subscribe(["#"], nobody, () => undefined);
  t.throws(() => gateway.hub.subscribe(["#"], nobody, () => undefined), { code: "bridge.busy" });
  end();
  gateway.hub.subscribe(["#"], nobody, () => undefined);
  const crowd = new ToyMesh();
  for (const name of ["a", "b", "c"]) bridgeOf(name, clock, { mesh: crowd });
  wire(bridgeOf("pi", clock, { mesh: crowd }), gateway);
  await clock.advance(10);
  t.match(gateway.hub.counters(), { agentsNow: 2, refusals: { "bridge.busy": 5 } });
});
