import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { createApi } from "../../src/api/server.ts";
import { registerBridge } from "../../src/cli/bridge.ts";
import { registerQueue } from "../../src/cli/queue.ts";
import { registerRoles } from "../../src/cli/roles.ts";
import { registerStatus } from "../../src/cli/status.ts";
import { registerToken } from "../../src/cli/token.ts";
import { createTestContext, deadLetter, testOptions, update } from "../support/api-context.ts";
import { runCommand } from "../support/run-command.ts";

const commands = [registerStatus, registerQueue, registerToken, registerBridge, registerRoles];

/** A served agent, its data directory, and a way to run commands against it. */
async function start(t: Test) {
  const made = await createTestContext();
  const api = await createApi(made.context, testOptions);
  const { url } = await api.listen();
  t.teardown(() => api.close());
  let first = "";
  await made.context.tokens.ensureFirstToken(async (token) => {
    first = token;
  });
  const data = t.testdir({
    "run.json": JSON.stringify({ pid: process.pid, api: { url } }),
    "admin.token": `${first}\n`,
  });
  return {
    ...made,
    api,
    url,
    data,
    run: (...words: string[]) => runCommand(commands, [...words, "--data", data]),
  };
}

t.test("status tells how the agent is, and fails when it is not well", async (t) => {
  const { run, world, url } = await start(t);
  const { out, exitCode } = await run("status");
  t.equal(exitCode, 0);
  for (const expected of [/agent-1/, /ready/, /Raspberry Pi 4/, /on mains/, /cloud +up/, url]) {
    t.match(out, expected);
  }
  world.ready = false;
  const bad = await run("status");
  t.equal(bad.exitCode, 1);
  t.match(bad.out, /not well: broker: .*mqtt\.broker\.port/);
  const json = JSON.parse((await run("status", "--json")).out);
  t.match(json, { ready: false, device: { agentId: "agent-1" }, queue: { updates: 0 } });
});

t.test("queue is shown and steered", async (t) => {
  const { run, world } = await start(t);
  t.match((await run("queue", "list")).out, /nothing waits/);
  world.updates = [update(1), update(2, Buffer.from("\u001b[31mred")), update(3)];
  const list = (await run("queue", "list", "--limit", "2")).out;
  t.match(list, /agent-1\/sensors\/room\/temp\/1 +5 .*21\.5/);
  t.notMatch(list, "\u001b", "payloads cannot steer the terminal");
  const cursor = /--cursor (\S+)/.exec(list)?.[1] ?? "";
  t.match((await run("queue", "list", "--cursor", cursor)).out, /temp\/3/);
  t.match((await run("queue", "status")).out, /3 updates/);
  t.match((await run("queue", "pause")).out, /^paused; 3 updates/);
  t.equal(world.paused, true);
  t.match((await run("queue", "flush")).out, /the queue is paused/);
  t.same(JSON.parse((await run("queue", "resume", "--json")).out).paused, false);
});

t.test("dead letters are listed, requeued and deleted", async (t) => {
  const { run, world } = await start(t);
  world.deadLetters = [deadLetter("dl-1"), deadLetter("dl-2")];
  t.match((await run("queue", "dead-letters", "list")).out, /dl-1 .*payload\.too-large/);
  t.match((await run("queue", "dead-letters", "requeue", "dl-1")).out, /dl-1/);
  t.match((await run("queue", "dead-letters", "delete", "dl-2")).out, /dl-2/);
  t.same(world.deadLetters, []);
  await t.rejects(run("queue", "dead-letters", "delete", "dl-2"), {
    code: "dead-letter.not-found",
  });
});

t.test("tokens are created, used, listed and revoked", async (t) => {
  const { run, data, context } = await start(t);
  const token = (await run("token", "create", "--name", "wall", "--expires", "12h")).out.trim();
  const who = context.tokens.authenticate(token);
  t.match(who, { name: "wall", scope: "viewer" });
  const { id } = who as { id: string };
  const file = join(data, "viewer.token");
  writeFileSync(file, token);
  await t.rejects(run("queue", "pause", "--token-file", file), { code: "auth.scope" });
  t.match((await run("token", "list")).out, new RegExp(`${id} +wall +viewer`));
  await run("token", "revoke", id);
  t.equal(context.tokens.authenticate(token), "token.unknown");
});

t.test("the bridge is shown: where it listens, who is attached, what is wrong", async (t) => {
  const { run } = await start(t);
  const { out } = await run("bridge", "status");
  for (const expected of [
    /listens +grpcs:\/\/127\.0\.0\.1:5001 \(2 connections, 3 calls\)/,
    /gateway +cloud \(.*\): waiting: no route; tries again in 2 s \(2 failures\)/,
    /device +12D3KooWpeer/,
    /4 up, 5 down, 6 over links/,
    /refused +9 times/,
  ])
    t.match(out, expected);
  t.match(JSON.parse((await run("bridge", "status", "--json")).out), {
    counters: { agentsNow: 3 },
  });
});

t.test("roles are shown with what they follow from", async (t) => {
  const { run } = await start(t);
  const { out } = await run("roles");
  for (const expected of [
    /this agent +validator, trainer/,
    /suitability +340, on mains/,
    /coordinator +agent-2/,
    /validators +agent-1, 12D3KooWfar/,
    /term +7, since more suitable than the one before/,
    /in force +for 2 min 5 s, renewed 4 s ago/,
    /agent-1 \* +340 +quorum +validator +validator trainer/,
  ])
    t.match(out, expected);
  t.match(JSON.parse((await run("roles", "--json")).out), { assignment: { term: 7 } });
});

t.test("what goes wrong is said with what to do", async (t) => {
  const { run: here, data, api, url } = await start(t);
  const empty = join(data, "nothing-here");
  await t.rejects(runCommand(commands, ["status", "--data", empty]), { message: /agent-mesh run/ });
  await t.rejects(runCommand(commands, ["status", "--data", empty, "--url", url]), {
    message: /--token-file/,
  });
  await t.rejects(here("status", "--url", "nonsense"), { code: "cli.bad-url" });
  await t.rejects(here("queue", "list", "--limit", "0"), { message: /query\.limit/ });
  for (const words of [
    ["token", "create"],
    ["token", "create", "--name", "x", "--scope", "root"],
    ["token", "create", "--name", "x", "--expires", "soon"],
    ["queue", "dead-letters", "requeue"],
    ["queue", "empty"],
  ]) {
    await t.rejects(
      runCommand(commands, [...words, "--data", data]),
      { code: /^commander\./ },
      words.join(" "),
    );
  }
  await api.close();
  await t.rejects(here("status"), { code: "cli.no-answer", message: /agent-mesh run/ });
});
