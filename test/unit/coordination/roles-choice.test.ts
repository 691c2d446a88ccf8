// Who is suitable for what, and who is chosen.
import t from "tap";
import {
  aggregatorsWanted,
  choose,
  type Eligible,
} from "../../../src/coordination/roles/choice.ts";
import {
  BYZANTINE_SIZES,
  committeeSizes,
} from "../../../src/coordination/roles/committee-sizes.ts";
import {
  canTrain,
  hasSkills,
  standingOf,
  suitabilityOf,
} from "../../../src/coordination/roles/suitability.ts";
import { CachingVerifier } from "../../../src/mesh/records/record-verifier.ts";
import { VirtualKeys } from "../../../src/simulator/virtual-signer.ts";
import { type Device, recordOf } from "../../support/role-records.ts";

const signer = new VirtualKeys().signer("device");
const verifier = new CachingVerifier(signer, 100);
const pi: Device = { supply: "mains", cores: 4, memoryGiB: 4 };
const record = (device: Partial<Device>) => recordOf(signer, verifier, { ...pi, ...device });

t.test("standing follows power, and nothing else makes up for it", async (t) => {
  const standing = (device: Partial<Device>, holds = false) => standingOf(record(device), holds);
  t.equal(standing({}), "quorum");
  t.equal(standing({ mode: "saving" }), "quorum");
  t.equal(standing({ mode: "aggressive" }), "none");
  t.equal(standing({ mode: "critical" }), "none");
  t.equal(standing({ status: "failing" }), "none");
  t.equal(standing({ supply: "unknown" }), "none");
  t.equal(standing({ features: ["bridge"] }), "none", "it takes no part");
  t.equal(standing({ supply: "battery", batteryPercent: 100, cores: 64 }), "reserve");
  t.equal(standing({ supply: "battery", batteryPercent: 49 }), "none");
  t.equal(
    standing({ supply: "battery", batteryPercent: 49 }, true),
    "reserve",
    "it keeps what it has",
  );
  t.equal(standing({ supply: "battery", batteryPercent: 29 }, true), "none");
  t.equal(standing({ supply: "battery" }), "none", "nobody knows its charge");
});

t.test("suitability is a sum of points, less for strain", async (t) => {
  t.equal(suitabilityOf(record({})), 4 * 40 + 16 * 5 + 60 + 60);
  t.equal(suitabilityOf(record({ uplinks: [] })), 300);
  t.equal(suitabilityOf(record({ addresses: [] })), 300);
  t.equal(suitabilityOf(record({ features: ["roles", "bridge", "relay"] })), 420);
  t.equal(
    suitabilityOf(record({ cores: 64, memoryGiB: 512 })),
    8 * 40 + 64 * 5 + 120,
    "it is bounded",
  );
  t.equal(suitabilityOf(record({ cpuPercent: 80 })), 342, "95 % of 360");
  t.equal(suitabilityOf(record({ supply: "battery", batteryPercent: 50 })), 180);
  const worst = {
    cpuPercent: 100,
    memoryPercent: 100,
    celsius: 99,
    uplinkUp: false,
    status: "degraded",
  };
  t.equal(suitabilityOf(record(worst)), 303, "84 % of 360, rounded up");
  for (const cores of [1, 2, 3, 5, 8])
    t.ok(
      suitabilityOf(record({ cores })) * 100 <= suitabilityOf(record({ cores, ...worst })) * 120,
      "strain alone is never the margin",
    );
});

t.test("who trains", async (t) => {
  const trains = (device: Partial<Device>, skills: readonly string[] = []) =>
    canTrain(record(device), skills);
  t.ok(trains({}));
  t.ok(trains({ mode: "saving" }));
  t.notOk(trains({ mode: "critical" }));
  t.notOk(trains({ memoryGiB: 0.25 }));
  t.notOk(trains({ status: "failing" }));
  t.notOk(trains({ features: [] }));
  t.ok(trains({ supply: "battery", batteryPercent: 50 }));
  t.notOk(trains({ supply: "battery", batteryPercent: 49 }));
  t.notOk(trains({ supply: "battery", batteryPercent: 90, mode: "saving" }));
  t.notOk(trains({}, ["camera"]));
  t.ok(trains({ features: ["roles", "camera"] }, ["camera"]));
  t.notOk(hasSkills(record({}), ["roles", "camera"]));
});

