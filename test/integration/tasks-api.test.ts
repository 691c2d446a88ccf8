// Tasks over REST and on the command line, in front of a view that never does them.
import t, { type Test } from "tap";
import { createApi } from "../../src/api/server.ts";
import { registerTask } from "../../src/cli/task.ts";
import { registerTrail } from "../../src/cli/trail.ts";
import { noTrails } from "../../src/coordination/swarm/view.ts";
import { noTasks } from "../../src/coordination/tasks/view.ts";
import { createTestContext, testOptions } from "../support/api-context.ts";
import { runCommand } from "../support/run-command.ts";

async function start(t: Test) {
  const made = await createTestContext();
  const api = await createApi(made.context, testOptions);
  const { url } = await api.listen();
  t.teardown(() => api.close());
  let token = "";
  await made.context.tokens.ensureFirstToken(async (first) => {
    token = first;
  });
  const data = t.testdir({
    "run.json": JSON.stringify({ pid: process.pid, api: { url } }),
    "admin.token": `${token}\n`,
  });
  const ask = async (method: string, path: string, body?: unknown, headers = {}) => {
    const response = await fetch(url + path, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && { "content-type": "application/json" }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      location: response.headers.get("location"),
      document: text === "" ? undefined : JSON.parse(text),
    };
  };
  return {
    ...made,
    ask,
    run: (...words: string[]) =>
      runCommand([registerTask, registerTrail], [...words, "--data", data]),
  };
}

t.test("a task is ordered, listed, seen and cancelled", async (t) => {
  const { ask, world } = await start(t);
  const input = { room: 7 };
  const taken = await ask("POST", "/v1/tasks", { kind: "measure", input, minAgents: 2 });
  t.equal(taken.status, 202);
  t.equal(taken.location, "/v1/tasks/task-1");
  t.match(world.tasks.kept[0]?.spec, {
    kind: "measure",
    input: '{"room":7}',
    needs: [],
    agentsMin: 2,
    agentsMax: 2,
    deadlineMs: 300_000,
    timeoutMs: 300_000,
    priority: 5,
    retriesMax: 3,
    method: "contract-net",
  });
  await ask("POST", "/v1/tasks", { kind: "describe" });
  t.equal(world.tasks.kept[1]?.spec.input, "null");
  await ask("POST", "/v1/tasks", { kind: "measure", method: "distribution" });

  const first = await ask("GET", "/v1/tasks?limit=2");
  t.same(
    first.document.items.map(({ id }: { id: string }) => id),
    ["task-3", "task-2"],
    "newest first",
  );
  await ask("POST", "/v1/tasks", { kind: "late" });
  const rest = await ask("GET", `/v1/tasks?limit=2&cursor=${first.document.nextCursor}`);
  t.match(rest.document, { items: [{ id: "task-1", agents: ["agent-2"] }] });
  t.notOk(rest.document.nextCursor, "what came meanwhile moves no page");
  const filtered = await ask("GET", "/v1/tasks?kind=measure&state=working");
  t.equal(filtered.document.items.length, 2);
  t.equal((await ask("GET", "/v1/tasks?state=flying")).status, 400);

  t.match((await ask("GET", "/v1/tasks/task-1")).document, {
    state: "working",
    input,
    bids: [{ peerId: "12D3KooWpeer", agentId: "agent-2", cost: 1.5 }],
    contractors: [{ agentId: "agent-2", percent: 40 }],
    history: [{ what: "ordered" }, { what: "bid", agentId: "agent-2" }, { reason: "busy" }, {}],
  });
  const cancelled = await ask("POST", "/v1/tasks/task-1/cancel");
  t.match(cancelled, { status: 200, document: { state: "cancelled", fault: "cancelled" } });
  t.match(await ask("GET", "/v1/tasks/none"), {
    status: 404,
    document: { code: "tasks.not-found" },
  });
});

t.test("what can not be is refused with a reason", async (t) => {
  const { ask, world } = await start(t);
  t.match(await ask("POST", "/v1/tasks", { kind: "unheard-of" }), {
    status: 409,
    document: { code: "tasks.unmet", detail: "nobody in the fleet has: kind unheard-of" },
  });
  for (const bad of [
    {},
    { kind: "No Kind" },
    { kind: "measure", priority: 10 },
    { kind: "measure", minAgents: 0 },
    { kind: "measure", deadlineMs: 86_400_001 },
    { kind: "measure", method: "guess" },
    { kind: "measure", unknown: 1 },
    { kind: "measure", needs: Array.from({ length: 13 }, (_, at) => `skill-${at}`) },
  ])
    t.match(await ask("POST", "/v1/tasks", bad), {
      status: 400,
      document: { code: "request.invalid" },
    });
  t.same(world.tasks.kept, []);
  const once = { "idempotency-key": "one" };
  await ask("POST", "/v1/tasks", { kind: "measure" }, once);
  const again = await ask("POST", "/v1/tasks", { kind: "measure" }, once);
  t.match(again, { status: 202, location: "/v1/tasks/task-1" });
  t.equal(world.tasks.kept.length, 1, "a repeated request orders nothing");
});

