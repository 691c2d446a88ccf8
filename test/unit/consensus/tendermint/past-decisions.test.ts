import t from "tap";
import { PastDecisions } from "../../../../src/consensus/tendermint/past-decisions.ts";
import { plainHasher } from "../../../../src/simulator/plain-hasher.ts";

const decision = (height: number, bytes: number) => ({
  certificate: {
    kind: "precommit" as const,
    height,
    round: 0,
    valueId: "1f".repeat(32),
    signatures: [],
  },
  value: new Uint8Array(bytes),
});

t.test("the latest decisions are kept, so many and of so many bytes", async (t) => {
  const past = new PastDecisions(plainHasher, 64, 4, 100);
  const kept = (): number[] =>
    [1, 2, 3, 4, 5, 6, 7, 8].filter((at) => past.message(at) !== undefined);
  for (let height = 1; height <= 5; height++) past.add(decision(height, 10));
  t.same(kept(), [2, 3, 4, 5]);
  past.add(decision(5, 10));
  past.add(decision(6, 85));
  t.same(kept(), [5, 6], "by their bytes");
  past.add(decision(7, 500));
  t.same(kept(), [7], "the latest in any case");
  past.add(decision(8, 0));
  t.same(kept(), [8]);
});
