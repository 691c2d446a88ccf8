import t from "tap";
import {
  type CommitteeState,
  type Fitness,
  faultOfStep,
  nextStep,
} from "../../../../src/consensus/committee/next-step.ts";

const patience = { replaceAfterMs: 60_000, removeAfterMs: 600_000 };

interface Seen {
  readonly protocol?: CommitteeState["protocol"];
  readonly members: string;
  readonly wanted: string;
  /** Who is not fit, and for how many seconds: `c:gone:70`. */
  readonly unfit?: string;
}

/** Members are letters. */
function seen({ protocol = "raft", members, wanted, unfit = "" }: Seen): CommitteeState {
  const known = new Map(
    unfit
      .split(" ")
      .filter((text) => text !== "")
      .map((text) => {
        const [peer = "", fitness, seconds] = text.split(":");
        return [peer, { fitness: fitness as Fitness, forMs: Number(seconds) * 1_000 }];
      }),
  );
  return {
    protocol,
    members: members.split(""),
    wanted: wanted.split(""),
    fitness: (peer) => known.get(peer)?.fitness ?? "fit",
    unfitForMs: (peer) => known.get(peer)?.forMs ?? 0,
  };
}

const steps: readonly (readonly [why: string, Seen, expected: string | undefined])[] = [
  ["all is well", { members: "abc", wanted: "abc" }, undefined],
  ["one more is wanted", { members: "abc", wanted: "abcd" }, "add d wanted"],
  ["on the way from one to three", { members: "a", wanted: "abc" }, "add b wanted"],
  ["fewer are wanted: who is fit stays", { members: "abcd", wanted: "abc" }, undefined],
  ["somebody else is wanted more: who is fit stays", { members: "abc", wanted: "abd" }, undefined],
  ["a device restarts", { members: "abc", wanted: "abd", unfit: "c:gone:59" }, undefined],
  ["it does not come back", { members: "abc", wanted: "abd", unfit: "c:gone:60" }, "add d wanted"],
  [
    "its replacement is there",
    { members: "abcd", wanted: "abd", unfit: "c:gone:61" },
    "remove c gone",
  ],
  ["on battery", { members: "abcd", wanted: "abd", unfit: "c:unfit:61" }, "remove c unfit"],
  [
    "of four one is gone, and another is there: it is replaced",
    { protocol: "pbft", members: "abcd", wanted: "abce", unfit: "d:gone:60" },
    "add e wanted",
  ],
  [
    "its replacement is there, and the roles want yet another one by now",
    { protocol: "pbft", members: "abcde", wanted: "abcf", unfit: "d:gone:60" },
    "remove d gone",
  ],
  [
    "of four one is gone, and nobody else is there: three decide better",
    { members: "abcd", wanted: "abc", unfit: "d:gone:60" },
    "remove d gone",
  ],
  [
    "nobody takes its place, for now",
    { members: "abc", wanted: "a", unfit: "c:gone:599" },
    undefined,
  ],
  [
    "nobody takes its place, for long",
    { members: "abc", wanted: "a", unfit: "c:gone:600" },
    "remove c gone",
  ],
  [
    "whoever lost its promises does not come back",
    { members: "abc", wanted: "ab", unfit: "c:lost:60" },
    "remove c lost",
  ],
  [
    "the rest could not agree any more",
    { members: "abc", wanted: "a", unfit: "b:gone:900 c:gone:900" },
    undefined,
  ],
  ["two of which one is gone", { members: "ab", wanted: "a", unfit: "b:gone:900" }, undefined],
  [
    "four are the fewest that bear a liar",
    { protocol: "pbft", members: "abcd", wanted: "abc", unfit: "d:gone:900" },
    undefined,
  ],
  [
    "five with one gone are four",
    { protocol: "pbft", members: "abcde", wanted: "abce", unfit: "d:gone:60" },
    "remove d gone",
  ],
  [
    "the one that is gone for longer goes first",
    { members: "abcde", wanted: "abc", unfit: "d:gone:700 e:gone:800" },
    "remove e gone",
  ],
  [
    "who is wanted is not fit itself",
    { members: "abc", wanted: "abd", unfit: "c:gone:61 d:gone:5" },
    undefined,
  ],
  ["nobody says who is wanted", { members: "abc", wanted: "", unfit: "c:gone:61" }, undefined],
];

for (const [why, state, expected] of steps)
  t.test(why, async (t) => {
    const step = nextStep(seen(state), patience);
    t.equal(step && `${step.kind} ${step.peer} ${step.because}`, expected);
    if (step !== undefined)
      t.equal(faultOfStep(seen(state), step), undefined, "others find it sound");
  });

t.test("what no honest member proposes", async (t) => {
  const state = seen({ members: "abc", wanted: "abc", unfit: "d:unfit:1 c:gone:1" });
  t.match(faultOfStep(state, { kind: "add", peer: "a" }), /member already/);
  t.match(faultOfStep(state, { kind: "add", peer: "d" }), /not fit/);
  t.match(faultOfStep(state, { kind: "remove", peer: "d" }), /no member/);
  t.match(faultOfStep(state, { kind: "remove", peer: "a" }), /is fit/);
  const four = seen({ protocol: "tendermint", members: "abcd", wanted: "abcd", unfit: "a:gone:1" });
  t.match(faultOfStep(four, { kind: "remove", peer: "a" }), /too few/);
});
