// The NATS uplink and a real nats-server.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { DiscardPolicy, RetentionPolicy, StorageType } from "@nats-io/jetstream";
import t, { type Test } from "tap";
import { NatsUplink, type NatsUplinkOptions } from "../../src/platform/nats/nats-uplink.ts";
import type { Marks, SendOutcome } from "../../src/platform/uplink-connection.ts";
import { outbound } from "../conformance/uplink-connection.ts";
import { freePort } from "../support/free-port.ts";
import { eventually } from "../support/mosquitto.ts";
import { NatsServer, natsMissing } from "../support/nats-server.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { natsOptions } from "../support/uplink-settings.ts";

const missing = natsMissing();

/** A connection with what it told and how each update fared. */
async function dial(t: Test, url: string, over: Partial<NatsUplinkOptions> = {}) {
  const uplink = new NatsUplink(natsOptions(url, over));
  t.teardown(() => uplink.disconnect());
  const downs: { reason: string; retryAfterMs: number | undefined }[] = [];
  const outcomes = new Map<number, SendOutcome>();
  const commands: string[] = [];
  let ups = 0;
  const connect = async (): Promise<void> => {
    const before = ups + downs.length;
    uplink.connect({
      up: () => ups++,
      down: (reason, retryAfterMs) => downs.push({ reason, retryAfterMs }),
      command: (topic, payload) => commands.push(`${topic} ${Buffer.from(payload).toString()}`),
    });
    await eventually(() => ups + downs.length > before);
  };
  const send = (first: number, last: number, payload?: string): void => {
    for (let n = first; n <= last; n++)
      uplink.send(
        outbound(n, payload === undefined ? {} : { payload: Buffer.from(payload) }),
        (outcome) => outcomes.set(n, outcome),
      );
  };
  const marks = (): Promise<Marks | undefined> =>
    new Promise((resolve) => uplink.askMarks?.(["sensors/a", "sensors/none"], resolve));
  await connect();
  return { uplink, downs, outcomes, commands, connect, send, marks };
}

const storedSequences = async (server: NatsServer) =>
  (await server.stored("UPDATES")).map(({ header }) => Number(header.get("sequence")));
const upTo = (count: number) => Array.from({ length: count }, (_, n) => n + 1);

