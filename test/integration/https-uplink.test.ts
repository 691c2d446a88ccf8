// The HTTPS uplink before a web server that is well, busy, hanging, cutting or choosy.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import t, { type Test } from "tap";
import { type Answer, judge } from "../../src/platform/https/answer.ts";
import { HttpsUplink, type HttpsUplinkOptions } from "../../src/platform/https/https-uplink.ts";
import type { Marks, OutboundUpdate, SendOutcome } from "../../src/platform/uplink-connection.ts";
import { outbound } from "../conformance/uplink-connection.ts";
import { type Batch, BatchReceiver, type Reply } from "../support/batch-receiver.ts";
import { freePort } from "../support/free-port.ts";
import { eventually } from "../support/mosquitto.ts";
import { httpsOptions } from "../support/uplink-settings.ts";

/** A connection with what it told and how each update fared. */
async function dial(
  t: Test,
  url: string,
  over: Partial<HttpsUplinkOptions> = {},
  noted: (n: number) => void = () => undefined,
) {
  const uplink = new HttpsUplink(httpsOptions(url, over));
  t.teardown(() => uplink.disconnect());
  const downs: { reason: string; retryAfterMs: number | undefined }[] = [];
  const outcomes = new Map<number, SendOutcome>();
  let ups = 0;
  const connect = async (): Promise<void> => {
    const before = ups + downs.length;
    uplink.connect({
      up: () => ups++,
      down: (reason, retryAfterMs) => downs.push({ reason, retryAfterMs }),
      command: () => undefined,
    });
    await eventually(() => ups + downs.length > before);
  };
  const send = (first: number, last: number, payload?: string): void => {
    for (let n = first; n <= last; n++)
      uplink.send(
        outbound(n, payload === undefined ? {} : { payload: Buffer.from(payload) }),
        (outcome) => {
          noted(n);
          outcomes.set(n, outcome);
        },
      );
  };
  await connect();
  return { uplink, downs, outcomes, connect, send };
}

const ids = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, n) => outbound(first + n).id);
const sequences = (batch: Batch | undefined) => batch?.lines.map(({ sequence }) => sequence);

t.test("batches are compressed lines under a key of their own, on one connection", async (t) => {
  const receiver = await BatchReceiver.start(t);
  const token = "secret-1";
  const { send, outcomes, uplink } = await dial(t, receiver.url, { token: () => token });
  send(1, 20);
  await eventually(() => outcomes.size === 20);
  send(21, 22);
  await eventually(() => outcomes.size === 22);
  t.same(
    receiver.batches.map(({ lines }) => lines.length),
    [8, 8, 4, 2],
    "full ones at once, the rest after lingering",
  );
  const [batch] = receiver.batches;
  t.match(batch?.headers, {
    "content-type": "application/x-ndjson",
    "content-encoding": "gzip",
    authorization: "Bearer secret-1",
  });
  t.match(batch?.lines[0], {
    id: "agent-1/sensors/a/1",
    stream: "sensors/a",
    sequence: 1,
    observedAt: "2026-11-22T00:00:00.000Z",
    contentType: "text/plain",
    payload: "1",
  });
  const keys = receiver.batches.map(({ headers }) => headers["idempotency-key"]);
  t.equal(new Set(keys).size, 4);
  t.match(keys[0], /^[0-9a-f]{64}$/);
  t.equal(receiver.connections, 1, "kept open");
  t.ok(uplink.wireBytes > 1_000);
});

t.test("a batch that got no answer is repeated as it was, under the same key", async (t) => {
  const receiver = await BatchReceiver.start(t);
  const { send, outcomes, connect, downs } = await dial(t, receiver.url, { timeoutMs: 200 });
  for (const fault of ["drop", "cut", "hang"] as const) {
    receiver.batches.length = 0;
    receiver.accepted.length = 0;
    outcomes.clear();
    downs.length = 0;
    receiver.reply = () => fault;
    send(1, 5);
    await eventually(() => downs.length === 1, fault);
    t.equal(outcomes.size, 0, `${fault}: nothing is known of them`);
    t.match(downs[0], {
      reason: fault === "hang" ? /no answer within 200 ms/ : /hang up|closed|reset/i,
    });
    receiver.reply = () => ({ status: 200 });
    await connect();
    // More is waiting by now: the repeated batch stays as it was.
    send(1, 7);
    await eventually(() => outcomes.size === 7, fault);
    t.same(sequences(receiver.batches.at(-2)), [1, 2, 3, 4, 5]);
    const [first, second] = receiver.batches.map(({ headers }) => headers["idempotency-key"]);
    t.equal(first, second, fault);
  }
});

