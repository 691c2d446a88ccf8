// Who comes in at the bridge's door, and what they may do there.
import t from "tap";
import { TokenStore } from "../../../src/access/tokens.ts";
import { bridgeDoor } from "../../../src/agent/bridge-principals.ts";
import type { BridgeAction, BridgePrincipal } from "../../../src/platform/bridge.ts";
import { nodeHasher } from "../../../src/platform/node/hasher.ts";
import { SeededRandom } from "../../../src/platform/seeded-random.ts";
import { MemoryKeyValueStore } from "../../../src/simulator/memory-key-value-store.ts";
import { VirtualClock } from "../../../src/simulator/virtual-clock.ts";
import { keptLog } from "../../support/kept-log.ts";

const ACTIONS: BridgeAction[] = [
  "agents",
  "subscribe",
  "download",
  "publish",
  "exchange",
  "upload",
  "link",
];
const LOOKING = ["agents", "subscribe", "download"];
const remoteAddress = "192.0.2.7";
const device = Uint8Array.of(1);
const program = Uint8Array.of(2);

async function door() {
  const clock = new VirtualClock();
  const tokens = await TokenStore.open({
    store: new MemoryKeyValueStore(),
    clock,
    random: new SeededRandom("door"),
    hasher: nodeHasher,
    events: { emit: () => undefined },
    logger: keptLog(),
  });
  const enter = bridgeDoor(tokens, ([kind]) => (kind === 1 ? "12D3KooWpi" : undefined));
  return { clock, tokens, enter };
}

const allowed = (principal: BridgePrincipal | undefined): string[] =>
  ACTIONS.filter((action) => principal?.allows(action, "anything") === true);

t.test("a token allows what its scope does, until it is revoked or ends", async (t) => {
  const { clock, tokens, enter } = await door();
  for (const scope of ["viewer", "operator", "admin"] as const) {
    const { token, info } = await tokens.create({ name: scope, scope });
    const principal = await enter({ token, remoteAddress });
    t.equal(principal?.name, `token ${info.id}`);
    t.same(allowed(principal), scope === "viewer" ? LOOKING : ACTIONS, scope);
    await tokens.create({ name: "another admin", scope: "admin" });
    await tokens.revoke(info.id);
    t.same(allowed(principal), [], "nothing after it was revoked");
    t.equal(await enter({ token, remoteAddress }), undefined);
  }
  const { token } = await tokens.create({ name: "short", scope: "admin", expiresInMs: 1_000 });
  const principal = await enter({ token, remoteAddress });
  t.same(allowed(principal), ACTIONS);
  await clock.advance(1_000);
  t.same(allowed(principal), []);
});

t.test("a device's certificate lets it attach, and binds a token to it", async (t) => {
  const { tokens, enter } = await door();
  const bare = await enter({ certificate: device, remoteAddress });
  t.match(bare, { name: "device 12D3KooWpi", peerId: "12D3KooWpi" });
  t.same(allowed(bare), ["publish", "exchange", "link"]);
  const { token, info } = await tokens.create({ name: "fleet", scope: "operator" });
  t.match(await enter({ token, certificate: device, remoteAddress }), {
    name: `token ${info.id}`,
    peerId: "12D3KooWpi",
  });
});

t.test("nobody else gets in", async (t) => {
  const { tokens, enter } = await door();
  t.equal(await enter({ remoteAddress }), undefined, "with nothing");
  t.equal(await enter({ certificate: program, remoteAddress }), undefined, "a program's alone");
  const { token } = await tokens.create({ name: "program", scope: "viewer" });
  const known = await enter({ token, certificate: program, remoteAddress });
  t.equal(known?.peerId, undefined, "a program's certificate binds to no device");
  t.same(allowed(known), LOOKING);
  const wrong = `${token.slice(0, -1)}${token.endsWith("x") ? "y" : "x"}`;
  for (const bad of [wrong, "", "x", "am_000000000000_"])
    t.equal(await enter({ token: bad, certificate: device, remoteAddress }), undefined, bad);
});
