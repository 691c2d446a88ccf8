// Checkpoints, what they let go of, and how a replica gets a state that it did not reach by itself.
import t from "tap";
import { isCertified } from "../../../../src/consensus/pbft/certificate.ts";
import { encodeMessage } from "../../../../src/consensus/pbft/messages.ts";
import { Cluster } from "../../../support/pbft/cluster.ts";

/** One request after the other, each in a batch of its own. */
function executeMany(cluster: Cluster, count: number, reaches: (to: number) => boolean): void {
  const { executed } = cluster.replica(0);
  for (let number = executed + 1; number <= executed + count; number++) {
    cluster.ask(cluster.request("client", number, `${number} ${"x".repeat(200)}`), [0]);
    cluster.deliver(({ to }) => reaches(to));
  }
}

const all = (): boolean => true;

t.test(
  "every K sequence numbers a quorum proves the state, and the log before it goes",
  async (t) => {
    const cluster = new Cluster();
    executeMany(cluster, 5, all);
    for (const index of cluster.up()) {
      const { stable } = cluster.replica(index);
      t.equal(stable.sequence, 4);
      t.ok(isCertified(stable, cluster.check));
      const kept = [...cluster.nodes[index]!.disk.keys()].filter((key) => key.includes("/"));
      t.ok(kept.length > 0 && kept.every((key) => key.includes("0000000000000005")), kept.join());
    }
  },
);

t.test("over a long run neither the disk nor the log grows", async (t) => {
  const cluster = new Cluster();
  executeMany(cluster, 40, all);
  const { size } = cluster.nodes[1]!.disk;
  executeMany(cluster, 160, all);
  t.equal(cluster.nodes[1]!.disk.size, size);
  t.equal(cluster.replica(1).stable.sequence, 200);
});

t.test("nothing is proposed above the high watermark", async (t) => {
  const cluster = new Cluster(4, { inFlightMax: 8, batchRequestsMax: 1 });
  // No checkpoint gets through, so the window stays where it is.
  for (let number = 1; number <= 12; number++) {
    cluster.ask(cluster.request(`client-${number}`, 1), [0]);
    cluster.deliver(({ message }) => message.kind !== "vote" || message.vote.kind !== "checkpoint");
  }
  t.equal(cluster.replica(0).executed, 8);
  cluster.settle();
  t.equal(cluster.replica(0).executed, 12, "and on it goes once the checkpoints are there");
});

t.test("a replica that is behind gets the state, and goes on from it", async (t) => {
  for (const size of [4, 7]) {
    const cluster = new Cluster(size);
    const late = size - 1;
    executeMany(cluster, 30, (to) => to !== late);
    t.equal(cluster.replica(late).executed, 0);
    cluster.settle(16);
    t.equal(cluster.replica(late).executed, 30);
    t.ok(cluster.nodes[late]!.executed.length < 8, "by far not all of it was executed again");
    t.same(cluster.nodes[late]!.ledger.state(), cluster.nodes[0]!.ledger.state());
    executeMany(cluster, 6, all);
    t.equal(cluster.replica(late).executed, 36);
    const again = cluster.request("client", 36, `36 ${"x".repeat(200)}`);
    const replies = cluster.step(late, { kind: "request", bytes: again.bytes }).replies;
    t.same(replies, [cluster.nodes[0]!.replies.at(-1)], "the client table came with it");
  }
});

t.test("the state comes through whatever a liar among the senders sends", async (t) => {
  const cluster = new Cluster(4);
  executeMany(cluster, 30, (to) => to !== 3);
  let chunks = 0;
  for (let round = 0; round < 30; round++) {
    cluster.fire("resend");
    for (let mail = cluster.mail.shift(); mail !== undefined; mail = cluster.mail.shift()) {
      const { from, to, message } = mail;
      let { bytes } = mail;
      if (from === 0 && message.kind === "chunk")
        bytes = encodeMessage({ ...message, chunk: Buffer.from("lie") });
      if (message.kind === "chunk") chunks++;
      cluster.tell(from, to, bytes);
    }
  }
  t.ok(chunks > 3, `${chunks} chunks`);
  t.equal(cluster.replica(3).executed, 30);
  t.same(cluster.nodes[3]!.ledger.state(), cluster.nodes[1]!.ledger.state());
});

t.test("parts of a state are asked for again when they are lost", async (t) => {
  const cluster = new Cluster(4);
  executeMany(cluster, 30, (to) => to !== 3);
  let lost = 0;
  cluster.settle(60, ({ message }) => {
    if (message.kind !== "chunk" && message.kind !== "manifest") return true;
    lost++;
    return lost % 3 === 0;
  });
  t.equal(cluster.replica(3).executed, 30);
});

t.test("a state that went wrong is replaced by the one of the group", async (t) => {
  const cluster = new Cluster(4, {}, [3]);
  executeMany(cluster, 2, all);
  // A bit flips in the memory of one replica; it does not know, and is as good as a liar until it is put right.
  const { ledger } = cluster.nodes[3]!;
  const [hash, count, last] = JSON.parse(Buffer.from(ledger.state()).toString()) as unknown[];
  const state = Buffer.from(JSON.stringify([Number(hash) ^ 1, count, last]));
  const check = cluster.invariants.stateAfter.bind(cluster.invariants);
  cluster.invariants.stateAfter = (sequence, state) => {
    if (Buffer.from(state).includes("client") && cluster.replica(3).executed !== sequence - 1)
      check(sequence, state);
  };
  cluster.invariants.performed = () => undefined;
  ledger.install({ sequence: 2, state });
  executeMany(cluster, 4, all);
  cluster.settle(8);
  t.equal(cluster.replica(3).executed, 6);
  t.same(cluster.nodes[3]!.ledger.state(), cluster.nodes[0]!.ledger.state());
});

t.test("checkpoints that can not be are refused", async (t) => {
  const digest = "ab".repeat(32);
  for (const [name, view, sequence, reason] of [
    ["of a view", 1, 4, "malformed"],
    ["between checkpoints", 0, 3, "malformed"],
    ["above the window", 0, 12, "outside-watermarks"],
  ] as const) {
    const cluster = new Cluster();
    const vote = cluster.vote(2, "checkpoint", view, sequence, digest);
    cluster.tell(2, 1, encodeMessage({ kind: "vote", vote }));
    t.same(cluster.refusals(1), [reason], name);
  }
  const cluster = new Cluster();
  const vote = { ...cluster.vote(2, "checkpoint", 0, 4, digest), signer: 3 };
  cluster.tell(3, 1, encodeMessage({ kind: "vote", vote }));
  const signatures = [1, 2].map((signer) => cluster.vote(signer, "checkpoint", 0, 4, digest));
  const certificate = { kind: "checkpoint" as const, view: 0, sequence: 4, digest, signatures };
  cluster.tell(3, 1, encodeMessage({ kind: "stable", certificate }));
  t.same(cluster.refusals(1), ["wrong-signature", "bad-certificate"]);
  t.equal(cluster.replica(1).stable.sequence, 0);
});
