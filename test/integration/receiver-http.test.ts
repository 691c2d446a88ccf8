// The receiver over HTTP on a real store: what it answers, to whom, and what it does with what is wrong.
import { spawnSync } from "node:child_process";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { request as httpsRequest } from "node:https";
import { connect } from "node:net";
import { join } from "node:path";
import { deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import * as fc from "fast-check";
import t from "tap";
import { startReceiver, updateLine } from "../support/receiver-service.ts";

const json = async (response: Response) => (await response.json()) as Record<string, unknown>;
const BOMB = Buffer.alloc(64 * 1_024 * 1_024, " ");

t.test("batches in any encoding, answered when they are durable", async (t) => {
  const receiver = await startReceiver(t, join(t.testdir(), "data"));
  const body = (first: number) =>
    `${[first, first + 1].map((n) => updateLine(n)).join("\r\n")}\r\n\n`;
  const packed: [string, Buffer][] = [
    ["gzip", gzipSync(body(1))],
    ["zstd", zstdCompressSync(body(3))],
    ["deflate", deflateSync(body(5))],
    ["identity", Buffer.from(body(7))],
  ];
  for (const [encoding, bytes] of packed) {
    const headers = { "content-encoding": encoding, "idempotency-key": "k1" };
    const response = await receiver.post([], { body: bytes, headers });
    t.equal(response.status, 200, encoding);
    t.same(await json(response), { accepted: 2, duplicates: 0, refused: [] });
  }
  const nothing = await receiver.post([], { body: "" });
  t.same(await json(nothing), { accepted: 0, duplicates: 0, refused: [] }, "an empty batch");
  const again = await receiver.post([updateLine(8), updateLine(9)]);
  t.same(await json(again), { accepted: 1, duplicates: 1, refused: [] });
  t.same(await receiver.kept("s"), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const page = await receiver.ask("/v1/updates?agent=pi-1&stream=s&from=2&limit=3");
  t.equal(page.headers.get("content-type"), "application/x-ndjson; charset=utf-8");
  t.match(page.headers.get("link"), /from=5.*rel="next"/);
  t.match(await json(await receiver.ask("/v1/agents")), {
    items: [{ agent: "pi-1", received: 9 }],
  });
  t.match(receiver.service.status(), { accepted: 9, duplicates: 1 });
  t.ok(receiver.service.status().bytesReceived > 1_000, "what came over the wire is counted");
  const metrics = await (await receiver.ask("/metrics")).text();
  t.match(metrics, /agent_mesh_receiver_accepted_total 9/);
  t.match(metrics, /agent_mesh_metric_sources_failed 0/);
  t.same(await json(await fetch(`${receiver.service.url}/healthz`)), { ok: true });
});

t.test("marks are asked in both forms", async (t) => {
  const receiver = await startReceiver(t, join(t.testdir(), "data"));
  await receiver.post([updateLine(1), updateLine(4)]);
  const ask = async (streams: unknown, agent = "pi-1") => {
    const body = JSON.stringify({ agent, streams, replyTo: "1" });
    const headers = { "content-type": "application/json" };
    return receiver.ask("/v1/updates/marks", { method: "POST", body, headers });
  };
  t.same(await json(await ask(["s", "unknown"])), {
    agent: "pi-1",
    marks: { s: { through: 1, ranges: [[4, 4]], lastObservedAt: "2026-11-22T00:00:00.004Z" } },
    accepts: ["patch", "relay"],
    replyTo: "1",
  });
  t.match(await json(await ask({ s: 4 })), { marks: { s: { through: 4, ranges: [] } } });
  t.match(await json(await receiver.ask("/v1/agents/pi-1/marks")), {
    items: [{ stream: "s", through: 4, missing: [[2, 3]], missingUpdates: 2 }],
  });
  const wrong = await ask({ s: -1 });
  t.equal(wrong.status, 400);
  t.match(await json(wrong), { code: "sync.request-malformed", detail: /first sequence of s/ });
});

t.test("who may do what", async (t) => {
  const directory = t.testdir({ tokens: "# fleet\npi-3:a-token-from-elsewhere\n\n" });
  const data = join(directory, "data");
  const receiver = await startReceiver(t, data, { tokenFile: join(directory, "tokens") });
  t.equal(statSync(join(data, "admin.token")).mode & 0o777, 0o600);
  const create = async (wish: object) =>
    json(await receiver.ask("/v1/tokens", { method: "POST", body: JSON.stringify(wish) }));
  const agent = await create({ agent: "pi-1" });
  const reader = await create({ role: "reader" });
  const as = (token: unknown) => ({ headers: { authorization: `Bearer ${String(token)}` } });
  t.equal((await receiver.post([updateLine(1)], as(agent["token"]))).status, 200);
  t.equal(
    (await receiver.post([updateLine(1, { agent: "pi-3" })], as("a-token-from-elsewhere"))).status,
    200,
  );
  t.match(
    await json(
      await receiver.post([updateLine(2), updateLine(1, { agent: "pi-2" })], as(agent["token"])),
    ),
    {
      accepted: 1,
      refused: [{ id: "pi-2/s/1", permanent: true, reason: /agent pi-1 alone/ }],
    },
  );
  const relay = await create({ role: "relay" });
  t.match(
    await json(
      await receiver.post([updateLine(1, { agent: "pi-7" }), updateLine(5)], as(relay["token"])),
    ),
    { accepted: 2, refused: [] },
    "one that relays hands in those of any agent",
  );
  const accepts = async (token: unknown) => {
    const body = JSON.stringify({ agent: "pi-1", streams: ["s"] });
    const { headers } = as(token);
    const answer = await receiver.ask("/v1/updates/marks", {
      method: "POST",
      body,
      headers: { ...headers, "content-type": "application/json" },
    });
    return (await json(answer))["accepts"];
  };
  t.same(await accepts(agent["token"]), ["patch"], "and the others are told that they may not");
  t.same(await accepts(relay["token"]), ["patch", "relay"]);
  const statuses: [string, Parameters<typeof receiver.ask>[1], number, string][] = [
    ["/v1/agents", as(reader["token"]), 200, ""],
    ["/v1/status", as(reader["token"]), 200, ""],
    ["/v1/agents", as(agent["token"]), 403, "auth.role"],
    ["/v1/agents", as(relay["token"]), 403, "auth.role"],
    ["/v1/tokens", as(reader["token"]), 403, "auth.role"],
    ["/v1/agents", as("nobody-has-this-token"), 401, "auth.unknown"],
    ["/v1/agents", { headers: { authorization: "Basic eA==" } }, 401, "auth.missing"],
    ["/metrics", { headers: { authorization: "" } }, 401, "auth.missing"],
    ["/v1/tokens", { method: "POST", body: '{"agent":"a b"}' }, 400, "request.malformed"],
    ["/v1/tokens", { method: "POST", body: "{" }, 400, "request.malformed"],
    ["/v1/agents/none", { method: "DELETE" }, 404, "agent.not-found"],
    ["/v1/none", {}, 404, "route.not-found"],
  ];
  for (const [path, init, status, code] of statuses) {
    const response = await receiver.ask(path, init);
    t.equal(response.status, status, `${path} ${code}`);
    if (code !== "") t.match(await json(response), { code });
  }
  t.equal(
    (await receiver.ask(`/v1/tokens/${String(agent["id"])}`, { method: "DELETE" })).status,
    204,
  );
  t.equal((await receiver.post([updateLine(3)], as(agent["token"]))).status, 401);
  t.equal((await receiver.ask("/v1/agents/pi-1", { method: "DELETE" })).status, 204);
  t.same(await receiver.kept("s"), []);
  await receiver.stop();
  const store = join(data, "store");
  const found = spawnSync("grep", ["-rlF", "a-token-from-elsewhere", store], { encoding: "utf8" });
  t.equal(found.stdout, "", "no token is in the store as it is");
  const later = await startReceiver(t, data);
  t.equal((await later.post([updateLine(3)], as("a-token-from-elsewhere"))).status, 200);
  t.equal((await later.ask("/v1/status", as(reader["token"]))).status, 200);
  writeFileSync(join(directory, "bad"), "pi-1:short\n");
  await t.rejects(
    startReceiver(t, join(directory, "other"), { tokenFile: join(directory, "bad") }),
    {
      message: /--token-file: line 1/,
    },
  );
});

t.test("bad input is refused by name and harms nobody", async (t) => {
  const receiver = await startReceiver(t, join(t.testdir(), "data"), { updateBytesMax: 2_000 });
  const encoded = (encoding: string, body: Uint8Array) =>
    receiver.post([], { body, headers: { "content-encoding": encoding } });
  const cases: [string, Promise<Response>, number, string][] = [
    ["a line that is no JSON", receiver.post([updateLine(1), "{"]), 400, "update.malformed"],
    ["a line without an id", receiver.post(["{}"]), 400, "update.malformed"],
    [
      "an id that does not fit",
      receiver.post([updateLine(1).replace("pi-1/s/1", "pi-1/s/2")]),
      400,
      "update.malformed",
    ],
    [
      "bytes that are no text",
      receiver.post([], { body: Buffer.from([0x7b, 0xff]) }),
      400,
      "request.malformed",
    ],
    ["gzip that is none", encoded("gzip", Buffer.from("hello")), 400, "request.malformed"],
    [
      "gzip that is cut off",
      encoded("gzip", gzipSync(updateLine(1)).subarray(0, 40)),
      400,
      "request.malformed",
    ],
    ["a gzip bomb", encoded("gzip", gzipSync(BOMB)), 413, "request.too-large"],
    ["a zstd bomb", encoded("zstd", zstdCompressSync(BOMB)), 413, "request.too-large"],
    [
      "a large body",
      receiver.post([], { body: Buffer.alloc(5_000_000, " ") }),
      413,
      "request.too-large",
    ],
    ["too many lines", receiver.post(Array<string>(10_001).fill("{}")), 413, "request.too-large"],
    ["an unknown encoding", encoded("br", Buffer.from("x")), 415, "request.encoding"],
    [
      "an unknown type",
      receiver.post([], { body: "x", headers: { "content-type": "text/plain" } }),
      415,
      "request.media-type",
    ],
    [
      "a long key",
      receiver.post([updateLine(1)], { headers: { "idempotency-key": "k".repeat(300) } }),
      400,
      "request.malformed",
    ],
    ["no stream", receiver.ask("/v1/updates?agent=pi-1"), 400, "request.malformed"],
    [
      "a wrong limit",
      receiver.ask("/v1/updates?agent=a&stream=b&limit=1e9"),
      400,
      "request.malformed",
    ],
  ];
  for (const [name, asked, status, code] of cases) {
    const response = await asked;
    t.equal(response.status, status, name);
    t.match(await json(response), { code, detail: /./ });
  }
  t.match(await json(await receiver.post([updateLine(1, { payload: "x".repeat(3_000) })])), {
    refused: [{ id: "pi-1/s/1", code: "update.too-large", permanent: true }],
  });
  t.same(await receiver.kept("s"), [], "nothing of all this was taken");
  const seed = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);
  t.comment(`seed ${seed} (SEED=${seed} runs these again)`);
  const member = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.constant(undefined),
    fc.constantFrom(0, -1, 2 ** 53, 1e300, "", "\u0000", "../", "pi-1/s/1"),
  );
  const anyLine = fc.oneof(
    fc.string(),
    fc.json({ maxDepth: 3 }),
    fc
      .record({
        id: member,
        stream: member,
        sequence: member,
        observedAt: member,
        payload: member,
        patch: member,
        key: member,
        contentType: member,
      })
      .map((wild) => JSON.stringify({ ...JSON.parse(updateLine(1)), ...wild })),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(anyLine, { maxLength: 4 }), async (lines) => {
      const response = await receiver.post(lines);
      await response.arrayBuffer();
      if (![200, 400].includes(response.status)) throw new Error(`status ${response.status}`);
    }),
    { seed, numRuns: 150 },
  );
  t.equal((await receiver.post([updateLine(5)])).status, 200, "and it still works");
});