t.test("programs find work and answer", async (t) => {
  const { ask, world } = await start(t);
  t.match((await ask("GET", "/v1/tasks/offers")).document, {
    items: [{ id: "theirs", kind: "measure", input: { room: 7 }, from: "12D3KooWpeer" }],
  });
  for (const answer of [{ progress: 30 }, { output: { celsius: 21 } }, { failure: "no film" }])
    t.equal((await ask("POST", "/v1/tasks/theirs/result", answer)).status, 204);
  t.same(
    world.tasks.answers.map(({ answer }) => answer),
    [
      { kind: "progress", percent: 30 },
      { kind: "done", output: '{"celsius":21}' },
      { kind: "failed", reason: "no film" },
    ],
  );
  t.equal((await ask("POST", "/v1/tasks/theirs/result", { progress: 101 })).status, 400);
  t.equal((await ask("POST", "/v1/tasks/theirs/result", {})).status, 400);
  t.match(await ask("POST", "/v1/tasks/gone/result", { output: 1 }), {
    status: 404,
    document: { code: "tasks.no-offer" },
  });
});

t.test("the command line orders, lists, shows, watches and cancels", async (t) => {
  const { run, world } = await start(t);
  t.match(await run("task", "list"), { out: /no tasks/ });
  const id = (
    await run(
      ..."task submit measure --need camera --need mains --min-agents 1 --max-agents 2".split(" "),
      ..."--deadline 10m --priority 7 --retries 1 --memory 1024 --timeout 90s --input".split(" "),
      '{"room":7}',
    )
  ).out.trim();
  t.equal(id, "task-1");
  t.match(world.tasks.kept[0]?.spec, {
    input: '{"room":7}',
    needs: ["camera", "mains"],
    agentsMin: 1,
    agentsMax: 2,
    deadlineMs: 600_000,
    timeoutMs: 90_000,
    priority: 7,
    retriesMax: 1,
    memoryBytes: 1_024,
  });
  t.match((await run("task", "list")).out, /task-1 +measure +working +\S+ +agent-2/);
  const { out } = await run("task", "show", id);
  for (const expected of [/task +task-1, measure/, /agent-2 +1\.50 +2000 ms +working/, /\(busy\)/])
    t.match(out, expected);
  t.match(JSON.parse((await run("task", "show", id, "--json")).out), { state: "working" });
  world.tasks.finish(id, '{"celsius":21}');
  const watched = await run("task", "watch", id);
  t.match(watched, { exitCode: 0, out: /awarded agent-2\nagent-2: \{"celsius":21\}/ });
  await run("task", "submit", "measure");
  t.match((await run("task", "cancel", "task-2")).out, /task-2 is cancelled/);
  t.equal((await run("task", "watch", "task-2")).exitCode, 1);
  t.equal((await run("task", "watch", "task-2", "--json")).exitCode, 1);
  await t.rejects(run("task", "submit", "unheard-of"), { code: "tasks.unmet" });
  await t.rejects(run("task", "submit", "measure", "--input", "no json"), /no JSON/);
  await t.rejects(run("task", "submit", "measure", "--priority", "high"), /whole number/);
});

t.test("trails are strengthened, listed and chosen from", async (t) => {
  const { ask, run } = await start(t);
  t.match((await ask("GET", "/v1/trails")).document, { items: [], tickMs: 10_000, decay: 0.1 });
  const path = "/v1/trails/ways%2Fnorth/deposits";
  t.match(await ask("POST", path, { amount: 5 }), {
    status: 200,
    document: { trail: "ways/north", level: 5 },
  });
  t.match((await ask("POST", path, {})).document, { level: 6 }, "1 unless said");
  t.match((await run("trail", "deposit", "ways/south", "2.5")).out, /ways\/south is at 2\.500/);
  await ask("POST", "/v1/trails/other/deposits", {});
  const { document } = await ask("GET", "/v1/trails?prefix=ways&limit=1");
  t.same(document.items, [{ trail: "ways/north", level: 6 }]);
  const rest = await ask("GET", `/v1/trails?prefix=ways&limit=1&cursor=${document.nextCursor}`);
  t.same(rest.document.items, [{ trail: "ways/south", level: 2.5 }]);
  t.match(await ask("GET", `/v1/trails?cursor=${document.nextCursor}`), { status: 400 });
  t.match((await run("trail", "list")).out, /ways\/north +6\.000\nways\/south +2\.500\nother/);
  const chosen = await ask("POST", "/v1/trails/choose", {
    options: [{ trail: "nothing", heuristic: 1e-6 }, { trail: "ways/north" }],
  });
  t.match(chosen.document, { index: 1, trail: "ways/north", explored: false, levels: [0, 6] });
  t.match((await run("trail", "choose", "ways/north")).out, /^ways\/north\n$/);
  for (const [url, body] of [
    [path, { amount: 0 }],
    [path, { amount: 101 }],
    ["/v1/trails/no%20name/deposits", {}],
    ["/v1/trails/choose", { options: [] }],
    ["/v1/trails/choose", { options: [{ trail: "x", heuristic: 0 }] }],
  ] as const)
    t.match(await ask("POST", url, body), { status: 400, document: { code: "request.invalid" } });
  await t.rejects(run("trail", "deposit", "x", "0"), /above 0/);
});

t.test("without a mesh there are no tasks and no trails", async (t) => {
  const { ask, context } = await start(t);
  Object.assign(context, { tasks: noTasks, trails: noTrails });
  t.match(await ask("POST", "/v1/tasks", { kind: "measure" }), {
    status: 409,
    document: { code: "tasks.off" },
  });
  t.match((await ask("GET", "/v1/tasks")).document, { items: [] });
  t.match(await ask("POST", "/v1/trails/x/deposits", {}), {
    status: 409,
    document: { code: "trails.off" },
  });
  t.match(await ask("POST", "/v1/trails/choose", { options: [{ trail: "x" }] }), {
    document: { code: "trails.off" },
  });
});