const agent = (peer: string, score: number, more: Partial<Eligible> = {}): Eligible => ({
  peer,
  score,
  standing: "quorum",
  mayValidate: true,
  mayAggregate: true,
  settled: true,
  ...more,
});
const fleet = (count: number) =>
  Array.from({ length: count }, (_, at) => agent(String.fromCharCode(97 + at), 500 - at));
const nobody = { validators: [], aggregators: [] };
const maker = agent("maker", 600);
const input = { maker, holders: nobody, committeeSizes: BYZANTINE_SIZES, livingCount: 4 };
const upToFour = { ...input, committeeSizes: committeeSizes("pbft", 4) };

t.test(
  "committees have sizes that are worth it; aggregators stay outside while they can",
  async (t) => {
    for (const [others, validators, aggregators] of [
      [0, 0, 1],
      [1, 0, 1],
      [2, 2, 1],
      [3, 3, 1],
      [4, 3, 1],
      [6, 6, 1],
      [9, 9, 1],
      [20, 9, 3],
    ] as const) {
      const choice = choose({ ...input, others: fleet(others), livingCount: others + 1 });
      t.equal(choice.validators.length, validators, `${others} others`);
      t.equal(choice.aggregators.length, aggregators, `${others} others`);
    }
    t.same(choose({ ...input, others: [] }).aggregators, ["maker"], "alone with everything");
    t.same(choose({ ...input, others: fleet(3) }), {
      validators: ["a", "b", "c"],
      aggregators: ["c"],
    });
    t.same(choose({ ...input, others: fleet(4) }), {
      validators: ["a", "b", "c"],
      aggregators: ["d"],
    });
    t.same(choose({ ...upToFour, others: fleet(6) }).validators, ["a", "b", "c"]);
    t.same([1, 2, 4, 16, 64, 1_000, 10_000, 1e9].map(aggregatorsWanted), [1, 1, 2, 3, 4, 5, 7, 8]);
  },
);

t.test("a committee that decides by majorities is odd, and has five at most", async (t) => {
  const raft = { ...input, committeeSizes: committeeSizes("raft", 10) };
  const sizes = [1, 2, 3, 4, 5, 6, 7, 10, 50].map((agents) => [
    agents,
    choose({ ...raft, others: fleet(agents - 1) }).validators.length + 1,
  ]);
  t.same(Object.fromEntries(sizes), { 1: 1, 2: 1, 3: 3, 4: 3, 5: 5, 6: 5, 7: 5, 10: 5, 50: 5 });
  t.same(committeeSizes("raft", 4), [1, 3]);
  t.same(committeeSizes("tendermint", 5), [1, 3, 4]);
});

t.test("battery, missing skills and doubts keep agents out", async (t) => {
  const others = [
    agent("battery", 900, { standing: "reserve" }),
    agent("unskilled", 800, { mayValidate: false }),
    agent("suspect", 700, { settled: false }),
    agent("a", 10),
    agent("b", 9),
  ];
  const choice = choose({ ...input, others });
  t.same(choice.validators, ["a", "b"]);
  t.same(choice.aggregators, ["unskilled"]);
  const kept = choose({ ...input, others, holders: { validators: ["suspect"], aggregators: [] } });
  t.ok(kept.validators.includes("suspect"), "a suspect keeps what it has");
});

t.test("a caretaker has no validators, and aggregators of its own kind", async (t) => {
  const caretaker = { ...maker, standing: "reserve" as const };
  const others = fleet(5).map((one) => ({ ...one, standing: "reserve" as const }));
  t.same(choose({ ...input, maker: caretaker, others }), {
    validators: [],
    aggregators: ["a", "maker"],
  });
});

t.test("who has a role keeps it, but for somebody much better at a rebalance", async (t) => {
  const others = [...fleet(6), agent("strong", 599)];
  const holders = { validators: ["d", "e", "f"], aggregators: ["c"] };
  const four = { ...upToFour, others, holders };
  t.same(choose(four), { validators: ["d", "e", "f"], aggregators: ["c", "strong"] });
  t.same(
    choose({ ...four, marginPercent: 22 }).validators,
    ["d", "e", "f"],
    "599 is 21 % over 495",
  );
  t.same(choose({ ...four, marginPercent: 20 }).validators, ["d", "e", "strong"]);
  t.same(
    choose({ ...four, others: others.filter(({ peer }) => peer !== "e") }).validators,
    ["d", "f", "strong"],
    "only the free place is given anew",
  );
});
