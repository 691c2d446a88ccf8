// What replicas do not take, by name; and what proves to others that somebody lied, or that something was decided.
import t from "tap";
import { type Certificate, isCertified } from "../../../../src/consensus/pbft/certificate.ts";
import { signerCredentials } from "../../../../src/consensus/pbft/credentials.ts";
import { isProof } from "../../../../src/consensus/pbft/evidence.ts";
import { Group } from "../../../../src/consensus/pbft/group.ts";
import {
  encodeMessage,
  fetchContent,
  messageBytesMax,
  statusContent,
} from "../../../../src/consensus/pbft/messages.ts";
import { checkOptions, defaultPbftOptions } from "../../../../src/consensus/pbft/options.ts";
import { VoteCheck } from "../../../../src/consensus/pbft/vote.ts";
import { nodeHasher } from "../../../../src/platform/node/hasher.ts";
import { Cluster } from "../../../support/pbft/cluster.ts";

const digest = nodeHasher.sha256Hex("batch");

t.test("messages that no honest replica sends are refused by name", async (t) => {
  const cluster = new Cluster();
  const { group } = cluster.members;
  const request = cluster.request("client", 1);
  const batch = cluster.batch(request);
  const proposal = (vote: ReturnType<Cluster["vote"]>, bytes: Uint8Array | undefined) =>
    encodeMessage({ kind: "pre-prepare", vote, batch: bytes });
  const vote = (one: ReturnType<Cluster["vote"]>) => encodeMessage({ kind: "vote", vote: one });
  const forgedRequest = request.bytes.slice();
  forgedRequest[forgedRequest.length - 1]! ^= 1;
  const forged = cluster.batch({ ...request, bytes: forgedRequest });
  const empty = cluster.batch();
  const right = cluster.vote(0, "pre-prepare", 0, 1, batch.digest);
  const status = {
    view: 0,
    isPending: false,
    stable: 0,
    executed: 0,
    round: 1,
    levels: new Uint8Array(),
  };
  const statusBytes = statusContent(status);
  const fetch = { what: "manifest" as const, sequence: 4 };
  const signedStatus = cluster.vote(2, "status", 0, 0, nodeHasher.sha256Hex(statusBytes));
  const signedFetch = cluster.vote(2, "fetch", 0, 4, digest);
  const cases: [name: string, reason: string, from: number, bytes: Uint8Array][] = [
    ["no message", "malformed", 2, Buffer.from("?")],
    ["nothing", "malformed", 2, new Uint8Array()],
    ["too large", "oversized", 2, new Uint8Array(messageBytesMax(cluster.options, group) + 1)],
    [
      "a forged vote",
      "wrong-signature",
      2,
      vote({ ...cluster.vote(2, "prepare", 0, 1, digest), sequence: 2 }),
    ],
    [
      "somebody else's vote",
      "wrong-signature",
      2,
      vote({ ...cluster.vote(2, "commit", 0, 1, digest), signer: 3 }),
    ],
    [
      "a vote of nobody",
      "wrong-signature",
      2,
      vote({ ...cluster.vote(2, "commit", 0, 1, digest), signer: 200 }),
    ],
    ["below the window", "outside-watermarks", 2, vote(cluster.vote(2, "prepare", 0, 0, digest))],
    ["above the window", "outside-watermarks", 2, vote(cluster.vote(2, "commit", 0, 9, digest))],
    ["a primary's prepare", "from-the-primary", 0, vote(cluster.vote(0, "prepare", 0, 1, digest))],
    [
      "a vote of a kind that is none",
      "malformed",
      2,
      vote(cluster.vote(2, "status", 0, 1, digest)),
    ],
    [
      "a proposal by a backup",
      "not-the-primary",
      2,
      proposal(cluster.vote(2, "pre-prepare", 0, 1, batch.digest), batch.bytes),
    ],
    ["a forged proposal", "wrong-signature", 0, proposal({ ...right, sequence: 2 }, batch.bytes)],
    ["another batch", "wrong-digest", 0, proposal(right, empty.bytes)],
    ["no batch", "bad-batch", 0, proposal(right, Buffer.from("?"))],
    [
      "an empty batch",
      "bad-batch",
      0,
      proposal(cluster.vote(0, "pre-prepare", 0, 1, empty.digest), empty.bytes),
    ],
    [
      "a forged request in a batch",
      "bad-batch",
      0,
      proposal(cluster.vote(0, "pre-prepare", 0, 1, forged.digest), forged.bytes),
    ],
    [
      "a proposal above the window",
      "outside-watermarks",
      0,
      proposal(cluster.vote(0, "pre-prepare", 0, 9, batch.digest), batch.bytes),
    ],
    [
      "a batch that nobody wants",
      "not-asked-for",
      2,
      encodeMessage({ kind: "batch", sequence: 1, batch: batch.bytes }),
    ],
    [
      "a chunk that nobody wants",
      "not-asked-for",
      2,
      encodeMessage({ kind: "chunk", sequence: 4, index: 0, chunk: batch.bytes }),
    ],
    [
      "a manifest that nobody wants",
      "not-asked-for",
      2,
      encodeMessage({ kind: "manifest", sequence: 4, manifest: batch.bytes }),
    ],
    [
      "a status of somebody else",
      "not-the-sender",
      3,
      encodeMessage({ kind: "status", vote: signedStatus, content: statusBytes, status }),
    ],
    [
      "a fetch with another content",
      "wrong-signature",
      2,
      encodeMessage({ kind: "fetch", vote: signedFetch, content: fetchContent(fetch), fetch }),
    ],
    [
      "a decision without votes",
      "bad-certificate",
      2,
      encodeMessage({
        kind: "decision",
        certificate: { kind: "commit", view: 0, sequence: 1, digest, signatures: [] },
        batch: batch.bytes,
      }),
    ],
    [
      "a request in the wrong form",
      "malformed",
      2,
      encodeMessage({ kind: "request", bytes: Buffer.from("?") }),
    ],
    [
      "no view change",
      "malformed",
      2,
      encodeMessage({ kind: "view-change", bytes: Buffer.from("?") }),
    ],
    ["no new view", "malformed", 2, encodeMessage({ kind: "new-view", bytes: Buffer.from("?") })],
  ];
  for (const [name, reason, from, bytes] of cases) {
    const lone = new Cluster();
    const effects = lone.tell(from, 1, bytes);
    t.same(effects.refused, [{ from: group.members[from], reason }], name);
    t.same(effects.persist, [], name);
    t.same(effects.send, [], name);
  }
});

