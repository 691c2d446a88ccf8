// The parts of a bridge one by one: topics, loops, the fleet, and what one end of a link takes.
import { create } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import t from "tap";
import { Check, Default } from "typebox/value";
import { FleetTable } from "../../../src/mesh/bridge/fleet-table.ts";
import {
  decodeFrame,
  decodeTopicMessage,
  encodeFrame,
  encodeTopicMessage,
  fleetAgent,
} from "../../../src/mesh/bridge/frames.ts";
import { gatewayPrincipal } from "../../../src/mesh/bridge/gateway-principal.ts";
import {
  type LinkEffect,
  type LinkParts,
  LinkSession,
} from "../../../src/mesh/bridge/link-session.ts";
import { LoopGuard } from "../../../src/mesh/bridge/loop-guard.ts";
import { bridgeOptions } from "../../../src/mesh/bridge/options.ts";
import { TopicRules } from "../../../src/mesh/bridge/topic-rules.ts";
import { BridgeError } from "../../../src/platform/bridge.ts";
import { LinkHelloSchema } from "../../../src/wire/agent_mesh/bridge/v1/link_pb.ts";
import { identity } from "../../support/grpc-identity.ts";
import { agentOf } from "../../support/grpc-mesh.ts";

const seed = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);
t.comment(`seed ${seed} (SEED=${seed} runs these again)`);

t.test("only topics that a rule names cross, under the name that it says", async (t) => {
  const rules = new TopicRules([
    { filter: "sensors/#", prefix: "site-1/" },
    { filter: "+/status", prefix: "" },
  ]);
  t.equal(rules.toCluster("sensors/kitchen/t"), "site-1/sensors/kitchen/t");
  t.equal(rules.toCluster("pi-1/status"), "pi-1/status");
  t.equal(rules.toCluster("secret/x"), undefined);
  t.equal(rules.toMesh("site-1/sensors/kitchen/t"), "sensors/kitchen/t");
  t.equal(rules.toMesh("sensors/kitchen/t"), undefined, "without the prefix");
  t.equal(rules.toMesh("site-1/secret"), undefined);
  t.same(rules.clusterFilters, ["site-1/sensors/#", "+/status"]);
  t.equal(new TopicRules([{ filter: "#", prefix: "" }]).toCluster("$SYS/x"), "$SYS/x");
  t.equal(new TopicRules([]).toMesh("a"), undefined, "nothing crosses unless it is allowed");
});

t.test(
  "settings: closed unless opened, and whoever is attached to asks only for what is named",
  async (t) => {
    const options = Default(bridgeOptions, { connect: [{ name: "a", url: "grpcs://b:1" }] });
    t.ok(Check(bridgeOptions, options));
    t.match(options, {
      listen: { enabled: false, host: "127.0.0.1", port: 5001 },
      connect: [{ tasks: [] }],
      topicsUp: [],
      topicsDown: [],
      messageBytesMax: 104_857_600,
      gzip: true,
    });
    for (const url of ["http://b:1", "grpc://user@b:1", "grpc://b:1/path"])
      t.notOk(Check(bridgeOptions, Default(bridgeOptions, { connect: [{ name: "a", url }] })), url);
    const gateway = gatewayPrincipal("a", ["/echo/1", "/jobs/*"]);
    t.ok(gateway.allows("exchange", "/echo/1"));
    t.ok(gateway.allows("exchange", "/jobs/run"));
    t.notOk(gateway.allows("exchange", "/echo/12"));
    t.notOk(gateway.allows("upload", "/echo/1"));
    t.notOk(gatewayPrincipal("a", []).allows("exchange", "/echo/1"));
  },
);

t.test("a message passes once, and never in circles; what is remembered has a bound", async (t) => {
  const guard = new LoopGuard("own", { hopsMax: 3, seenMax: 4 });
  t.equal(guard.message("a", "1", ["x"]), "new");
  t.equal(guard.message("a", "1", ["y"]), "seen", "by another way");
  t.equal(guard.message("b", "1", []), "new", "another author's");
  t.equal(guard.message("a", "2", ["x", "own"]), "loop");
  t.equal(guard.message("a", "2", ["x", "y", "z"]), "too-far");
  t.equal(guard.message("a", "2", ["x", "y"]), "new", "what was turned away is not remembered");
  for (const id of ["3", "4", "5"]) guard.message("a", id, []);
  t.equal(guard.message("a", "1", []), "new", "the oldest were forgotten");
  t.equal(guard.message("a", "5", []), "seen");
  t.same(guard.passed(["x"]), ["x", "own"]);
});

