// Devices attached to a gateway by connections of their own, and clients of the gateway that reach them.
import { setTimeout as delay } from "node:timers/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import t, { type Test } from "tap";
import { Attachment } from "../../src/mesh/bridge/attachment.ts";
import type { BridgeError, BridgePrincipal } from "../../src/platform/bridge.ts";
import { SystemClock } from "../../src/platform/node/system-clock.ts";
import {
  ListAgentsRequestSchema,
  ListAgentsResponseSchema,
  SubscribeRequestSchema,
  SubscribeResponseSchema,
} from "../../src/wire/agent_mesh/bridge/v1/bridge_pb.ts";
import { freePort } from "../support/free-port.ts";
import {
  anybody,
  clientOf,
  codeOf,
  messageOf,
  requestOf,
  startDoor,
} from "../support/grpc-door.ts";
import { identity } from "../support/grpc-identity.ts";
import { agentOf, bridgeOf, type TestBridge, ToyMesh } from "../support/grpc-mesh.ts";
import { keptLog } from "../support/kept-log.ts";
import { eventually } from "../support/mosquitto.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";

const clock = new SystemClock();
const SERVICE = "/agent_mesh.bridge.v1.BridgeService";

function attach(
  t: Pick<Test, "teardown">,
  { hub }: TestBridge,
  url: string,
  principal: BridgePrincipal = anybody,
): Attachment {
  const attachment = new Attachment({
    name: "gateway",
    client: clientOf(t, url, { gzip: true }),
    hub,
    principal,
    clock,
    logger: keptLog(),
    backoffMs: (attempt) => Math.min(200, 20 * attempt),
  });
  t.teardown(() => attachment.stop());
  attachment.start();
  return attachment;
}

const attached = (attachment: Attachment): Promise<void> =>
  eventually(() => attachment.status().state === "attached", "the link");

/** Subscribes as a program of the cluster does. */
function subscribe(t: Pick<Test, "teardown">, url: string, filters: string[]) {
  // A connection of its own: HTTP/2 lets all streams of one wait for the slowest.
  const alone = { "grpc.use_local_subchannel_pool": 1 };
  const client = new Client(new URL(url).host, credentials.createInsecure(), alone);
  const bytes = Buffer.from(
    toBinary(SubscribeRequestSchema, create(SubscribeRequestSchema, { filters })),
  );
  const same = (raw: Buffer): Buffer => raw;
  const call = client.makeServerStreamRequest(`${SERVICE}/Subscribe`, same, same, bytes);
  t.teardown(() => {
    call.cancel();
    client.close();
  });
  const heard: string[] = [];
  const ended = new Promise<number>((resolve) =>
    call.on("error", (error: Error & { code: number }) => resolve(error.code)),
  );
  const stands = new Promise<void>((resolve) => call.once("metadata", () => resolve()));
  const read = (): void => {
    call.on("data", (raw: Buffer) => {
      const { message } = fromBinary(SubscribeResponseSchema, raw);
      heard.push(`${message?.topic}=${Buffer.from(message?.payload ?? []).toString()}`);
    });
  };
  return { call, heard, ended, stands, read };
}

t.test("requests and topics reach a device down its own connection, and go up", async (t) => {
  const gateway = bridgeOf("gateway", clock);
  const device = bridgeOf("pi-1", clock);
  const behind = agentOf(identity("pi-2"), "pi-2");
  device.mesh.upsert(behind);
  const { url } = await startDoor(t, gateway.hub);
  const attachment = attach(t, device, url);
  await attached(attachment);
  const client = clientOf(t, url);
  await eventually(() => gateway.hub.agents().length === 3, "the fleet");

  const large = Buffer.alloc(20_000_000, "model");
  const answer = await client.exchange({ ...requestOf(large), target: "pi-1" });
  t.ok(large.equals(answer), "a large request down and its answer up");
  t.match(device.mesh.asked, [{ target: device.peerId, via: ["gateway/bridge", "pi-1/bridge"] }]);
  await client.exchange({ ...requestOf(Buffer.from("x")), target: behind.peerId });
  t.equal(device.mesh.asked[1]?.target, behind.peerId, "the device's mesh is reached through it");
  const up = { ...requestOf(Buffer.from("up")), target: gateway.peerId };
  t.same(await device.hub.request(up), Buffer.from("up"));
  t.equal(await codeOf(client.exchange({ ...up, target: "pi-9" })), "bridge.not-found");

  const listener = subscribe(t, url, ["sensors/#"]);
  listener.read();
  await listener.stands;
  device.mesh.say(messageOf("sensors/t", Buffer.from("21"), { id: "m1", from: behind.peerId }));
  await eventually(() => listener.heard.length === 1, "a message that goes up");
  t.same(listener.heard, ["sensors/t=21"]);
  await client.publish(messageOf("commands/light", Buffer.from("on")));
  await eventually(() => device.mesh.published.length === 2, "a message that goes down");
  t.match(device.mesh.published[1], {
    id: "commands/light-1",
    topic: "commands/light",
    via: ["gateway/bridge", "pi-1/bridge"],
  });
  t.equal(await client.publish(messageOf("commands/light", Buffer.from("on"))), 0, "seen before");

  device.mesh.remove(behind.peerId);
  await eventually(() => gateway.hub.agents().length === 2, "who has gone");
  attachment.stop();
  await eventually(() => gateway.hub.counters().linksNow === 0, "the end of the link");
  t.same(
    gateway.hub.agents().map(({ peerId }) => peerId),
    [gateway.peerId],
  );
  t.equal(
    await codeOf(client.exchange({ ...requestOf(large), target: device.peerId })),
    "bridge.not-found",
  );
});

