import type { Test } from "tap";
import { Refused } from "../../src/platform/network.ts";
import { bulkConformance } from "./network-bulk.ts";
import {
  bytes,
  codeOf,
  link,
  linked,
  type MakeNode,
  type NodeOptions,
  type NodeUnderTest,
  pair,
  protocol,
  SOON,
  text,
  until,
} from "./network-ground.ts";
import { gateConformance, topicConformance } from "./network-topics.ts";

/** Where implementations may differ. */
export interface Differences {
  /** What a dial says where nobody listens any more; "untested": the transport's own library can not bear it. */
  readonly gone?: "network.unreachable" | "network.timeout" | "untested";
}

/** What every {@link Network} keeps to. */
export function networkConformance(
  t: Test,
  name: string,
  make: MakeNode,
  { gone = "network.unreachable" }: Differences = {},
): void {
  t.test(`Network: ${name}`, async (t) => {
    linkConformance(t, make, gone);
    messageConformance(t, make);
    requestConformance(t, make);
    endConformance(t, make);
    gateConformance(t, make);
    topicConformance(t, make);
    bulkConformance(t, make);
  });
}

const kinds = ({ events }: NodeUnderTest, other: NodeUnderTest): string[] =>
  events.flatMap((event) => {
    if (event.kind === "link-up" && event.link.peer === other.network.self) return ["up"];
    return event.kind === "link-down" && event.peer === other.network.self ? ["down"] : [];
  });

function linkConformance(t: Test, make: MakeNode, gone: Differences["gone"]): void {
  t.test("links come up once, go down once, and can come again", async (t) => {
    const [near, far] = [await make(t), await make(t)];
    for (const address of far.network.addresses())
      t.ok(address.endsWith(`/p2p/${far.network.self}`), address);
    t.ok(far.network.addresses().length > 0);
    const target = { addresses: far.network.addresses() };
    t.equal(await near.network.connect(target, SOON), far.network.self);
    t.match(near.network.links(), [{ peer: far.network.self, direction: "outbound" }]);
    await until(() => linked(far, near), "the other side to know of the link");
    t.match(far.network.links(), [{ peer: near.network.self, direction: "inbound" }]);
    t.equal(
      await near.network.connect({ peer: far.network.self, ...target }, SOON),
      far.network.self,
    );
    const back = { peer: near.network.self, addresses: near.network.addresses() };
    t.equal(await far.network.connect(back, SOON), near.network.self, "either way, all the same");
    t.equal(near.network.links().length, 1, "one for each peer");
    await near.network.disconnect(far.network.self);
    await until(() => !linked(far, near), "the other side to miss the link");
    t.equal(linked(near, far), false);
    await until(() => kinds(far, near).length === 2, "the loss to be told");
    t.same(
      [kinds(near, far), kinds(far, near)],
      [
        ["up", "down"],
        ["up", "down"],
      ],
    );
    await near.network.disconnect(far.network.self);
    await link(near, far);
    await until(() => kinds(far, near).length === 3, "the second link to be told");
    t.same(kinds(near, far), ["up", "down", "up"]);
    t.ok(near.network.counters().dials >= 2);
    t.equal(near.network.counters().dialsFailed, 0);
  });

  t.test("both dialling at once is told as one link", async (t) => {
    const [near, far] = [await make(t), await make(t)];
    await Promise.all([
      near.network.connect({ addresses: far.network.addresses() }, SOON),
      far.network.connect({ addresses: near.network.addresses() }, SOON),
    ]);
    await until(() => linked(near, far) && linked(far, near), "both links");
    t.equal(near.network.links().length, 1);
    t.same([kinds(near, far), kinds(far, near)], [["up"], ["up"]]);
  });

  t.test("what either side says with a new link finds the other side linked", async (t) => {
    const hello = protocol("hello");
    const heard: string[] = [];
    const greeting = (who: string): NodeOptions => ({
      before: (network) =>
        network.serve(hello, {
          message: (from) => {
            const knows = network.links().some(({ peer }) => peer === from);
            heard.push(`${who} ${knows ? "linked" : "not linked"}`);
          },
        }),
      onEvent: (event, network) => {
        if (event.kind === "link-up") void network.send(event.link.peer, hello, bytes("hello"));
      },
    });
    await pair(t, make, { near: greeting("near"), far: greeting("far") });
    await until(() => heard.length === 2, "both to be greeted");
    t.same(heard.sort(), ["far linked", "near linked"]);
  });

  t.test("a dial that leads nowhere says so", async (t) => {
    const [near, far, other] = [await make(t), await make(t), await make(t)];
    const { self: peer } = far.network;
    const dial = (addresses: readonly string[], whom?: string): Promise<string> =>
      codeOf(
        near.network.connect(whom === undefined ? { addresses } : { peer: whom, addresses }, SOON),
      );
    t.equal(await dial([]), "network.unreachable", "nobody and nowhere");
    t.equal(await dial(["nonsense", "/ip4"]), "network.unreachable");
    t.equal(await dial([], peer), "network.unreachable", "no address and no directory");
    t.equal(await dial(far.network.addresses(), "nonsense"), "network.unreachable");
    t.equal(
      await dial(other.network.addresses(), peer),
      "network.unreachable",
      "another's address",
    );
    const bare = other.network.addresses().map((address) => address.replace(/\/p2p\/[^/]+$/, ""));
    t.equal(await dial(bare, peer), "network.unreachable", "another answers there");
    t.equal(await dial(near.network.addresses()), "network.unreachable", "itself");
    if (gone !== "untested") {
      const addresses = far.network.addresses();
      await far.network.stop();
      const dialled = near.network.connect({ peer, addresses }, { timeoutMs: 1_000 });
      t.equal(await codeOf(dialled), gone);
    }
    t.same(near.network.links(), []);
    t.equal(near.events.filter(({ kind }) => kind === "link-up").length, 0);
    t.ok(near.network.counters().dialsFailed > 0);
  });
}

