import t from "tap";
import { contradictionOf } from "../../../../src/federated/rounds/evidence.ts";
import { EVIDENCE_TOLD, toldOf } from "../../../../src/federated/rounds/evidence-spread.ts";
import { REPUTATION_LEAST, Reputation } from "../../../../src/federated/rounds/reputation.ts";
import { nodeHasher } from "../../../../src/platform/node/hasher.ts";
import { wordBy } from "../../../support/rounds/words.ts";

const evidence = contradictionOf(wordBy("liar"), wordBy("liar", { samples: 11 }))!;

t.test("a proof reaches all of a large fleet, and nobody tells many", async (t) => {
  const trainers = Array.from({ length: 1_000 }, (_, at) => `peer-${at}`);
  const members = trainers.slice(0, 5);
  const heard = new Set(["peer-700"]);
  let said = 0;
  for (const self of heard) {
    const told = toldOf(evidence, { hasher: nodeHasher, self, members, trainers });
    t.ok(told.length <= members.length + EVIDENCE_TOLD && !told.includes(self));
    said += told.length;
    for (const peer of told) heard.add(peer);
  }
  t.ok(heard.size >= 990, `${heard.size} of 1000 have heard, in ${said} messages`);
});

t.test("the members are told, whoever else is known", async (t) => {
  const parts = { hasher: nodeHasher, self: "a", members: ["a", "b", "c"] };
  t.same(toldOf(evidence, { ...parts, trainers: [] }), ["b", "c"]);
  t.same(toldOf(evidence, { ...parts, trainers: ["a", "b", "d"] }), ["b", "c", "d"]);
});

t.test("a restart forgives nothing, and rounds do", async (t) => {
  const before = new Reputation();
  before.blame("liar", "equivocation");
  before.blame("liar", "equivocation");
  t.notOk(before.isTrusted("liar"));
  const after = new Reputation(before.all());
  t.equal(after.of("liar"), before.of("liar"));
  let rounds = 0;
  while (!after.isTrusted("liar")) after.roundEnded(++rounds);
  t.equal(rounds, Math.ceil((REPUTATION_LEAST - 0.25) / 0.02), "it may take part again");
  const odd = [
    { peer: "a", score: Number.NaN },
    { peer: "b", score: 1.5 },
    { peer: "c", score: 0 },
  ];
  t.same(new Reputation(odd).all(), [], "what is no score is left out");
});