t.test("a sender that is cut off leaves nothing behind", async (t) => {
  const receiver = await startReceiver(t, join(t.testdir(), "data"));
  const { port } = new URL(receiver.service.url);
  for (let n = 0; n < 40; n++) {
    const socket = connect(Number(port), "127.0.0.1");
    await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
    socket.write("POST /v1/updates HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{");
    socket.destroy();
  }
  t.equal((await receiver.post([updateLine(1)])).status, 200);
});

const noOpenssl =
  spawnSync("openssl", ["version"]).status === 0 ? false : "openssl is not installed";

t.test("HTTPS, and agents that have to show a certificate", { skip: noOpenssl }, async (t) => {
  const directory = t.testdir();
  const file = (name: string) => join(directory, name);
  const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  const made = spawnSync("openssl", [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-days",
    "2",
    ...subject,
    "-keyout",
    file("key"),
    "-out",
    file("cert"),
  ]);
  t.equal(made.status, 0);
  const tls = { tlsCertFile: file("cert"), tlsKeyFile: file("key"), tlsCaFile: file("cert") };
  const receiver = await startReceiver(t, file("data"), tls);
  t.match(receiver.service.url, /^https:/);
  const status = (client: object): Promise<number | string> =>
    new Promise((resolve) => {
      httpsRequest(
        `${receiver.service.url}/healthz`,
        { ca: readFileSync(file("cert")), ...client },
        (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        },
      )
        .on("error", (error: Error & { code?: string }) => resolve(error.code ?? error.message))
        .end();
    });
  t.equal(await status({ cert: readFileSync(file("cert")), key: readFileSync(file("key")) }), 200);
  t.type(await status({}), "string", "without a certificate there is no answer");
  await t.rejects(startReceiver(t, file("other"), { tlsCertFile: file("cert") }), {
    message: /--tls-key-file/,
  });
});

