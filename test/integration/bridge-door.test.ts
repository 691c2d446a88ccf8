// Credentials that end while what they opened goes on: subscriptions and links end with them.
import { status } from "@grpc/grpc-js";
import t from "tap";
import { Attachment } from "../../src/mesh/bridge/attachment.ts";
import type { BridgeMessage, BridgePrincipal } from "../../src/platform/bridge.ts";
import { SystemClock } from "../../src/platform/node/system-clock.ts";
import { BridgeProgram } from "../support/bridge-program.ts";
import { anybody, clientOf, echo, messageOf, startDoor } from "../support/grpc-door.ts";
import { bridgeOf } from "../support/grpc-mesh.ts";
import { keptLog } from "../support/kept-log.ts";
import { eventually } from "../support/mosquitto.ts";

/** Somebody who may do everything, until a test says otherwise. */
function revocable(): BridgePrincipal & { revoked: boolean } {
  const principal = { name: "device", revoked: false, allows: () => !principal.revoked };
  return principal;
}

t.test("a subscriber gets nothing any more, and is told why", async (t) => {
  const principal = revocable();
  let say: (message: BridgeMessage) => void = () => undefined;
  let ends = 0;
  const handler = echo({
    subscribe: (_filters, _from, receive) => {
      say = receive;
      return () => void ends++;
    },
  });
  const { url } = await startDoor(t, handler, { authenticate: () => principal });
  const { heard, ended } = await new BridgeProgram(t, url, "token").subscribe("#");
  say(messageOf("a", Buffer.from("1")));
  await eventually(() => heard.length === 1);
  principal.revoked = true;
  say(messageOf("a", Buffer.from("2")));
  say(messageOf("a", Buffer.from("3")));
  t.match(await ended, { code: status.PERMISSION_DENIED, details: /credentials/ });
  t.equal(heard.length, 1);
  t.equal(ends, 1);
});

t.test("a device is turned away, and what it still sends is not taken", async (t) => {
  const clock = new SystemClock();
  const principal = revocable();
  const links: string[] = [];
  const gateway = bridgeOf("gateway", clock, {
    onLink: ({ kind, role, principal: name, peer }) =>
      links.push(`${kind} ${role} ${name} ${peer.peerId === device.peerId}`),
  });
  const device = bridgeOf("pi-1", clock);
  t.teardown(() => device.hub.stop());
  const heard: BridgeMessage[] = [];
  gateway.hub.subscribe(["#"], anybody, (message) => heard.push(message));
  const { url } = await startDoor(t, gateway.hub, { authenticate: () => principal });
  const attachment = new Attachment({
    name: "gateway",
    client: clientOf(t, url),
    hub: device.hub,
    principal: anybody,
    clock,
    logger: keptLog(),
    backoffMs: () => 60_000,
  });
  t.teardown(() => attachment.stop());
  attachment.start();
  await eventually(() => attachment.status().state === "attached");
  t.match(device.hub.links(), [{ role: "device" }]);
  t.match(gateway.hub.links(), [{ role: "gateway", peer: { peerId: device.peerId } }]);
  device.mesh.say(messageOf("a", Buffer.from("1")));
  await eventually(() => heard.length === 1);
  principal.revoked = true;
  device.mesh.say(messageOf("b", Buffer.from("2")));
  await eventually(() => attachment.status().state === "waiting");
  t.equal(heard.length, 1);
  t.match(attachment.status(), { reason: /credentials/, attached: 1, attempts: 1 });
  const { retryInMs = 0 } = attachment.status();
  t.ok(retryInMs > 50_000 && retryInMs <= 60_000, `again in ${retryInMs} ms`);
  t.equal(gateway.hub.counters().refusals["bridge.denied"], 1);
  t.same(links, ["up gateway device true", "down gateway device true"]);
  t.same([...gateway.hub.links(), ...device.hub.links()], []);
});
