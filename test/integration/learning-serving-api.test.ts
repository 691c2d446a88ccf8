// Models on a device's own streams over REST and on the command line, in front of a view that stands still.
import t, { type Test } from "tap";
import { createApi } from "../../src/api/server.ts";
import { createTestContext, testOptions } from "../support/api-context.ts";
import { irisSpec } from "../support/learning-tasks.ts";
import { runLearn } from "../support/run-learn.ts";

const NOBODYS = "f".repeat(32);

async function start(t: Test) {
  const { context, world } = await createTestContext();
  const { learning } = world;
  const api = await createApi(context, testOptions);
  const { url } = await api.listen();
  t.teardown(() => api.close());
  let token = "";
  await context.tokens.ensureFirstToken(async (first) => {
    token = first;
  });
  const { task } = await learning.start(irisSpec);
  const data = t.testdir({
    "run.json": JSON.stringify({ pid: process.pid, api: { url } }),
    "admin.token": `${token}\n`,
  });
  const ask = async (method: string, path: string, body?: unknown) => {
    const headers = {
      authorization: `Bearer ${token}`,
      ...(body !== undefined && { "content-type": "application/json" }),
    };
    const content = body === undefined ? {} : { body: JSON.stringify(body) };
    const response = await fetch(url + path, { method, headers, ...content });
    const text = await response.text();
    return { status: response.status, document: text === "" ? undefined : JSON.parse(text) };
  };
  return {
    learning,
    task,
    path: `/v1/learning/tasks/${task}`,
    ask,
    run: async (...words: string[]) => (await runLearn([...words, "--data", data])).out,
  };
}

t.test("how a device's streams are judged is told", async (t) => {
  const { ask, path, task, run } = await start(t);
  const { status, document } = await ask("GET", `${path}/serving`);
  t.equal(status, 200);
  t.match(document, { task, round: 7, threshold: 0.5, alert: { raised: true } });
  t.match(document.newest, { score: 0.75, isAnomalous: true });
  t.match(await ask("GET", `/v1/learning/tasks/${NOBODYS}/serving`), {
    status: 409,
    document: { code: "learning.no-streams" },
  });
  const text = await run("serving", "iris");
  t.match(text, /model +of round 7\n/);
  t.match(text, /alert +raised since 2026-11-22T00:00:30Z/);
  t.match(text, /scale of temperature +mean 21\.5, deviation 2\.25/);
  t.match(text, /readings +200 heard, 198 recorded, 1 unparsable, 1 implausible\n/);
  t.same(JSON.parse(await run("serving", "iris", "--json")), document);
});

t.test("alerts come newest first, a page at a time", async (t) => {
  const { learning, ask, task, run } = await start(t);
  t.match(await run("alerts"), /no alerts/);
  learning.serving.alert(3, task);
  const first = await ask("GET", "/v1/learning/alerts?limit=4");
  t.equal(first.document.items.length, 4);
  t.match(first.document.items[0], { task, name: "iris", state: "cleared" });
  const second = await ask(
    "GET",
    `/v1/learning/alerts?limit=4&cursor=${first.document.nextCursor}`,
  );
  t.equal(second.document.items.length, 2);
  t.equal(second.document.nextCursor, undefined);
  t.match(await ask("GET", `/v1/learning/alerts?task=${NOBODYS}`), { document: { items: [] } });
  const text = await run("alerts");
  t.equal(text.trim().split("\n").length, 7);
  t.match(text, /iris +raised +0\.75 +0\.5/);
});

t.test("models are promoted, rolled back, pinned and unpinned by hand", async (t) => {
  const { ask, path, run } = await start(t);
  t.match(await ask("GET", `${path}/versions`), {
    status: 200,
    document: { items: [{ state: "canary" }, { state: "serving" }, { state: "retired" }] },
  });
  t.match(await run("versions", "iris"), /9 +canary/);
  t.match(await ask("POST", `${path}/versions/9/promote`), {
    status: 200,
    document: { items: [{ round: 9, state: "serving" }, { round: 7, state: "retired" }, {}] },
  });
  t.match(await ask("POST", `${path}/versions/9/promote`), {
    status: 409,
    document: { code: "learning.version", detail: /serves already/ },
  });
  t.match(await run("rollback", "iris"), /7 +serving/);
  t.match(await run("pin", "iris", "4"), /4 +serving, pinned/);
  t.match(await ask("POST", `${path}/versions/rollback`), {
    status: 409,
    document: { detail: /round 4 is pinned/ },
  });
  t.match(JSON.parse(await run("unpin", "iris", "--json")), { pinnedRound: undefined });
  await t.rejects(run("promote", "iris", "3"), { code: "learning.version" });
  await t.rejects(run("promote", "iris", "three"), { code: "commander.invalidArgument" });
});

t.test("labels by hand carry the name of who said so", async (t) => {
  const { ask, path, run } = await start(t);
  const label = { fromMs: 1_000, toMs: 61_000, class: 1, note: "bearing" };
  const { status, document } = await ask("POST", `${path}/labels`, label);
  t.equal(status, 201);
  t.match(document, { id: 1, ...label, who: /./ });
  t.match(await ask("POST", `${path}/labels`, { ...label, toMs: 10 }), {
    status: 400,
    document: { code: "learning.label", detail: /toMs/ },
  });
  const from = "2026-03-01T08:00:00Z";
  t.equal(
    await run("label", "iris", "--from", from, "--to", "2026-03-01T09:00:00Z", "--note", "worn"),
    "label 2\n",
  );
  const page = await ask("GET", `${path}/labels?limit=1`);
  t.equal(page.document.items.length, 1);
  t.match(await ask("GET", `${path}/labels?cursor=${page.document.nextCursor}`), {
    document: { items: [{ id: 2, note: "worn" }] },
  });
  t.match(await run("labels", "iris"), /2 +2026-03-01T08:00:00Z +2026-03-01T09:00:00Z +1 .*worn/);
  t.match(await run("unlabel", "iris", "1"), /label 1 counts no more/);
  t.match(await ask("DELETE", `${path}/labels/1`), {
    status: 404,
    document: { code: "learning.unknown-label" },
  });
  await t.rejects(run("label", "iris", "--from", "noon", "--to", from), {
    code: "commander.invalidArgument",
  });
});