t.test("who is no member is not listened to, not even with a member's words", async (t) => {
  const cluster = new Cluster();
  const vote = cluster.vote(2, "prepare", 0, 1, digest);
  const bytes = encodeMessage({ kind: "vote", vote });
  const { refused } = cluster.step(1, { kind: "message", from: "stranger", bytes });
  t.same(refused, [{ from: "stranger", reason: "not-a-member" }]);
});

t.test("votes of a view that has passed are refused", async (t) => {
  const cluster = new Cluster();
  cluster.crash(0);
  cluster.ask(cluster.request("client", 1));
  cluster.deliver();
  cluster.fire("progress");
  cluster.deliver();
  const vote = cluster.vote(2, "prepare", 0, 2, digest);
  cluster.tell(2, 3, encodeMessage({ kind: "vote", vote }));
  t.equal(cluster.refusals(3).at(-1), "wrong-view");
});

t.test(
  "who sends what costs work and is worth nothing is not heard until the next look",
  async (t) => {
    const cluster = new Cluster();
    const bad = encodeMessage({ kind: "view-change", bytes: Buffer.from("?") });
    for (let time = 0; time < 3; time++) cluster.tell(2, 1, bad);
    t.same(cluster.refusals(1), ["malformed", "too-many", "too-many"]);
    cluster.fire("resend", [1]);
    cluster.tell(2, 1, bad);
    t.equal(cluster.refusals(1).at(-1), "malformed");
  },
);