function messageConformance(t: Test, make: MakeNode): void {
  t.test("messages arrive whole, in order, from who sent them", async (t) => {
    const [near, far] = await pair(t, make);
    const log = protocol("log", { queueBytesMax: 4_194_304 });
    const heard: [from: string, payload: Uint8Array][] = [];
    far.network.serve(log, { message: (from, payload) => void heard.push([from, payload]) });
    const sent = Array.from({ length: 300 }, (_, n) =>
      Buffer.alloc([0, 1, 100, 5_000, 65_536][n % 5] ?? 0, n),
    );
    // Some in one turn, some one after the other.
    await Promise.all(
      sent.slice(0, 150).map((payload) => near.network.send(far.network.self, log, payload)),
    );
    for (const payload of sent.slice(150)) await near.network.send(far.network.self, log, payload);
    await until(() => heard.length === sent.length, "every message");
    t.ok(heard.every(([from]) => from === near.network.self));
    t.ok(heard.every(([, payload], n) => sent[n]?.equals(payload)));
    const total = sent.reduce((sum, { length }) => sum + length, 0);
    t.equal(near.network.counters().sentBytes, total);
    t.equal(far.network.counters().receivedBytes, total);
  });

  t.test("what is too large, or too much, or has no way is said at once", async (t) => {
    const [near, far] = await pair(t, make);
    const log = protocol("log");
    let heard = 0;
    far.network.serve(log, { message: () => void heard++ });
    const send = (to: string, size: number): Promise<string> =>
      codeOf(near.network.send(to, log, Buffer.alloc(size)));
    t.equal(await send(far.network.self, 65_537), "network.too-large");
    t.equal(await send("nonsense", 1), "network.unreachable");
    t.equal(await send((await make(t)).network.self, 1), "network.unreachable", "no link");
    for (const again of ["while the way is being opened", "and later"]) {
      const codes = await Promise.all(
        Array.from({ length: 40 }, () => send(far.network.self, 50_000)),
      );
      const taken = codes.filter((code) => code === "fine").length;
      t.ok(
        codes.every((code) => code === "fine" || code === "network.queue-full"),
        again,
      );
      t.ok(taken >= 5 && taken < 40, `${again}: ${taken} of 40`);
      await until(() => heard >= taken, "what was taken");
      t.equal(await send(far.network.self, 65_536), "fine", "then there is room again");
      await until(() => heard === taken + 1, "exactly that");
      heard = 0;
    }
    const empty = await Promise.all(Array.from({ length: 5_000 }, () => send(far.network.self, 0)));
    t.ok(empty.includes("network.queue-full"), "what says nothing takes room too");
  });
}

