// How a view ends and the next one begins: who is replaced, what is kept, and what nobody gets away with.
import t from "tap";
import { makeBatch } from "../../../../src/consensus/pbft/batch.ts";
import type { PreparedCertificate } from "../../../../src/consensus/pbft/certificate.ts";
import { encodeMessage, type Message } from "../../../../src/consensus/pbft/messages.ts";
import {
  GENESIS,
  isSoundChange,
  newViewContent,
  planNewView,
  type ViewChange,
  viewChangeContent,
  withVote,
} from "../../../../src/consensus/pbft/view-change.ts";
import { nodeHasher } from "../../../../src/platform/node/hasher.ts";
import { Cluster } from "../../../support/pbft/cluster.ts";

const NULL_DIGEST = makeBatch(nodeHasher, []).digest;
const digestOf = (text: string): string => nodeHasher.sha256Hex(text);

/** A prepared certificate that these replicas signed. */
function prepared(
  cluster: Cluster,
  view: number,
  sequence: number,
  digest: string,
  signers: readonly number[],
): PreparedCertificate {
  const primary = view % cluster.members.group.size;
  return {
    view,
    sequence,
    digest,
    proposal: cluster.vote(primary, "pre-prepare", view, sequence, digest).signature,
    prepares: signers.map((signer) => cluster.vote(signer, "prepare", view, sequence, digest)),
  };
}

/** A view change as this replica would sign it. */
function viewChange(
  cluster: Cluster,
  signer: number,
  view: number,
  certificates: readonly PreparedCertificate[] = [],
  stable = GENESIS,
): ViewChange {
  const content = viewChangeContent(view, stable, certificates);
  const digest = nodeHasher.sha256Hex(content);
  const vote = cluster.vote(signer, "view-change", view, stable.sequence, digest);
  return { vote, stable, prepared: certificates, bytes: withVote(vote, content) };
}

const message = ({ bytes }: ViewChange): Uint8Array =>
  encodeMessage({ kind: "view-change", bytes });

t.test("a crashed primary is replaced, and what clients wanted is done", async (t) => {
  for (const size of [4, 7]) {
    const cluster = new Cluster(size);
    cluster.crash(0);
    cluster.ask(cluster.request("client", 1));
    cluster.deliver();
    cluster.fire("progress");
    cluster.deliver();
    for (const index of cluster.up()) {
      t.equal(cluster.replica(index).view, 1);
      t.equal(cluster.replica(index).executed, 1);
    }
  }
});

t.test("two crashed primaries in a row are replaced, with more patience each time", async (t) => {
  const cluster = new Cluster(7);
  cluster.crash(0);
  cluster.crash(1);
  cluster.ask(cluster.request("client", 1));
  cluster.deliver();
  t.equal(cluster.nodes[2]!.timers.get("progress"), 1_000);
  cluster.fire("progress");
  cluster.deliver();
  t.equal(cluster.replica(2).view, 1);
  t.notOk(cluster.replica(2).isActive);
  t.equal(cluster.nodes[3]!.timers.get("new-view"), 2_000);
  cluster.fire("new-view");
  cluster.deliver();
  for (const index of cluster.up()) {
    t.equal(cluster.replica(index).view, 2);
    t.equal(cluster.replica(index).executed, 1);
  }
  cluster.ask(cluster.request("client", 2), [3]);
  t.equal(cluster.nodes[3]!.timers.get("progress"), 1_000, "patience is as before");
});

t.test("one impatient replica moves nobody, f + 1 take everybody along", async (t) => {
  const cluster = new Cluster();
  cluster.ask(cluster.request("client", 1), [1, 2, 3]);
  cluster.mail = [];
  cluster.fire("progress", [3]);
  cluster.deliver();
  t.same(
    [0, 1, 2].map((index) => cluster.replica(index).view),
    [0, 0, 0],
  );
  t.notOk(cluster.nodes[3]!.timers.has("new-view"), "alone it does not run ahead");
  cluster.fire("progress", [2]);
  cluster.deliver();
  t.same(
    [0, 1, 2, 3].map((index) => cluster.replica(index).view),
    [1, 1, 1, 1],
  );
  t.same(
    [0, 1, 2, 3].map((index) => cluster.replica(index).executed),
    [1, 1, 1, 1],
  );
});

