import t from "tap";
import { MeshBroadcast } from "../../../src/agent/mesh-broadcast.ts";
import { decodeNews, type News } from "../../../src/mesh/fleet/news.ts";
import type { EventType } from "../../../src/platform/event-sink.ts";
import { SeededRandom } from "../../../src/platform/seeded-random.ts";
import { VirtualClock } from "../../../src/simulator/virtual-clock.ts";
import type { AgentEvent } from "../../../src/telemetry/event-log.ts";
import { keptLog } from "../../support/kept-log.ts";

function broadcasting() {
  const clock = new VirtualClock();
  const topics = new Set<string>();
  const told: News[] = [];
  const fleet = { agents: 2, relativeError: 0, isPartial: false };
  let listener: ((event: AgentEvent) => void) | undefined;
  const broadcast = new MeshBroadcast({
    agentId: "north",
    clock,
    random: new SeededRandom("broadcast"),
    logger: keptLog(),
    node: {
      broadcast: (topic, payload) => {
        const news = decodeNews(payload);
        if (topic === "fleet/events" && news !== undefined) told.push(news);
        return Promise.resolve(1);
      },
      fleetSize: () => fleet,
      isPartial: () => fleet.isPartial,
      subscribe: (topic) => {
        topics.add(topic);
        return () => topics.delete(topic);
      },
    },
    onEvent: (hear) => {
      listener = hear;
      return () => {
        listener = undefined;
      };
    },
  });
  const emit = (type: EventType, data: AgentEvent["data"] = {}): void =>
    listener?.({ id: 1, type, atMs: 1_764_000_000_000.5, data });
  /** Until it is no newcomer any more. */
  const settled = async (): Promise<void> => {
    await clock.advance(5_000);
  };
  return { broadcast, clock, topics, told, emit, fleet, settled };
}

t.test("an agent tells what concerns others, and passes on what others tell", async (t) => {
  const { broadcast, topics, told, emit, settled } = broadcasting();
  broadcast.start();
  await settled();
  t.same([...topics], ["fleet/events", "fleet/notes"]);
  emit("uplink.down", { name: "fleet", reason: "gone" });
  const own = ["resources.sampled", "readings.received", "mesh.agent-dead"] as const;
  for (const type of own) emit(type);
  t.same(told, [
    {
      agentId: "north",
      type: "uplink.down",
      atMs: 1_764_000_000_000,
      data: { name: "fleet", reason: "gone" },
    },
  ]);
  broadcast.stop();
  broadcast.stop();
  emit("uplink.up");
  t.equal(told.length, 1);
  t.equal(topics.size, 0);
});

t.test("ten messages in ten seconds; the next one says how many were left out", async (t) => {
  const { broadcast, clock, told, emit, settled } = broadcasting();
  broadcast.start();
  await settled();
  for (let n = 0; n < 25; n += 1) emit("queue.shed", { n });
  t.equal(told.length, 10);
  t.equal(broadcast.leftOut, 15);
  await clock.advance(9_000);
  emit("queue.shed");
  t.equal(told.length, 10);
  await clock.advance(1_001);
  emit("queue.shed");
  emit("queue.shed");
  t.equal(told[10]?.leftOut, 16);
  t.equal(told[11]?.leftOut, undefined);
  t.equal(broadcast.leftOut, 0);
});

t.test("a newcomer waits until it knows how large the fleet is", async (t) => {
  const { broadcast, clock, told, emit } = broadcasting();
  broadcast.start();
  for (let n = 0; n < 12; n += 1) emit("queue.shed", { n });
  t.equal(told.length, 0);
  await clock.advance(5_000);
  t.same(
    told.map(({ data }) => data["n"]),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  );
  t.equal(told[0]?.leftOut, 2);
});

t.test("a large fleet is not told what befell a newcomer as it came", async (t) => {
  const { broadcast, emit, told, fleet, settled } = broadcasting();
  fleet.agents = 65;
  broadcast.start();
  emit("agent.started");
  await settled();
  t.equal(told.length, 0);
  t.equal(broadcast.leftOut, 1);
});

t.test("nor is one that a small table has no room for", async (t) => {
  const { broadcast, emit, told, fleet, settled } = broadcasting();
  fleet.agents = 33;
  fleet.isPartial = true;
  broadcast.start();
  emit("agent.started");
  await settled();
  t.equal(told.length, 0);
  t.equal(broadcast.leftOut, 1);
  emit("uplink.down");
  t.equal(told.length, 1, "what happens later is told");
});

t.test("one that stops sooner than that tells on its way", (t) => {
  const { broadcast, told, emit } = broadcasting();
  broadcast.start();
  emit("agent.started");
  emit("agent.stopping");
  broadcast.stop();
  t.same(
    told.map(({ type }) => type),
    ["agent.started", "agent.stopping"],
  );
  t.end();
});

t.test(
  "what befalls a large fleet makes fewer messages than what befalls a small one",
  async (t) => {
    const { broadcast, clock, told, emit, fleet, settled } = broadcasting();
    fleet.agents = 640;
    broadcast.start();
    await settled();
    for (let n = 0; n < 2_000; n += 1) {
      emit("queue.shed");
      await clock.advance(1_000);
    }
    // One in a hundred is expected.
    t.ok(told.length >= 5 && told.length <= 50, `${told.length} messages`);
    const leftOut = told.reduce((all, news) => all + (news.leftOut ?? 0), 0);
    t.equal(leftOut + told.length + broadcast.leftOut, 2_000, "nothing is left out in silence");
    fleet.agents = 64;
    const before = told.length;
    emit("queue.shed");
    t.equal(told.length, before + 1);
  },
);
