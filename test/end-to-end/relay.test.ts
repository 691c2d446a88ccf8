// Two built agents in processes of their own: one has no uplink, and delivers through the other, which is killed twice.
import { join } from "node:path";
import t, { type Test } from "tap";
import { AgentProcess, agentMesh, until } from "../support/agent-process.ts";
import { freePort } from "../support/free-port.ts";
import { mosquittoMissing, startMosquitto } from "../support/mosquitto.ts";
import { RoadObserver, roadFaults } from "../support/road-observer.ts";
import { RoadPublisher } from "../support/road-publisher.ts";

const READINGS = 10_000;
const STREAMS = 4;
const LONG_MS = 60_000;
const NO_FAULTS = { lost: [], disordered: [], overtaken: [] };

interface Relay {
  readonly offering: boolean;
  readonly guests: readonly { readonly agentId: string; readonly updates: number }[];
  readonly hosts: readonly { readonly agentId: string; readonly hops: number }[];
}

t.setTimeout(600_000);

const relayOf = (agent: AgentProcess) => agent.get<Relay>("/v1/relay");

/** A host with an uplink to a real broker, which can be killed and started again, and a guest beside it. */
async function hostAndGuest(t: Test) {
  const directory = t.testdir();
  const { port: brokerPort, url } = await startMosquitto(t, { lines: ["max_queued_messages 0"] });
  const observer = new RoadObserver();
  t.teardown(() => observer.detach());
  await observer.attach(brokerPort);
  const meshPort = await freePort();
  const hostSets = [
    "agent.id=host",
    `mesh.port=${meshPort}`,
    'mesh.transports=["tcp"]',
    "uplinks.0.name=cloud",
    "uplinks.0.kind=mqtt",
    `uplinks.0.url=${url}`,
    "uplinks.0.retryMinMs=20",
    "uplinks.0.retryMaxMs=100",
    // Slow enough to be killed half way.
    "uplinks.0.updatesPerSecondMax=1500",
  ];
  const guestSets = [
    "agent.id=guest",
    "mesh.port=0",
    'mesh.transports=["tcp"]',
    `mesh.bootstrap=["/ip4/127.0.0.1/tcp/${meshPort}"]`,
    "uplinks.0.name=neighbour",
    "uplinks.0.kind=neighbour",
    "uplinks.0.retryMinMs=20",
    "uplinks.0.retryMaxMs=1000",
  ];
  const startHost = () => AgentProcess.start(t, join(directory, "host"), hostSets);
  const guest = await AgentProcess.start(t, join(directory, "guest"), guestSets);
  return { observer, guest, startHost };
}

t.test(
  "10,000 readings of an agent without an uplink arrive once, in order, though the host is killed twice",
  { skip: mosquittoMissing() },
  async (t) => {
    const { observer, guest, startHost } = await hostAndGuest(t);
    let host = await startHost();
    const publisher = new RoadPublisher({
      port: () => guest.mqttPort,
      protocolVersion: 5,
      messages: READINGS,
      streams: STREAMS,
    });
    const published = publisher.run();
    for (const arrivals of [2_000, 5_000]) {
      const some = () => observer.distinct().length >= arrivals;
      await until(`${arrivals} readings to arrive`, some, LONG_MS);
      await host.kill();
      host = await startHost();
    }
    await published;
    t.equal(publisher.acknowledged.size, READINGS, "every reading was acknowledged by the guest");
    const empty = async () => (await guest.get<{ updates: number }>("/v1/queue")).updates === 0;
    await until("the guest to have delivered all", empty, LONG_MS);
    const distinct = observer.distinct();
    t.equal(distinct.length, READINGS);
    t.same(roadFaults(publisher.acknowledged, distinct), NO_FAULTS);
    t.ok(
      distinct.every(({ id }) => id.startsWith("guest/sensors/line-")),
      "under the guest's ids",
    );
    const { guests } = await relayOf(host);
    t.match(guests, [{ agentId: "guest", updates: 0 }]);
    t.match((await relayOf(guest)).hosts, [{ agentId: "host", hops: 1 }]);
    const shown = await agentMesh(["relay", "--data", host.data]);
    t.equal(shown.code, 0, shown.stderr);
    t.match(shown.stdout, /relays +yes, over its own uplink[\s\S]*guest +there +0/);
    const other = await agentMesh(["relay", "--data", guest.data]);
    t.match(other.stdout, /sends +through host \(uplink neighbour, 1 hop\)/);
    const machine = await agentMesh(["relay", "--json", "--data", host.data]);
    t.match(JSON.parse(machine.stdout), { enabled: true, offering: true });
    t.comment(`${observer.arrivals.length - distinct.length} came twice on the wire`);
    t.equal((await guest.stop()).code, 0);
    t.equal((await host.stop()).code, 0);
  },
);