t.test("two contradicting votes of one replica prove to others that it lies", async (t) => {
  const other = nodeHasher.sha256Hex("other");
  for (const [kind, liar, sequence] of [
    ["pre-prepare", 0, 1],
    ["prepare", 2, 1],
    ["commit", 2, 1],
    ["checkpoint", 2, 4],
  ] as const) {
    const cluster = new Cluster(4, {}, [liar]);
    for (const one of [digest, other, digest]) {
      const vote = cluster.vote(liar, kind, 0, sequence, one);
      const bytes =
        kind === "pre-prepare"
          ? encodeMessage({ kind, vote, batch: undefined })
          : encodeMessage({ kind: "vote", vote });
      cluster.tell(liar, 1, bytes);
    }
    const { evidence } = cluster.nodes[1]!;
    t.equal(evidence.length, 1, kind);
    const [proof] = evidence;
    const third = new VoteCheck(cluster.members.group, cluster.members.credentials[3]!, nodeHasher);
    t.ok(isProof(proof!, third), kind);
    const forged = { ...proof!.second, signature: proof!.first.signature };
    t.notOk(isProof({ ...proof!, second: forged }, third));
    t.notOk(isProof({ ...proof!, second: proof!.first }, third));
    t.notOk(isProof({ ...proof!, accused: 3 }, third));
    if (kind === "pre-prepare")
      t.equal(cluster.replica(1).view, 1, "nobody waits for such a primary");
  }
});

t.test("a decision is proven to whoever knows the members", async (t) => {
  const cluster = new Cluster();
  const certificates: Certificate[] = [];
  const step = cluster.replica(2).step.bind(cluster.replica(2));
  cluster.replica(2).step = (input) => {
    const effects = step(input);
    certificates.push(...effects.decided.map(({ certificate }) => certificate));
    return effects;
  };
  cluster.ask(cluster.request("client", 1), [0]);
  cluster.deliver();
  const [certificate] = certificates as [Certificate];
  const { group, keys } = cluster.members;
  const outsider = new VoteCheck(group, signerCredentials(keys.signer("outsider")), nodeHasher);
  t.ok(isCertified(certificate, outsider));
  const { signatures } = certificate;
  t.notOk(isCertified({ ...certificate, signatures: signatures.slice(1) }, outsider));
  t.notOk(
    isCertified(
      { ...certificate, signatures: [signatures[0]!, signatures[0]!, signatures[1]!] },
      outsider,
    ),
  );
  t.notOk(isCertified({ ...certificate, sequence: 2 }, outsider));
  t.notOk(isCertified({ ...certificate, kind: "checkpoint" }, outsider));
  const elsewhere = new Group("another group", group.members, nodeHasher);
  const check = new VoteCheck(elsewhere, signerCredentials(keys.signer("outsider")), nodeHasher);
  t.notOk(isCertified(certificate, check), "and counts in its own group only");
});

t.test(
  "groups that can not bear a liar, and bounds that contradict each other, are errors",
  async (t) => {
    const names = ["a", "b", "c", "d"];
    t.throws(() => new Group("test", names.slice(1), nodeHasher), RangeError);
    t.throws(() => new Group("test", ["a", ...names], nodeHasher), RangeError);
    for (const [size, faulty, quorum] of [
      [4, 1, 3],
      [5, 1, 4],
      [6, 1, 4],
      [7, 2, 5],
      [10, 3, 7],
    ] as const) {
      const group = new Group(
        "test",
        Array.from({ length: size }, (_, at) => `${at}`),
        nodeHasher,
      );
      t.same([group.faultyMax, group.quorum], [faulty, quorum]);
    }
    t.throws(() => checkOptions({ ...defaultPbftOptions, windowSize: 100 }), RangeError);
    t.throws(() => checkOptions({ ...defaultPbftOptions, requestBytesMax: 2 ** 30 }), RangeError);
    t.throws(() => checkOptions({ ...defaultPbftOptions, inFlightMax: 0 }), RangeError);
    checkOptions(defaultPbftOptions);
  },
);

t.test("the application has to answer what it was told, and nothing else", async (t) => {
  const cluster = new Cluster();
  t.throws(() => cluster.replica(1).step({ kind: "executed", sequence: 1, results: [] }), Error);
  t.throws(() => cluster.replica(1).start(), { message: "the replica was started before" });
});
