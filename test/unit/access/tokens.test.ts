import t from "tap";
import { TokenStore } from "../../../src/access/tokens.ts";
import { nodeHasher } from "../../../src/platform/node/hasher.ts";
import { SystemRandom } from "../../../src/platform/node/system-random.ts";
import { silentLogger } from "../../../src/platform/silent-logger.ts";
import { MemoryKeyValueStore } from "../../../src/simulator/memory-key-value-store.ts";
import { VirtualClock } from "../../../src/simulator/virtual-clock.ts";

async function open(store = new MemoryKeyValueStore(), clock = new VirtualClock()) {
  const events: string[] = [];
  const tokens = await TokenStore.open({
    store,
    clock,
    random: new SystemRandom(),
    hasher: nodeHasher,
    events: { emit: (type) => void events.push(type) },
    logger: silentLogger,
  });
  return { tokens, store, clock, events };
}

t.test("a token works until it is revoked, across restarts", async (t) => {
  const { tokens, store, events } = await open();
  let admin = "";
  const keep = (token: string) => {
    admin = token;
    return Promise.resolve();
  };
  t.equal(await tokens.ensureFirstToken(keep), true);
  t.match(admin, /^am_[0-9a-f]{12}_[A-Za-z0-9_-]{43}$/);
  t.equal(await tokens.ensureFirstToken(keep), false, "made once only");
  const { info, token } = await tokens.create({ name: "dashboard", scope: "viewer" });

  const again = (await open(store)).tokens;
  t.match(again.authenticate(token), { id: info.id, name: "dashboard", scope: "viewer" });
  t.equal(await again.ensureFirstToken(keep), false);
  t.equal(await again.revoke(info.id), true);
  t.equal(await again.revoke(info.id), false);
  t.equal(again.authenticate(token), "token.unknown");
  t.equal((await open(store)).tokens.authenticate(token), "token.unknown");
  t.same(events, ["token.created", "token.created"]);
});

t.test("nothing that is stored or listed gives a secret away", async (t) => {
  const { tokens, store } = await open();
  const { info, token } = await tokens.create({ name: "x", scope: "admin" });
  const secret = token.split("_").slice(2).join("_");
  const stored = await store.range({ gte: "", lt: "~", limit: 10 });
  t.equal(stored.length, 1);
  t.notMatch(Buffer.from(stored[0]![1]).toString(), secret);
  const seen = JSON.stringify([tokens.list(), tokens.find(info.id), tokens.authenticate(token)]);
  t.notMatch(seen, secret);
  t.notMatch(seen, nodeHasher.sha256Hex(secret));
});

t.test("what is not exactly a token is refused", async (t) => {
  const { tokens } = await open();
  const { token } = await tokens.create({ name: "x", scope: "admin" });
  const last = token.at(-1) === "A" ? "B" : "A";
  t.equal(tokens.authenticate(token.slice(0, -1) + last), "token.unknown");
  t.equal(tokens.authenticate(`am_000000000000_${token.slice(16)}`), "token.unknown");
  for (const garbage of ["", "am_", token.slice(1), `${token}A`, "x".repeat(10_000), "am_\u0000"]) {
    t.equal(tokens.authenticate(garbage), "token.malformed");
  }
});

t.test("a token that ends does so by the wall clock, once that can be believed", async (t) => {
  const { tokens, clock } = await open();
  const { token, info } = await tokens.create({ name: "x", scope: "admin", expiresInMs: 60_000 });
  t.equal(typeof tokens.authenticate(token), "object");
  t.equal(tokens.isLive(info.id), true);
  await clock.advance(60_000);
  t.equal(tokens.authenticate(token), "token.expired");
  t.equal(tokens.isLive(info.id), false);
  clock.trusted = false;
  t.equal(tokens.authenticate(token), "token.clock-untrusted");
  await t.rejects(tokens.create({ name: "y", scope: "viewer", expiresInMs: 1_000 }), {
    code: "token.clock-untrusted",
  });
  const made = await tokens.ensureFirstToken(() => Promise.resolve());
  t.equal(made, true, "an admin token that ends is not enough");
});

t.test("the last admin token stays, and there are never too many", async (t) => {
  const { tokens } = await open();
  const first = (await tokens.create({ name: "a", scope: "admin" })).info;
  const second = (await tokens.create({ name: "b", scope: "admin" })).info;
  const results = await Promise.allSettled([tokens.revoke(first.id), tokens.revoke(second.id)]);
  t.same(
    results.map(({ status }) => status),
    ["fulfilled", "rejected"],
    "even when both are revoked at once",
  );
  for (let index = tokens.list().length; index < 100; index += 1) {
    await tokens.create({ name: `t${index}`, scope: "viewer" });
  }
  await t.rejects(tokens.create({ name: "one more", scope: "viewer" }), { code: "token.too-many" });
});

t.test("a store that cannot write creates and revokes nothing", async (t) => {
  const { tokens, store } = await open();
  const { info, token } = await tokens.create({ name: "x", scope: "viewer" });
  await store.close();
  await t.rejects(tokens.create({ name: "y", scope: "viewer" }), { code: "store.closed" });
  await t.rejects(tokens.revoke(info.id), { code: "store.closed" });
  t.equal(tokens.list().length, 1);
  t.equal(typeof tokens.authenticate(token), "object");
});

t.test("a damaged record locks nobody else out", async (t) => {
  const { tokens, store } = await open();
  const { token } = await tokens.create({ name: "x", scope: "admin" });
  for (const [key, text] of [
    ["a/0", "not json"],
    ["a/1", "{}"],
    ["a/2", '{"info":{"id":"2","name":"n","createdAtMs":1,"scope":"root"},"secretHash":""}'],
  ] as const) {
    await store.write([{ type: "put", key, value: Buffer.from(text) }], { durable: true });
  }
  const again = (await open(store)).tokens;
  t.equal(again.list().length, 1);
  t.equal(typeof again.authenticate(token), "object");
});

t.test("a first token that could not be handed over does not count", async (t) => {
  const { tokens, store } = await open();
  const failing = () => Promise.reject(new Error("disk full"));
  await t.rejects(tokens.ensureFirstToken(failing), { message: "disk full" });
  const again = (await open(store)).tokens;
  t.equal(await again.ensureFirstToken(() => Promise.resolve()), true, "the next start makes one");
});