t.test(
  "what one replica alone has committed is decided the same way in the next view",
  async (t) => {
    const cluster = new Cluster();
    const first = cluster.request("client", 1);
    cluster.ask(first, [0, 1, 2, 3]);
    // Replica 1 gets all commits, the others none.
    cluster.deliver(
      ({ message, to }) => to === 1 || message.kind !== "vote" || message.vote.kind !== "commit",
    );
    t.same(
      [0, 1, 2, 3].map((index) => cluster.replica(index).executed),
      [0, 1, 0, 0],
    );
    cluster.crash(1);
    cluster.ask(cluster.request("other", 1), [0, 2, 3]);
    cluster.mail = [];
    cluster.fire("progress");
    cluster.deliver();
    // Replica 1 would be the primary.
    cluster.fire("new-view");
    cluster.settle();
    t.same(
      [0, 2, 3].map((index) => cluster.replica(index).view),
      [2, 2, 2],
    );
    t.equal(cluster.nodes[3]!.executed[0]!.requests[0]!.client, first.client);
    t.equal(cluster.replica(3).executed, 2);
  },
);

t.test("gaps are filled with null requests", async (t) => {
  const cluster = new Cluster(4, { batchRequestsMax: 1 });
  for (const client of ["a", "b", "c"]) cluster.ask(cluster.request(client, 1), [0]);
  // Nobody hears of the first two, so that only the third is prepared.
  cluster.deliver(({ message }) => !("vote" in message) || message.vote.sequence === 3);
  t.equal(cluster.replica(1).executed, 0);
  cluster.crash(0);
  cluster.fire("progress");
  cluster.deliver();
  t.same(
    cluster.nodes[1]!.executed.map(({ requests }) => requests.length),
    [0, 0, 1],
  );
  t.equal(cluster.replica(2).executed, 3);
});

t.test(
  "the primary shows different batches: one is executed, or the primary is replaced",
  async (t) => {
    for (const victims of [[1], [1, 2], [1, 2, 3]]) {
      const cluster = new Cluster(4, {}, [0]);
      const [left, right] = [cluster.request("left", 1), cluster.request("right", 1)];
      for (const to of [1, 2, 3]) {
        cluster.ask(left, [to]);
        cluster.ask(right, [to]);
      }
      cluster.mail = [];
      for (const to of [1, 2, 3]) {
        const batch = cluster.batch(victims.includes(to) ? left : right);
        const vote = cluster.vote(0, "pre-prepare", 0, 1, batch.digest);
        cluster.tell(0, to, encodeMessage({ kind: "pre-prepare", vote, batch: batch.bytes }));
      }
      cluster.crash(0);
      cluster.settle(2);
      cluster.fire("progress");
      cluster.settle();
      for (const index of [1, 2, 3]) {
        t.equal(cluster.replica(index).view, 1);
        t.same(cluster.nodes[index]!.executed, cluster.nodes[1]!.executed);
        t.equal(cluster.nodes[index]!.replies.length, 2);
        if (victims.length < 3) t.equal(cluster.nodes[index]!.evidence[0]?.accused, 0);
      }
    }
  },
);

t.test("a primary that serves only some clients is replaced", async (t) => {
  const cluster = new Cluster();
  cluster.ask(cluster.request("victim", 1), [1, 2, 3]);
  const isOfVictim = ({ message }: { message: Message }): boolean => message.kind === "request";
  cluster.deliver((mail) => !isOfVictim(mail));
  const startedMs = -1;
  for (const index of [1, 2, 3]) cluster.nodes[index]!.timers.set("progress", startedMs);
  for (let number = 1; number <= 5; number++) {
    cluster.ask(cluster.request("friend", number), [0, 1, 2, 3]);
    cluster.deliver((mail) => !isOfVictim(mail));
  }
  t.equal(cluster.replica(1).executed, 5);
  for (const index of [1, 2, 3])
    t.equal(cluster.nodes[index]!.timers.get("progress"), startedMs, "the timer runs on");
  cluster.fire("progress");
  cluster.deliver((mail) => !isOfVictim(mail));
  t.equal(cluster.replica(1).view, 1);
  t.equal(cluster.replica(1).executed, 6);
});

t.test("a replica that missed the new view is told by those in it", async (t) => {
  const cluster = new Cluster();
  cluster.crash(0);
  cluster.ask(cluster.request("client", 1));
  cluster.deliver();
  cluster.fire("progress");
  cluster.deliver(({ message, to }) => message.kind !== "new-view" || to !== 3);
  t.notOk(cluster.replica(3).isActive);
  cluster.settle();
  t.ok(cluster.replica(3).isActive);
  t.equal(cluster.replica(3).executed, 1);
  cluster.start(0);
  cluster.settle(8);
  t.equal(cluster.replica(0).view, 1);
});

