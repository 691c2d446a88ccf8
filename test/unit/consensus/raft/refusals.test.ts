import t from "tap";
import type { Entry } from "../../../../src/consensus/raft/entry.ts";
import { NO_DATA } from "../../../../src/consensus/raft/entry.ts";
import type { Message } from "../../../../src/consensus/raft/message.ts";
import type { Refusal } from "../../../../src/consensus/raft/refusals.ts";
import { RaftGroup } from "../../../support/raft/group.ts";

const address = { from: 1, to: 2, term: 5 };
const entry = (index: number, term: number, bytes = 0): Entry => ({
  index,
  term,
  kind: "normal",
  data: new Uint8Array(bytes),
});
const append = {
  kind: "append",
  ...address,
  index: 1,
  logTerm: 1,
  entries: [],
  commit: 1,
} as const;
const vote = { kind: "vote", ...address, index: 1, logTerm: 1, transfer: false } as const;
const answered = { index: 1, reject: false, rejectHint: 0, logTerm: 0 };
const answer = { kind: "append-response", ...address, ...answered } as const;
const beat = { kind: "heartbeat", ...address, commit: 0, readRound: 0, sentTick: 0 } as const;
const configuration = {
  voters: [1, 2, 3],
  outgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};
const snapshot = { index: 9, term: 1, configuration, data: NO_DATA };

const cases: readonly [string, Message, Refusal][] = [
  ["a term of 0", { ...append, term: 0 }, "malformed"],
  ["a negative term", { ...vote, term: -1 }, "malformed"],
  [
    "a term that can not be counted on from",
    { ...vote, term: Number.MAX_SAFE_INTEGER },
    "malformed",
  ],
  ["a broken term", { ...vote, term: 1.5 }, "malformed"],
  ["no term", { ...vote, term: Number.NaN }, "malformed"],
  ["a negative index", { ...append, index: -1 }, "malformed"],
  ["an index that is not safe", { ...answer, index: 2 ** 60 }, "malformed"],
  ["a gap behind the previous entry", { ...append, entries: [entry(3, 5)] }, "malformed"],
  ["a gap between entries", { ...append, entries: [entry(2, 5), entry(4, 5)] }, "malformed"],
  ["terms that fall", { ...append, entries: [entry(2, 5), entry(3, 4)] }, "malformed"],
  ["entries of the future", { ...append, entries: [entry(2, 6)] }, "malformed"],
  ["a previous term without an entry", { ...append, index: 0, logTerm: 1 }, "malformed"],
  ["more than may be in a message", { ...append, entries: [entry(2, 5, 2_000)] }, "too-large"],
  [
    "more entries than may be in a message",
    { ...append, entries: Array.from({ length: 500 }, (_, at) => entry(at + 2, 5)) },
    "too-large",
  ],
  ["something for another", { ...vote, to: 3 }, "misdirected"],
  ["something from itself", { ...vote, from: 2 }, "own-message"],
  ["an answer from no member", { ...answer, from: 9 }, "unknown-sender"],
  [
    "a proposal from no member",
    { kind: "propose", from: 9, to: 2, entries: [{ kind: "normal", data: NO_DATA }] },
    "unknown-sender",
  ],
  ["a commit that it has no entries for", { ...beat, commit: 7 }, "commit-beyond-log"],
  [
    "a snapshot without it",
    {
      kind: "snapshot",
      ...address,
      snapshot: { ...snapshot, configuration: { ...configuration, voters: [1, 3] } },
    },
    "foreign-snapshot",
  ],
  [
    "members that are none",
    {
      kind: "snapshot",
      ...address,
      snapshot: { ...snapshot, configuration: { ...configuration, voters: [3, 1, 2] } },
    },
    "malformed",
  ],
  [
    "a context that is too great",
    { kind: "read-index", from: 1, to: 2, context: new Uint8Array(300) },
    "too-large",
  ],
  [
    "an answer to a read from no leader",
    { kind: "read-index-response", ...address, term: 5, index: 1, context: NO_DATA },
    "not-the-leader",
  ],
];

const small = { messageBytesMax: 1_000, inflightBytesMax: 1_000, acceptedBytesMax: 1_000 };

t.test("what peers must not say is refused by name, and counted", async (t) => {
  for (const [what, message, refusal] of cases) {
    const group = new RaftGroup([1, 2, 3], small);
    t.equal(group.raft(2).step(message), refusal, what);
    t.equal(group.raft(2).status().refusals.get(refusal), 1);
    t.equal(group.raft(2).status().commit, 1, "nothing is committed by it");
  }
});

t.test("what is no message at all is malformed", async (t) => {
  const { raft } = new RaftGroup([1, 2, 3]).node(2);
  const nothings = [null, undefined, 7, {}, { kind: "x" }, { ...append, kind: "toString" }];
  const halves = [
    { ...append, entries: null },
    { ...append, entries: [null] },
  ];
  const others = [
    { ...append, entries: [{ ...entry(2, 5), data: "x" }] },
    { ...vote, transfer: 1 },
  ];
  for (const message of [...nothings, ...halves, ...others])
    t.equal(raft.step(message as unknown as Message), "malformed");
});

t.test("the old and the second are refused", async (t) => {
  const group = new RaftGroup([1, 2, 3]);
  const leader = group.elect(1);
  const { term } = leader.status();
  t.equal(group.raft(2).step({ ...append, term: term - 1 }), "stale-term");
  t.equal(group.raft(2).step({ ...append, from: 3, term }), "second-leader");
  t.equal(leader.step({ ...append, from: 3, to: 1, term }), "second-leader");
  const round = { readRound: 9, sentTick: 0, from: 2, to: 1, term } as const;
  t.equal(leader.step({ kind: "heartbeat-response", ...round }), "unknown-round");
  t.equal(leader.step({ ...answer, from: 2, to: 1, term, index: 99 }), "commit-beyond-log");
  t.equal(leader.status().commit, 2);
});

t.test("a committed entry is not replaced", async (t) => {
  const group = new RaftGroup([1, 2, 3]);
  group.elect(1);
  group.tick(1);
  const { commit } = group.raft(2).status();
  const previous = { index: 1, logTerm: 1, from: 3, term: 9 };
  t.equal(commit, 2);
  group.raft(2).step({ ...append, ...previous, index: 1, entries: [entry(2, 9)], commit: 2 });
  t.equal(group.raft(2).termAt(2), 2, "what is behind the commit is answered, not taken");
});

t.test("options that can not work are refused at once", async (t) => {
  t.throws(() => new RaftGroup([1], { electionTicks: 1 }), /more than heartbeatTicks/);
  t.throws(() => new RaftGroup([1], { readMode: "lease-based" }), /checkQuorum/);
  t.throws(() => new RaftGroup([1], { inflightBytesMax: 1 }), /inflightBytesMax/);
  t.throws(() => new RaftGroup([1], { pendingReadsMax: 0 }), /whole number/);
});

t.test("what the caller does in the wrong order is an error", async (t) => {
  const { raft } = new RaftGroup([1]).node(1);
  t.throws(() => raft.advance(), /no ready/);
  raft.campaign();
  raft.ready();
  t.throws(() => raft.ready(), /advance comes before/);
  t.throws(() => raft.acknowledge({ kind: "apply-done", to: 2, entries: [] }), /node 2/);
});