t.test("the fleet: split horizon, the shortest way, the agent's own link first", async (t) => {
  const [mesh, one, two] = [{}, {}, {}];
  const [a, b] = [identity("a"), identity("b")];
  const table = new FleetTable(5);
  const own = agentOf(a, "a");
  t.equal(table.upsert(mesh, own, "a"), "changed");
  t.equal(table.upsert(mesh, { ...own }, "a"), "same");
  t.equal(table.upsert(one, { ...agentOf(b, "b"), via: ["liar"] }, "b"), "changed");
  t.equal(table.upsert(two, { ...agentOf(b, "b"), via: ["b"] }, "b", true), "changed");
  t.match(table.find("b", undefined), { kind: "found", source: two }, "proven, not claimed");
  t.match(table.find("b", two), { kind: "found", source: one }, "who asks is not asked back");
  t.match(table.changeFor(mesh, own.peerId), { kind: "removed" }, "nobody hears of his own");
  t.match(table.changeFor(one, own.peerId), { kind: "upserted", agent: { via: [] } });
  t.equal(table.upsert(one, { ...agentOf(identity("c"), "b"), via: ["x"] }, "b"), "changed");
  t.same(table.find("b", undefined), { kind: "ambiguous" });
  t.match(table.find(b.signer.peerId, undefined), { kind: "found" }, "a peer id never is");
  t.equal(table.upsert(one, { ...agentOf(identity("d"), "d"), via: ["x"] }, "d"), "changed");
  t.equal(table.upsert(one, { ...agentOf(identity("e"), "e"), via: ["x"] }, "e"), "full");
  t.equal(table.upsert(one, { ...agentOf(b, "renamed", 2), via: ["x"] }, "renamed"), "changed");
  for (const peerId of table.knownBy(one)) t.ok(table.remove(one, peerId));
  t.notOk(table.remove(one, b.signer.peerId));
  t.same(table.find("renamed", undefined), { kind: "unknown" }, "no names are left behind");
  t.equal(table.size, 2);
  t.same(
    table.allFor(undefined).map(({ peerId }) => peerId),
    [a.signer.peerId, b.signer.peerId].sort(),
  );
});

const nonce = new Uint8Array(32).fill(7);

function sessionOf(role: "gateway" | "device", more: Partial<LinkParts> = {}): LinkSession {
  return new LinkSession({
    role,
    bridgeId: role,
    signer: identity(role).signer,
    filters: ["#"],
    nonce,
    admits: () => true,
    limits: { messageBytesMax: 100, requestsMax: 2, timeoutMsMax: 1_000 },
    isKnown: () => false,
    ...more,
  });
}

/** Hands frames back and forth until nobody says anything more. @returns the other effects, by end */
function converse(
  gateway: LinkSession,
  device: LinkSession,
  first: readonly LinkEffect[] = gateway.open(),
  from: "gateway" | "device" = "gateway",
): { gateway: LinkEffect[]; device: LinkEffect[] } {
  const seen = { gateway: [] as LinkEffect[], device: [] as LinkEffect[] };
  const take = (at: "gateway" | "device", effects: readonly LinkEffect[]): void => {
    const [other, session] =
      at === "gateway" ? (["device", device] as const) : (["gateway", gateway] as const);
    for (const effect of effects)
      if (effect.kind === "send") take(other, session.received(effect.frame));
      else seen[at].push(effect);
  };
  take(from, first);
  return seen;
}

const codeOf = (effects: readonly LinkEffect[]): string | undefined =>
  effects.flatMap((effect) => (effect.kind === "fail" ? [effect.error.code] : []))[0];

t.test("both ends know each other, then ask and answer", async (t) => {
  const [gateway, device] = [sessionOf("gateway"), sessionOf("device")];
  const hello = { id: "r", target: "t", task: "k", via: [], timeoutMs: 5_000 };
  t.throws(() => gateway.ask({ ...hello, payload: nonce }), { code: "bridge.unreachable" });
  const seen = converse(gateway, device);
  t.match(seen.gateway, [
    { kind: "ready", peer: { bridgeId: "device", peerId: identity("device").signer.peerId } },
  ]);
  t.match(seen.device, [{ kind: "ready", peer: { bridgeId: "gateway", peerId: undefined } }]);
  const asked = gateway.ask({ ...hello, payload: nonce });
  const [served] = converse(gateway, device, asked.effects).device;
  t.match(served, { kind: "serve", request: { ...hello, timeoutMs: 1_000 } }, "bounded");
  const answer = device.answer(asked.number, { payload: new Uint8Array([1]) });
  t.match(converse(gateway, device, answer, "device").gateway, [
    { kind: "answered", number: asked.number, outcome: { payload: new Uint8Array([1]) } },
  ]);
  t.same(device.answer(asked.number, { payload: nonce }), [], "an answer goes once");
  const no = gateway.ask({ ...hello, payload: nonce });
  converse(gateway, device, no.effects);
  const error = new BridgeError("bridge.refused", "no", { refusal: "access.denied" });
  t.match(converse(gateway, device, device.answer(no.number, { error }), "device").gateway, [
    { outcome: { error: { code: "bridge.refused", refusal: "access.denied" } } },
  ]);
  t.throws(() => gateway.ask({ ...hello, payload: new Uint8Array(101) }), {
    code: "bridge.too-large",
  });
});

