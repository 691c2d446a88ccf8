// Nodes of the mesh over real TCP, as a program that uses the library sees them.
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { defaultMembershipOptions } from "../../src/mesh/membership/options.ts";
import {
  type MeshNode,
  type OpenMeshOptions,
  openMeshNode,
  Refused,
  SecureChannel,
} from "../../src/mesh/production.ts";
import type { NetworkError } from "../../src/platform/network.ts";
import { farLink } from "../support/far-link.ts";
import { eventually } from "../support/mosquitto.ts";

function directory(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), "mesh-node-"));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function startNode(t: Test, options: Partial<OpenMeshOptions> = {}): Promise<MeshNode> {
  const node = await openMeshNode({ dataDirectory: directory(t), ...options });
  t.teardown(() => node.stop());
  await node.start();
  return node;
}

const text = (payload: Uint8Array): string => Buffer.from(payload).toString();
const alive = (node: MeshNode): number =>
  [...node.members()].filter(({ state }) => state === "alive").length;
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "resolved",
    (error: NetworkError) => error.refusal ?? error.code,
  );

t.test("two nodes: tasks, messages, topics, channels", async (t) => {
  const hub = await startNode(t, { name: "hub", features: ["test"] });
  const leaf = await startNode(t, { name: "leaf" });
  t.strictSame(await leaf.join(hub.addresses()), [hub.id]);
  await eventually(() => alive(hub) === 2 && alive(leaf) === 2);
  t.equal(leaf.peers()[0]?.id, hub.id);
  t.equal(leaf.member(hub.id)?.record.agentId, "hub");
  t.strictSame(leaf.member(hub.id)?.record.capabilities?.features, ["test"]);

  hub.attachTask("double", (_from, payload) => payload.map((byte) => byte * 2));
  hub.attachTask("refuse", () => {
    throw new Refused("task.busy", "come back later");
  });
  hub.attachTask("break", () => {
    throw new Error("a fault of its own");
  });
  t.strictSame([...(await leaf.callTask(hub.id, "double", Uint8Array.of(1, 2)))], [2, 4]);
  t.equal(await codeOf(leaf.callTask(hub.id, "refuse", Uint8Array.of())), "task.busy");
  t.equal(await codeOf(leaf.callTask(hub.id, "break", Uint8Array.of())), "service.failed");
  t.equal(await codeOf(leaf.callTask(hub.id, "none", Uint8Array.of())), "network.unsupported");
  t.throws(() => hub.attachTask("double", () => Uint8Array.of()), /attached already/);
  t.throws(() => hub.attachTask("a b", () => Uint8Array.of()), RangeError);

  const said: string[] = [];
  hub.onMessage((from, payload) => {
    if (text(payload) === "no") throw new Refused("mail.unwanted", "not that one");
    said.push(`${from === leaf.id ? "leaf" : from}: ${text(payload)}`);
  });
  const letters = Array.from({ length: 100 }, (_, at) => String(at));
  await Promise.all(letters.map((letter) => leaf.sendToPeer(hub.id, Buffer.from(letter))));
  t.strictSame(
    said,
    letters.map((letter) => `leaf: ${letter}`),
    "all, in order",
  );
  t.equal(await codeOf(leaf.sendToPeer(hub.id, Buffer.from("no"))), "mail.unwanted");
  t.equal(await codeOf(leaf.sendToPeer(hub.id, Buffer.alloc(2_000_000))), "network.too-large");
  t.equal(
    await codeOf(
      leaf.sendToPeer("12D3KooWQqDVtxTqJz9e5MoJwHfrzJzqDSR7CqcZNtNHJRVL4F8R", Buffer.from("?"), {
        timeoutMs: 300,
      }),
    ),
    "network.timeout",
  );

  const news: string[] = [];
  const stop = leaf.subscribe("news", (_from, payload) => news.push(text(payload)));
  await eventually(async () => {
    await hub.broadcast("news", Buffer.from("are you there?"));
    return news.length > 0;
  });
  news.length = 0;
  await hub.broadcast("news", Buffer.from("hello"));
  await eventually(() => news.includes("hello"));
  t.equal(news.filter((one) => one === "hello").length, 1);
  stop();
  t.strictSame(leaf.topics(), []);

  t.equal(await codeOf(SecureChannel.establish(leaf, hub.id)), "channel.unsupported");
  hub.onChannel((channel) => {
    void (async () => {
      for (;;) {
        const payload = await channel.receive();
        if (payload === undefined) break;
        await channel.send(payload.toReversed());
      }
      await channel.close();
    })();
  });
  const channel = await SecureChannel.establish(leaf, hub.id);
  for (let at = 0; at < 10; at++) {
    await channel.send(Uint8Array.of(at, at + 1));
    t.strictSame([...((await channel.receive()) ?? [])], [at + 1, at]);
  }
  await channel.close();
  t.equal(await channel.receive(), undefined, "the other side closes too");
  t.equal(await codeOf(channel.send(Uint8Array.of(1))), "network.closed");
});