function requestConformance(t: Test, make: MakeNode): void {
  t.test("requests are answered, each with its own answer", async (t) => {
    const [near, far] = await pair(t, make);
    const ask = protocol("ask", { requestsInFlightMax: 64 });
    const held = new Map<string, () => void>();
    far.network.serve(ask, {
      request: (from, payload) => {
        const answer = bytes(`${text(payload)} for ${from}`);
        if (!text(payload).startsWith("late")) return answer;
        return new Promise((resolve) => held.set(text(payload), () => resolve(answer)));
      },
    });
    const request = async (what: string): Promise<string> =>
      text(await near.network.request(far.network.self, ask, bytes(what), SOON));
    t.equal(await request("now"), `now for ${near.network.self}`);
    const late = Array.from({ length: 32 }, (_, n) => request(`late ${n}`));
    const soon = await Promise.all(Array.from({ length: 32 }, (_, n) => request(`soon ${n}`)));
    t.same(
      soon,
      Array.from(soon, (_, n) => `soon ${n} for ${near.network.self}`),
    );
    await until(() => held.size === 32, "the late ones to be there");
    for (const [, release] of [...held].reverse()) release();
    const answers = await Promise.all(late);
    t.same(
      answers,
      Array.from(answers, (_, n) => `late ${n} for ${near.network.self}`),
    );
    const large = Buffer.alloc(65_536 - 80, "x").toString();
    t.equal(await request(large), `${large} for ${near.network.self}`);
    t.equal(near.network.counters().requestsSent, 66);
    await until(() => far.network.counters().requestsServed === 66, "the count");
  });

  t.test("both sides may ask and tell on one protocol", async (t) => {
    const [near, far] = await pair(t, make);
    const ask = protocol("both");
    near.network.serve(ask, { request: () => bytes("near") });
    far.network.serve(ask, { request: () => bytes("far") });
    const answers = await Promise.all([
      near.network.request(far.network.self, ask, bytes("?"), SOON),
      far.network.request(near.network.self, ask, bytes("?"), SOON),
    ]);
    t.same(answers.map(text), ["far", "near"]);
  });

  t.test("a refusal has its code, a failure has none of its secrets", async (t) => {
    const [near, far] = await pair(t, make);
    const ask = protocol("no", { messageBytesMax: 100 });
    far.network.serve(ask, {
      request: (_, payload) => {
        if (text(payload) === "refuse") throw new Refused("test.no", `${"ö".repeat(300)}\ud800`);
        if (text(payload) === "later") return Promise.reject(new Refused("test.later", "no"));
        if (text(payload) === "large") return Buffer.alloc(101);
        throw new TypeError("a secret");
      },
    });
    const ends = (what: string): Promise<string> =>
      codeOf(near.network.request(far.network.self, ask, bytes(what), SOON));
    t.equal(await ends("refuse"), "network.refused test.no");
    t.equal(await ends("later"), "network.refused test.later");
    t.equal(await ends("large"), "network.refused service.too-large");
    t.equal(await ends("fail"), "network.refused service.failed");
    const failure = near.network.request(far.network.self, ask, bytes("fail"), SOON);
    await t.rejects(failure, { message: /^(?!.*secret)/ });
    t.equal(await ends("x".repeat(101)), "network.too-large");
    t.match(far.network.counters().refusals, { "test.no": 1, "service.failed": 2 });
    t.same([near.offences, far.offences], [[], []], "which is no offence");
  });

  t.test("who serves nothing of the kind says so", async (t) => {
    const [near, far] = await pair(t, make);
    const [none, told, asked] = [protocol("none"), protocol("told"), protocol("asked")];
    far.network.serve(told, { message: () => undefined });
    far.network.serve(asked, { request: () => bytes("yes") });
    const to = far.network.self;
    t.equal(await codeOf(near.network.request(to, none, bytes("?"), SOON)), "network.unsupported");
    t.equal(await codeOf(near.network.send(to, none, bytes("?"))), "network.unsupported");
    const request = near.network.request(to, told, bytes("?"), SOON);
    t.equal(await codeOf(request), "network.refused service.unsupported");
    await near.network.send(to, asked, bytes("!"));
    await until(() => far.network.counters().refusals["service.unsupported"] === 2, "the count");
    t.throws(() => far.network.serve(told, {}), /is served already/);
    far.network.serve(none, { request: () => bytes("since now") });
    t.equal(text(await near.network.request(to, none, bytes("?"), SOON)), "since now");
  });

  t.test("an answer that does not come in time is a timeout, and disturbs no other", async (t) => {
    const [near, far] = await pair(t, make);
    const ask = protocol("slow");
    const held: (() => void)[] = [];
    far.network.serve(ask, {
      request: (_, payload) =>
        text(payload) === "now"
          ? bytes("now")
          : new Promise((resolve) => held.push(() => resolve(bytes("too late")))),
    });
    const request = (what: string, timeoutMs: number): Promise<Uint8Array> =>
      near.network.request(far.network.self, ask, bytes(what), { timeoutMs });
    t.equal(text(await request("now", 10_000)), "now");
    t.equal(await codeOf(request("never", 50)), "network.timeout");
    await until(() => held.length === 1, "the request");
    held[0]?.();
    for (let n = 0; n < 3; n++) t.equal(text(await request("now", 10_000)), "now");
  });

  t.test("more requests than may be answered at once are refused", async (t) => {
    const [near, far] = await pair(t, make);
    const ask = protocol("many");
    const held: (() => void)[] = [];
    far.network.serve(ask, {
      request: () => new Promise((resolve) => held.push(() => resolve(bytes("yes")))),
    });
    const codes: string[] = [];
    const all = Array.from({ length: 20 }, async () => {
      codes.push(await codeOf(near.network.request(far.network.self, ask, bytes("?"), SOON)));
    });
    await until(() => codes.length === 12, "what is past 8 to be refused");
    t.ok(codes.every((code) => code === "network.refused rate.limited"));
    t.equal(held.length, 8);
    for (const release of held) release();
    await Promise.all(all);
    t.equal(codes.filter((code) => code === "fine").length, 8);
    const more = near.network.request(far.network.self, ask, bytes("?"), SOON);
    await until(() => held.length === 9, "room for another");
    held[8]?.();
    t.equal(text(await more), "yes");
    t.equal(far.network.counters().refusals["rate.limited"], 12);
  });
}

