// Learning tasks over REST and on the command line, in front of a view whose rounds are decided by hand.
import t, { type Test } from "tap";
import { createApi } from "../../src/api/server.ts";
import { LearningError } from "../../src/federated/tasks/learning-error.ts";
import { noLearning } from "../../src/federated/view.ts";
import { createTestContext, testOptions } from "../support/api-context.ts";
import { irisSpec } from "../support/learning-tasks.ts";
import { runLearn } from "../support/run-learn.ts";

const URL_TASKS = "/v1/learning/tasks";
const FIRST = `1${"a".repeat(31)}`;
const SECOND = `2${"a".repeat(31)}`;

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
    "iris.json": JSON.stringify(irisSpec),
    "iris.yaml": [
      "name: iris",
      "model: { inputShape: [4], layers: [{ kind: dense, units: 3 }], loss: softmax-cross-entropy }",
      "data: { kind: dataset, name: iris }",
      "client: { kind: local, learningRate: 0.1 }",
      "rounds: 3",
    ].join("\n"),
    "rows.json": "[[5.1, 3.5, 1.4, 0.2], [6.2, 2.9, 4.3, 1.3]]",
    "row.json": "[5.1, 3.5, 1.4, 0.2]",
    "rows.csv": '"a","b","c","d"\r\n5.1,3.5,1.4,0.2\r\n\r\n6.2, 2.9, 4.3, 1.3\r\n',
    "bad.csv": "5.1,3.5,1.4,0.2\n5.1,,1.4,0.2\n",
    "bad.json": '[[1, 2, 3, "4"]]',
    "many.json": JSON.stringify(
      Array.from({ length: 2_000 }, (_, at) => [at / 7, at / 11, at / 13, at / 17]),
    ),
    "empty.csv": "\n",
    "list.yaml": "- a\n- b\n",
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
  return { ...made, data, ask, run: (...words: string[]) => runLearn([...words, "--data", data]) };
}

t.test("a task is started with its defaults, listed, seen and controlled", async (t) => {
  const { ask, world } = await start(t);
  const started = await ask("POST", URL_TASKS, irisSpec);
  t.equal(started.status, 201);
  t.equal(started.location, `${URL_TASKS}/${FIRST}`);
  t.match(started.document, {
    task: FIRST,
    spec: { ...irisSpec, seed: 1, pace: { agentsMin: 2, deadlineMs: 60_000 } },
    author: { agentId: "agent-1", self: true },
    state: "running",
    round: 0,
    activity: "training",
    progress: { step: 3, steps: 15 },
  });
  t.match((await ask("GET", "/v1/learning")).document, {
    enabled: true,
    tasks: { running: 1 },
    datasets: ["iris"],
    counters: { evidence: { silent: 1 } },
  });
  t.same((await ask("GET", `${URL_TASKS}/${FIRST}`)).document, started.document);
  for (const [verb, state] of [
    ["pause", "paused"],
    ["resume", "running"],
    ["stop", "stopped"],
  ])
    t.match(await ask("POST", `${URL_TASKS}/${FIRST}/${verb}`), {
      status: 200,
      document: { task: FIRST, state },
    });
  t.match(await ask("POST", `${URL_TASKS}/${FIRST}/resume`), {
    status: 409,
    document: { code: "learning.ended" },
  });
  await ask("POST", URL_TASKS, irisSpec);
  world.learning.giveAway(SECOND);
  t.match(await ask("POST", `${URL_TASKS}/${SECOND}/pause`), {
    status: 409,
    document: { code: "learning.not-the-author", detail: /agent-2/ },
  });
});

