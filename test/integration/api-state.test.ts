import { connect, type Socket } from "node:net";
import t, { type Test } from "tap";
import { createApi } from "../../src/api/server.ts";
import type { MemoryKeyValueStore } from "../../src/simulator/memory-key-value-store.ts";
import { createTestContext, deadLetter, testOptions } from "../support/api-context.ts";

async function start(
  t: Test,
  { store, ...options }: Partial<typeof testOptions> & { store?: MemoryKeyValueStore } = {},
) {
  const made = await createTestContext(store);
  const api = await createApi(made.context, { ...testOptions, ...options });
  const { url } = await api.listen();
  t.teardown(() => api.close());
  const admin = await made.context.tokens.create({ name: "test", scope: "admin" });
  const headers = { authorization: `Bearer ${admin.token}` };
  return { ...made, api, url, headers, admin };
}

/** Reads server-sent events as they come. */
async function listen(url: string, headers: Record<string, string>, path = "/v1/events") {
  const stop = new AbortController();
  const response = await fetch(url + path, { headers, signal: stop.signal });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  let ended = false;
  return {
    response,
    /** Waits for what matches. @returns what came since the last call */
    async until(pattern: RegExp): Promise<string> {
      while (!pattern.test(text) && !ended) {
        const { value = "", done } = await reader.read();
        text += value;
        ended = done;
      }
      const read = text;
      text = "";
      return read;
    },
    async end(): Promise<string> {
      for (;;) {
        const { value = "", done } = await reader.read();
        if (done) return text;
        text += value;
      }
    },
    stop: () => stop.abort(),
  };
}