t.test("view changes that were lost are sent again", async (t) => {
  const cluster = new Cluster();
  cluster.crash(0);
  cluster.ask(cluster.request("client", 1));
  cluster.deliver();
  cluster.fire("progress");
  cluster.deliver(({ message }) => message.kind !== "view-change");
  cluster.settle();
  t.same(
    [1, 2, 3].map((index) => cluster.replica(index).executed),
    [1, 1, 1],
  );
});

t.test("whoever is ahead by a view is followed when the view between can not begin", async (t) => {
  const cluster = new Cluster();
  cluster.crash(0);
  cluster.ask(cluster.request("client", 1));
  cluster.deliver();
  cluster.fire("progress");
  // What 3 says is lost, so that 1 never has a quorum for its view; 3 has, waits in vain, and goes on.
  cluster.deliver(({ from }) => from !== 3);
  cluster.fire("new-view", [3]);
  cluster.settle(2);
  t.same(
    [1, 2, 3].map((index) => cluster.replica(index).view),
    [1, 1, 2],
  );
  cluster.fire("new-view", [1, 2]);
  cluster.settle(2);
  for (const index of cluster.up()) {
    t.ok(cluster.replica(index).isActive);
    t.equal(cluster.replica(index).executed, 1);
  }
});

t.test("a batch that comes after the view was left is not supported any more", async (t) => {
  const cluster = new Cluster();
  const batch = cluster.batch(cluster.request("client", 1));
  const vote = cluster.vote(0, "pre-prepare", 0, 1, batch.digest);
  cluster.tell(0, 2, encodeMessage({ kind: "pre-prepare", vote, batch: undefined }));
  cluster.fire("progress", [2]);
  t.notOk(cluster.replica(2).isActive);
  cluster.mail = [];
  cluster.tell(0, 2, encodeMessage({ kind: "batch", sequence: 1, batch: batch.bytes }));
  t.same(cluster.mail, []);
});

t.test("what follows from view changes is the batch of the highest view", async (t) => {
  const cluster = new Cluster();
  const [old, recent] = [digestOf("old"), digestOf("recent")];
  const changes = [
    viewChange(cluster, 1, 3, [prepared(cluster, 0, 2, old, [1, 2])]),
    viewChange(cluster, 2, 3, [prepared(cluster, 2, 2, recent, [1, 3])]),
    viewChange(cluster, 3, 3, []),
  ];
  for (const order of [changes, changes.toReversed()])
    t.same(planNewView(order, NULL_DIGEST).digests, [NULL_DIGEST, recent]);
  const stable = { ...GENESIS, sequence: 4, digest: digestOf("state") };
  const ahead = viewChange(cluster, 3, 3, [prepared(cluster, 1, 6, old, [2, 3])], stable);
  const plan = planNewView([changes[0]!, changes[1]!, ahead], NULL_DIGEST);
  t.equal(plan.stable.sequence, 4);
  t.same(plan.digests, [NULL_DIGEST, old]);
});