t.test("a node comes back as itself, and finds the others by itself", async (t) => {
  const hub = await startNode(t, { name: "hub" });
  const other = await startNode(t, { name: "other", bootstrap: hub.addresses() });
  const data = directory(t);
  const first = await openMeshNode({ dataDirectory: data, name: "leaf" });
  await first.start();
  await first.join(hub.addresses());
  await eventually(() => alive(first) === 3 && alive(other) === 3);
  t.equal(statSync(join(data, "identity.pem")).mode & 0o777, 0o600);
  await first.stop();
  await eventually(() => other.member(first.id)?.state === "left");

  // Nobody tells it where to begin.
  const again = await openMeshNode({ dataDirectory: data, name: "leaf" });
  t.teardown(() => again.stop());
  t.equal(again.id, first.id);
  await again.start();
  await eventually(() => alive(again) === 3 && alive(other) === 3);
  t.ok((other.member(again.id)?.record.epoch ?? 0) > 1);
});

t.test("messages outlive a link that is cut again and again", async (t) => {
  const hub = await startNode(t, { name: "hub" });
  const leaf = await startNode(t, { name: "leaf" });
  await leaf.join(hub.addresses());
  await eventually(() => alive(leaf) === 2);
  const said: string[] = [];
  hub.onMessage((_from, payload) => void said.push(text(payload)));
  const letters = Array.from({ length: 200 }, (_, at) => String(at));
  const sent: Promise<void>[] = [];
  for (const [at, letter] of letters.entries()) {
    sent.push(leaf.sendToPeer(hub.id, Buffer.from(letter)));
    if (at % 50 === 25) {
      await new Promise((resolve) => setImmediate(resolve));
      await hub.unlink(leaf.id);
    }
  }
  await Promise.all(sent);
  t.strictSame(said, letters);
});

t.test("a node that parts from neighbours it has too many of is not taken for lost", async (t) => {
  const seen: string[] = [];
  const onChange = ({ kind, peer }: { kind: string; peer: string }): void =>
    void seen.push(`${kind} ${peer}`);
  const others = await Promise.all(Array.from({ length: 16 }, () => startNode(t, { onChange })));
  const star = await startNode(t, { onChange });
  await star.join(others.flatMap((node) => node.addresses()));
  const all = [star, ...others];
  // Nobody is to be suspected for being slow, on a machine that may be busy: only what parting brings about counts.
  const patient = { probeIntervalMs: 60_000, probeTimeoutMs: 50_000 };
  for (const node of all)
    node.setPace({ ...defaultMembershipOptions.pace, ...patient }, { gossipIntervalMs: 1_000 });
  await eventually(() => all.every((node) => alive(node) === all.length));
  await eventually(() => star.peers().length < others.length);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  t.same(
    seen.filter((one) => /^(suspect|dead)/.test(one)),
    [],
  );
  await Promise.all(all.map((node) => node.stop()));
});

t.test("an agent at the far end of a slow satellite link is a member like any other", async (t) => {
  const seen: string[] = [];
  const onChange = ({ kind }: { kind: string }): void => void seen.push(kind);
  const hub = await startNode(t, { name: "hub", onChange });
  const port = Number(/\/tcp\/(\d+)/.exec(hub.addresses()[0] ?? "")?.[1]);
  // 600 ms there and back, more than a probe waits before it asks others.
  const far = await farLink(t, port, 300);
  const leaf = await startNode(t, { name: "leaf", listen: [], onChange });
  await leaf.join([`/ip4/127.0.0.1/tcp/${far}`]);
  await eventually(() => alive(hub) === 2 && alive(leaf) === 2);
  const said: string[] = [];
  hub.onMessage((_from, payload) => void said.push(text(payload)));
  const letters = Array.from({ length: 20 }, (_, at) => String(at));
  await Promise.all(letters.map((letter) => leaf.sendToPeer(hub.id, Buffer.from(letter))));
  t.strictSame(said, letters);
  await new Promise((resolve) => setTimeout(resolve, 12_000));
  t.notOk(seen.includes("dead"), "nobody is taken for dead");
  t.equal(leaf.peers().length, 1);
});

t.test("an address that is taken is named, with the setting to change", async (t) => {
  const hub = await startNode(t);
  const taken = /\/ip4\/127\.0\.0\.1\/tcp\/\d+/.exec(hub.addresses()[0] ?? "")?.[0] ?? "";
  const second = await openMeshNode({ dataDirectory: directory(t), listen: [taken] });
  t.teardown(() => second.stop());
  const error = await second.start().then(
    () => "started",
    ({ message }: Error) => message,
  );
  t.match(error, `the mesh can not listen on ${taken}: EADDRINUSE`);
  t.match(error, /set mesh\.port to another port, or to 0/);
  t.notMatch(error, /\n {2,}at |transportManager/, "no stack, and no advice that does not fit");
});
