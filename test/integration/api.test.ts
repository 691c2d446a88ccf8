import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { Ajv2020 } from "ajv/dist/2020.js";
import t, { type Test } from "tap";
import type { Scope } from "../../src/access/tokens.ts";
import { buildApp, createApi } from "../../src/api/server.ts";
import { AgreementError } from "../../src/consensus/ordering/waiting.ts";
import { OutboxError } from "../../src/outbox/update.ts";
import { NetworkError } from "../../src/platform/network.ts";
import { VirtualKeys } from "../../src/simulator/virtual-signer.ts";
import { createTestContext, deadLetter, testOptions, update } from "../support/api-context.ts";
import { orderOf } from "../support/coordination/orders.ts";
import { irisSpec } from "../support/learning-tasks.ts";

interface Operation {
  readonly operationId: string;
  readonly security: readonly { bearer?: readonly Scope[] }[];
  readonly responses: Readonly<
    Record<string, { content?: Readonly<Record<string, { schema: object }>> }>
  >;
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: object };
}

const document: Document = JSON.parse(
  readFileSync(new URL("../../openapi/openapi.json", import.meta.url), "utf8"),
);
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    path,
    method: method.toUpperCase(),
    operation,
  })),
);

/** Refuses members that the document does not tell of, so that it cannot fall behind unseen. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== "object" || schema === null) return schema;
  const copy = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, closed(value)]),
  );
  return "properties" in copy && !("additionalProperties" in copy)
    ? { ...copy, additionalProperties: false }
    : copy;
}

const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
ajv.addSchema({ $id: "doc", components: closed(document.components) });

/** @returns what is wrong with the answer, by the document; empty when nothing */
function faultsOf(operation: Operation, response: Response, body: string): string {
  const answer = operation.responses[String(response.status)];
  if (answer === undefined) return `status ${response.status} is not documented: ${body}`;
  if (answer.content === undefined)
    return body === "" ? "" : `a body where none is documented: ${body}`;
  const mediaType = response.headers.get("content-type")?.split(";")[0] ?? "none";
  const content = answer.content[mediaType];
  if (content === undefined) return `media type ${mediaType} is not documented`;
  if (!mediaType.endsWith("json")) return "";
  const schema = JSON.parse(
    JSON.stringify(closed(content.schema)).replaceAll("#/components", "doc#/components"),
  );
  return ajv.validate(schema, JSON.parse(body)) ? "" : ajv.errorsText();
}

async function start(t: Test, options: Partial<typeof testOptions> = {}) {
  const made = await createTestContext();
  const api = await createApi(made.context, { ...testOptions, ...options });
  const { url } = await api.listen();
  t.teardown(() => api.close());
  const token = async (scope: Scope) =>
    (await made.context.tokens.create({ name: scope, scope })).token;
  const tokens = {
    viewer: await token("viewer"),
    operator: await token("operator"),
    admin: await token("admin"),
  };
  const ask = async (method: string, path: string, init: Ask = {}) => {
    const bearer = init.token === undefined ? tokens.admin : init.token;
    const response = await fetch(url + path, {
      method,
      headers: {
        ...(bearer === "" ? {} : { authorization: `Bearer ${bearer}` }),
        ...(init.body === undefined ? {} : { "content-type": "application/json" }),
        ...init.headers,
      },
      ...(init.body === undefined ? {} : { body: init.body }),
    });
    const text = await response.text();
    return { response, text, status: response.status, json: parse(text) };
  };
  return { ...made, api, url, tokens, ask };
}

