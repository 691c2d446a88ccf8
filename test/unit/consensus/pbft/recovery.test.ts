// A replica that crashes comes back with what it had put on record: it never contradicts what it said before.
import t from "tap";
import { PbftReplica } from "../../../../src/consensus/pbft/replica.ts";
import { decodeViewChange } from "../../../../src/consensus/pbft/view-change.ts";
import { nodeHasher } from "../../../../src/platform/node/hasher.ts";
import { Cluster } from "../../../support/pbft/cluster.ts";

t.test(
  "all crash and come back: everything decided is still there, without any message",
  async (t) => {
    const cluster = new Cluster();
    for (let number = 1; number <= 6; number++) {
      cluster.ask(cluster.request("client", number), [0]);
      cluster.deliver();
    }
    const state = cluster.nodes[0]!.ledger.state();
    for (const index of cluster.up()) cluster.crash(index);
    for (const index of cluster.nodes.keys()) cluster.start(index);
    for (const index of cluster.up()) {
      t.equal(cluster.replica(index).executed, 6);
      t.equal(cluster.replica(index).stable.sequence, 4);
      t.same(cluster.nodes[index]!.ledger.state(), state);
    }
    cluster.ask(cluster.request("client", 7), [0]);
    cluster.deliver();
    t.equal(cluster.replica(3).executed, 7);
  },
);

t.test("a primary goes on where it was, and gives no number out twice", async (t) => {
  const cluster = new Cluster();
  cluster.ask(cluster.request("a", 1), [0]);
  cluster.deliver(({ to }) => to === 1);
  cluster.crash(0);
  cluster.start(0);
  cluster.ask(cluster.request("b", 1), [0]);
  cluster.settle();
  t.same(
    cluster.nodes[2]!.executed.map(({ sequence, requests }) => [sequence, requests.length]),
    [
      [1, 1],
      [2, 1],
    ],
  );
});

t.test("a backup that crashed after its prepare still counts with it", async (t) => {
  const cluster = new Cluster();
  cluster.crash(3);
  cluster.ask(cluster.request("client", 1), [0]);
  cluster.deliver(({ message }) => message.kind !== "vote");
  cluster.crash(2);
  cluster.start(2);
  cluster.settle();
  t.equal(cluster.replica(2).executed, 1);
  t.equal(cluster.replica(0).executed, 1);
});

t.test("what was prepared before a crash is in the view change after it", async (t) => {
  const cluster = new Cluster();
  cluster.ask(cluster.request("client", 1));
  cluster.deliver(({ message }) => message.kind !== "vote" || message.vote.kind !== "commit");
  cluster.crash(2);
  cluster.start(2);
  cluster.fire("progress", [2]);
  const change = cluster.mail
    .map(({ message }) => message)
    .find((message) => message.kind === "view-change");
  const decoded = decodeViewChange(change!.bytes, cluster.check, cluster.options);
  t.same(
    decoded!.prepared.map(({ sequence }) => sequence),
    [1],
  );
});

t.test(
  "a replica that had left its view stays out of it, and says the same as before",
  async (t) => {
    const cluster = new Cluster();
    cluster.ask(cluster.request("client", 1), [1, 2, 3]);
    cluster.mail = [];
    cluster.fire("progress", [3]);
    cluster.crash(3);
    cluster.start(3);
    t.equal(cluster.replica(3).view, 1);
    t.notOk(cluster.replica(3).isActive);
    cluster.ask(cluster.request("other", 1), [0]);
    cluster.deliver();
    t.equal(cluster.replica(2).executed, 1);
    t.notOk(
      cluster.mail.some(({ from, message }) => from === 3 && message.kind === "vote"),
      "no vote in the view that it left",
    );
    cluster.crash(0);
    cluster.ask(cluster.request("third", 1));
    cluster.deliver();
    cluster.fire("progress");
    cluster.settle();
    t.same(
      [1, 2, 3].map((index) => cluster.replica(index).view),
      [1, 1, 1],
    );
  },
);

t.test("a later view is gone on with as well", async (t) => {
  const cluster = new Cluster();
  cluster.crash(0);
  cluster.ask(cluster.request("client", 1));
  cluster.deliver();
  cluster.fire("progress");
  cluster.deliver();
  for (const index of [1, 2, 3]) cluster.crash(index);
  for (const index of [1, 2, 3]) cluster.start(index);
  t.same(
    [1, 2, 3].map((index) => cluster.replica(index).view),
    [1, 1, 1],
  );
  cluster.ask(cluster.request("client", 2), [1]);
  cluster.deliver();
  t.equal(cluster.replica(3).executed, 2);
});

t.test("a damaged record is an error that says which", async (t) => {
  const cluster = new Cluster();
  cluster.ask(cluster.request("client", 1), [0]);
  cluster.deliver();
  const { disk } = cluster.nodes[1]!;
  for (const key of disk.keys()) {
    const damaged = new Map(disk).set(key, Buffer.from("?"));
    const start = (): unknown =>
      new PbftReplica({
        group: cluster.members.group,
        credentials: cluster.members.credentials[1]!,
        hasher: nodeHasher,
        options: cluster.options,
        kept: damaged,
      });
    t.throws(start, { message: `the record ${key} is damaged or missing` });
  }
});
