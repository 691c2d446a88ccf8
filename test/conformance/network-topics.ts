import type { Test } from "tap";
import type { TopicMessage, TopicVerdict } from "../../src/platform/network.ts";
import {
  bytes,
  codeOf,
  link,
  linked,
  type MakeNode,
  type NodeUnderTest,
  pair,
  protocol,
  SOON,
  TOPIC_BYTES_MAX,
  text,
  until,
} from "./network-ground.ts";

/** Whoever stands at the gate is asked before anything is done. */
export function gateConformance(t: Test, make: MakeNode): void {
  t.test("whom the gate does not admit gets no link, either way", async (t) => {
    const barred = new Set<string>();
    const near = await make(t, { gate: { admits: (peer) => !barred.has(peer) } });
    const far = await make(t);
    barred.add(far.network.self);
    const target = { addresses: far.network.addresses() };
    t.equal(await codeOf(near.network.connect(target, SOON)), "network.barred");
    const named = { peer: far.network.self, ...target };
    t.equal(await codeOf(near.network.connect(named, SOON)), "network.barred");
    const back = far.network.connect({ addresses: near.network.addresses() }, SOON);
    // On some transports the dialler is through before the other side has made up its mind.
    t.ok(["network.unreachable", "fine"].includes(await codeOf(back)));
    await until(() => !linked(far, near), "the link to be refused");
    t.same(near.network.links(), []);
    t.notOk(near.events.some(({ kind }) => kind === "link-up"));
    barred.clear();
    await link(near, far);
  });

  t.test("what the gate does not allow is refused with its code", async (t) => {
    const asked: [peer: string, what: string, bytes: number][] = [];
    const far = await make(t, {
      gate: {
        allows: (peer, what, size) => {
          asked.push([peer, what, size]);
          return what.includes("closed") ? "access.denied" : undefined;
        },
      },
    });
    const near = await make(t);
    await link(near, far);
    const [closed, open] = [protocol("closed"), protocol("open")];
    let heard = 0;
    for (const each of [closed, open])
      far.network.serve(each, { message: () => void heard++, request: () => bytes("in") });
    far.network.serveBulk("/agent-mesh-test/bulk-closed/1.0.0", () => t.fail("was asked") as never);
    const to = far.network.self;
    const request = near.network.request(to, closed, bytes("123"), SOON);
    t.equal(await codeOf(request), "network.refused access.denied");
    await near.network.send(to, closed, bytes("1234"));
    t.equal(text(await near.network.request(to, open, bytes("12"), SOON)), "in");
    const bulk = near.network.sendBulk(to, "/agent-mesh-test/bulk-closed/1.0.0", {
      name: "x",
      sizeBytes: 1,
      sha256: new Uint8Array(32),
      read: () => bytes("x"),
    });
    t.equal(await codeOf(bulk), "network.refused access.denied");
    await until(() => asked.length === 4, "every question");
    t.equal(heard, 0);
    const { self } = near.network;
    t.same(asked, [
      [self, closed.id, 3],
      [self, closed.id, 4],
      [self, open.id, 2],
      [self, "/agent-mesh-test/bulk-closed/1.0.0", 0],
    ]);
    await until(() => far.network.counters().refusals["access.denied"] === 3, "the count");
  });
}

interface Member extends NodeUnderTest {
  readonly heard: TopicMessage[];
  verdict: TopicVerdict;
}

async function member(t: Test, make: MakeNode, topic: string): Promise<Member> {
  const heard: TopicMessage[] = [];
  const made: { verdict: TopicVerdict } = { verdict: "accept" };
  const node = await make(t, {
    // Joined before the start in one half of the nodes, afterwards in the other.
    before: (network) =>
      network.subscribe(topic, (message) => {
        heard.push(message);
        return made.verdict;
      }),
  });
  return Object.assign(made, { ...node, heard });
}

/** Publishes until everybody has heard of it, since a mesh takes a moment to form. @returns the last text */
async function reachAll(author: Member, others: readonly Member[], topic: string): Promise<void> {
  let round = 0;
  const arrived = (what: string): boolean =>
    others.every(({ heard }) => heard.some(({ payload }) => text(payload) === what));
  await until(async () => {
    const what = `warm up ${round++} of ${author.network.self}`;
    await author.network.publish(topic, bytes(what));
    for (let wait = 0; wait < 20 && !arrived(what); wait++)
      await new Promise((resolve) => setTimeout(resolve, 10));
    return arrived(what);
  }, "a message to reach all");
}