t.test("Retry-After is heeded, in seconds and as a date, and has a limit", async (t) => {
  const receiver = await BatchReceiver.start(t);
  const table: [Record<string, string>, number | undefined][] = [
    [{ "retry-after": "7" }, 7_000],
    [{ "retry-after": "0" }, 0],
    [{ "retry-after": "86400" }, 60_000],
    [{ "retry-after": "soon" }, undefined],
    [{}, undefined],
  ];
  for (const [headers, expected] of table)
    for (const status of [429, 503]) {
      const { send, downs, outcomes } = await dial(t, receiver.url);
      receiver.reply = () => ({ status, headers, body: { detail: "too busy\nfor you" } });
      send(1, 3);
      await eventually(() => downs.length === 1);
      t.equal(downs[0]?.retryAfterMs, expected);
      t.equal(downs[0]?.reason, `the receiver answered ${status} (too busy for you)`);
      t.equal(outcomes.size, 0);
    }
  const answer = (headers: Record<string, string>): Answer => ({
    status: 503,
    headers,
    body: Buffer.alloc(0),
    truncated: false,
  });
  const options = { slowRetryMs: 1, retryAfterMaxMs: 99_000, tokenSetting: "", nowMs: 0 };
  const date = "Sun, 22 Nov 2026 12:00:00 GMT";
  const later = "Sun, 22 Nov 2026 12:00:42 GMT";
  const of = (headers: Record<string, string>) => judge(answer(headers), options);
  t.match(of({ date, "retry-after": later }), { retryAfterMs: 42_000 }, "by the receiver's clock");
  t.match(of({ date: later, "retry-after": date }), { retryAfterMs: 0 });
  t.match(of({ "retry-after": later }), { retryAfterMs: 99_000 });
});

t.test("what only a human can mend names the setting, and is not asked again soon", async (t) => {
  const receiver = await BatchReceiver.start(t);
  const table: [Reply, RegExp][] = [
    [{ status: 401 }, /answered 401: check uplinks\.web\.tokenFile/],
    [{ status: 403 }, /answered 403: check uplinks\.web\.tokenFile/],
    [{ status: 404 }, /nobody takes batches there, check url/],
    [{ status: 415, body: "no gzip" }, /415 \(no gzip\): .*set compression/],
    [
      { status: 308, headers: { location: "https://else.example/in?key=1" } },
      /redirects are not followed, set url to https:\/\/else\.example\/in$/,
    ],
  ];
  for (const [reply, reason] of table) {
    const { send, downs, connect } = await dial(t, receiver.url);
    receiver.reply = () => reply;
    send(1, 1);
    await eventually(() => downs.length === 1);
    t.match(downs[0], { reason, retryAfterMs: 10_000 });
    await connect();
    t.match(downs[1], { reason, retryAfterMs: 10_000 }, "it is asked before it is trusted again");
    receiver.reply = () => ({ status: 400 });
    await connect();
    t.equal(downs.length, 2, "whatever it thinks of an empty batch");
  }
  const unreadable = await dial(t, receiver.url, {
    token: () => {
      throw new Error("uplinks.web.tokenFile: can not read /x");
    },
  });
  t.match(unreadable.downs, [{ reason: "uplinks.web.tokenFile: can not read /x" }]);
});

t.test("a receiver that is not there is told from one that hangs up", async (t) => {
  for (const scheme of ["http", "https"]) {
    const { downs } = await dial(t, `${scheme}://127.0.0.1:${await freePort()}/v1/updates`);
    t.match(downs, [{ reason: /nobody listens at 127\.0\.0\.1:\d+ \(connection refused\)/ }]);
  }
});

