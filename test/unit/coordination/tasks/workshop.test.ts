// Work on tasks of others: what is asked for it, who answers, and what becomes of it.
import t from "tap";
import { LocalWork } from "../../../../src/agent/local-work.ts";
import {
  type Answer,
  type Handler,
  type WorkOffer,
  Workshop,
} from "../../../../src/coordination/tasks/workshop.ts";
import { silentLogger } from "../../../../src/platform/silent-logger.ts";
import { VirtualClock } from "../../../../src/simulator/virtual-clock.ts";
import { TASK } from "../../../support/coordination/contract-world.ts";

const task = (name: string, kind = "measure") => ({ ...TASK, name, kind, input: '{"room":7}' });
const begin = (name: string, call = "1-1", kind = "measure") =>
  ({ kind: "begin", initiator: "boss", call, task: task(name, kind) }) as const;

function workshop() {
  const clock = new VirtualClock();
  const told: unknown[] = [];
  const ends: string[] = [];
  const published: { topic: string; payload: Uint8Array }[] = [];
  const local = new LocalWork({
    agentId: "pi",
    logger: silentLogger,
    broker: {
      publish: (message) => {
        published.push(message);
        return Promise.resolve();
      },
    },
    answer: (id, answer) => shop.answer(id, answer),
  });
  const own: Handler = {
    timeoutMs: 5_000,
    begin: ({ input }: WorkOffer, answer: (answer: Answer) => void) => {
      answer({ kind: "done", output: input });
      return false;
    },
  };
  const shop: Workshop = new Workshop({
    clock,
    handlers: new Map([
      ["measure", local.handler(60_000)],
      ["echo", own],
    ]),
    burden: () => 1.5,
    work: (input) => void told.push(input),
    onWork: (what, { id }, reason) => void ends.push(`${what} ${id} ${reason ?? ""}`.trim()),
  });
  return { shop, local, clock, told, ends, published };
}

t.test("what is performed here is bid for, the more for being busy", async (t) => {
  const { shop, clock } = workshop();
  t.same(shop.appraise(task("one")), { cost: 1.5, endsInMs: 1_500 });
  t.equal(shop.appraise(task("one", "fly")), undefined);
  t.equal(shop.appraise(task("no/such id")), undefined, "it names a topic");
  shop.take(begin("one"));
  t.equal(shop.appraise(task("one")), undefined, "the same, come another way");
  t.same(shop.appraise(task("two")), { cost: 2.5, endsInMs: 2_500 });
  await clock.advance(10_000);
  shop.answer("one", { kind: "done", output: "1" });
  t.same(shop.appraise(task("two")), { cost: 1.5, endsInMs: 15_000 }, "as long as it took");
});

t.test("programs are told over MQTT, and answer there or over REST", async (t) => {
  const { shop, local, told, ends, published } = workshop();
  shop.take(begin("one"));
  const topic = "agent-mesh/pi/$tasks/measure/one";
  t.equal(published[0]?.topic, topic);
  t.strictSame(JSON.parse(Buffer.from(published[0]!.payload).toString()), {
    id: "one",
    kind: "measure",
    from: "boss",
    input: { room: 7 },
  });
  const say = (text: string, under = `${topic}/result`) => local.take(under, Buffer.from(text));
  t.notOk(say("1", "sensors/a"));
  t.notOk(say("1", topic), "what it published itself");
  for (const bad of ["?", "7", "{}", '{"progress":101}', '{"progress":"x"}', '{"failure":1}'])
    t.ok(say(bad), "it is nobody else's business");
  t.ok(say('{"output":1}', "agent-mesh/pi/$tasks/measure/other/result"));
  t.ok(say('{"output":1}', "agent-mesh/pi/$tasks/measure/a/b/c/result"));
  t.same(told, []);
  say('{"progress":40}');
  t.match(shop.offers(), [{ id: "one", percent: 40 }]);
  say('{"output":{"celsius":21}}');
  t.strictSame(told, [
    { kind: "progress", percent: 40, initiator: "boss", call: "1-1" },
    { kind: "done", output: '{"celsius":21}', initiator: "boss", call: "1-1" },
  ]);
  t.same(ends, ["begun one", "done one"]);
  t.notOk(shop.answer("one", { kind: "done", output: "2" }), "once is enough");
  shop.take(begin("two", "1-2"));
  t.ok(shop.answer("two", { kind: "failed", reason: "no film" }));
  t.match(told.at(-1), { kind: "failed", reason: "failed" });
  t.equal(ends.at(-1), "failed two no film");
});

t.test("who says nothing for too long has failed; progress is a sign of life", async (t) => {
  const { shop, clock, ends, told } = workshop();
  shop.take(begin("one"));
  await clock.advance(50_000);
  shop.answer("one", { kind: "progress", percent: 10 });
  await clock.advance(50_000);
  t.same(ends, ["begun one"]);
  await clock.advance(11_000);
  t.same(ends, ["begun one", "failed one nothing was said for 60000 ms"]);
  t.match(told.at(-1), { kind: "failed" });
  t.same(shop.counters(), { begun: 1, done: 0, failed: 1 });
});

t.test("what is stopped is offered no more, and nobody is told of an end", async (t) => {
  const { shop, told, ends, clock } = workshop();
  shop.take(begin("one"));
  shop.take({ kind: "stop", initiator: "boss", call: "1-1", reason: "cancelled" });
  shop.take({ kind: "stop", initiator: "boss", call: "1-9", reason: "cancelled" });
  t.same(shop.offers(), []);
  shop.take(begin("two"));
  shop.stop();
  t.same(ends, ["begun one", "stopped one cancelled", "begun two", "stopped two the agent stops"]);
  t.same([told, clock.waiting], [[], []]);
});

t.test("a handler of the agent itself answers alone, and no output is too large", async (t) => {
  const { shop, told } = workshop();
  shop.take(begin("one", "1-1", "echo"));
  t.match(told, [{ kind: "done", output: '{"room":7}' }]);
  t.notOk(shop.answer("one", { kind: "done", output: "2" }));
  shop.take(begin("two", "1-2"));
  shop.answer("two", { kind: "done", output: `"${"ü".repeat(33_000)}"` });
  t.match(told.at(-1), { kind: "failed" }, "66,000 bytes");
  shop.take(begin("three", "1-3", "fly"));
  t.match(told.at(-1), { kind: "failed", call: "1-3" }, "nobody performs it here");
});