/** Topics reach everybody, once. */
export function topicConformance(t: Test, make: MakeNode): void {
  t.test(
    "what is published reaches a line of five, once each, and does not come back",
    async (t) => {
      const topic = "line";
      const nodes: Member[] = [];
      for (let n = 0; n < 5; n++) nodes.push(await member(t, make, topic));
      for (const [n, node] of nodes.entries()) {
        const next = nodes[n + 1];
        if (next !== undefined) await link(node, next);
      }
      const [end, , middle] = nodes;
      if (end === undefined || middle === undefined) throw new Error("five nodes were made");
      await reachAll(end, nodes.slice(1), topic);
      const rest = nodes.filter((node) => node !== middle);
      await reachAll(middle, rest, topic);
      for (const node of nodes) node.heard.length = 0;
      const texts = Array.from({ length: 20 }, (_, n) => `message ${n}`);
      for (const [n, what] of texts.entries()) {
        const author = n % 2 === 0 ? end : middle;
        t.ok((await author.network.publish(topic, bytes(what))) >= 1);
      }
      const own = (author: Member): string[] =>
        texts.filter((_, n) => (n % 2 === 0) === (author === end));
      const expected = (node: Member): number =>
        texts.length - (node === end || node === middle ? own(node).length : 0);
      await until(() => nodes.every((node) => node.heard.length >= expected(node)), "all of them");
      for (const node of nodes) {
        t.equal(node.heard.length, expected(node), "none twice, and none of its own");
        for (const { topic: about, from, payload } of node.heard) {
          const n = texts.indexOf(text(payload));
          t.equal(
            from,
            (n % 2 === 0 ? end : middle).network.self,
            "the author, not who passed it on",
          );
          t.equal(about, topic);
        }
      }
      t.ok(middle.network.counters().messagesDelivered >= 10);
      t.ok(middle.network.counters().messagesPublished >= 10);
      t.same(
        nodes.flatMap(({ offences }) => offences),
        [],
      );
    },
  );

  t.test("a verdict decides what goes on, and whose fault it was", async (t) => {
    const topic = "verdicts";
    const [one, two, three] = [
      await member(t, make, topic),
      await member(t, make, topic),
      await member(t, make, topic),
    ];
    await link(one, two);
    await link(two, three);
    await reachAll(one, [two, three], topic);
    three.heard.length = 0;
    two.verdict = "reject";
    await one.network.publish(topic, bytes("bad"));
    await until(() => two.offences.length === 1, "the offence");
    t.same(two.offences, [`${one.network.self} invalid-topic-message`]);
    two.verdict = "ignore";
    await one.network.publish(topic, bytes("boring"));
    await until(() => two.heard.some(({ payload }) => text(payload) === "boring"), "it to arrive");
    two.verdict = "accept";
    await reachAll(one, [two, three], topic);
    t.notOk(three.heard.some(({ payload }) => /bad|boring/.test(text(payload))));
    t.equal(two.offences.length, 1);
  });

  t.test("topics have a listener at most, bounds, and an end", async (t) => {
    const [near, far] = await pair(t, make);
    const heard: TopicMessage[] = [];
    const receive = (message: TopicMessage): TopicVerdict => (heard.push(message), "accept");
    const end = far.network.subscribe("x", receive);
    t.throws(() => far.network.subscribe("x", receive), /has a listener already/);
    await until(async () => {
      await near.network.publish("x", bytes("small"));
      return heard.length > 0;
    }, "a message");
    const large = Buffer.alloc(TOPIC_BYTES_MAX, 7);
    t.equal(await near.network.publish("x", large), 1, "to how many neighbours it went");
    await until(() => heard.at(-1)?.payload.length === TOPIC_BYTES_MAX, "the large one");
    t.ok(large.equals(heard.at(-1)?.payload ?? new Uint8Array(0)));
    const larger = near.network.publish("x", Buffer.alloc(TOPIC_BYTES_MAX + 1));
    t.equal(await codeOf(larger), "network.too-large");
    t.equal(await near.network.publish("nobody listens", bytes("x")), 0);
    end();
    const again: TopicMessage[] = [];
    const endAgain = far.network.subscribe("x", (message) => (again.push(message), "accept"));
    end();
    const before = heard.length;
    await until(async () => {
      await near.network.publish("x", bytes("again"));
      return again.length > 0;
    }, "a message to the second listener");
    t.equal(heard.length, before, "the first one has ended");
    endAgain();
  });

  t.test("the gate is asked about topics, with the neighbour and the author", async (t) => {
    const refuse = new Set<string>();
    const [one, two] = [await make(t), await make(t)];
    const heard: string[] = [];
    const three = await make(t, {
      gate: { allows: (peer) => (refuse.has(peer) ? "rate.limited" : undefined) },
      before: (network) =>
        network.subscribe("g", ({ payload }) => (heard.push(text(payload)), "accept")),
    });
    two.network.subscribe("g", () => "accept");
    await link(one, two);
    await link(two, three);
    let said = 0;
    // Goes on until the last one said has come too, so that none of them is still on its way and taken for the next.
    const reach = async (): Promise<void> => {
      const from = said;
      await until(async () => {
        await one.network.publish("g", bytes(`${++said}`));
        return heard.some((number) => Number(number) > from);
      }, "a message");
      await until(() => heard.includes(`${said}`), "the last message");
    };
    await reach();
    for (const peer of [one.network.self, two.network.self]) {
      refuse.add(peer);
      const before = three.network.counters().refusals["rate.limited"] ?? 0;
      await one.network.publish("g", bytes("not allowed"));
      const refused = (): number => three.network.counters().refusals["rate.limited"] ?? 0;
      await until(() => refused() > before, "the refusal");
      refuse.clear();
    }
    await reach();
    t.notOk(heard.includes("not allowed"));
    t.same(three.offences, []);
  });
}