t.test("requests at once are bounded on either end, and a late answer is dropped", async (t) => {
  const [gateway, device] = [sessionOf("gateway"), sessionOf("device")];
  converse(gateway, device);
  const request = { id: "r", target: "t", task: "k", payload: nonce, via: [], timeoutMs: 5 };
  const numbers = [gateway.ask(request), gateway.ask(request)].map(({ number, effects }) => {
    converse(gateway, device, effects);
    return number;
  });
  t.throws(() => gateway.ask(request), { code: "bridge.busy" });
  for (const number of numbers) gateway.forget(number);
  const more = gateway.ask(request);
  const seen = converse(gateway, device, more.effects);
  t.match(seen.device, [{ kind: "refused", code: "bridge.busy" }]);
  t.match(seen.gateway, [{ kind: "answered", outcome: { error: { code: "bridge.busy" } } }]);
  const late = device.answer(numbers[0]!, { payload: nonce });
  t.match(converse(gateway, device, late, "device").gateway, [
    { kind: "refused", code: "bridge.timeout" },
  ]);
});

t.test("who lies or breaks the rules is cut off", async (t) => {
  const helloOf = (signature: Uint8Array): Uint8Array => {
    const { publicKey } = identity("device").signer;
    const value = { publicKey, signature, bridgeId: "device", filters: [] };
    return encodeFrame({ case: "hello", value: create(LinkHelloSchema, value) });
  };
  const failing = (session: LinkSession, ...frames: Uint8Array[]): string | undefined => {
    session.open();
    return codeOf(frames.flatMap((frame) => session.received(frame)));
  };
  const over = new Uint8Array([...nonce, ...new TextEncoder().encode("gateway")]);
  const { signer } = identity("device");
  const good = signer.sign("agent-mesh/link/1", over);
  t.equal(failing(sessionOf("gateway"), helloOf(good)), undefined);
  t.equal(
    failing(sessionOf("gateway"), helloOf(signer.sign("agent-mesh/other/1", over))),
    "bridge.unauthenticated",
    "signed for another purpose",
  );
  t.equal(
    failing(sessionOf("gateway", { nonce: new Uint8Array(32) }), helloOf(good)),
    "bridge.unauthenticated",
    "an old hello again",
  );
  t.equal(failing(sessionOf("gateway", { admits: () => false }), helloOf(good)), "bridge.denied");
  t.equal(
    failing(sessionOf("gateway", { bridgeId: "device" }), helloOf(good)),
    "bridge.unauthenticated",
  );
  t.equal(failing(sessionOf("gateway"), helloOf(good), helloOf(good)), "bridge.malformed");
  const early = encodeFrame({ case: "exchange", value: { number: 1 } });
  t.equal(failing(sessionOf("gateway"), early), "bridge.malformed", "before the hello");
  t.equal(failing(sessionOf("device"), early), "bridge.malformed");

  const forged = fleetAgent(agentOf(identity("x"), "x"));
  forged.record!.signature[0]! ^= 1;
  const frame = encodeFrame({ case: "fleetChange", value: { upserted: [forged] } });
  t.equal(failing(sessionOf("gateway"), helloOf(good), frame), "bridge.malformed", "forged record");
});

t.test("no bytes whatsoever do more than end the link", async (t) => {
  const everything: LinkEffect["kind"][] = ["fail", "refused", "message", "fleet", "serve", "send"];
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 8 }), (frames) => {
      const [gateway, device] = [sessionOf("gateway"), sessionOf("device")];
      converse(gateway, device);
      for (const frame of frames)
        for (const effect of [...gateway.received(frame), ...sessionOf("device").received(frame)])
          if (!everything.includes(effect.kind)) throw new Error(effect.kind);
    }),
    { seed, numRuns: 300 },
  );
  t.equal(decodeFrame(new Uint8Array()), undefined);
  t.throws(() => decodeFrame(new Uint8Array([255])), { code: "bridge.malformed" });
});

t.test("an envelope brings back what went in, and takes nothing else", async (t) => {
  const message = { id: "1", topic: "a/b", payload: nonce, via: ["x"], from: "12D3KooW" };
  t.same(decodeTopicMessage(encodeTopicMessage(message)), message);
  for (const wrong of [
    { ...message, id: "" },
    { ...message, topic: "a/#" },
    { ...message, topic: "x".repeat(513) },
    { ...message, via: Array.from({ length: 17 }, String) },
    { ...message, from: "a\nb" },
  ])
    t.throws(() => decodeTopicMessage(encodeTopicMessage(wrong)), { code: "bridge.malformed" });
  t.throws(() => decodeTopicMessage(new Uint8Array([9, 9])), { code: "bridge.malformed" });
});