t.test("updates are passed on to a file, each once, across restarts", async (t) => {
  const directory = t.testdir();
  const data = join(directory, "data");
  const forwardTo = join(directory, "out.ndjson");
  const passed = () =>
    readFileSync(forwardTo, "utf8")
      .split("\n")
      .filter((line) => line !== "");
  const first = await startReceiver(t, data);
  await first.post([updateLine(1), updateLine(2)]);
  await first.stop();
  const second = await startReceiver(t, data, { forwardTo });
  await second.post([updateLine(2), updateLine(3)]);
  await second.stop();
  t.equal(passed().length, 3, "what was there before, and what is new");
  const { size } = statSync(forwardTo);
  writeFileSync(forwardTo, '{"half a line', { flag: "a" });
  const third = await startReceiver(t, data, { forwardTo });
  t.equal(statSync(forwardTo).size, size, "what a crash left is cut off");
  await third.post([updateLine(4)]);
  await third.stop();
  t.same(
    passed().map((line) => (JSON.parse(line) as { sequence: number }).sequence),
    [1, 2, 3, 4],
  );
  await t.rejects(startReceiver(t, join(directory, "x"), { forwardTo: "/nowhere/out" }), {
    message: /--forward-to/,
  });
});

t.test("a taken port and a second receiver on the data are told apart", async (t) => {
  const directory = t.testdir();
  const data = join(directory, "data");
  const { service } = await startReceiver(t, data);
  await t.rejects(startReceiver(t, data), { code: "store.locked", message: /--data/ });
  const listen = { host: "127.0.0.1", port: Number(new URL(service.url).port) };
  await t.rejects(startReceiver(t, join(directory, "b"), { listen }), {
    message: /--listen.*taken/,
  });
});