t.test("events arrive as they happen, filtered by type", async (t) => {
  const { context, url, headers } = await start(t);
  const all = await listen(url, headers);
  const some = await listen(url, headers, "/v1/events?types=uplink.up,uplink.down");
  t.match(all.response.headers.get("content-type"), "text/event-stream");
  t.equal(all.response.headers.get("cache-control"), "no-store");
  await all.until(/welcome/);
  await some.until(/welcome/);
  context.events.emit("power.mode-changed", { mode: "saving" });
  context.events.emit("uplink.down", { name: "cloud\nevent: forged" });
  const text = await all.until(/forged/);
  t.match(text, /event: power\.mode-changed\ndata: \{.*"mode":"saving"/);
  t.notMatch(text, /^event: forged/m, "what comes from outside cannot forge events");
  const id = /id: (\d+)\nevent: uplink\.down/.exec(text)?.[1];
  t.equal(Number(id), context.events.lastId);
  t.notMatch(await some.until(/uplink\.down/), "power.mode-changed");
  all.stop();
  some.stop();
});

t.test("a listener that comes back gets what it missed, and is told of gaps", async (t) => {
  const { context, url, headers } = await start(t);
  context.events.emit("uplink.up", { n: 1 });
  const seen = context.events.lastId;
  context.events.emit("uplink.down", { n: 2 });
  context.events.emit("uplink.up", { n: 3 });
  const back = await listen(url, { ...headers, "last-event-id": String(seen) });
  const text = await back.until(/"n":3/);
  t.match(text, /"n":2[^]*"n":3/);
  t.notMatch(text, '"n":1');
  t.notMatch(text, "events.missed");
  back.stop();
  const lost = await listen(url, { ...headers, "last-event-id": "5" });
  t.match(await lost.until(/"n":3/), /event: events\.missed[^]*"n":2/);
  lost.stop();
});

t.test("listeners are bounded, kept alive, and ended with their token or the agent", async (t) => {
  const { context, url, headers, clock, api } = await start(t, { eventListenersMax: 2 });
  const { info, token } = await context.tokens.create({ name: "short", scope: "viewer" });
  const first = await listen(url, { authorization: `Bearer ${token}` });
  const second = await listen(url, headers);
  await first.until(/welcome/);
  await second.until(/welcome/);
  const third = await fetch(`${url}/v1/events`, { headers });
  t.equal(third.status, 503);
  t.match(await third.json(), { code: "events.too-many-listeners", detail: /eventListenersMax/ });
  await context.tokens.revoke(info.id);
  await clock.advance(15_000);
  t.match(await second.until(/still here/), /still here/);
  await first.end();
  t.pass("the stream of a revoked token ended");
  await api.close();
  await second.end();
  t.same(clock.waiting, [], "no timer is left");
});

t.test("a listener that does not read is dropped instead of buffered", async (t) => {
  const { context, url, headers } = await start(t);
  const { port } = new URL(url);
  const socket: Socket = connect(Number(port), "127.0.0.1");
  socket.pause();
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("error", () => undefined);
  socket.write(
    `GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: ${headers.authorization}\r\n\r\n`,
  );
  const filler = "x".repeat(100_000);
  const healthy = await listen(url, headers);
  await healthy.until(/welcome/);
  for (let index = 0; index < 300; index += 1) {
    context.events.emit("readings.received", { index, filler });
    await healthy.until(new RegExp(`"index":${index},`));
  }
  healthy.stop();
  socket.resume();
  await closed;
  t.pass("its connection was cut");
});

t.test("a repeated POST is answered as the first was, after a restart too", async (t) => {
  const { url, headers, world, store, admin, api } = await start(t);
  const send = (to: string, path: string, key: string, authorization = headers.authorization) =>
    fetch(to + path, { method: "POST", headers: { authorization, "idempotency-key": key } });
  const first = await send(url, "/v1/queue/pause", '"k-1"');
  const body = await first.text();
  t.equal(first.headers.get("idempotent-replayed"), null);
  const again = await send(url, "/v1/queue/pause", "k-1");
  t.equal(await again.text(), body);
  t.equal(again.headers.get("idempotent-replayed"), "true");
  t.equal(world.pauses, 1, "it was done once");
  t.equal((await send(url, "/v1/queue/flush", "k-2")).status, 202);
  world.deadLetters = [deadLetter("dl-1")];
  t.equal((await send(url, "/v1/queue/dead-letters/dl-1/requeue", "k-3")).status, 204);

  const mismatch = await send(url, "/v1/queue/resume", "k-1");
  t.equal(mismatch.status, 422);
  t.match(await mismatch.json(), { code: "idempotency.mismatch" });
  await api.close();

  const second = await start(t, { store });
  const bearer = `Bearer ${admin.token}`;
  const later = await send(second.url, "/v1/queue/pause", "k-1", bearer);
  t.equal(await later.text(), body);
  t.equal(second.world.pauses, 0);
  const flushed = await send(second.url, "/v1/queue/flush", "k-2", bearer);
  t.equal(flushed.status, 202);
  t.equal(flushed.headers.get("location"), "/v1/queue");
  t.equal(second.world.flushes, 0);
  const requeued = await send(second.url, "/v1/queue/dead-letters/dl-1/requeue", "k-3", bearer);
  t.equal(requeued.status, 204, "though the dead letter is gone");
  const other = second.headers.authorization;
  t.equal((await send(second.url, "/v1/queue/pause", "k-1", other)).status, 200);
  t.equal(second.world.pauses, 1, "another caller's key is another key");
  await second.clock.advance(25 * 3_600_000);
  await send(second.url, "/v1/queue/pause", "k-1", bearer);
  t.equal(second.world.pauses, 2, "after a day the key is free again");
});

t.test("two at once with one key: one does it, the other is told to wait", async (t) => {
  const { url, headers, context } = await start(t);
  const gate = Promise.withResolvers<void>();
  const { uplinks } = context;
  const pause = uplinks.pause.bind(uplinks);
  uplinks.pause = async () => {
    await gate.promise;
    await pause();
  };
  const send = () =>
    fetch(`${url}/v1/queue/pause`, {
      method: "POST",
      headers: { ...headers, "idempotency-key": "same" },
    });
  const both = [send(), send()];
  const early = await Promise.race(both);
  t.equal(early.status, 409);
  t.match(await early.json(), { code: "idempotency.in-progress" });
  gate.resolve();
  const statuses = (await Promise.all(both)).map(({ status }) => status);
  t.same(new Set(statuses), new Set([200, 409]));
});

t.test("what failed may be tried again with the same key", async (t) => {
  const { url, headers, world } = await start(t);
  const send = () =>
    fetch(`${url}/v1/queue/pause`, {
      method: "POST",
      headers: { ...headers, "idempotency-key": "k" },
    });
  world.failNext = new Error("no");
  t.equal((await send()).status, 500);
  t.equal((await send()).status, 200);
});

t.test("a token's secret is told once and never kept", async (t) => {
  const { url, headers, store, context } = await start(t);
  const create = () =>
    fetch(`${url}/v1/tokens`, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json", "idempotency-key": "t-1" },
      body: '{"name":"dashboard","scope":"viewer"}',
    });
  const first = await create();
  t.equal(first.status, 201);
  const { token, id } = (await first.json()) as { token: string; id: string };
  t.equal(first.headers.get("location"), `/v1/tokens/${id}`);
  const again = await create();
  t.equal(again.status, 409);
  t.match(await again.json(), { code: "idempotency.secret-not-kept" });
  t.equal(context.tokens.list().length, 2, "no second token");
  const kept = (await store.range({ gte: "", lt: "~", limit: 100 }))
    .map(([, value]) => Buffer.from(value).toString())
    .join();
  t.notMatch(kept, token.split("_").slice(2).join("_"));
});

t.test("keys are bounded", async (t) => {
  const { url, headers, store } = await start(t);
  for (let index = 0; index < 1_050; index += 50) {
    await Promise.all(
      Array.from({ length: 50 }, (_, offset) =>
        fetch(`${url}/v1/queue/flush`, {
          method: "POST",
          headers: { ...headers, "idempotency-key": `k-${index + offset}` },
        }).then((response) => response.arrayBuffer()),
      ),
    );
  }
  const kept = await store.range({ gte: "i/", lt: "i0", limit: 5_000 });
  t.equal(kept.length, 1_000);
});