t.test("view changes that claim more than they prove are refused", async (t) => {
  const cluster = new Cluster();
  const { options, check } = cluster;
  const digest = digestOf("batch");
  const right = prepared(cluster, 0, 1, digest, [1, 2]);
  const [one, two] = right.prepares as [(typeof right.prepares)[0], (typeof right.prepares)[0]];
  t.ok(isSoundChange(viewChange(cluster, 3, 1, [right]), check, options));
  const state = digestOf("state");
  const votes = [0, 1, 2].map((signer) => cluster.vote(signer, "checkpoint", 0, 4, state));
  const stable = { ...GENESIS, sequence: 4, digest: state, signatures: votes };
  t.ok(isSoundChange(viewChange(cluster, 3, 1, [], stable), check, options));
  const odd = [0, 1, 2].map((signer) => cluster.vote(signer, "checkpoint", 0, 3, state));
  const wrong: Record<string, ViewChange> = {
    "too few prepares": viewChange(cluster, 3, 1, [{ ...right, prepares: [one] }]),
    "one replica twice": viewChange(cluster, 3, 1, [{ ...right, prepares: [one, one] }]),
    "the primary as a backup": viewChange(cluster, 3, 1, [prepared(cluster, 0, 1, digest, [0, 1])]),
    "another digest": viewChange(cluster, 3, 1, [{ ...right, digest: digestOf("other") }]),
    "another view": viewChange(cluster, 3, 3, [{ ...right, view: 1 }]),
    "a forged proposal": viewChange(cluster, 3, 1, [{ ...right, proposal: one.signature }]),
    "a forged prepare": viewChange(cluster, 3, 1, [
      { ...right, prepares: [one, { ...two, signature: one.signature }] },
    ]),
    "a view that is to come": viewChange(cluster, 3, 1, [prepared(cluster, 1, 1, digest, [2, 3])]),
    "one number twice": viewChange(cluster, 3, 1, [right, right]),
    "outside the window": viewChange(cluster, 3, 1, [prepared(cluster, 0, 9, digest, [1, 2])]),
    "below the checkpoint": viewChange(cluster, 3, 1, [right], stable),
    "an unproven checkpoint": viewChange(cluster, 3, 1, [], {
      ...stable,
      signatures: votes.slice(1),
    }),
    "a checkpoint that is none": viewChange(cluster, 3, 1, [], {
      ...stable,
      sequence: 3,
      signatures: odd,
    }),
    "a genesis of its own": viewChange(cluster, 3, 1, [], { ...GENESIS, digest: state }),
  };
  for (const [name, change] of Object.entries(wrong)) {
    t.notOk(isSoundChange(change, check, options), name);
    const lone = new Cluster();
    lone.tell(3, 1, message(change));
    t.same(lone.refusals(1), ["bad-view-change"], name);
    lone.tell(3, 1, message(change));
    lone.tell(3, 1, message(viewChange(cluster, 3, 1)));
    t.equal(lone.replica(1).view, 0, name);
  }
  const stolen = viewChange(cluster, 3, 1);
  const renamed = { ...stolen.vote, signer: 2 };
  const bytes = withVote(renamed, viewChangeContent(1, GENESIS, []));
  cluster.tell(3, 1, encodeMessage({ kind: "view-change", bytes }));
  t.same(cluster.refusals(1), ["bad-view-change"], "somebody else's name");
});

t.test("new views that do not follow from a quorum are refused", async (t) => {
  const cluster = new Cluster();
  const digest = digestOf("batch");
  const certificate = prepared(cluster, 0, 1, digest, [2, 3]);
  const changes = [0, 2, 3].map((signer) =>
    viewChange(cluster, signer, 1, signer === 0 ? [] : [certificate]),
  );
  const newView = (
    who: number,
    from: readonly ViewChange[],
    digests: readonly string[],
    view = 1,
  ): Uint8Array => {
    const proposals = digests.map(
      (one, at) => cluster.vote(who, "pre-prepare", view, at + 1, one).signature,
    );
    const content = newViewContent(view, from, proposals);
    const vote = cluster.vote(who, "new-view", view, 0, nodeHasher.sha256Hex(content));
    return encodeMessage({ kind: "new-view", bytes: withVote(vote, content) });
  };
  const wrong: Record<string, Uint8Array> = {
    "not by the primary": newView(2, changes, [digest]),
    "too few": newView(1, changes.slice(1), [digest]),
    "one replica twice": newView(1, [changes[0]!, changes[1]!, changes[1]!], [digest]),
    "for another view": newView(2, changes, [digest], 2),
    "nothing in place of a batch": newView(1, changes, [NULL_DIGEST]),
    "too few proposals": newView(1, changes, []),
    "too many proposals": newView(1, changes, [digest, NULL_DIGEST]),
    "an unsound change": newView(
      1,
      [changes[0]!, changes[1]!, viewChange(cluster, 3, 1, [{ ...certificate, prepares: [] }])],
      [digest],
    ),
  };
  for (const [name, bytes] of Object.entries(wrong)) {
    const lone = new Cluster();
    lone.tell(1, 3, bytes);
    t.same(lone.refusals(3), ["bad-new-view"], name);
    t.equal(lone.replica(3).view, 0, name);
  }
  cluster.tell(1, 3, newView(1, changes, [digest]));
  t.equal(cluster.replica(3).view, 1, "and the right one is taken");
  t.same(cluster.refusals(3), []);
});

t.test(
  "votes of a view that has not begun here yet are kept until it does, up to a bound",
  async (t) => {
    const cluster = new Cluster(4, { earlyMessagesMax: 2 });
    for (let sequence = 1; sequence <= 3; sequence++) {
      const vote = cluster.vote(2, "prepare", 1, sequence, digestOf("batch"));
      cluster.tell(2, 3, encodeMessage({ kind: "vote", vote }));
    }
    t.same(cluster.refusals(3), ["too-many"]);
  },
);
