// Agreement among replicas that all do what they should, with crashes and losses: what clients get, and what it costs.
import t from "tap";
import { Cluster } from "../../../support/pbft/cluster.ts";

const answered = (cluster: Cluster, timestamp: number): number =>
  cluster.nodes.filter(({ replies }) =>
    replies.some((reply) => reply.kind === "executed" && reply.timestamp === timestamp),
  ).length;

t.test("a request is executed everywhere, and everybody answers the same", async (t) => {
  const cluster = new Cluster();
  cluster.ask(cluster.request("client", 1), [0]);
  cluster.deliver();
  t.equal(answered(cluster, 1), 4);
  for (const { executed } of cluster.nodes) t.equal(executed.length, 1);
  t.same(
    cluster.nodes.flatMap(({ refused }) => refused),
    [],
  );
  for (const index of cluster.up()) t.notOk(cluster.nodes[index]!.timers.has("progress"));
});

t.test("one crashed backup of four does not matter, nor do two of seven", async (t) => {
  for (const [size, crashed] of [
    [4, [3]],
    [7, [5, 6]],
    [5, [4]],
    [6, [1]],
    [10, [1, 2, 9]],
  ] as const) {
    const cluster = new Cluster(size);
    for (const index of crashed) cluster.crash(index);
    cluster.ask(cluster.request("client", 1));
    cluster.deliver();
    t.equal(answered(cluster, 1), size - crashed.length, `${size} replicas`);
    t.equal(cluster.replica(0).view, 0);
  }
});

t.test(
  "one more than f crashed: nothing is decided, and all goes on when they are back",
  async (t) => {
    const cluster = new Cluster();
    cluster.crash(2);
    cluster.crash(3);
    cluster.ask(cluster.request("client", 1));
    cluster.settle();
    t.equal(answered(cluster, 1), 0);
    cluster.start(2);
    cluster.settle();
    t.equal(answered(cluster, 1), 3);
  },
);

t.test("requests that come while batches are under way gather in the next one", async (t) => {
  const cluster = new Cluster(4, { inFlightMax: 1, batchRequestsMax: 16 });
  for (let client = 0; client < 12; client++)
    cluster.ask(cluster.request(`client-${client}`, 1), [0]);
  cluster.deliver();
  const { executed } = cluster.nodes[0]!;
  t.same(
    executed.map(({ requests }) => requests.length),
    [1, 11],
  );
});

t.test("batches keep to their bounds", async (t) => {
  const cluster = new Cluster(4, { inFlightMax: 1, batchBytesMax: 1_024, batchRequestsMax: 3 });
  for (let client = 0; client < 8; client++)
    cluster.ask(cluster.request(`small-${client}`, 1), [0]);
  for (let client = 0; client < 3; client++)
    cluster.ask(cluster.request(`large-${client}`, 1, "x".repeat(600)), [0]);
  cluster.deliver();
  const { executed } = cluster.nodes[1]!;
  t.same(
    executed.map(({ requests }) => requests.length),
    [1, 3, 3, 2, 1, 1],
  );
});

t.test(
  "several sequence numbers are under way at once, and no more than the window has",
  async (t) => {
    const cluster = new Cluster(4, { inFlightMax: 8, batchRequestsMax: 1 });
    for (let client = 0; client < 12; client++)
      cluster.ask(cluster.request(`client-${client}`, 1), [0]);
    const proposed = cluster.mail.filter(({ message }) => message.kind === "pre-prepare");
    t.equal(proposed.length, 3 * 8);
    cluster.deliver();
    t.equal(cluster.replica(3).executed, 12);
  },
);

t.test("a backup hands requests to the primary", async (t) => {
  const cluster = new Cluster();
  cluster.ask(cluster.request("client", 1), [2]);
  cluster.deliver();
  t.equal(answered(cluster, 1), 4);
});

t.test(
  "each replica signs once a phase, and the primary's pre-prepare is its prepare",
  async (t) => {
    const cluster = new Cluster();
    const votes = new Map<string, number>();
    cluster.ask(cluster.request("client", 1), [0]);
    cluster.deliver(({ message, to, from }) => {
      if (to === (from === 0 ? 1 : 0)) {
        const kind = message.kind === "vote" ? message.vote.kind : message.kind;
        votes.set(kind, (votes.get(kind) ?? 0) + 1);
      }
      return true;
    });
    t.same(Object.fromEntries(votes), { "pre-prepare": 1, prepare: 3, commit: 4 });
  },
);

t.test("whatever single kind of message is lost for good, it is made up for", async (t) => {
  for (const lost of ["pre-prepare", "prepare", "commit", "request"]) {
    const cluster = new Cluster();
    cluster.ask(cluster.request("client", 1), [1]);
    cluster.deliver(
      ({ message }) => (message.kind === "vote" ? message.vote.kind : message.kind) !== lost,
    );
    cluster.settle();
    t.equal(answered(cluster, 1), 4, lost);
    t.equal(cluster.replica(0).view, 0, lost);
  }
});

t.test("a replica that missed everything gets decisions with their proof", async (t) => {
  const cluster = new Cluster();
  for (let timestamp = 1; timestamp <= 3; timestamp++) {
    cluster.ask(cluster.request("client", timestamp), [0]);
    cluster.deliver(({ to }) => to !== 3);
  }
  t.equal(cluster.replica(3).executed, 0);
  cluster.settle(8);
  t.equal(cluster.replica(3).executed, 3);
  t.equal(cluster.nodes[3]!.replies.length, 3);
});
