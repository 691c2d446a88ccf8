// The parts at work together: several devices, one wire between them.
import t from "tap";
import { MeshAccess } from "../../../src/access/mesh-access.ts";
import { NetworkError, Refused, type Service } from "../../../src/platform/network.ts";
import { VirtualClock } from "../../../src/simulator/virtual-clock.ts";
import { accessGround, accessOptions, TestSigner } from "../../support/access.ts";

const PROTOCOL = "/agent-mesh/access/1.0.0";
const LEARNING = "/agent-mesh/learning/1.0.0";

/** Messages arrive at once, through the gate of whoever gets them. */
class Wire {
  readonly nodes = new Map<string, { access: MeshAccess; service: Service }>();
  readonly refused: string[] = [];
  readonly closed: string[] = [];
  sent = 0;
  /** Everything that is sent is lost. */
  cut = false;

  join(self: string, access: MeshAccess): void {
    access.attach({
      serve: (_, service) => void this.nodes.set(self, { access, service }),
      send: async (peer, _, payload) => {
        this.sent++;
        if (this.cut) return;
        this.#node(self, peer, payload).service.message?.(self, payload);
      },
      request: async (peer, _, payload) => {
        this.sent++;
        const answer = await this.#node(self, peer, payload).service.request?.(self, payload);
        if (answer === undefined) throw new NetworkError("network.unsupported", "no answer");
        return answer;
      },
      disconnect: async (peer) => void this.closed.push(`${self} ${peer}`),
    });
  }

  #node(from: string, to: string, payload: Uint8Array) {
    const node = this.nodes.get(to);
    if (node === undefined) throw new NetworkError("network.unreachable", "not there");
    const refusal = node.access.gate.allows(from, PROTOCOL, payload.length);
    if (refusal === undefined) return node;
    this.refused.push(refusal);
    throw new NetworkError("network.refused", refusal, { refusal });
  }
}

async function fleet(names: readonly string[], given: object = {}) {
  const wire = new Wire();
  const clock = new VirtualClock();
  const admin = new TestSigner("admin");
  const options = accessOptions({ authorities: [admin.peerId], ...given });
  const nodes = new Map<
    string,
    ReturnType<typeof accessGround> & { access: MeshAccess; peer: string }
  >();
  for (const name of names) {
    const ground = accessGround(name, undefined, clock);
    const access = await MeshAccess.open({ ...ground.parts, options, connectionsMax: 64 });
    access.requirements.protocol(LEARNING, { send: "submit_update" });
    access.requirements.protocol("/agent-mesh/membership/1.0.0", { send: "membership" });
    wire.join(ground.signer.peerId, access);
    nodes.set(name, { ...ground, access, peer: ground.signer.peerId });
  }
  const of = (name: string) => nodes.get(name)!;
  const link = async (a: string, b: string) => {
    of(a).access.linkUp(of(b).peer);
    of(b).access.linkUp(of(a).peer);
    await clock.advance(0);
  };
  return { wire, clock, nodes, of, link };
}

t.test(
  "open: the base is for whoever has a link, learning for those who were granted it",
  async (t) => {
    const { of, link, clock } = await fleet(["admin", "hub", "worker"]);
    await link("admin", "hub");
    await link("hub", "worker");
    const { gate } = of("hub").access;
    const { peer } = of("worker");
    t.equal(gate.admits(peer), true);
    t.equal(gate.allows(peer, "/agent-mesh/membership/1.0.0", 10), undefined);
    t.equal(gate.allows(peer, "weather", 10), undefined);
    t.equal(gate.allows(peer, LEARNING, 10), "access.denied");
    t.equal(gate.allows(peer, "/agent-mesh/unheard-of/1.0.0", 10), "access.unknown-protocol");
    t.equal(gate.allows(of("hub").peer, LEARNING, 10), undefined, "its own");

    const { id } = await of("admin").access.issue(
      { subject: peer, roles: ["trainer"], expiresInMs: 60_000 },
      "token:1",
    );
    await clock.advance(1_000);
    t.equal(gate.allows(peer, LEARNING, 10), undefined, "it got around by itself");
    t.equal(
      of("worker").access.book.credentials().length,
      1,
      "also to the one it is for, two links away",
    );
    await clock.advance(60_000);
    t.equal(gate.allows(peer, LEARNING, 10), "access.expired");
    t.equal(await of("admin").access.revoke(id, "token:1"), true);
    await clock.advance(1_000);
    t.equal(of("worker").access.grants.find(id), undefined);
  },
);