t.test("the one that spoils a batch is found, and the others go through in order", async (t) => {
  for (const status of [400, 413, 422]) {
    const receiver = await BatchReceiver.start(t);
    const { send, outcomes, downs } = await dial(t, receiver.url, { batchUpdatesMax: 16 });
    const poison = new Set([outbound(5).id, outbound(16).id, outbound(20).id]);
    receiver.reply = ({ lines }) =>
      lines.some(({ id }) => poison.has(id)) ? { status, body: { error: "bad" } } : { status: 200 };
    send(1, 40);
    await eventually(() => outcomes.size === 40);
    t.same(downs, []);
    t.same(
      receiver.accepted,
      ids(1, 40).filter((id) => !poison.has(id)),
    );
    const refused = [...outcomes].filter(([, { kind }]) => kind === "refused");
    t.same(
      refused.map(([n]) => n).sort((a, b) => a - b),
      [5, 16, 20],
    );
    t.match(refused[0]?.[1], { permanent: true, reason: `the receiver answered ${status} (bad)` });
    await receiver.close();
  }
});

t.test("a receiver with a small mouth is fed smaller batches from then on", async (t) => {
  const receiver = await BatchReceiver.start(t);
  const { send, outcomes } = await dial(t, receiver.url, {
    batchUpdatesMax: 64,
    inFlightMax: 1_000,
  });
  const bytes = ({ lines }: Batch) => Buffer.byteLength(JSON.stringify(lines));
  receiver.reply = (batch) => ({ status: bytes(batch) > 4_000 ? 413 : 204 });
  send(1, 400, "x".repeat(100));
  await eventually(() => outcomes.size === 400);
  t.ok([...outcomes.values()].every(({ kind }) => kind === "acknowledged"));
  t.same(receiver.accepted, ids(1, 400));
  const refused = receiver.batches.filter((batch) => bytes(batch) > 4_000).length;
  t.ok(refused < 8, `${refused} of ${receiver.batches.length} batches were too large`);
});

t.test(
  "an answer may take some and refuse others; one that can not be read takes nothing",
  async (t) => {
    const receiver = await BatchReceiver.start(t);
    let noted: (n: number) => void = () => undefined;
    const { send, outcomes, downs, connect } = await dial(t, receiver.url, {}, (n) => noted(n));
    receiver.reply = () => ({
      status: 200,
      body: {
        refused: [
          { id: outbound(2).id, reason: "no such sensor", permanent: true },
          { id: outbound(4).id, code: "busy", permanent: false },
          { id: "somebody/else/1", reason: "?" },
          "nonsense",
        ],
      },
    });
    const order: number[] = [];
    noted = (n) => order.push(n);
    send(1, 5);
    await eventually(() => outcomes.size === 5);
    t.same(outcomes.get(2), { kind: "refused", permanent: true, reason: "no such sensor" });
    t.same(outcomes.get(4), { kind: "refused", permanent: false, reason: "busy" });
    t.same(order, [1, 3, 5, 2, 4], "what ends the connection comes last");
    t.same(downs, []);
    outcomes.clear();
    receiver.reply = () => ({
      status: 200,
      headers: { "content-type": "application/json" },
      body: "{",
    });
    send(6, 7);
    await eventually(() => downs.length === 1);
    t.match(downs, [{ reason: /no complete JSON/ }]);
    t.equal(outcomes.size, 0);
    receiver.reply = () => ({ status: 200, body: "thanks" });
    await connect();
    send(6, 7);
    await eventually(() => outcomes.size === 2);
  },
);

t.test("a connection that the receiver closed while it was idle costs nothing", async (t) => {
  const receiver = await BatchReceiver.start(t);
  const { send, outcomes, downs } = await dial(t, receiver.url);
  for (let n = 1; n <= 10; n++) {
    send(n, n);
    await eventually(() => outcomes.size === n);
    receiver.dropIdle();
    if (n % 2 === 0) await delay(5);
  }
  t.same(downs, []);
  t.same(receiver.accepted, ids(1, 10));
});