t.test("a gateway that dies and comes back is attached to again; what waits is told", async (t) => {
  const port = await freePort();
  const device = bridgeOf("pi-1", clock);
  const first = bridgeOf("gateway", clock);
  const door = await startDoor(t, first.hub, { port, stopGraceMs: 10 });
  const proxy = await TcpProxy.start(t, port);
  const attachment = attach(t, device, proxy.url("grpc"));
  await attached(attachment);
  await eventually(() => first.hub.agents().length === 2, "the fleet");
  const held = new Promise<Uint8Array>(() => undefined);
  device.mesh.answer = () => held;
  const lost = codeOf(first.hub.request({ ...requestOf(Buffer.from("x")), target: "pi-1" }));
  await eventually(() => device.mesh.asked.length === 1, "the request");
  proxy.cut();
  t.equal(await lost, "bridge.closed", "nothing is lost silently");
  await eventually(() => attachment.status().attached === 2, "the second link");
  first.hub.stop();
  await door.server.stop();
  await eventually(() => attachment.status().state === "waiting", "the loss");
  t.equal(
    await codeOf(device.hub.request({ ...requestOf(Buffer.from("x")), target: first.peerId })),
    "bridge.not-found",
  );
  await delay(100);
  t.ok(attachment.status().attempts >= 2, "it goes on trying");
  const second = bridgeOf("gateway", clock);
  await startDoor(t, second.hub, { port });
  await attached(attachment);
  await eventually(() => second.hub.agents().length === 2, "the fleet");
  device.mesh.answer = ({ payload }) => Promise.resolve(payload);
  const request = { ...requestOf(Buffer.from("again")), target: "pi-1" };
  t.same(await second.hub.request(request), Buffer.from("again"));
});

t.test("nobody attaches in another's name, or does what it may not", async (t) => {
  const gateway = bridgeOf("gateway", clock);
  const device = bridgeOf("pi-1", clock);
  let principal: BridgePrincipal = { ...anybody, peerId: identity("pi-2").signer.peerId };
  const { server, url } = await startDoor(t, gateway.hub, { authenticate: () => principal });
  const attachment = attach(t, device, url);
  await eventually(() => attachment.status().reason !== undefined, "the refusal");
  t.match(attachment.status().reason, /not good for that device/);
  t.match(server.counters().refusals, { "bridge.denied": Number });
  principal = { name: "pi-1", peerId: device.peerId, allows: (action) => action === "link" };
  await attached(attachment);
  await eventually(() => gateway.hub.agents().length === 2, "the fleet");
  const up = { ...requestOf(Buffer.from("x")), target: gateway.peerId };
  t.equal(await codeOf(device.hub.request(up)), "bridge.denied");
  device.mesh.say(messageOf("a", Buffer.from("x")));
  await eventually(
    () => (gateway.hub.counters().refusals["bridge.denied"] ?? 0) > 1,
    "the refusal",
  );
  t.same(gateway.mesh.published, []);
});

t.test("a subscriber that does not read is cut off, and the others are not held up", async (t) => {
  const gateway = bridgeOf("gateway", clock);
  const { server, url } = await startDoor(t, gateway.hub, { limits: { queueBytesMax: 2_000_000 } });
  const slow = subscribe(t, url, ["#"]);
  const quick = subscribe(t, url, ["#"]);
  quick.read();
  await Promise.all([slow.stands, quick.stands]);
  // The library takes whatever comes until somebody begins to read; from then on it lets the server wait.
  slow.call.once("data", () => slow.call.pause());
  const client = clientOf(t, url);
  const payload = Buffer.alloc(1_000_000);
  for (let n = 0; n < 60; n++) await client.publish(messageOf("a", payload, { id: `m${n}` }));
  await eventually(() => quick.heard.length === 60, "everything");
  await eventually(() => gateway.hub.counters().subscribersNow === 1, "the end of the slow one");
  slow.read();
  slow.call.resume();
  t.equal(await slow.ended, 8, "RESOURCE_EXHAUSTED");
  t.ok(slow.heard.length < 60);
  t.equal(server.counters().refusals["bridge.slow-reader"], 1);
});