t.test("rounds of all tasks come newest first, and metrics tell how far each is", async (t) => {
  const { ask, world, context } = await start(t);
  const first = await world.learning.start({ ...irisSpec, name: "one" });
  const second = await world.learning.start({ ...irisSpec, name: "two" });
  world.learning.decide(first.task, { loss: 0.5, accuracy: 0.75 });
  world.learning.decide(second.task);
  world.learning.decide(first.task, { loss: 0.25, accuracy: 0.875 });
  const said = async (query: string) => {
    const { document } = await ask("GET", `/v1/learning/rounds?${query}`);
    const { items, nextCursor } = document as {
      items: { name: string; round: number }[];
      nextCursor?: string;
    };
    return { rounds: items.map(({ name, round }) => `${name} ${round}`), nextCursor };
  };
  const page = await said("limit=2");
  const rest = await said(`limit=2&cursor=${page.nextCursor}`);
  t.same([...page.rounds, ...rest.rounds], ["one 2", "one 1", "two 1"]);
  t.equal(rest.nextCursor, undefined);

  const { body: text } = await context.metrics.expose();
  t.match(text, /agent_mesh_learning_tasks\{state="running"\} 2\n/);
  t.match(text, /agent_mesh_learning_activity\{activity="training"\} 2\n/);
  t.match(
    text,
    new RegExp(`learning_accuracy\\{name="one",task="${first.task.slice(0, 8)}"\\} 0.875`),
  );
  t.match(text, new RegExp(`learning_round\\{name="two",task="${second.task.slice(0, 8)}"\\} 1\n`));
  t.notMatch(text, /learning_loss\{name="two"/, "what was not judged has no sample");
  t.match(text, /agent_mesh_learning_rounds_total 2\n/);
});

t.test("pages of tasks are moved by nothing that comes meanwhile", async (t) => {
  const { ask, world } = await start(t);
  for (const name of ["one", "two", "three"]) await world.learning.start({ ...irisSpec, name });
  const first = await ask("GET", `${URL_TASKS}?limit=2`);
  const names = ({ document }: typeof first) =>
    document.items.map(({ spec }: { spec: { name: string } }) => spec.name);
  t.same(names(first), ["three", "two"], "newest first");
  await world.learning.start({ ...irisSpec, name: "four" });
  const rest = await ask("GET", `${URL_TASKS}?limit=2&cursor=${first.document.nextCursor}`);
  t.same(names(rest), ["one"]);
  t.notOk(rest.document.nextCursor);
  await world.learning.control(FIRST, "paused");
  t.same(names(await ask("GET", `${URL_TASKS}?state=paused`)), ["one"]);
  t.same(names(await ask("GET", `${URL_TASKS}?name=two`)), ["two"]);
  t.equal((await ask("GET", `${URL_TASKS}?state=flying`)).status, 400);
  t.match(await ask("GET", `${URL_TASKS}?name=two&cursor=${first.document.nextCursor}`), {
    status: 400,
    document: { code: "request.cursor" },
  });
  world.learning.kept.splice(1, 1);
  t.match(await ask("GET", `${URL_TASKS}?limit=2&cursor=${first.document.nextCursor}`), {
    status: 400,
    document: { code: "request.cursor" },
  });
});

t.test(
  "what can not be learned is refused with every wrong key and the nearest known one",
  async (t) => {
    const { ask, world } = await start(t);
    const { name: _, ...nameless } = irisSpec;
    const cases: [object, RegExp][] = [
      [{ ...irisSpec, roundss: 3 }, /roundss is not known; did you mean rounds\?/],
      [nameless, /name is missing/],
      [{ ...irisSpec, rounds: 0 }, /rounds must be >= 1/],
      [{ ...irisSpec, client: { kind: "guess" } }, /client\.kind must be one of local/],
      [{ ...irisSpec, pace: { agentsMin: 5, agentsMax: 4 } }, /agentsMin \(5\) is above/],
      [
        { ...irisSpec, model: { ...irisSpec.model, layers: [{ kind: "dense", units: 0 }] } },
        /units/,
      ],
    ];
    for (const [body, detail] of cases)
      t.match(await ask("POST", URL_TASKS, body), {
        status: 400,
        document: { code: "learning.spec", detail },
      });
    for (const body of [[], "iris", undefined])
      t.match(await ask("POST", URL_TASKS, body), {
        status: 400,
        document: { code: "request.invalid" },
      });
    t.same(world.learning.kept, []);
    const once = { "idempotency-key": "one" };
    await ask("POST", URL_TASKS, irisSpec, once);
    const again = await ask("POST", URL_TASKS, irisSpec, once);
    t.match(again, { status: 201, location: `${URL_TASKS}/${FIRST}` });
    t.equal(world.learning.kept.length, 1, "a repeated request starts nothing");
  },
);

t.test("rounds come in pages, oldest first", async (t) => {
  const { ask, world } = await start(t);
  await world.learning.start(irisSpec);
  const url = `${URL_TASKS}/${FIRST}/rounds`;
  t.same((await ask("GET", url)).document, { items: [] });
  world.learning.decide(FIRST);
  world.learning.decide(FIRST, { loss: 0.25, accuracy: 0.96 });
  world.learning.decide(FIRST, { loss: Number.NaN, accuracy: 0.33 });
  const numbers = (document: { items: { round: number }[] }) =>
    document.items.map(({ round }) => round);
  const first = (await ask("GET", `${url}?limit=2`)).document;
  t.same(numbers(first), [1, 2]);
  t.match(first.items[1], {
    aggregator: { agentId: "agent-2", self: false },
    updates: 2,
    samplesTotal: 600,
    tookMs: 5_000,
    evaluation: { loss: 0.25, accuracy: 0.96 },
  });
  t.notOk("evaluation" in first.items[0], "a model that was not judged has no figures");
  const rest = (await ask("GET", `${url}?limit=2&cursor=${first.nextCursor}`)).document;
  t.same(numbers(rest), [3]);
  t.notOk(rest.nextCursor);
  t.same(rest.items[0].evaluation, { accuracy: 0.33 }, "no number is no null");
  t.same(numbers((await ask("GET", `${url}?after=2`)).document), [3]);
  t.match((await ask("GET", `${URL_TASKS}/${FIRST}`)).document, {
    state: "finished",
    round: 3,
    latest: { round: 3 },
  });
  const elsewhere = `${URL_TASKS}/${FIRST}/rounds?after=1&cursor=${first.nextCursor}`;
  t.match(await ask("GET", elsewhere), { status: 400, document: { code: "request.cursor" } });
});

t.test("the newest model is run", async (t) => {
  const { ask, world } = await start(t);
  await world.learning.start(irisSpec);
  world.learning.decide(FIRST);
  const url = `${URL_TASKS}/${FIRST}/predict`;
  const rows = [
    [5.1, 3.5, 1.4, 0.2],
    [6.2, 2.9, 4.3, 1.3],
  ];
  t.same(await ask("POST", url, { features: rows }), {
    status: 200,
    location: null,
    document: {
      round: 1,
      model: "global",
      outputs: [world.learning.output, world.learning.output],
      classes: [1, 1],
    },
  });
  t.match(await ask("POST", url, { features: rows, model: "own" }), {
    status: 200,
    document: { model: "own" },
  });
  t.match(await ask("POST", url, { features: rows, model: "mine" }), {
    status: 400,
    document: { code: "request.invalid", detail: /body\.model/ },
  });
  for (const features of [[], [[]], [[1, 2, 3, "4"]], [[1, 2, 3, null]], [[1e39, 0, 0, 0]], 1])
    t.match(await ask("POST", url, { features }), {
      status: 400,
      document: { code: "request.invalid", detail: /body\.features/ },
    });
  t.match(await ask("POST", url, { features: [[1, 2]] }), {
    status: 400,
    document: { code: "learning.spec" },
  });
  world.learning.output = [Number.NaN, 1, 2];
  t.match(await ask("POST", url, { features: rows }), {
    status: 409,
    document: { code: "learning.no-model", detail: /round 1 .* not finite/ },
  });
  const { model } = irisSpec;
  await world.learning.start({ ...irisSpec, model: { ...model, loss: "mean-squared-error" } });
  world.learning.output = [21.5];
  const regression = await ask("POST", `${URL_TASKS}/${SECOND}/predict`, { features: rows });
  t.same(
    regression.document,
    { round: 0, model: "global", outputs: [[21.5], [21.5]] },
    "numbers are no classes",
  );
});

t.test("tasks that are not there, and learning that is off", async (t) => {
  const { ask, context } = await start(t);
  const none = "0".repeat(32);
  const features = [[1, 2, 3, 4]];
  for (const [method, path, body] of [
    ["GET", none],
    ["GET", `${none}/rounds`],
    ["POST", `${none}/pause`],
    ["POST", `${none}/predict`, { features }],
  ] as const)
    t.match(await ask(method, `${URL_TASKS}/${path}`, body), {
      status: 404,
      document: { code: "learning.unknown-task" },
    });
  t.match(await ask("GET", `${URL_TASKS}/iris`), {
    status: 400,
    document: { code: "request.invalid" },
  });
  for (const [code, status] of [
    ["learning.full", 409],
    ["learning.busy", 409],
    ["learning.no-data", 409],
    ["learning.no-model", 409],
  ] as const) {
    context.learning.start = () => Promise.reject(new LearningError(code, "it is so"));
    t.match(await ask("POST", URL_TASKS, irisSpec), { status, document: { code } });
  }
  Object.assign(context, { learning: noLearning });
  t.match((await ask("GET", "/v1/learning")).document, { enabled: false });
  t.same((await ask("GET", URL_TASKS)).document, { items: [] });
  for (const path of ["", `/${none}/stop`])
    t.match(await ask("POST", URL_TASKS + path, irisSpec), {
      status: 409,
      document: { code: "learning.off", detail: /learning\.enabled/ },
    });
});

t.test("the command line starts, lists, shows and controls tasks", async (t) => {
  const { run, data, world } = await start(t);
  t.match(await run("tasks"), { out: /no learning tasks/ });
  const yaml = `${data}/iris.yaml`;
  t.equal((await run("start", yaml)).out, `${FIRST}\n`);
  const more =
    "--set rounds=5 --set name=iris-five --set pace.agentsMin=3 --set model.layers.0.units=7";
  const json = await run("start", `${data}/iris.json`, ...more.split(" "), "--json");
  t.match(JSON.parse(json.out), { task: SECOND, spec: { rounds: 5 } });
  t.match(world.learning.kept[1]?.spec, {
    name: "iris-five",
    rounds: 5,
    pace: { agentsMin: 3 },
    model: { layers: [{ kind: "dense", units: 7 }] },
  });
  world.learning.decide(FIRST, { loss: 0.25, accuracy: 0.964 });
  const { out } = await run("tasks");
  t.match(out, /^TASK +NAME +STATE +ROUND +UPDATES +ACCURACY +HERE\n2a+ +iris-five/);
  t.match(out, /1a+ +iris +running +1 of 3 +2 +96\.4 % +training \(step 3 of 15\)/);
  t.equal(JSON.parse((await run("tasks", "--json")).out).items.length, 2);
  t.match(
    (await run("status")).out,
    /tasks +2 running.*\ndatasets +iris\n(.*\n)*evidence +silent 1/,
  );
  t.match(JSON.parse((await run("status", "--json")).out), { enabled: true });
  for (const words of [FIRST, "1a", "iris"]) {
    const shown = (await run("status", words)).out;
    t.match(shown, /task +1a+, iris\nstate +running, round 1 of 3\nauthor +agent-1 \(this agent\)/);
    t.match(shown, /1 +2026-\S+ +2 +300 +96\.4 % +0\.2500 +agent-2/);
  }
  t.match(JSON.parse((await run("status", "1a", "--json")).out), { task: FIRST });
  t.equal((await run("pause", "iris-five")).out, `iris-five (${SECOND}) is paused\n`);
  t.match((await run("resume", "2")).out, /is running/);
  t.match(JSON.parse((await run("stop", SECOND, "--json")).out), { state: "stopped" });
  await t.rejects(run("resume", "iris-five"), { code: "learning.ended" });
});

t.test("tasks are named so that no other is meant", async (t) => {
  const { run, world } = await start(t);
  await t.rejects(run("status", "iris"), { code: "cli.no-such-task", message: /none is known/ });
  for (let at = 0; at < 10; at++) await world.learning.start(irisSpec);
  for (const words of ["1", "iris"])
    await t.rejects(run("pause", words), {
      code: "cli.no-such-task",
      message: /more than one learning task; write more of the id:\n {2}10a+ {2}iris, running/,
    });
  await t.rejects(run("pause", "rose"), { message: /no learning task is "rose"; there are:\n/ });
  await t.rejects(run("pause", ""), { code: "cli.no-such-task" });
  t.match((await run("pause", "10")).out, /^iris \(10a+\) is paused/);
  await t.rejects(run("status", "0".repeat(32)), { code: "learning.unknown-task" });
});

t.test("what is wrong with a task file or a setting is said", async (t) => {
  const { run, data, world } = await start(t);
  const yaml = `${data}/iris.yaml`;
  const rejected = (words: string[], message: RegExp) => t.rejects(run(...words), { message });
  await rejected(
    ["start", `${data}/none.yaml`],
    /none\.yaml can not be read: there is no such file/,
  );
  await rejected(["start", `${data}/list.yaml`], /must hold keys and values/);
  await rejected(["start", yaml, "--set", "rounds"], /--set rounds .*\n +write it as key=value/);
  await rejected(["start", yaml, "--set", "a..b=1"], /write it as key=value/);
  await rejected(["start", yaml, "--set", "__proto__.x=1"], /write it as key=value/);
  await rejected(["start", yaml, "--set", "rounds.x=1"], /rounds has no keys below it/);
  await rejected(
    ["start", yaml, "--set", "model.layers.9=1"],
    /"9" must be the number of an entry/,
  );
  await rejected(["start", yaml, "--set", "rouns=3"], /rouns is not known; did you mean rounds\?/);
  t.same(world.learning.kept, []);
});

t.test("a task is watched until it ends", async (t) => {
  const { run, data, world } = await start(t);
  const watched = run("start", `${data}/iris.yaml`, "--watch");
  await until(() => world.learning.kept.length === 1);
  for (const accuracy of [0.5, 0.75, 0.875]) world.learning.decide(FIRST, { loss: 1, accuracy });
  const { out, exitCode } = await watched;
  t.equal(exitCode, 0);
  t.equal(
    out,
    [
      FIRST,
      ..."50.0 75.0 87.5"
        .split(" ")
        .map(
          (accuracy, at) =>
            `round ${at + 1} of 3, 2 updates, 300 samples, ${accuracy} %, loss 1.0000, by agent-2`,
        ),
      "iris is finished",
      "",
    ].join("\n"),
  );
  const lines = (await run("watch", "iris", "--json")).out.trim().split("\n");
  t.match(
    lines.map((line) => JSON.parse(line)),
    [{ round: 1 }, { round: 2 }, { round: 3 }, { task: FIRST, state: "finished" }],
  );
  await world.learning.start({ ...irisSpec, name: "other", rounds: 1_000 });
  for (let round = 1; round <= 600; round++) world.learning.decide(SECOND, { loss: 1 });
  await world.learning.control(SECOND, "stopped");
  const other = await run("watch", "other");
  t.equal(other.exitCode, 1);
  t.match(other.out, /^round 591 of 1000, .*\n(round .*\n){8}round 600 of .*\nother is stopped\n$/);
  await world.learning.start({ ...irisSpec, name: "third" });
  const third = String(3).padEnd(32, "a");
  const patient = run("watch", "third");
  for (let round = 1; round <= 3; round++) world.learning.decide(third);
  t.match(await patient, { out: /round 3 of 3, 2 updates, 300 samples, by agent-2/, exitCode: 0 });
});

t.test("samples from files are predicted", async (t) => {
  const { run, data, world } = await start(t);
  await world.learning.start(irisSpec);
  const rows = [
    [5.1, 3.5, 1.4, 0.2],
    [6.2, 2.9, 4.3, 1.3],
  ];
  const { out } = await run("predict", "iris", "--input", `${data}/rows.csv`);
  t.match(
    out,
    /^ROW +CLASS +OUTPUTS\n1 +1 +0\.50000 2\.2500 -1\.0000\n2 +1 .*\nby the model of round 0\n$/,
  );
  t.same(world.learning.asked.pop(), rows, "a heading and empty lines are no samples");
  const json = await run("predict", "iris", "--input", `${data}/rows.json`, "--json");
  const { output } = world.learning;
  t.same(JSON.parse(json.out), {
    round: 0,
    model: "global",
    outputs: [output, output],
    classes: [1, 1],
  });
  const own = await run("predict", "iris", "--input", `${data}/rows.json`, "--model", "own");
  t.match(own.out, /by the agent's own model of round 0\n$/);
  t.same(world.learning.asked.pop(), rows);
  await t.rejects(run("predict", "iris", "--input", `${data}/rows.json`, "--model", "mine"), {
    message: /own, global/,
  });
  t.same(world.learning.asked.pop(), rows);
  await run("predict", "iris", "--input", `${data}/row.json`);
  t.same(world.learning.asked.pop(), [rows[0]], "one row need not be in a list");
  const many = await run("predict", "iris", "--input", `${data}/many.json`, "--json");
  t.equal(JSON.parse(many.out).outputs.length, 2_000);
  t.ok(world.learning.asked.length > 1, "more than one request takes");
  t.same(world.learning.asked.flat()[1_999]?.[0], 1_999 / 7, "in their order");
  for (const [file, message] of [
    ["bad.csv", /bad\.csv .*\n +line 2: column 2 is no number/],
    ["bad.json", /row 1 is no list of numbers/],
    ["empty.csv", /it holds no rows/],
    ["none.csv", /no such file/],
    ["row.json/x", /not a directory/],
  ] as const)
    await t.rejects(run("predict", "iris", "--input", `${data}/${file}`), { message });
  await t.rejects(run("predict", "iris"), /--input/);
  const predict = world.learning.predict.bind(world.learning);
  world.learning.predict = async (id, features) => {
    const said = await predict(id, features);
    if (said.round < 2) world.learning.decide(id);
    return said;
  };
  const mixed = await run("predict", "iris", "--input", `${data}/many.json`);
  t.match(mixed.out, /by the models of rounds 0 to [12]: a newer one came on the way\n$/);
});

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo())
    await new Promise((resume) => {
      setTimeout(resume, 5);
    });
}