t.test("marks are asked for, checked, and done without where there are none", async (t) => {
  const receiver = await BatchReceiver.start(t);
  const { uplink } = await dial(t, receiver.url);
  const ask = (): Promise<Marks | undefined> =>
    new Promise((resolve) => uplink.askMarks?.(["sensors/a", "b"], resolve));
  t.equal(await ask(), undefined, "404");
  t.same(receiver.questions[0], { agent: "agent-1", streams: ["sensors/a", "b"] });
  receiver.marks = {
    status: 200,
    body: {
      marks: {
        "sensors/a": {
          through: 7,
          ranges: [
            [9, 10],
            [12, 12],
          ],
        },
      },
    },
  };
  t.same(
    await ask(),
    new Map([
      [
        "sensors/a",
        {
          through: 7,
          ranges: [
            [9, 10],
            [12, 12],
          ],
        },
      ],
    ]),
  );
  t.equal(uplink.takesGuests, true, "a receiver that says nothing of it takes what it is sent");
  receiver.marks = { status: 200, body: { marks: {}, accepts: ["patch"] } };
  await ask();
  t.equal(uplink.takesGuests, false, "one that says what it takes does not take others' updates");
  receiver.marks = { status: 200, body: { marks: {}, accepts: ["patch", "relay"] } };
  await ask();
  t.equal(uplink.takesGuests, true, "unless it says so");
  receiver.marks = { status: 500 };
  t.equal(await ask(), undefined);
  t.equal(new HttpsUplink(httpsOptions(receiver.url, { sync: "off" })).askMarks, undefined);
  for (const body of [{ marks: [] }, { agent: "agent-2", marks: {} }, "marks"]) {
    receiver.marks = { status: 200, body };
    t.equal(await ask(), undefined, JSON.stringify(body));
  }
});

/** A state of about 200 bytes of which `value` changes. */
const stateOf = (value: number): string => JSON.stringify({ about: "x".repeat(200), value });

t.test("states of two agents under one name are no bases of each other", async (t) => {
  const receiver = await BatchReceiver.start(t);
  receiver.marks = { status: 200, body: { marks: {}, accepts: ["patch", "relay"] } };
  const { uplink } = await dial(t, receiver.url);
  await new Promise((resolve) => uplink.askMarks?.(["sensors/a"], resolve));
  let acknowledged = 0;
  const send = async (sequence: number, agentId: string): Promise<void> => {
    const before = acknowledged;
    const id = `${agentId}/sensors/a/${sequence}`;
    const payload = Buffer.from(stateOf(sequence));
    const state = { id, agentId, payload, contentType: "application/json", key: "lamp" };
    uplink.send(outbound(sequence, state), () => acknowledged++);
    await eventually(() => acknowledged > before);
  };
  await send(1, "agent-1");
  await send(2, "guest");
  await send(3, "agent-1");
  const lines = receiver.batches.flatMap((batch) => batch.lines);
  t.same(
    lines.map((line) => ("patch" in line ? line["patch"] : "whole")),
    ["whole", "whole", { base: 1, merge: { value: 3 } }],
  );
});

