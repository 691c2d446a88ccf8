// The built agent with a web server and a NATS server as roads out, of which one is always failing.
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import t from "tap";
import type { UplinkStatus } from "../../src/uplink/view.ts";
import { AgentProcess, agentMesh, until } from "../support/agent-process.ts";
import { BatchReceiver } from "../support/batch-receiver.ts";
import { NatsServer, natsMissing } from "../support/nats-server.ts";
import { RoadPublisher } from "../support/road-publisher.ts";

const MESSAGES = 10_000;
const LONG_MS = 90_000;

t.setTimeout(600_000);

t.test(
  "10,000 readings while the better road hangs, refuses, is cut and comes back: each once, in order",
  { skip: natsMissing() },
  async (t) => {
    const web = await BatchReceiver.start(t);
    const nats = await NatsServer.start(t);
    const data = join(t.testdir(), "data");
    const sets = [
      "agent.id=pi",
      ...["name=web", "kind=https", `url=${web.url}`, "priority=1", "failbackAfterMs=300"].map(
        (set) => `uplinks.0.${set}`,
      ),
      ...["timeoutMs=500", "stallTimeoutMs=1000", "retryMinMs=20", "retryMaxMs=100"].map(
        (set) => `uplinks.0.${set}`,
      ),
      ...["name=nats", "kind=nats", `url=${nats.url}`, "createStream=true"].map(
        (set) => `uplinks.1.${set}`,
      ),
    ];
    // Slow enough for all kinds of trouble to happen on the way.
    sets.push(
      "uplinks.0.updatesPerSecondMax=900",
      "uplinks.1.updatesPerSecondMax=900",
      "uplinks.1.standby=cold",
    );
    let agent = await AgentProcess.start(t, data, sets);
    const publisher = new RoadPublisher({
      port: () => agent.mqttPort,
      protocolVersion: 5,
      messages: MESSAGES,
      streams: 5,
    });
    const arrivals: string[] = [];
    const ok = web.reply;
    let faults = 0;
    const state = { drained: false };
    const troubles = ["hang", "cut", "drop", { status: 503 }, { status: 429 }] as const;
    const trouble = (async () => {
      while (!state.drained) {
        await delay(400);
        const fault = troubles[faults++ % troubles.length] ?? "cut";
        web.reply = () => fault;
        await delay(600);
        web.reply = ok;
        await delay(800);
      }
    })();
    const published = publisher.run();
    await until("a third of it", () => publisher.acknowledged.size > MESSAGES / 3, LONG_MS);
    await agent.kill();
    agent = await AgentProcess.start(t, data, sets);
    await published;
    await until(
      "the queue to be empty",
      async () => (await agent.get<{ updates: number }>("/v1/queue")).updates === 0,
      LONG_MS,
    );
    state.drained = true;
    await trouble;
    web.reply = ok;

    const overNats = (await nats.stored("AGENT_MESH"))
      .map(({ header }) => header.get("Nats-Msg-Id"))
      .filter((id) => id !== "");
    // Two receivers have no common order of arrival: what each has must be in order by itself.
    const faultsOf = (ids: readonly string[]): string[] => {
      const last = new Map<string, number>();
      const seen = new Set<string>();
      return ids.filter((id) => {
        if (seen.has(id)) return false;
        seen.add(id);
        const at = id.lastIndexOf("/");
        const [stream, sequence] = [id.slice(0, at), Number(id.slice(at + 1))];
        const ordered = sequence > (last.get(stream) ?? 0);
        last.set(stream, sequence);
        return !ordered;
      });
    };
    t.same(faultsOf(web.accepted), [], "the web server has them in order");
    t.same(faultsOf(overNats), [], "the NATS server has them in order");
    t.equal(new Set(overNats).size, overNats.length, "which keeps no repeats");
    arrivals.push(...new Set([...web.accepted, ...overNats]));
    const expected = Array.from({ length: 5 }, (_, line) =>
      Array.from({ length: MESSAGES / 5 }, (_, n) => `pi/sensors/line-${line}/${n + 1}`),
    ).flat();
    const missing = expected.filter((id) => !new Set(arrivals).has(id));
    t.ok(arrivals.length >= MESSAGES && missing.length === 0, `${missing.length} are missing`);
    t.ok(overNats.length > 0 && web.accepted.length > 0, "both carried their part");
    t.comment(
      `${faults} faults; ${web.accepted.length} over HTTPS, ${overNats.length} over NATS, ` +
        `${web.accepted.length + overNats.length - arrivals.length} repeats`,
    );

    web.reply = () => ({ status: 401 });
    await agent.ask("/v1/queue/flush", { method: "POST" }).catch(() => undefined);
    const one = new RoadPublisher({
      port: () => agent.mqttPort,
      protocolVersion: 5,
      messages: 5,
      streams: 1,
    });
    await one.run();
    const status = await until("the reason", async () => {
      const { items } = await agent.get<{ items: UplinkStatus[] }>("/v1/uplinks");
      const [first, second] = items;
      return (
        first?.reason?.includes("401") === true && second?.active === true && { first, second }
      );
    });
    t.match(status.first, { name: "web", kind: "https", reason: /check uplinks\.web\.token/ });
    t.ok(status.second.takeovers > 0);
    await until("the command to say so", async () => {
      const { stdout } = await agentMesh(["status", "--data", data]);
      return (
        /uplink web +(waiting|connecting): the receiver answered 401/.test(stdout) &&
        /uplink nats +up, carries the updates/.test(stdout)
      );
    });
    const metrics = await (await agent.ask("/metrics")).text();
    t.match(metrics, /agent_mesh_uplink_active\{uplink="nats"\} 1/);
    t.match(metrics, /agent_mesh_uplink_takeovers_total\{uplink="nats"\} [1-9]/);
    t.equal((await agent.stop()).code, 0);
  },
);