t.test("the fleet comes in pages, and probes need no token", async (t) => {
  const mesh = new ToyMesh();
  for (let n = 0; n < 25; n++) mesh.upsert(agentOf(identity(`a${n}`), `a${n}`));
  const gateway = bridgeOf("gateway", clock, { mesh });
  const { url } = await startDoor(t, gateway.hub, {
    authenticate: ({ token }) => (token === "t" ? anybody : undefined),
  });
  const client = new Client(new URL(url).host, credentials.createInsecure());
  t.teardown(() => client.close());
  const same = (raw: Buffer): Buffer => raw;
  const call = (path: string, message: Uint8Array, token?: string): Promise<Buffer> => {
    const metadata = new Metadata();
    if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
    return new Promise((resolve, reject) =>
      client.makeUnaryRequest(path, same, same, Buffer.from(message), metadata, (error, answer) =>
        error === null ? resolve(answer!) : reject(error),
      ),
    );
  };
  const seen: string[] = [];
  let pageToken = "";
  do {
    const request = create(ListAgentsRequestSchema, { pageSize: 10, pageToken });
    const bytes = toBinary(ListAgentsRequestSchema, request);
    const page = fromBinary(
      ListAgentsResponseSchema,
      await call(`${SERVICE}/ListAgents`, bytes, "t"),
    );
    t.ok(page.agents.length <= 10);
    seen.push(...page.agents.map(({ agentId }) => agentId));
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  t.equal(new Set(seen).size, 26);
  await t.rejects(call(`${SERVICE}/ListAgents`, new Uint8Array()), { code: 16 });
  t.same([...(await call("/grpc.health.v1.Health/Check", new Uint8Array()))], [8, 1], "SERVING");
  await t.rejects(call("/grpc.health.v1.Health/Check", Buffer.from([10, 1, 120])), { code: 5 });
  await t.rejects(call(`${SERVICE}/Exchange`, Buffer.from([255, 255, 255]), "t"), { code: 3 });
  await t.rejects(call(`${SERVICE}/Nothing`, new Uint8Array(), "t"), { code: 12 });
});

t.test("tools find out what is served", async (t) => {
  const { url } = await startDoor(t, bridgeOf("gateway", clock).hub);
  const client = new Client(new URL(url).host, credentials.createInsecure());
  t.teardown(() => client.close());
  const same = (raw: Buffer): Buffer => raw;
  const path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
  const call = client.makeBidiStreamRequest(path, same, same);
  const answers = call[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const ask = async (field: number, text: string): Promise<Buffer> => {
    call.write(Buffer.concat([Buffer.from([field * 8 + 2, text.length]), Buffer.from(text)]));
    return (await answers.next()).value as Buffer;
  };
  t.ok((await ask(7, "")).includes("agent_mesh.bridge.v1.BridgeService"), "the services");
  const byName = await ask(3, "agent_mesh/v1/record.proto");
  t.ok(byName.includes("AgentRecord"), "a file by its name");
  const bySymbol = await ask(4, "agent_mesh.bridge.v1.BridgeService");
  // Behind the original request comes the list of files, of which this is the first.
  const at = bySymbol.indexOf("agent_mesh/bridge/v1/bridge.proto");
  const file = fromBinary(FileDescriptorProtoSchema, bySymbol.subarray(at - 2));
  t.equal(file.service[0]?.method.length, 9, "a file by what is in it");
  t.ok((await ask(4, "no.Such")).includes("not known here"));
  call.end();
});

t.test("stopping lets a call end, and tells what does not", async (t) => {
  const gateway = bridgeOf("gateway", clock);
  const { server, url } = await startDoor(t, gateway.hub, { stopGraceMs: 300 });
  const client = clientOf(t, url);
  const answers = [Promise.withResolvers<Uint8Array>(), Promise.withResolvers<Uint8Array>()];
  let calls = 0;
  gateway.mesh.answer = () => answers[calls++]!.promise;
  const request = { ...requestOf(Buffer.from("x")), target: gateway.peerId };
  const soon = client.exchange(request);
  await eventually(() => calls === 1, "the first call");
  const never = client.exchange(request).catch((error: BridgeError) => error.code);
  await eventually(() => calls === 2, "the second call");
  const stopped = server.stop();
  answers[0]!.resolve(Buffer.from("done"));
  t.same(await soon, Buffer.from("done"));
  await stopped;
  t.ok(["bridge.unreachable", "bridge.closed"].includes(String(await never)), String(await never));
  t.equal(server.counters().connectionsNow, 0);
});