interface Ask {
  token?: string;
  body?: string;
  headers?: Record<string, string>;
}
// oxlint-disable-next-line typescript/no-explicit-any -- the tests look into documents of any shape
function parse(text: string): any {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const LEARNING_URL = `/v1/learning/tasks/1${"a".repeat(31)}`;

/** Requests that succeed, by operation id, where the path alone is not enough. */
const happy: Readonly<Record<string, { path?: string; body?: string; endless?: true }>> = {
  propose: { body: '{"topic":"maintenance","value":{"window":"02:00"}}' },
  getProposal: { path: `/v1/consensus/proposals/${"f".repeat(32)}` },
  voteOnProposal: {
    path: "/v1/consensus/proposals/0123456789abcdef0123456789abcdef/votes",
    body: '{"vote":"accept"}',
  },
  cancelProposal: {
    path: "/v1/consensus/proposals/0123456789abcdef0123456789abcdef/cancel",
  },
  verifyCertificate: { body: '{"certificate":"AQID"}' },
  getProblem: { path: "/problems/auth.missing" },
  requeueDeadLetter: { path: "/v1/queue/dead-letters/dl-1/requeue" },
  deleteDeadLetter: { path: "/v1/queue/dead-letters/dl-2" },
  joinMesh: { body: '{"addresses":["/ip4/192.0.2.1/tcp/4001"]}' },
  unlinkMeshPeer: { path: "/v1/mesh/peers/12D3KooWpeer" },
  issueGrant: { body: '{"subject":"SUBJECT","roles":["trainer"],"expiresInMs":60000}' },
  importGrant: { body: '"CARRIED"' },
  banMeshPeer: { body: '{"peerId":"SUBJECT","reason":"test"}' },
  orderTask: { body: '{"kind":"measure","input":{"room":7}}' },
  getTask: { path: "/v1/tasks/task-1" },
  cancelTask: { path: "/v1/tasks/task-1/cancel" },
  answerTask: { path: "/v1/tasks/theirs/result", body: '{"output":{"celsius":21}}' },
  startLearningTask: { body: JSON.stringify(irisSpec) },
  getLearningTask: { path: LEARNING_URL },
  listLearningRounds: { path: `${LEARNING_URL}/rounds` },
  pauseLearningTask: { path: `${LEARNING_URL}/pause` },
  resumeLearningTask: { path: `${LEARNING_URL}/resume` },
  stopLearningTask: { path: `${LEARNING_URL}/stop` },
  predictWithLearningTask: {
    path: `${LEARNING_URL}/predict`,
    body: '{"features":[[5.1,3.5,1.4,0.2]]}',
  },
  getLearningServing: { path: `${LEARNING_URL}/serving` },
  listLearningVersions: { path: `${LEARNING_URL}/versions` },
  promoteLearningVersion: { path: `${LEARNING_URL}/versions/9/promote` },
  pinLearningVersion: { path: `${LEARNING_URL}/versions/9/pin` },
  rollBackLearningVersion: { path: `${LEARNING_URL}/versions/rollback` },
  unpinLearningVersion: { path: `${LEARNING_URL}/versions/unpin` },
  listLearningLabels: { path: `${LEARNING_URL}/labels` },
  addLearningLabel: { path: `${LEARNING_URL}/labels`, body: '{"fromMs":1,"toMs":2,"class":1}' },
  removeLearningLabel: { path: `${LEARNING_URL}/labels/LABEL` },
  depositOnTrail: { path: "/v1/trails/ways%2Fnorth/deposits", body: '{"amount":2}' },
  chooseTrail: { body: '{"options":[{"trail":"ways/north"},{"trail":"ways/south"}]}' },
  createToken: { body: '{"name":"dashboard","scope":"viewer"}' },
  // Its success never ends and is looked at by the tests of events; who may have it is looked at here.
  streamEvents: { endless: true },
};

t.test("every operation answers as the document says, for its scope and above", async (t) => {
  const { ask, tokens, world, context, meshAccess } = await start(t);
  const subject = new VirtualKeys().signer("agent-2").peerId;
  const { id: firstId } = await meshAccess.issue({ subject, roles: ["trainer"] }, "test");
  await context.mesh.survey(0);
  const carried = JSON.stringify({ text: meshAccess.grants.export(firstId) });
  const versions = world.learning.serving.book;
  for (const { path, method, operation } of operations) {
    const { operationId } = operation;
    const { path: happyPath = path, body, endless } = happy[operationId] ?? {};
    world.updates = [update(1), update(2, Buffer.from([0xff]))];
    world.deadLetters = [deadLetter("dl-1"), deadLetter("dl-2")];
    if (world.tasks.kept.length === 0) await world.tasks.order(orderOf());
    const { learning } = world;
    learning.kept.length = 0;
    const { task } = await learning.start(irisSpec);
    learning.decide(task, { loss: 0.25, accuracy: 0.96 });
    const isPinned = operationId === "unpinLearningVersion";
    learning.serving.book = { ...versions, ...(isPinned && { pinnedRound: 7 }) };
    const label = await learning.serving.addLabel(task, { fromMs: 1, toMs: 2, class: 1, who: "a" });
    world.readings = [
      {
        stream: "sensors/room/temp",
        topic: "sensors/room/temp",
        text: "21.5",
        bytes: 4,
        contentType: "text/plain",
        sequence: 1,
        observedAtMs: 1_795_305_600_000,
        observedAtTrusted: true,
        count: 1,
      },
    ];
    const { info } = await context.tokens.create({ name: "to revoke", scope: "viewer" });
    const grant = await meshAccess.issue({ subject, roles: ["validator"] }, "test");
    await meshAccess.ban(subject, { reason: "test", by: "test" });
    const target = happyPath
      .replace("LABEL", String(label.id))
      .replace("/v1/tokens/{id}", `/v1/tokens/${info.id}`)
      .replace("/v1/mesh/grants/{id}", `/v1/mesh/grants/${grant.id}`)
      .replace("/v1/mesh/bans/{peerId}", `/v1/mesh/bans/${subject}`);
    const said = body?.replace("SUBJECT", subject).replace('"CARRIED"', carried);
    const send = said === undefined ? {} : { body: said };
    const needed = operation.security[0]?.bearer?.[0];
    if (needed !== undefined) {
      const anonymous = await ask(method, target, { ...send, token: "" });
      t.equal(anonymous.status, 401, `${operationId} needs a token`);
      t.match(anonymous.response.headers.get("www-authenticate"), /^Bearer/);
      t.equal(faultsOf(operation, anonymous.response, anonymous.text), "");
      const scopes: Scope[] = ["viewer", "operator", "admin"];
      for (const scope of scopes.slice(0, scopes.indexOf(needed))) {
        const low = await ask(method, target, { ...send, token: tokens[scope] });
        t.equal(low.status, 403, `${operationId} is not for ${scope}`);
        t.match(low.json.detail, needed);
        t.equal(faultsOf(operation, low.response, low.text), "");
      }
    }
    if (endless === true) continue;
    const good = await ask(method, target, { ...send, token: needed ? tokens[needed] : "" });
    t.ok(good.status < 300, `${operationId} succeeds: ${good.text.slice(0, 300)}`);
    t.equal(faultsOf(operation, good.response, good.text), "", `${operationId} is as documented`);
    if (meshAccess.grants.find(grant.id) !== undefined) await meshAccess.revoke(grant.id, "test");
    t.equal(good.response.headers.get("x-content-type-options"), "nosniff");
    t.match(good.response.headers.get("content-security-policy"), /default-src 'none'/);
  }
});

t.test("what is served and what is documented are the same", async (t) => {
  const { context } = await createTestContext();
  const { app, methods } = await buildApp(context, testOptions);
  await app.close();
  const served = [...methods].flatMap(([url, names]) =>
    [...names]
      .filter((name) => name !== "HEAD")
      .map((name) => `${name} ${url.replace(/:(\w+)/g, "{$1}")}`),
  );
  t.same(served.sort(), operations.map(({ path, method }) => `${method} ${path}`).sort());
});

t.test("bad requests get a problem that names what to mend", async (t) => {
  const { ask, world } = await start(t);
  const json = { "content-type": "application/json" };
  const cases: [string, string, Ask, number, string, RegExp][] = [
    ["GET", "/nope", {}, 404, "route.not-found", /openapi/],
    ["GET", "/v1/queue/messages?limit=0", {}, 400, "request.invalid", /query\.limit/],
    ["GET", "/v1/queue/messages?limit=501", {}, 400, "request.invalid", /query\.limit/],
    ["GET", "/v1/queue/messages?limit=x", {}, 400, "request.invalid", /query\.limit/],
    ["GET", "/v1/queue/messages?limt=1", {}, 400, "request.invalid", /query\.limt.*limit/],
    ["GET", "/v1/queue/messages?cursor=garbage", {}, 400, "request.cursor", /nextCursor/],
    ["GET", "/v1/tokens?cursor=WyJhIl0", {}, 400, "request.cursor", /nextCursor/],
    ["GET", "/v1/events?types=nope", {}, 400, "request.invalid", /query\.types/],
    [
      "GET",
      "/v1/events",
      { headers: { "last-event-id": "x" } },
      400,
      "request.invalid",
      /last-event-id/,
    ],
    ["GET", "/%zz", {}, 400, "request.malformed", /zz/],
    ["PUT", "/v1/queue", {}, 405, "route.method", /GET/],
    ["DELETE", "/v1/queue/pause", {}, 405, "route.method", /POST/],
    // A method that wants a content type, and a body that no route would take.
    ["QUERY", "/v1/queue", {}, 405, "route.method", /GET/],
    [
      "PUT",
      "/v1/queue",
      { body: "{", headers: { "content-type": "text/plain" } },
      405,
      "route.method",
      /GET/,
    ],
    ["POST", "/v1/tokens", { body: "{" }, 400, "request.malformed", /JSON/],
    ["POST", "/v1/tokens", { headers: json }, 400, "request.invalid", /body/],
    [
      "POST",
      "/v1/tokens",
      { body: '{"name":"x","scope":"root"}' },
      400,
      "request.invalid",
      /viewer/,
    ],
    [
      "POST",
      "/v1/tokens",
      { body: '{"name":"x"}' },
      400,
      "request.invalid",
      /body\.scope is missing/,
    ],
    [
      "POST",
      "/v1/tokens",
      { body: '{"name":1,"scope":"admin"}' },
      400,
      "request.invalid",
      /body\.name/,
    ],
    ["POST", "/v1/tokens", { body: '{"__proto__":{"a":1}}' }, 400, "request.malformed", /JSON/],
    [
      "POST",
      "/v1/tokens",
      { body: `"${"x".repeat(70_000)}"` },
      413,
      "request.too-large",
      /api\.bodyBytesMax/,
    ],
    [
      "POST",
      "/v1/tokens",
      { body: "x", headers: { "content-type": "text/plain" } },
      415,
      "request.media-type",
      /json/,
    ],
    ["DELETE", "/v1/tokens/nobody", {}, 404, "token.not-found", /nobody/],
    ["DELETE", "/v1/queue/dead-letters/none", {}, 404, "dead-letter.not-found", /none/],
    [
      "POST",
      "/v1/queue/pause",
      { headers: { "idempotency-key": "ä" } },
      400,
      "idempotency.key",
      /printable/,
    ],
    ["GET", "/v1/queue", { token: "am_x" }, 401, "auth.malformed", /am_/],
    ["GET", "/v1/queue", { token: "x".repeat(4_000) }, 401, "auth.malformed", /am_/],
    [
      "GET",
      "/v1/queue",
      { token: `am_${"0".repeat(12)}_${"A".repeat(43)}` },
      401,
      "auth.unknown",
      /token create/,
    ],
    [
      "GET",
      "/v1/queue",
      { token: "", headers: { authorization: "Basic eDp5" } },
      401,
      "auth.malformed",
      /am_/,
    ],
  ];
  for (const [method, path, init, status, code, detail] of cases) {
    const { response, json, text } = await ask(method, path, init);
    t.equal(response.status, status, `${method} ${path}: ${text}`);
    t.match(response.headers.get("content-type"), "application/problem+json");
    t.match(json, { code, status, detail });
    t.equal((await ask("GET", json.type, { token: "" })).status, 200, "the type is explained");
    t.equal(response.headers.get("x-content-type-options"), "nosniff");
  }
  t.match((await ask("PUT", "/v1/queue")).response.headers.get("allow"), /GET/);

  world.snapshot = undefined;
  const early = await ask("GET", "/v1/resources");
  t.match(early, { status: 503, json: { code: "resources.not-sampled" } });
  t.equal(early.response.headers.get("retry-after"), "1");
  world.ready = false;
  t.match((await ask("GET", "/readyz", { token: "" })).json, {
    code: "agent.not-ready",
    ready: false,
    detail: /mqtt\.broker\.port/,
    checks: [{ ok: true }, { ok: false }],
  });
});

t.test("what rooms throw becomes a problem; what nobody expected is not told", async (t) => {
  const { ask, world, logged } = await start(t);
  world.failNext = new OutboxError("outbox.store-failed", "the disk is full; free some space");
  t.match(await ask("GET", "/v1/queue/messages"), {
    status: 503,
    json: { code: "outbox.store-failed", detail: /free some space/ },
  });
  world.failNext = new Error("secret inner workings");
  const answer = await ask("GET", "/v1/queue/messages");
  t.match(answer, { status: 500, json: { code: "internal.failed" } });
  t.notMatch(answer.text, "secret");
  t.same(logged, ["a request failed"]);
});

t.test("what is no HTTP, or too much of it, is refused with a problem", async (t) => {
  const { url, ask } = await start(t);
  const { port } = new URL(url);
  const raw = (text: string) =>
    new Promise<string>((resolve, reject) => {
      let all = "";
      const socket = connect(Number(port), "127.0.0.1", () => socket.write(text));
      socket.on("data", (data) => (all += data.toString()));
      socket.on("close", () => resolve(all));
      socket.on("error", reject);
    });
  t.match(await raw("garbage\r\n\r\n"), /^HTTP\/1.1 400 [^]*request\.malformed/);
  const huge = `GET / HTTP/1.1\r\nHost: x\r\nX: ${"x".repeat(20_000)}\r\n\r\n`;
  t.match(await raw(huge), /^HTTP\/1.1 431 [^]*request\.headers-too-large/);
  t.equal((await ask("GET", "/healthz")).status, 200, "it still serves");
});

t.test("a survey of the fleet takes its time, and is then the list", async (t) => {
  const { ask } = await start(t);
  const none = await ask("GET", "/v1/fleet/survey");
  t.equal(none.json.code, "fleet.no-survey");
  const begun = await ask("GET", "/v1/fleet/agents?scope=all");
  t.equal(begun.status, 202);
  t.equal(begun.response.headers.get("location"), "/v1/fleet/survey");
  t.match(begun.json, { state: "running", coverage: 0.75 });
  const listed = operations.find(({ operation }) => operation.operationId === "listFleetAgents");
  t.equal(faultsOf(listed!.operation, begun.response, begun.text), "");
  t.equal((await ask("GET", "/v1/fleet/survey")).json.state, "running");
  const done = await ask("GET", "/v1/fleet/agents?scope=all");
  t.equal(done.status, 200);
  t.equal(faultsOf(listed!.operation, done.response, done.text), "");
  t.match(done.json.items, [{ agentId: "agent-9", confidence: 0.9, ageMs: 200 }]);
  t.match(done.json, { survey: { state: "done", asked: 4 }, counts: { estimated: {} } });
  const known = await ask("GET", "/v1/fleet/agents");
  t.equal(known.json.items.length, 3, "unless asked for, others are not asked");
  t.notOk("survey" in known.json);
});

t.test("lists come in pages", async (t) => {
  const { ask, world } = await start(t);
  world.updates = Array.from({ length: 7 }, (_, index) => update(index + 1));
  for (const [path, count] of [
    ["/v1/queue/messages?limit=3", 7],
    ["/v1/resources/history?limit=4", 10],
    ["/v1/tokens?limit=2", 3],
  ] as const) {
    const seen: unknown[] = [];
    let cursor = "";
    do {
      const { json } = await ask("GET", path + (cursor === "" ? "" : `&cursor=${cursor}`));
      seen.push(...json.items);
      cursor = json.nextCursor ?? "";
    } while (cursor !== "");
    t.equal(new Set(seen.map((item) => JSON.stringify(item))).size, count, path);
    t.equal(seen.length, count);
  }
  const { json } = await ask("GET", "/v1/queue/messages?limit=3");
  const other = await ask("GET", `/v1/queue/messages?limit=3&stream=x&cursor=${json.nextCursor}`);
  t.equal(other.status, 400, "a cursor belongs to its filters");
});

t.test("the configuration has an entity tag", async (t) => {
  const { ask, world } = await start(t);
  const first = await ask("GET", "/v1/config");
  const etag = first.response.headers.get("etag") ?? "";
  t.match(etag, /^".+"$/);
  const same = await ask("GET", "/v1/config", { headers: { "if-none-match": etag } });
  t.equal(same.status, 304);
  t.equal(same.text, "");
  world.config = { agent: { id: "agent-2" } };
  const changed = await ask("GET", "/v1/config", { headers: { "if-none-match": etag } });
  t.equal(changed.status, 200);
  t.not(changed.response.headers.get("etag"), etag);
});

t.test("the interface can be found and read about without a token", async (t) => {
  const { ask } = await start(t);
  const open = (path: string) => ask("GET", path, { token: "" });
  const catalogue = await open("/.well-known/api-catalog");
  t.match(catalogue.response.headers.get("content-type"), "application/linkset+json");
  const [link] = catalogue.json.linkset;
  for (const { href } of [...link["service-desc"], ...link["service-doc"], ...link.status]) {
    t.equal((await open(href)).status, 200, href);
  }
  const docs = await open("/docs");
  t.notMatch(docs.text, /<script>[^<]/, "no inline script");
  t.equal((await open("/docs/swagger-ui.css")).status, 200);
  t.equal((await open("/docs/package.json")).status, 404, "only what Swagger UI needs");
});

t.test("the page is served with a strict policy, and nothing beside it", async (t) => {
  const { ask } = await start(t);
  const page = await ask("GET", "/", { token: "" });
  t.match(page.response.headers.get("content-type"), "text/html");
  t.match(page.response.headers.get("content-security-policy"), "default-src 'self'");
  t.match(
    page.response.headers.get("content-security-policy"),
    /; connect-src 'self' ws:\/\/(127\.0\.0\.1|localhost):4002$/,
    "and this agent's node of the mesh",
  );
  const kept = { "if-none-match": page.response.headers.get("etag") ?? "" };
  const unchanged = await ask("GET", "/", { token: "", headers: kept });
  t.equal(unchanged.status, 304);
  t.equal(
    unchanged.response.headers.get("content-security-policy"),
    page.response.headers.get("content-security-policy"),
  );
  const script = await ask("GET", "/assets/page.js", { token: "" });
  t.match(script.response.headers.get("content-type"), "text/javascript");
  const etag = script.response.headers.get("etag") ?? "";
  const again = await ask("GET", "/assets/page.js", {
    token: "",
    headers: { "if-none-match": etag },
  });
  t.equal(again.status, 304);
  for (const path of ["/../package.json", "/%2e%2e/package.json", "/assets", "/index.html/x"]) {
    t.equal((await ask("GET", path, { token: "" })).status, 404, path);
  }
});

t.test("addresses that cannot be had are explained", async (t) => {
  const { url } = await start(t);
  const port = Number(new URL(url).port);
  const second = await createApi((await createTestContext()).context, { ...testOptions, port });
  await t.rejects(second.listen(), { message: new RegExp(`port ${port} is taken.*api\\.port`) });
  await second.close();
  const elsewhere = { ...testOptions, host: "192.0.2.1" };
  const third = await createApi((await createTestContext()).context, elsewhere);
  await t.rejects(third.listen(), { message: /api\.host/ });
  await third.close();
});

t.test("agreement: what is refused, and what pages hold", async (t) => {
  const { ask, context } = await start(t);
  const url = "/v1/consensus/proposals";
  const large = JSON.stringify({ topic: "maintenance", value: "x".repeat(62_000) });
  t.match(await ask("POST", url, { body: large }), {
    status: 400,
    json: { code: "request.invalid" },
  });
  const badTopic = '{"topic":"Not A Topic","value":1}';
  t.equal((await ask("POST", url, { body: badTopic })).status, 400);
  const made = await ask("POST", url, { body: '{"topic":"maintenance","value":1}' });
  t.equal(made.status, 202);
  t.match(made.response.headers.get("location"), /^\/v1\/consensus\/proposals\/[0-9a-f]{32}$/);
  const unknown = await ask("GET", `${url}/${"0".repeat(32)}`);
  t.match(unknown, { status: 404, json: { code: "consensus.not-found" } });
  const decided = await ask("GET", "/v1/consensus/decisions?limit=1");
  t.match(decided.json, { items: [{ state: "accepted", number: 1, certificate: "AQID" }] });
  const cursor = encodeURIComponent(decided.json.nextCursor);
  t.same((await ask("GET", `/v1/consensus/decisions?cursor=${cursor}`)).json.items, []);
  t.match((await ask("GET", "/v1/consensus/decisions?cursor=made-up")).json, {
    code: "request.cursor",
  });
  const forged = await ask("POST", "/v1/consensus/verify", { body: '{"certificate":"AAAA1234"}' });
  t.match(forged.json, { valid: false, fault: "malformed" });

  const errors = [
    [new AgreementError("consensus.unready", "nobody"), 409, "consensus.no-committee"],
    [new AgreementError("consensus.busy", "full"), 503, "consensus.busy"],
    [new AgreementError("consensus.timeout", "late"), 504, "consensus.timeout"],
    [new AgreementError("consensus.refused", "no"), 409, "consensus.refused"],
    [new NetworkError("network.timeout", "silence"), 504, "consensus.timeout"],
  ] as const;
  for (const [error, status, code] of errors) {
    context.consensus.propose = () => Promise.reject(error);
    const answer = await ask("POST", url, { body: '{"topic":"maintenance","value":1}' });
    t.match(answer, { status, json: { code } }, error.message);
  }
});
