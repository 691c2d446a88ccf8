// The receiver reads a stream of a real nats-server, which is killed in between.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { headers, type NatsConnection } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import t, { type Test } from "tap";
import { freePort } from "../support/free-port.ts";
import { eventually } from "../support/mosquitto.ts";
import { startReceiver } from "../support/receiver-service.ts";

const skip =
  spawnSync("nats-server", ["--version"]).error === undefined
    ? false
    : "nats-server is not installed: apt-get install nats-server";

function serve(t: Test, port: number, directory: string): ChildProcess {
  const child = spawn(
    "nats-server",
    ["-js", "-sd", directory, "-a", "127.0.0.1", "-p", `${port}`],
    {
      stdio: "ignore",
    },
  );
  t.teardown(() => child.kill("SIGKILL"));
  return child;
}

async function dial(t: Test, port: number): Promise<NatsConnection> {
  let connection: NatsConnection | undefined;
  await eventually(async () => {
    connection = await connect({ servers: [`127.0.0.1:${port}`], reconnect: false }).catch(
      () => undefined,
    );
    return connection !== undefined;
  }, "nats-server");
  t.teardown(() => connection?.close());
  return connection!;
}

async function publish(connection: NatsConnection, first: number, last: number): Promise<void> {
  const stream = jetstream(connection);
  for (let n = first; n <= last; n++) {
    const head = headers();
    head.set("Nats-Msg-Id", `pi.1/sensors/50%25/${n}`);
    head.set("sequence", String(n));
    head.set("stream", "sensors/50%25");
    head.set("observed-at", "2026-11-22T16:32:14.781Z");
    head.set("observed-at-trusted", "false");
    head.set("content-type", "application/json");
    await stream.publish("agent-mesh.pi%2E1.sensors.50%25", `{"v":${n}}`, { headers: head });
  }
}

t.test(
  "JetStream: every update once, though server and receiver come and go",
  { skip },
  async (t) => {
    const port = await freePort();
    const directory = mkdtempSync(join(tmpdir(), "nats-"));
    t.teardown(() => rmSync(directory, { recursive: true, force: true }));
    const data = join(t.testdir(), "data");
    const options = { nats: `nats://127.0.0.1:${port}` };
    const early = await startReceiver(t, data, options);
    await eventually(() => /refused/i.test(early.service.status().nats?.reason ?? ""), "a reason");
    const first = serve(t, port, directory);
    const publisher = await dial(t, port);
    await eventually(
      () => /stream AGENT_MESH.*agent-mesh\.>/.test(early.service.status().nats?.reason ?? ""),
      "what is missing",
    );
    const manager = await jetstreamManager(publisher);
    await manager.streams.add({ name: "AGENT_MESH", subjects: ["agent-mesh.>"] });
    await publish(publisher, 1, 200);
    await eventually(() => early.service.status().accepted === 200, "the first updates");
    first.kill("SIGKILL");
    await eventually(() => early.service.status().nats?.connected === false, "the loss");
    serve(t, port, directory);
    const again = await dial(t, port);
    await eventually(() => early.service.status().nats?.connected === true, "the connection");
    await publish(again, 201, 300);
    await eventually(() => early.service.status().accepted === 300, "what came after the crash");
    await early.stop();
    await publish(again, 290, 400);
    const late = await startReceiver(t, data, options);
    await eventually(() => late.service.status().accepted === 100, "what came meanwhile");
    t.equal((await late.kept("sensors/50%", "pi.1")).length, 400);
    const text = await (
      await late.ask("/v1/updates?agent=pi.1&stream=sensors/50%25&limit=1")
    ).text();
    t.match(JSON.parse(text), { observedAtTrusted: false, payload: { v: 1 } });
    t.ok((late.service.status().nats?.bytesReceived ?? 0) > 1_000);
    const info = await (await jetstreamManager(again)).consumers.info("AGENT_MESH", "receiver");
    await late.stop();
    t.equal(info.config.durable_name, "receiver");
  },
);