function endConformance(t: Test, make: MakeNode): void {
  t.test("what waits fails when the link or the network goes", async (t) => {
    const ask = protocol("pending");
    for (const end of ["far stops", "near stops", "near disconnects"]) {
      const [near, far] = await pair(t, make);
      let asked = 0;
      far.network.serve(ask, { request: () => (asked++, new Promise(() => undefined)) });
      const pending = codeOf(near.network.request(far.network.self, ask, bytes("?"), SOON));
      await until(() => asked === 1, "the request");
      if (end === "near disconnects") await near.network.disconnect(far.network.self);
      else await (end === "far stops" ? far : near).network.stop();
      t.equal(await pending, "network.closed", end);
      const witness = end === "near stops" ? far : near;
      const other = end === "near stops" ? near : far;
      await until(() => kinds(witness, other).length === 2, `the loss to be told when ${end}`);
      t.same(kinds(witness, other), ["up", "down"]);
    }
  });

  t.test("what was said last arrives, though the network stops", async (t) => {
    const last = protocol("last-words");
    for (let turn = 0; turn < 8; turn++) {
      const [near, far] = await pair(t, make);
      const heard: string[] = [];
      far.network.serve(last, { message: (_, payload) => void heard.push(text(payload)) });
      await near.network.send(far.network.self, last, bytes("good morning"));
      await near.network.send(far.network.self, last, bytes("good-bye"));
      await near.network.stop();
      await until(() => !linked(far, near), "the loss to be told");
      t.same(heard, ["good morning", "good-bye"]);
    }
  });

  t.test("a network that has stopped is quiet, and its key serves the next one", async (t) => {
    const first = await make(t, { key: "kept" });
    const other = await make(t);
    const ask = protocol("again");
    await link(first, other);
    await first.network.stop();
    await first.network.stop();
    const { network, events } = first;
    t.same(network.links(), []);
    const told = events.length;
    const target = { addresses: other.network.addresses() };
    t.equal(await codeOf(network.connect(target, SOON)), "network.closed");
    t.equal(await codeOf(network.publish("t", bytes("x"))), "network.closed");
    const request = network.request(other.network.self, ask, bytes("?"), SOON);
    t.equal(await codeOf(request), "network.closed");
    await network.disconnect(other.network.self);
    await until(() => !linked(other, first), "the other side to miss it");
    const second = await make(t, { key: "kept" });
    t.equal(second.network.self, network.self);
    second.network.serve(ask, { request: () => bytes("here again") });
    await link(other, second);
    const answer = await other.network.request(second.network.self, ask, bytes("?"), SOON);
    t.equal(text(answer), "here again");
    t.equal(events.length, told);
  });
}