t.test("granted: a guest may show a grant, and has to go without one", async (t) => {
  const { wire, of, link, clock } = await fleet(["admin", "hub", "worker", "fake"], {
    mode: "granted",
  });
  for (const name of ["admin", "hub", "worker"])
    await of("admin").access.issue({ subject: of(name).peer, roles: ["member"] }, "token:1");
  const text = (name: string) => {
    const { id } = of("admin")
      .access.grants.list()
      .find(({ subject }) => subject === of(name).peer)!;
    return of("admin").access.grants.export(id)!;
  };
  await of("hub").access.import(text("hub"), "token:1");
  await of("worker").access.import(text("worker"), "token:1");
  const { gate } = of("hub").access;
  t.equal(gate.admits(of("worker").peer), true, "for a moment");
  t.equal(gate.allows(of("worker").peer, "/agent-mesh/membership/1.0.0", 10), "access.denied");
  await link("hub", "worker");
  t.equal(gate.allows(of("worker").peer, "/agent-mesh/membership/1.0.0", 10), undefined);
  t.equal(gate.mayReceive(of("worker").peer, "weather"), true);
  await link("hub", "admin");
  t.equal(of("worker").access.book.standingOf(of("admin").peer).live, true, "news goes on");

  t.equal(gate.admits(of("fake").peer), true);
  await link("hub", "fake");
  t.equal(gate.allows(of("fake").peer, "weather", 10), "access.denied");
  t.equal(gate.mayReceive(of("fake").peer, "weather"), false);
  t.same(
    of("fake")
      .access.grants.list()
      .map(({ subject }) => subject),
    [of("hub").peer],
    "a guest is shown what a neighbour was granted, and nothing of others",
  );
  await clock.advance(30_000);
  t.ok(wire.closed.includes(`${of("hub").peer} ${of("fake").peer}`));
  t.notOk(wire.closed.includes(`${of("hub").peer} ${of("worker").peer}`));
  t.equal(gate.admits(of("fake").peer), false, "and may not come back at once");
  const fakes = Array.from({ length: 40 }, (_, at) => gate.admits(`fake${at}`));
  t.equal(fakes.filter(Boolean).length, 16, "few guests at a time");
  t.equal(gate.admits(of("worker").peer), true);
});

t.test(
  "what was issued and taken back while devices were apart evens out when they meet",
  async (t) => {
    const { of, link, wire, clock } = await fleet(["admin", "a", "b"]);
    const subjects = Array.from({ length: 150 }, (_, at) => new TestSigner(`subject${at}`).peerId);
    const ids: string[] = [];
    for (const subject of subjects)
      ids.push((await of("admin").access.issue({ subject, roles: ["member"] }, "x")).id);
    await link("admin", "a");
    t.equal(of("a").access.grants.list().length, 150, "more than one answer holds");
    await of("admin").access.revoke(ids[7]!, "x");
    await clock.advance(1_000);
    of("admin").access.linkDown(of("a").peer);
    await of("admin").access.revoke(ids[8]!, "x");
    await link("a", "b");
    t.equal(of("b").access.grants.list().length, 149);
    await link("admin", "b");
    t.equal(of("b").access.grants.list().length, 148);
    t.equal(of("a").access.grants.list().length, 148, "b has passed it on");
    t.same(wire.refused, [], "within the rate");
    const { sent } = wire;
    of("b").access.linkDown(of("a").peer);
    of("a").access.linkDown(of("b").peer);
    await link("a", "b");
    t.equal(wire.sent - sent, 2, "where nothing differs there are two hellos");
    await clock.advance(0);
  },
);

t.test("what got lost on the way is made up for while the link lasts", async (t) => {
  const { of, link, wire, clock } = await fleet(["admin", "hub"]);
  const subject = new TestSigner("w").peerId;
  const { id } = await of("admin").access.issue({ subject, roles: ["trainer"] }, "x");
  await link("admin", "hub");
  wire.cut = true;
  await of("admin").access.issue({ subject, roles: ["validator"] }, "x");
  await of("admin").access.revoke(id, "x");
  await clock.advance(2_000);
  wire.cut = false;
  t.equal(of("hub").access.gate.allows(subject, LEARNING, 1), undefined, "it has not heard yet");
  await clock.advance(600_000);
  t.equal(of("hub").access.gate.allows(subject, LEARNING, 1), "access.denied");
  t.same(
    of("hub")
      .access.grants.list()
      .map(({ roles }) => roles),
    [["validator"]],
  );
});

