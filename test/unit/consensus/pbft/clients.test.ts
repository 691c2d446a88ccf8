// What clients can rely on: each request once, the same answer again when they ask again, and room for others.
import t from "tap";
import { ClientTable } from "../../../../src/consensus/pbft/client-table.ts";
import { encodeMessage } from "../../../../src/consensus/pbft/messages.ts";
import { Cluster } from "../../../support/pbft/cluster.ts";
import { smallOptions } from "../../../support/pbft/small-options.ts";

t.test("a request that comes again is answered again, and executed once", async (t) => {
  const cluster = new Cluster();
  const request = cluster.request("client", 1);
  cluster.ask(request);
  cluster.deliver();
  const [first] = cluster.nodes[2]!.replies;
  cluster.ask(request);
  cluster.deliver();
  t.same(cluster.nodes[2]!.replies, [first, first]);
  t.equal(cluster.nodes[2]!.executed.length, 1);
});

t.test("an older request is answered with how far the client is", async (t) => {
  const cluster = new Cluster();
  cluster.ask(cluster.request("client", 7));
  cluster.deliver();
  const old = cluster.request("client", 6);
  cluster.ask(old, [1]);
  t.same(cluster.nodes[1]!.replies.at(-1), {
    kind: "too-old",
    client: old.client,
    timestamp: 7,
    view: 0,
  });
});

t.test("a request in two batches is executed with the first", async (t) => {
  const cluster = new Cluster(4, {}, [0]);
  const request = cluster.request("client", 1);
  const other = cluster.request("other", 1);
  for (const [at, batch] of [
    cluster.batch(request, request),
    cluster.batch(other, request),
  ].entries()) {
    const vote = cluster.vote(0, "pre-prepare", 0, at + 1, batch.digest);
    for (const to of [1, 2, 3]) {
      const message = { kind: "pre-prepare" as const, vote, batch: batch.bytes };
      cluster.tell(0, to, encodeMessage(message));
    }
  }
  cluster.deliver(({ to }) => to !== 0);
  t.same(
    cluster.nodes[1]!.executed.map(({ requests }) => requests.map(({ client }) => client)),
    [[request.client], [other.client]],
  );
});

t.test("a later request of a client takes the place of one that waits", async (t) => {
  const cluster = new Cluster(4, { waitingMax: 2 });
  cluster.ask(cluster.request("client", 1), [1]);
  cluster.ask(cluster.request("client", 2), [1]);
  cluster.ask(cluster.request("client", 1), [1]);
  t.equal(cluster.replica(1).waitingCount, 1);
  t.same(cluster.refusals(1), ["too-old"]);
  cluster.ask(cluster.request("second", 1), [1]);
  cluster.ask(cluster.request("third", 1), [1]);
  t.same(cluster.refusals(1), ["too-old", "too-many"]);
  t.equal(cluster.replica(1).waitingCount, 2);
});

t.test("requests that nobody signed, or that are too large, are refused", async (t) => {
  const cluster = new Cluster();
  const genuine = cluster.request("client", 1);
  const forged = genuine.bytes.slice();
  forged[forged.length - 1]! ^= 1;
  cluster.step(1, { kind: "request", bytes: forged });
  cluster.step(1, { kind: "request", bytes: new Uint8Array(2_000) });
  cluster.step(1, { kind: "request", bytes: Buffer.from("request") });
  cluster.step(1, { kind: "request", bytes: cluster.request("client", 2 ** 50).bytes });
  t.same(cluster.refusals(1), ["wrong-signature", "oversized", "malformed", "bad-request"]);
  t.equal(cluster.replica(1).waitingCount, 0);
  t.same(cluster.mail, []);
});

t.test(
  "with more clients than the table has room for, the longest idle goes, and comes back above",
  async (t) => {
    const table = new ClientTable({ ...smallOptions, clientsMax: 2 });
    const result = Buffer.from("done");
    const request = (client: string, timestamp: number) => ({
      client,
      timestamp,
      operation: result,
      signature: result,
      bytes: result,
    });
    table.executed(request("a", 5), result);
    table.executed(request("b", 3), result);
    table.executed(request("a", 6), result);
    table.executed(request("c", 1), result);
    t.equal(table.size, 2);
    t.equal(table.standingOf(request("a", 6)), "last");
    t.equal(table.standingOf(request("b", 3)), "old", "what was executed is not executed again");
    t.equal(table.standingOf(request("b", 4)), "new");
    t.equal(table.standingOf(request("d", 3)), "old", "others begin above it, too");
    t.equal(table.reached("d"), 3);
    const copy = new ClientTable({ ...smallOptions, clientsMax: 2 });
    t.ok(copy.install(table.encode()));
    t.same(copy.encode(), table.encode());
    copy.executed(request("d", 9), result);
    table.executed(request("d", 9), result);
    t.same(copy.encode(), table.encode(), "the order in which clients go is part of it");
    t.notOk(copy.install(Buffer.from("no table")));
    t.same(copy.encode(), table.encode());
  },
);