t.test("states travel as differences once the receiver has said that it takes them", async (t) => {
  const receiver = await BatchReceiver.start(t);
  const { uplink, connect, downs } = await dial(t, receiver.url);
  const outcomes = new Map<number, SendOutcome>();
  const send = (sequence: number, over: Partial<OutboundUpdate> = {}): void => {
    const payload = Buffer.from(stateOf(sequence));
    const state = { payload, contentType: "application/json", key: "lamp", ...over };
    uplink.send(outbound(sequence, state), (outcome) => outcomes.set(sequence, outcome));
  };
  const sent = async (...all: (readonly [sequence: number, over?: Partial<OutboundUpdate>])[]) => {
    const before = receiver.batches.length;
    for (const [sequence, over] of all) send(sequence, over);
    await eventually(() => all.every(([sequence]) => outcomes.has(sequence)));
    return receiver.batches.slice(before).map(({ lines }) =>
      lines.map((line) => {
        const { sequence, patch } = line as { sequence: number; patch?: object };
        return patch === undefined ? sequence : { [sequence]: patch };
      }),
    );
  };
  const ask = (): Promise<Marks | undefined> =>
    new Promise((resolve) => uplink.askMarks?.(["sensors/a"], resolve));
  const patch = (base: number, value: number) => ({ [value]: { base, merge: { value } } });

  t.same(await sent([1]), [[1]]);
  t.same(await sent([2]), [[2]], "nobody has said that differences are welcome");
  receiver.marks = { status: 200, body: { marks: {}, accepts: ["patch"] } };
  await ask();
  t.same(await sent([3]), [[3]], "nothing to build on yet");
  t.match(receiver.batches.at(-1)?.lines[0], { key: "lamp" });
  t.same(await sent([4], [5]), [[patch(3, 4), patch(3, 5)]]);
  t.same(await sent([6, { key: "door" }]), [[6]], "another state");
  t.same(
    await sent([7], [8, { contentType: "text/plain" }], [9]),
    [[7, 8, patch(5, 9)]],
    "what stands before something whole is whole: neither can overtake the other",
  );

  // The receiver has lost what it had: whole, before anything else, on the same connection.
  let missing = true;
  receiver.reply = ({ lines }) => {
    const refused = lines
      .filter((line) => missing && (line as { patch?: object }).patch !== undefined)
      .map(({ id }) => ({ id, code: "sync.base-missing", reason: "no", permanent: false }));
    return { status: 200, body: { refused } };
  };
  const other = { stream: "sensors/b", id: "agent-1/sensors/b/1" };
  t.same(await sent([10], [11], [12, other]), [
    [patch(9, 10), patch(9, 11), 12],
    [10, 11],
  ]);
  t.same(outcomes.get(10), { kind: "acknowledged" });
  t.same(downs, []);
  missing = false;
  t.same(await sent([13]), [[patch(11, 13)]], "and goes on from there");

  // It insists: then it is told like any other refusal.
  receiver.reply = ({ lines: [line] }) => ({
    status: 200,
    body: { refused: [{ id: line?.id, code: "sync.base-missing", permanent: false }] },
  });
  await sent([14]);
  t.match(outcomes.get(14), { kind: "refused", permanent: false });

  receiver.reply = () => ({ status: 200 });
  await uplink.disconnect();
  await connect();
  t.same(await sent([15]), [[15]], "a new connection has nothing to build on");
  await ask();
  t.same(await sent([16]), [[16]]);
  t.same(await sent([17]), [[patch(16, 17)]]);

  const { uplink: plain } = await dial(t, receiver.url, { patches: "off" });
  await new Promise<void>((resolve) => plain.askMarks?.([], () => resolve()));
  for (const sequence of [20, 21])
    await new Promise((resolve) =>
      plain.send(
        outbound(sequence, {
          payload: Buffer.from(stateOf(sequence)),
          contentType: "application/json",
          key: "",
        }),
        resolve,
      ),
    );
  t.notOk(
    receiver.batches.some(({ lines }) =>
      lines.some((line) => line.sequence > 20 && "patch" in line),
    ),
  );
});

t.test("TLS: the receiver is verified, and so are we", async (t) => {
  const directory = t.testdir();
  const file = (name: string): string => join(directory, name);
  const openssl = (...args: string[]): void => {
    const { status, stderr } = spawnSync("openssl", args, { cwd: directory, encoding: "utf8" });
    if (status !== 0) throw new Error(stderr);
  };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl(
    "req",
    "-x509",
    ...key,
    "-keyout",
    "ca.key",
    "-out",
    "ca.pem",
    "-subj",
    "/CN=ca",
    "-days",
    "2",
  );
  for (const name of ["server", "client"]) {
    openssl(
      "req",
      "-x509",
      ...key,
      "-keyout",
      `${name}.key`,
      "-out",
      `${name}.pem`,
      "-subj",
      `/CN=${name}`,
      "-days",
      "2",
      "-CA",
      "ca.pem",
      "-CAkey",
      "ca.key",
      "-addext",
      "subjectAltName=IP:127.0.0.1",
    ); // prettier-ignore
  }
  const seen: string[] = [];
  const server = createTlsServer(
    {
      key: readFileSync(file("server.key")),
      cert: readFileSync(file("server.pem")),
      ca: readFileSync(file("ca.pem")),
      requestCert: true,
      rejectUnauthorized: true,
    },
    (request, response) => {
      seen.push(request.headers.host ?? "");
      request.resume().on("end", () => response.writeHead(200).end());
    },
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const url = `https://127.0.0.1:${port}/in`;
  t.match((await dial(t, url)).downs, [{ reason: /known authority.*set tls\.caFile/ }]);
  t.match((await dial(t, url, { tls: { caFile: file("none.pem") } })).downs, [
    { reason: /tls\.caFile: can not read/ },
  ]);
  const tls = { caFile: file("ca.pem"), certFile: file("client.pem"), keyFile: file("client.key") };
  const { send, outcomes, uplink } = await dial(t, url, { tls });
  send(1, 3);
  await eventually(() => outcomes.size === 3);
  t.same(seen, [`127.0.0.1:${port}`]);
  t.ok(uplink.wireBytes > 1_500, `${uplink.wireBytes} bytes: the handshake is counted too`);
  await uplink.disconnect();
});