t.test(
  "a fleet's worth of grants goes out in few messages, and nobody is blamed for it",
  async (t) => {
    const { of, link, wire, clock } = await fleet(["admin", "hub", "leaf"]);
    await link("admin", "hub");
    await link("hub", "leaf");
    const { sent } = wire;
    for (let at = 0; at < 500; at++)
      await of("admin").access.issue(
        { subject: new TestSigner(`w${at}`).peerId, roles: ["member"] },
        "x",
      );
    await clock.advance(1_000);
    t.equal(of("leaf").access.grants.list().length, 500);
    t.ok(wire.sent - sent <= 20, `${wire.sent - sent} messages`);
    t.same(of("hub").access.ledger.counts(), {});
    await of("hub").access.audit.flush();
    const { entries } = await of("hub").access.audit.page({ limit: 100 });
    t.ok(entries.length <= 10, `${entries.length} entries`);
    t.equal(
      entries.reduce((sum, { times = 1 }) => sum + times, 0),
      500,
      "all are accounted for",
    );
    const { gate, ledger } = of("hub").access;
    let passed = 0;
    for (let at = 0; at < 500; at++)
      if (gate.allows(of("leaf").peer, PROTOCOL, 10) === undefined) passed++;
    t.ok(passed <= 80, "but at a tight rate");
    t.same(ledger.counts(), {}, "which is held against nobody");
  },
);

t.test("a neighbour that talks nonsense or forges is banned, and nothing breaks", async (t) => {
  const { of, link, wire } = await fleet(["admin", "hub", "fake"]);
  await link("hub", "fake");
  const hub = wire.nodes.get(of("hub").peer)!;
  const { peer } = of("fake");
  for (let at = 0; at < 5; at++) hub.service.message?.(peer, Uint8Array.of(255, at));
  t.equal(hub.access.gate.admits(peer), false);
  t.equal(hub.access.gate.allows(peer, PROTOCOL, 10), "access.banned");
  t.same(wire.closed, [`${of("hub").peer} ${peer}`], "its links are closed");
  t.throws(() => hub.service.request?.("x", Uint8Array.of(255)), Refused);
  t.equal(await hub.access.unban(peer, "token:1"), true);
  t.equal(hub.access.gate.admits(peer), true);
  t.equal(await hub.access.ban(peer, { reason: "stolen", by: "token:1" }), true);
  await hub.access.close();
  await hub.access.close();
  t.same(
    of("hub").events.map(({ type }) => type),
    ["mesh.peer-banned", "mesh.peer-unbanned", "mesh.peer-banned"],
  );
  t.match(await hub.access.audit.verify(), { sound: true, entries: 3 });
});

t.test("a flood is refused at a rate, and leads to a ban", async (t) => {
  const { of, clock } = await fleet(["hub"], { rates: { framesPerSecond: 100 } });
  const { gate } = of("hub").access;
  let passed = 0;
  let last: string | undefined;
  for (let at = 0; at < 5_000; at++) {
    last = gate.allows("flooder", "weather", 100);
    if (last === undefined) passed++;
  }
  t.equal(passed, 200);
  t.equal(last, "access.banned");
  t.equal(gate.allows("honest", "weather", 100), undefined);
  await clock.advance(600_000);
  t.equal(gate.allows("flooder", "weather", 100), undefined, "until it is over");
  const { flood = 0 } = of("hub").access.ledger.counts();
  t.ok(flood >= 1_000 && flood <= 1_001, "a tenth of a point each");
});

t.test("everything is as it was after a restart", async (t) => {
  const clock = new VirtualClock();
  const ground = accessGround("hub", undefined, clock);
  const options = accessOptions();
  const first = await MeshAccess.open({ ...ground.parts, options, connectionsMax: 8 });
  const { id } = await first.issue(
    { subject: new TestSigner("w").peerId, roles: ["trainer"] },
    "token:1",
  );
  first.gate.offence("bad", "forged-record");
  first.gate.offence("bad", "forged-record");
  await first.close();
  t.same(clock.waiting, [], "no timer is left");
  const again = accessGround("hub", ground.store.disk, clock);
  const second = await MeshAccess.open({ ...again.parts, options, connectionsMax: 8 });
  t.equal(second.gate.admits("bad"), false);
  t.equal(second.grants.find(id)?.state, "live");
  t.same(await second.audit.verify(), { sound: true, entries: 2 });
  await second.close();
});
