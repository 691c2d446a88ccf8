import t from "tap";
import { MeshBroadcast } from "../../../src/agent/mesh-broadcast.ts";
import { decodeNews, type News } from "../../../src/mesh/fleet/news.ts";
import type { EventType } from "../../../src/platform/event-sink.ts";
import { VirtualClock } from "../../../src/simulator/virtual-clock.ts";
import type { AgentEvent } from "../../../src/telemetry/event-log.ts";
import { keptLog } from "../../support/kept-log.ts";

function broadcasting() {
  const clock = new VirtualClock();
  const topics = new Set<string>();
  const told: News[] = [];
  const counts = { alive: 2, suspect: 0, dead: 0, left: 0 };
  let listener: ((event: AgentEvent) => void) | undefined;
  const broadcast = new MeshBroadcast({
    agentId: "north",
    clock,
    logger: keptLog(),
    node: {
      broadcast: (topic, payload) => {
        const news = decodeNews(payload);
        if (topic === "fleet/events" && news !== undefined) told.push(news);
        return Promise.resolve(1);
      },
      memberCounts: () => counts,
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
  return { broadcast, clock, topics, told, emit, counts };
}

t.test("an agent tells what concerns others, and passes on what others tell", async (t) => {
  const { broadcast, topics, told, emit } = broadcasting();
  broadcast.start();
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
  const { broadcast, clock, told, emit } = broadcasting();
  broadcast.start();
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

t.test("a large fleet does not talk more than a small one", async (t) => {
  const { broadcast, clock, told, emit, counts } = broadcasting();
  counts.alive = 640;
  broadcast.start();
  for (let n = 0; n < 25; n += 1) emit("queue.shed", { n });
  t.equal(told.length, 10);
  await clock.advance(99_000);
  emit("queue.shed");
  t.equal(told.length, 10, "ten in a hundred seconds");
  counts.alive = 3;
  emit("queue.shed");
  t.equal(told.at(-1)?.leftOut, 16);
});
