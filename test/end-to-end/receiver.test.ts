// `agent-mesh receive` killed in mid-stream, again and again: every update is there once, and passed on once.
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import mqtt from "mqtt";
import t from "tap";
import { agentMesh, until } from "../support/agent-process.ts";
import { freePort } from "../support/free-port.ts";
import { mosquittoMissing, startMosquitto } from "../support/mosquitto.ts";
import { ReceiverProcess } from "../support/receiver-process.ts";
import { updateLine } from "../support/receiver-service.ts";

t.setTimeout(600_000);

const sequencesIn = (text: string): number[] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => (JSON.parse(line) as { sequence: number }).sequence);

const upTo = (last: number): number[] => Array.from({ length: last }, (_, at) => at + 1);

/** Everything of a stream, page after page. */
async function kept(receiver: ReceiverProcess, stream: string): Promise<number[]> {
  const all: number[] = [];
  for (;;) {
    const path = `/v1/updates?agent=pi-1&stream=${stream}&limit=5000&from=${(all.at(-1) ?? 0) + 1}`;
    const page = sequencesIn(await (await receiver.ask(path)).text());
    if (page.length === 0) return all;
    all.push(...page);
  }
}

t.test("killed while batches come in over HTTP: nothing is lost, nothing twice", async (t) => {
  const directory = t.testdir();
  const data = join(directory, "data");
  const out = join(directory, "out.ndjson");
  const words = ["--listen", `127.0.0.1:${await freePort()}`, "--forward-to", out];
  let receiver = await ReceiverProcess.start(t, data, words);
  const LAST = 20_000;
  const BATCH = 200;
  const progress = { done: false };
  let resent = 0;
  const sending = (async () => {
    for (let first = 1; first <= LAST; first += BATCH) {
      const body = upTo(BATCH)
        .map((n) => updateLine(first + n - 1))
        .join("\n");
      for (;;) {
        const answer = await receiver
          .ask("/v1/updates", { method: "POST", body })
          .then(async (response) =>
            response.ok
              ? ((await response.json()) as { accepted: number; duplicates: number })
              : undefined,
          )
          .catch(() => undefined);
        if (answer !== undefined) {
          if (answer.accepted + answer.duplicates !== BATCH)
            throw new Error(JSON.stringify(answer));
          break;
        }
        resent++;
        await delay(20);
      }
    }
    progress.done = true;
  })();
  let kills = 0;
  while (!progress.done && kills < 6) {
    await delay(100 + 60 * kills);
    await receiver.kill();
    kills++;
    receiver = await ReceiverProcess.start(t, data, words);
  }
  await sending;
  t.ok(kills > 1 && resent > 0, `${kills} kills, ${resent} batches sent again`);
  t.same(await kept(receiver, "s"), upTo(LAST));
  t.match(await receiver.get("/v1/agents/pi-1/marks"), { items: [{ through: LAST, ranges: [] }] });
  await until(
    "everything to be passed on",
    () => sequencesIn(readFileSync(out, "utf8")).length >= LAST,
  );
  t.equal(await receiver.stop(), 0, "an orderly stop");
  t.same(
    sequencesIn(readFileSync(out, "utf8")).sort((a, b) => a - b),
    upTo(LAST),
  );
  t.notOk(existsSync(join(data, "run.json")));
});

t.test("killed while messages come in over MQTT", { skip: mosquittoMissing() }, async (t) => {
  const lines = ["max_queued_messages 0", "max_inflight_messages 100"];
  const mosquitto = await startMosquitto(t, { lines });
  const data = join(t.testdir(), "data");
  const words = ["--listen", "127.0.0.1:0", "--mqtt", mosquitto.url];
  let receiver = await ReceiverProcess.start(t, data, words);
  const connected = async () =>
    (await receiver.get<{ mqtt: { connected: boolean } }>("/v1/status")).mqtt.connected;
  await until("the connection", connected);
  const client = await mqtt.connectAsync(mosquitto.url, { protocolVersion: 5 });
  t.teardown(() => client.endAsync(true));
  const LAST = 6_000;
  const publish = (n: number) =>
    client.publishAsync("agent-mesh/pi-1/s", updateLine(n), { qos: 1 });
  let published = 0;
  const publishing = (async () => {
    for (; published < LAST; published += 100)
      await Promise.all(upTo(100).map((n) => publish(published + n)));
  })();
  for (let kills = 0; kills < 3; kills++) {
    const from = published;
    await until("some more messages", () => published > from + 300 || published >= LAST);
    await receiver.kill();
    receiver = await ReceiverProcess.start(t, data, words);
  }
  await publishing;
  await until("everything to be taken", async () => (await kept(receiver, "s")).length >= LAST);
  t.same(await kept(receiver, "s"), upTo(LAST));
  t.equal(await receiver.stop(), 0);
});

t.test("the library's example is an ingest", async (t) => {
  const example = join(import.meta.dirname, "../../examples/embedded-receiver.js");
  const env = { ...process.env, NODE_OPTIONS: undefined, DATA: t.testdir(), PORT: "0" };
  const child = spawn(process.execPath, [example], { env, stdio: ["ignore", "pipe", "pipe"] });
  t.teardown(() => child.kill("SIGKILL"));
  let said = "";
  let passedOn = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  child.stdout.setEncoding("utf8").on("data", (text: string) => (passedOn += text));
  const ended = new Promise<number | null>((done) => child.once("close", done));
  const url = await until("its address", () => /http:\S+/.exec(said)?.[0]);
  const post = async (lines: readonly string[]) =>
    (await fetch(url, { method: "POST", body: lines.join("\n") })).text();
  t.equal(await post([updateLine(1), updateLine(2)]), '{"accepted":2,"duplicates":0,"refused":[]}');
  t.equal(await post([updateLine(2), updateLine(3)]), '{"accepted":1,"duplicates":1,"refused":[]}');
  t.match(await post(["{"]), /line 1: not JSON/);
  await until("all of them", () => passedOn.split("\n").length > 3);
  t.same(sequencesIn(passedOn), [1, 2, 3]);
  child.kill("SIGTERM");
  t.equal(await ended, 0);
});

t.test("bad usage is said before anything is opened", async (t) => {
  const cases: [string[], number, RegExp][] = [
    [["--listen", "here"], 2, /0\.0\.0\.0:8090/],
    [["--mqtt", "http://x"], 2, /mqtt:\/\/broker:1883/],
    [["--keep-bytes", "much"], 2, /10G/],
    [["--keep-days", "-1"], 2, /whole number/],
    [["--token-file", "/nowhere"], 1, /--token-file.*\/nowhere/],
    [["--tls-key-file", "/nowhere"], 1, /--tls-cert-file/],
    [["--data", "/proc/none"], 1, /data directory/],
  ];
  for (const [words, exitCode, says] of cases) {
    const { code, stderr } = await agentMesh(["receive", "--listen", "127.0.0.1:0", ...words], {
      cwd: t.testdir(),
    });
    t.equal(code, exitCode, words.join(" "));
    t.match(stderr, says);
  }
});
