// Asking the receiver what it has before anything is sent, in virtual time.
import t from "tap";
import { type Agent, startAgent } from "../../src/agent/compose.ts";
import { resolveConfig } from "../../src/config/resolve.ts";
import type { Marks, StreamMarks, UplinkConnection } from "../../src/platform/uplink-connection.ts";
import { VirtualWorld } from "../../src/simulator/virtual-platform.ts";
import { VirtualReceiver, type VirtualUplink } from "../../src/simulator/virtual-uplink.ts";

const STREAM = "sensors/a";

/** Answers when told to, whatever has become of the connection; or never. */
class LateReceiver extends VirtualReceiver {
  readonly asked: Parameters<NonNullable<UplinkConnection["askMarks"]>>[] = [];

  override connect(): VirtualUplink {
    const connection = super.connect();
    connection.askMarks = (...question) => void this.asked.push(question);
    return connection;
  }
}

function worldWith(seed: string, more: readonly string[] = [], late = false) {
  const world = new VirtualWorld(seed);
  const receiver = late ? new LateReceiver(world.clock) : new VirtualReceiver(world.clock);
  world.receivers.set("up", receiver);
  const sets = ["name=up", "kind=mqtt", "url=mqtt://up", "retryMaxMs=1000", ...more];
  const questions: (readonly string[])[] = [];
  /** What the receiver says it has of the one stream. */
  const says = (marks: StreamMarks): void => {
    receiver.marks = (streams) => {
      questions.push(streams);
      return new Map([[STREAM, marks]]);
    };
  };
  return {
    world,
    receiver,
    questions,
    says,
    start: (): Promise<Agent> =>
      startAgent(
        resolveConfig({
          sets: ["mqtt.deviceReadings=false", ...sets.map((set) => `uplinks.0.${set}`)],
        }),
        "agent-1",
        world.platform(),
      ),
    /** Takes readings; each is observed at a moment of its own. */
    publish: async (count: number): Promise<void> => {
      for (let n = 0; n < count; n++) {
        void world.broker.receive(STREAM, Buffer.from(String(n)));
        await world.clock.advance(10);
      }
    },
    sequences: () => receiver.received.map(({ sequence }) => sequence),
    stop: async (agent: Agent): Promise<void> => {
      const stopped = agent.stop();
      await world.clock.advance(10_000);
      await stopped;
    },
  };
}

const from = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, at) => first + at);

const uplink = (agent: Agent) => agent.context.uplinks.status()[0];

t.test("what the receiver has is not sent; what comes later is", async (t) => {
  const { world, receiver, questions, says, start, publish, sequences, stop } = worldWith("has");
  receiver.reachable = false;
  says({
    through: 1_000,
    ranges: [
      [1_003, 1_010],
      [1_020, 1_020],
    ],
  });
  const agent = await start();
  await publish(1_500);
  receiver.reachable = true;
  await world.clock.advance(10_000);
  t.same(questions, [[STREAM]], "asked once");
  t.same(sequences(), [1_001, 1_002, ...from(1_011, 1_019), ...from(1_021, 1_500)]);
  t.match(uplink(agent), { skipped: 1_009, acknowledged: 491, inFlight: 0 });
  t.equal(agent.context.queue.status().updates, 0);
  await publish(10);
  await world.clock.advance(1_000);
  t.same(sequences().slice(-10), from(1_501, 1_510));
  t.equal(questions.length, 1, "one question a connection");
  t.same(receiver.firsts, [], "no gap");
  await stop(agent);
  t.same(world.clock.waiting, [], "no timer is left behind");
});

t.test("nothing is asked while nothing waits, or while the queue is paused", async (t) => {
  const { world, questions, says, start, publish, sequences, stop } = worldWith("quiet");
  says({ through: 3, ranges: [] });
  const agent = await start();
  await world.clock.advance(5_000);
  await agent.context.uplinks.pause();
  await publish(5);
  await world.clock.advance(5_000);
  t.same(questions, []);
  await agent.context.uplinks.resume();
  await world.clock.advance(5_000);
  t.same(sequences(), [4, 5]);
  await stop(agent);
});

t.test("a receiver that claims more than was given is believed for what is held", async (t) => {
  const { world, receiver, says, start, publish, sequences, stop } = worldWith("more");
  receiver.reachable = false;
  says({ through: 1_000_000, ranges: [[2_000_000, 3_000_000]] });
  const agent = await start();
  await publish(20);
  receiver.reachable = true;
  await world.clock.advance(5_000);
  await publish(5);
  await world.clock.advance(5_000);
  t.same(sequences(), from(21, 25), "what came after the question was sent");
  t.match(uplink(agent), { skipped: 20 });
  await stop(agent);
});

t.test("numbers that were given twice are not taken for the same updates", async (t) => {
  const { world, receiver, says, start, publish, sequences, stop } = worldWith("twice");
  receiver.reachable = false;
  const agent = await start();
  await publish(50);
  const copiedAtMs = world.clock.wallMs() - 1;
  await publish(50);
  // It has 80 updates of this id, all of them from before the second half was observed.
  says({ through: 80, ranges: [], lastObservedAtMs: copiedAtMs });
  receiver.reachable = true;
  await world.clock.advance(5_000);
  t.same(sequences(), from(51, 100));
  t.match(uplink(agent), { skipped: 50 });
  await stop(agent);
});

t.test("what will never come is told, once per connection", async (t) => {
  const { world, receiver, says, start, publish, sequences, stop } = worldWith("gap");
  const agent = await start();
  await publish(10);
  await world.clock.advance(1_000);
  receiver.reachable = false;
  await publish(10);
  // 6 to 10 were acknowledged and are gone, as after a receiver was restored from a backup.
  says({ through: 5, ranges: [[8, 9]] });
  receiver.reachable = true;
  await world.clock.advance(5_000);
  t.same(receiver.firsts, [new Map([[STREAM, 11]])]);
  t.same(sequences(), from(1, 20));
  await stop(agent);
});

t.test("an answer that comes after its connection has ended settles nothing", async (t) => {
  const { world, receiver, start, publish, sequences, stop } = worldWith("late", [], true);
  const { asked } = receiver as LateReceiver;
  const all: Marks = new Map([[STREAM, { through: 100, ranges: [] }]]);
  const agent = await start();
  await publish(10);
  await world.clock.advance(1_000);
  t.equal(asked.length, 1);
  t.same(sequences(), [], "nothing is sent before the answer");
  receiver.reachable = false;
  await world.clock.advance(1_000);
  asked[0]?.[1](all);
  await world.clock.advance(1_000);
  t.match(uplink(agent), { skipped: 0 });
  receiver.reachable = true;
  await world.clock.advance(5_000);
  t.equal(asked.length, 2, "the next connection asks anew");
  asked[0]?.[1](all);
  await world.clock.advance(1_000);
  t.same(sequences(), []);
  asked[1]?.[1](undefined);
  asked[1]?.[1](all);
  await world.clock.advance(1_000);
  t.same(sequences(), from(1, 10), "no marks: everything is sent");
  await stop(agent);
});

t.test("a question without any answer holds nothing up for ever", async (t) => {
  const { world, start, publish, sequences, stop } = worldWith(
    "never",
    ["stallTimeoutMs=7000"],
    true,
  );
  const agent = await start();
  await publish(10);
  await world.clock.advance(5_000);
  t.same(sequences(), []);
  await world.clock.advance(5_000);
  t.same(sequences(), from(1, 10));
  await stop(agent);
  t.same(world.clock.waiting, []);
});