t.test("a real nats-server", { skip: missing }, async (t) => {
  t.test("updates carry what a receiver needs, and commands come back", async (t) => {
    const server = await NatsServer.start(t);
    const { send, outcomes, uplink, commands } = await dial(t, server.url);
    send(1, 1);
    const odd = outbound(1, {
      id: "agent-1/v1.0/50% of */1",
      stream: "v1.0/50% of *",
      payload: Buffer.from([0, 255]),
    });
    let settled = false;
    uplink.send(odd, () => {
      settled = true;
    });
    await eventually(() => outcomes.size === 1 && settled);
    const [first, second] = await server.stored("UPDATES");
    t.equal(first?.subject, "fleet.agent-1.sensors.a");
    const header = (name: string) => first?.header.get(name);
    t.equal(header("Nats-Msg-Id"), "agent-1/sensors/a/1");
    t.equal(header("stream"), "sensors/a");
    t.equal(header("observed-at"), "2026-11-22T00:00:00.000Z");
    t.equal(header("content-type"), "text/plain");
    t.equal(first?.string(), "1");
    t.equal(second?.subject, "fleet.agent-1.v1%2E0.50%25%20of%20%2A");
    t.same([...(second?.data ?? [])], [0, 255]);
    await server.ask(async (manager) => {
      await manager.jetstream().publish("fleet.agent-1.$command.valve.1", "open");
    });
    await eventually(() => commands.length === 1);
    t.same(commands, ["valve/1 open"]);
    const { config } = await server.ask((manager) => manager.streams.info("UPDATES"));
    t.match(config, { subjects: ["fleet.>"], storage: StorageType.File, duplicate_window: 120e9 });
  });

  t.test("updates of a neighbour go under its own name, strictly ordered or not", async (t) => {
    for (const ordering of ["window", "strict"] as const) {
      const server = await NatsServer.start(t);
      const { send, uplink, outcomes } = await dial(t, server.url, { ordering });
      const id = "guest/sensors/a/1";
      let settled = 0;
      send(1, 2);
      uplink.send(outbound(1, { id, agentId: "guest" }), () => settled++);
      await eventually(() => outcomes.size === 2 && settled === 1);
      const stored = await server.stored("UPDATES");
      t.same(
        stored.map(({ subject, header }) => `${subject} ${header.get("Nats-Msg-Id")}`).toSorted(),
        [
          "fleet.agent-1.sensors.a agent-1/sensors/a/1",
          "fleet.agent-1.sensors.a agent-1/sensors/a/2",
          `fleet.guest.sensors.a ${id}`,
        ],
      );
      await uplink.disconnect();
      await server.stop();
    }
  });

  t.test("a lost acknowledgement: the server drops the repeat, and its marks tell", async (t) => {
    const server = await NatsServer.start(t);
    const proxy = await TcpProxy.start(t, server.port);
    const { send, outcomes, downs, connect, marks } = await dial(t, proxy.url("nats"));
    send(1, 10);
    await eventually(() => outcomes.size === 10);
    proxy.muteServer();
    send(11, 30);
    await eventually(async () => (await storedSequences(server)).length === 30);
    t.equal(outcomes.size, 10, "nothing is known of the others");
    proxy.cut();
    await eventually(() => downs.length === 1);
    proxy.heal();
    await connect();
    const { observedAtMs: lastObservedAtMs } = outbound(30);
    t.same(
      await marks(),
      new Map([["sensors/a", { through: 0, ranges: [[11, 30]], lastObservedAtMs }]]),
    );
    send(11, 32);
    await eventually(() => outcomes.size === 32);
    t.same(await storedSequences(server), upTo(32), "each once, in order");
    t.ok([...outcomes.values()].every(({ kind }) => kind === "acknowledged"));

    const fresh = await dial(t, server.url);
    t.same(
      await fresh.marks(),
      new Map([["sensors/a", { through: 0, ranges: [[31, 32]], lastObservedAtMs }]]),
      "a restarted agent learns of what may have gone unacknowledged before",
    );
  });

  t.test("killed and started again in mid-stream: each once, in order", async (t) => {
    const server = await NatsServer.start(t);
    const { send, outcomes, downs, connect } = await dial(t, server.url, { inFlightMax: 500 });
    let kills = 0;
    while (outcomes.size < 3_000) {
      const next = outcomes.size + 1;
      downs.length = 0;
      send(next, Math.min(3_000, next + 499));
      if (kills < 3 && outcomes.size >= kills * 700) {
        await eventually(() => outcomes.size > next + 20);
        await server.kill();
        kills++;
        await eventually(() => downs.length > 0);
        await server.start();
        await connect();
      } else await eventually(() => outcomes.size === Math.min(3_000, next + 499));
    }
    t.equal(kills, 3);
    const sequences = await storedSequences(server);
    t.same(sequences, upTo(3_000), "what the library's server stored");
  });

  t.test("what is wrong with the stream is said, with what to do", async (t) => {
    const server = await NatsServer.start(t);
    const none = await dial(t, server.url, { createStream: false });
    t.match(none.downs, [
      {
        reason:
          /stream UPDATES: no JetStream stream takes fleet\.>: create stream UPDATES .* createStream: true/,
      },
    ]);
    await server.ask((manager) => manager.streams.add({ name: "UPDATES", subjects: ["else.>"] }));
    const elsewhere = await dial(t, server.url);
    elsewhere.send(1, 2);
    await eventually(() => elsewhere.downs.length === 1);
    t.match(elsewhere.downs, [
      { reason: /no JetStream stream takes fleet\.>/, retryAfterMs: 10_000 },
    ]);
    t.equal(elsewhere.outcomes.size, 0);
    await server.stop();
    const gone = await dial(t, server.url);
    t.match(gone.downs, [{ reason: /nobody listens at 127\.0\.0\.1:\d+ \(connection refused\)/ }]);

    const plain = await NatsServer.start(t, []);
    const off = await dial(t, plain.url);
    t.match(off.downs, [{ reason: /JetStream is not enabled on the server/ }]);
  });

  t.test("a full stream makes us wait; what is too large for it is refused for good", async (t) => {
    const server = await NatsServer.start(t);
    await server.ask((manager) =>
      manager.streams.add({
        name: "UPDATES",
        subjects: ["fleet.>"],
        max_msg_size: 2_000,
        max_msgs: 5,
        discard: DiscardPolicy.New,
        retention: RetentionPolicy.Limits,
      }),
    );
    const { send, outcomes, downs } = await dial(t, server.url);
    send(1, 1, "x".repeat(3_000));
    await eventually(() => outcomes.size === 1);
    t.match(outcomes.get(1), { kind: "refused", permanent: true, reason: /message size/ });
    send(2, 2, "x".repeat(2_000_000));
    await eventually(() => outcomes.size === 2);
    t.match(outcomes.get(2), { permanent: true, reason: /over the server's max_payload/ });
    send(3, 9);
    await eventually(() => outcomes.size === 9);
    t.match(outcomes.get(8), { kind: "refused", permanent: false, reason: /maximum messages/ });
    t.same(downs, []);
  });

  t.test("strict ordering: nothing of a stream is on the way behind one that fails", async (t) => {
    const server = await NatsServer.start(t);
    const { send, outcomes } = await dial(t, server.url, { ordering: "strict" });
    send(1, 200);
    await eventually(() => outcomes.size === 200);
    t.same(await storedSequences(server), upTo(200));
  });

  t.test("users, tokens and TLS", async (t) => {
    const user = await NatsServer.start(t, [
      "authorization { user: pi, password: secret }",
      "jetstream {}",
    ]);
    const wrong = await dial(t, user.url, {
      credentials: () => ({ username: "pi", password: "x" }),
    });
    t.match(wrong.downs, [{ reason: /the server refused us .*: check username and password/ }]);
    t.notMatch(wrong.downs[0]?.reason, /secret/);
    const credentials = () => ({ username: "pi", password: "secret" });
    const right = await dial(t, user.url, { credentials });
    right.send(1, 1);
    await eventually(() => right.outcomes.size === 1);
    const token = await NatsServer.start(t, ["authorization { token: t0ken }", "jetstream {}"]);
    t.match((await dial(t, token.url)).downs, [{ reason: /refused us/ }]);
    t.same((await dial(t, token.url, { credentials: () => ({ token: "t0ken" }) })).downs, []);

    const directory = t.testdir();
    const [key, pem] = [join(directory, "key.pem"), join(directory, "cert.pem")];
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    const names = ["-subj", "/CN=nats", "-addext", "subjectAltName=IP:127.0.0.1,DNS:nats.example"];
    const files = ["-keyout", key, "-out", pem, "-days", "2"];
    const { status } = spawnSync("openssl", ["req", "-x509", ...curve, ...files, ...names]);
    t.equal(status, 0);
    const tls = `tls { cert_file: "${pem}", key_file: "${key}" }`;
    const secure = await NatsServer.start(t, [tls, "jetstream {}"]);
    const url = secure.url.replace("nats:", "tls:");
    t.match((await dial(t, url)).downs, [
      { reason: /not signed by a known authority.*tls\.caFile/ },
    ]);
    t.same((await dial(t, url, { tls: { caFile: pem } })).downs, []);
    t.same((await dial(t, url, { tls: { caFile: pem, serverName: "nats.example" } })).downs, []);
    const other = { caFile: pem, serverName: "other.example" };
    t.match((await dial(t, url, { tls: other })).downs, [{ reason: /altnames|does not match/i }]);
    const clear = await NatsServer.start(t);
    t.match((await dial(t, clear.url.replace("nats:", "tls:"))).downs, [{ reason: /tls/i }]);
  });

  t.test("a server that answers nothing is given up in time", async (t) => {
    const { createServer } = await import("node:net");
    const mute = createServer(() => undefined);
    const port = await freePort();
    await new Promise<void>((resolve) => mute.listen(port, "127.0.0.1", resolve));
    t.teardown(() => mute.close());
    const { downs } = await dial(t, `nats://127.0.0.1:${port}`, { connectTimeoutMs: 200 });
    t.match(downs, [{ reason: /time/i }]);
  });
});
