// The mesh as a bridge sees it, over real links; two bridges of one mesh at one gateway.
import { hash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { MeshBackend } from "../../src/agent/bridge-backend.ts";
import { encodeTopicMessage } from "../../src/mesh/bridge/frames.ts";
import { BRIDGE_FEATURE } from "../../src/mesh/bridge/hand-over.ts";
import {
  type MeshNode,
  type OpenMeshOptions,
  openMeshNode,
  publishOverBridges,
  Refused,
} from "../../src/mesh/production.ts";
import type {
  BridgeAgentChange,
  BridgeMessage,
  BridgePrincipal,
} from "../../src/platform/bridge.ts";
import { NetworkError } from "../../src/platform/network.ts";
import { SystemClock } from "../../src/platform/node/system-clock.ts";
import { codeOf } from "../support/grpc-door.ts";
import { bridgeOf, type TestBridge, wire } from "../support/grpc-mesh.ts";
import { eventually } from "../support/mosquitto.ts";

const clock = new SystemClock();
const anybody: BridgePrincipal = { name: "anybody", allows: () => true };
const text = (payload: Uint8Array): string => Buffer.from(payload).toString();
const alive = (node: MeshNode): number =>
  [...node.members()].filter(({ state }) => state === "alive").length;

async function startNode(t: Test, options: Partial<OpenMeshOptions> = {}): Promise<MeshNode> {
  const dataDirectory = mkdtempSync(join(tmpdir(), "bridge-backend-"));
  t.teardown(() => rmSync(dataDirectory, { recursive: true, force: true }));
  const node = await openMeshNode({ dataDirectory, ...options });
  t.teardown(() => node.stop());
  await node.start();
  return node;
}

function ask(target: string, task: string, payload = "", timeoutMs = 5_000) {
  return { id: "q", target, task, payload: Buffer.from(payload), via: [], timeoutMs };
}

t.test(
  "requests reach tasks of the mesh, and what becomes of them has the bridge's codes",
  async (t) => {
    const [one, two] = [await startNode(t, { name: "one" }), await startNode(t, { name: "two" })];
    await one.join(two.addresses());
    await eventually(() => alive(one) === 2 && alive(two) === 2);
    const backend = new MeshBackend(one, clock);
    t.equal(backend.self, one.id);
    let asked = "";
    for (const node of [one, two]) {
      node.attachTask("shout", (from, payload) => {
        asked = from;
        return Buffer.from(text(payload).toUpperCase());
      });
      node.attachTask("busy", () => {
        throw new Refused("task.busy", "later");
      });
    }
    two.attachTask("never", () => new Promise(() => undefined));
    for (const { id } of [two, one]) {
      t.equal(text(await backend.request(ask(id, "shout", "hey"))), "HEY");
      t.equal(asked, one.id, "the bridge's agent is who asks in the mesh");
      await t.rejects(backend.request(ask(id, "busy")), { code: "bridge.refused" });
      const refused: { refusal?: unknown } = await backend.request(ask(id, "busy")).then(
        () => ({}),
        (error: unknown) => error as object,
      );
      t.equal(refused.refusal, "task.busy");
      t.equal(await codeOf(backend.request(ask(id, "none"))), "bridge.unsupported");
      t.equal(await codeOf(backend.request(ask(id, "/no/task"))), "bridge.malformed");
    }
    t.equal(await codeOf(backend.request(ask(two.id, "never", "", 50))), "bridge.timeout");
    t.equal(
      await codeOf(backend.request(ask(two.id, "shout", "x".repeat(1_048_577)))),
      "bridge.too-large",
    );
    const stranger = "12D3KooWQqDVtxTqJz9e5MoJwHfrzJzqDSR7CqcZNtNHJRVL4F8R";
    t.equal(await codeOf(backend.request(ask(stranger, "shout"))), "bridge.unreachable");
  },
);

t.test("the fleet, and what changes about it, the own record among it", async (t) => {
  const one = await startNode(t, { name: "one" });
  const backend = new MeshBackend(one, clock);
  t.match(backend.agents(), [{ peerId: one.id, state: "alive", via: [] }]);
  const told: BridgeAgentChange[] = [];
  const end = backend.onAgents((change) => told.push(change));
  const two = await startNode(t, { name: "two" });
  await two.join(one.addresses());
  const of = (peerId: string) =>
    told.filter((change) => change.kind === "upserted" && change.agent.peerId === peerId).length;
  await eventually(() => of(two.id) > 0);
  const before = of(one.id);
  one.describe({ agentId: "one", version: "2", addresses: [] });
  t.equal(of(one.id), before + 1, "its own news as well");
  await two.stop();
  await eventually(() =>
    told.some((change) => change.kind === "upserted" && change.agent.state === "left"),
  );
  end();
  const heard = told.length;
  one.describe({ agentId: "one", version: "3", addresses: [] });
  t.equal(told.length, heard);
});

t.test("topics without wildcards are listened to; members hand over the rest", async (t) => {
  const bridge = await startNode(t, { name: "bridge", features: [BRIDGE_FEATURE] });
  const member = await startNode(t, { name: "member" });
  t.equal(await publishOverBridges(member, { id: "0", topic: "a", payload: Buffer.of() }), 0);
  await member.join(bridge.addresses());
  await eventually(() => alive(bridge) === 2 && alive(member) === 2);
  const backend = new MeshBackend(bridge, clock);
  const came: BridgeMessage[] = [];
  const handOver = (topic: string, payload: string, id = topic) =>
    publishOverBridges(member, { id, topic, payload: Buffer.from(payload) }).catch(
      (error: unknown) => (error instanceof NetworkError ? error.refusal : error),
    );
  t.equal(await handOver("plant/1", "x"), "bridge.denied", "before anybody listens");
  const end = backend.subscribe(["news", "news", "plant/#"], (message) => came.push(message));
  t.same(bridge.topics(), ["news"]);
  t.equal(await handOver("plant/1/t", "21"), 1);
  t.equal(await handOver("news", "21"), 1);
  t.equal(await handOver("other", "x"), "bridge.denied");
  t.equal(
    await member
      .callTask(bridge.id, "bridge-publish", Buffer.of(255))
      .catch((error: unknown) => (error as NetworkError).refusal),
    "bridge.malformed",
  );
  const forged = { id: "f", topic: "plant/2", payload: Buffer.of(), from: bridge.id, via: ["b"] };
  await member.callTask(bridge.id, "bridge-publish", encodeTopicMessage(forged));
  t.same(
    came.splice(0).map(({ id, topic, from, via }) => ({ id, topic, from, via })),
    [
      { id: "plant/1/t", topic: "plant/1/t", from: member.id, via: [] },
      { id: "news", topic: "news", from: member.id, via: [] },
      { id: "f", topic: "plant/2", from: member.id, via: [] },
    ],
    "from whom it came, whatever it says",
  );
  await eventually(async () => {
    await member.broadcast("news", Buffer.from("rain"));
    return came.length > 0;
  });
  t.match(came[0], { topic: "news", from: member.id, via: [], id: /^\d+\.\d+$/ });
  end();
  t.same(bridge.topics(), []);

  const other = new MeshBackend(member, clock);
  came.length = 0;
  other.subscribe(["commands/light"], (message) => came.push(message));
  const down = { id: "o-1", topic: "commands/light", payload: Buffer.from("on"), via: ["cloud"] };
  await eventually(async () => {
    await backend.publish(down);
    return came.length > 0;
  });
  t.match(came[0], { id: "o-1", topic: "commands/light", via: ["cloud"] });
  t.equal(came[0]?.from, undefined, "a second bridge is told where it is from, not who passed it");
  t.equal(await codeOf(backend.publish({ ...down, topic: "no such/topic" })), "bridge.malformed");
});

t.test("content of any size, from where it stopped", async (t) => {
  const bridge = await startNode(t, { name: "bridge" });
  const taker = await startNode(t, { name: "taker" });
  await taker.join(bridge.addresses());
  await eventually(() => alive(bridge) === 2 && alive(taker) === 2);
  const backend = new MeshBackend(bridge, clock);
  const bytes = Buffer.alloc(3_000_000, "0123456789abcdef");
  const content = {
    name: "model",
    sizeBytes: bytes.length,
    sha256: new Uint8Array(hash("sha256", bytes, "buffer")),
  };
  const refusal = async (work: Promise<unknown>): Promise<unknown> =>
    work.catch((error: unknown) => (error as { refusal?: string }).refusal);
  for (const { id } of [taker, bridge])
    t.equal(await refusal(backend.upload(id, content)), "content.unwanted");
  for (const node of [taker, bridge]) {
    let kept = Buffer.alloc(0);
    let done = 0;
    node.onContent((offer) => {
      t.match(offer, { from: bridge.id, ...content });
      return {
        offset: kept.length,
        read: (offset, length) => kept.subarray(offset, offset + length),
        write: (piece) => {
          kept = Buffer.concat([kept, piece]);
        },
        done: () => {
          done++;
        },
        broken: () => undefined,
      };
    });
    t.equal(await backend.uploadOffset(node.id, content), 0);
    const first = await backend.upload(node.id, content);
    await first.write(bytes.subarray(0, 1_000_000));
    first.broken(new NetworkError("network.closed", "the client went away"));
    await eventually(async () => (await backend.uploadOffset(node.id, content)) === kept.length);
    const there = kept.length;
    t.ok(there > 0, `${there} bytes are there`);
    const second = await backend.upload(node.id, content);
    t.equal(second.offset, there);
    for (let at = there; at < bytes.length; at += 500_000)
      await second.write(bytes.subarray(at, Math.min(bytes.length, at + 500_000)));
    await second.done();
    t.ok(kept.equals(bytes));
    t.equal(done, 1);
  }
  t.equal(await codeOf(backend.download()), "bridge.unsupported");
});

t.test("two bridges of one mesh at one gateway: each message crosses once", async (t) => {
  const gateway = bridgeOf("gateway", clock);
  const heard: BridgeMessage[] = [];
  gateway.hub.subscribe(["#"], anybody, (message) => heard.push(message));
  const nodes = [
    await startNode(t, { name: "west", features: [BRIDGE_FEATURE] }),
    await startNode(t, { name: "east", features: [BRIDGE_FEATURE] }),
    await startNode(t, { name: "member" }),
  ];
  const [west, east, member] = nodes as [MeshNode, MeshNode, MeshNode];
  for (const node of [west, member]) await node.join(east.addresses());
  await eventually(() => nodes.every((node) => alive(node) === 3));
  const bridges = [west, east].map((node): TestBridge => {
    const rule = [{ filter: "news", prefix: "site/" }];
    const made = bridgeOf(node.id.slice(-8), clock, {
      backend: new MeshBackend(node, clock),
      topicsUp: rule,
      topicsDown: rule,
    });
    t.teardown(() => made.hub.stop());
    return made;
  });
  for (const bridge of bridges) wire(bridge, gateway);
  await eventually(
    () => gateway.hub.counters().linksNow === 2 && gateway.hub.agents().length === 4,
  );

  t.equal(
    await publishOverBridges(member, { id: "m1", topic: "news", payload: Buffer.from("a") }),
    2,
  );
  const repeats = () =>
    [gateway, ...bridges].flatMap(({ hub }) => Object.values(hub.counters().repeats)).length;
  await eventually(() => heard.length > 0 && repeats() > 0);
  t.match(heard, [{ topic: "site/news", id: "m1", from: member.id }], "handed to both, told once");
  t.equal(heard.length, 1);

  const read: string[] = [];
  member.subscribe("news", (_from, payload) => read.push(text(payload)));
  await eventually(async () => {
    heard.length = 0;
    read.length = 0;
    const id = `d${clock.monotonicMs()}`;
    await gateway.hub.publish(
      { id, topic: "site/news", payload: Buffer.from(id), via: [] },
      anybody,
    );
    await new Promise((resolve) => setTimeout(resolve, 300));
    return read.length > 0;
  });
  t.equal(heard.length, 1, "what comes down by either does not go up by the other");
  t.ok(read.length <= 2, `the mesh hears it from each bridge at most once: ${read.length}`);
});
