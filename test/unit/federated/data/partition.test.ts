import t from "tap";
import type { LabelledSamples } from "../../../../src/federated/data/dataset.ts";
import {
  dirichletPartition,
  groupPartition,
  iidPartition,
  type Partition,
  shardPartition,
} from "../../../../src/federated/data/partition.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";

const COUNT = 6_000;
const CLASSES = 10;
const samples: LabelledSamples = {
  count: COUNT,
  features: new Float32Array(COUNT),
  targets: Int32Array.from({ length: COUNT }, (_, at) => (at * 7) % CLASSES),
  groups: Int32Array.from({ length: COUNT }, (_, at) => at % 13),
};
const random = () => new SeededRandom("partition");
const all = (partition: Partition) =>
  partition
    .flatMap((own) => [...own])
    .sort((a, b) => a - b)
    .join();
const everything = Array.from({ length: COUNT }, (_, at) => at).join();
const classesOf = (own: Int32Array) => new Set([...own].map((at) => samples.targets[at]));
/** Mean over the clients of the share that their commonest class has. */
const concentration = (partition: Partition) => {
  let sum = 0;
  for (const own of partition) {
    const counts = Array.from({ length: CLASSES }, () => 0);
    for (const at of own) counts[samples.targets[at]!]!++;
    sum += Math.max(...counts) / own.length / partition.length;
  }
  return sum;
};

t.test("every sample goes to one client, the same way for the same seed", async (t) => {
  const ways: (() => Partition)[] = [
    () => iidPartition(COUNT, 7, random()),
    () => shardPartition(samples, 100, 2, random()),
    () => dirichletPartition(samples, 20, { alpha: 0.5, samplesMin: 10 }, random()),
    () => groupPartition(samples),
  ];
  for (const way of ways) {
    const partition = way();
    t.equal(all(partition), everything);
    t.equal(way().join(";"), partition.join(";"));
    for (const own of partition)
      t.ok(
        own.every((at, place) => place === 0 || at > own[place - 1]!),
        "ascending",
      );
  }
});

t.test("IID: sizes differ by one at most, and every client knows every class", async (t) => {
  const sizes = iidPartition(COUNT, 7, random()).map(({ length }) => length);
  t.ok(Math.max(...sizes) - Math.min(...sizes) <= 1);
  for (const own of iidPartition(COUNT, 10, random())) t.equal(classesOf(own).size, CLASSES);
});

t.test("shards: two of them mean two classes, three where one reaches over a border", async (t) => {
  const partition = shardPartition(samples, 100, 2, random());
  for (const own of partition) {
    t.equal(own.length, COUNT / 100);
    t.ok(classesOf(own).size <= 2, "600 of each class make 20 whole shards");
  }
  const other = shardPartition(samples, 100, 2, new SeededRandom("other"));
  t.not(partition.join(";"), other.join(";"));
});

t.test("Dirichlet: the smaller alpha, the more clients differ", async (t) => {
  const at = (alpha: number) =>
    concentration(dirichletPartition(samples, 20, { alpha, samplesMin: 1 }, random()));
  t.ok(at(0.1) > 0.45 && at(0.1) > at(1) + 0.1, `${at(0.1)} ${at(1)}`);
  t.ok(at(1) > at(100) + 0.1 && at(100) < 0.15, `${at(1)} ${at(100)}`);
  for (const own of dirichletPartition(samples, 20, { alpha: 0.3, samplesMin: 50 }, random()))
    t.ok(own.length >= 50);
  // So small that all shares but one vanish in floating point.
  t.equal(
    all(dirichletPartition(samples, 3, { alpha: 1e-4, samplesMin: 1 }, random())),
    everything,
  );
});

t.test("groups: one client for each", async (t) => {
  const partition = groupPartition(samples);
  t.equal(partition.length, 13);
  for (const [group, own] of partition.entries())
    t.ok(own.every((at) => samples.groups?.[at] === group));
});

t.test("what can not be is refused, with what would help", async (t) => {
  const { groups: _, ...bare } = samples;
  for (const [make, told] of [
    [() => iidPartition(5, 6, random()), /5 samples are not enough for 6/],
    [() => iidPartition(5, 0, random()), /1 to 10000, not 0/],
    [() => shardPartition(samples, 6_000, 2, random()), /1 to 10000, not 12000/],
    [() => groupPartition(bare), /no groups/],
    [
      () => dirichletPartition(samples, 20, { alpha: 0.01, samplesMin: 200 }, random()),
      /larger alpha, fewer clients or a smaller samplesMin/,
    ],
    [
      () => dirichletPartition(samples, 2, { alpha: Number.NaN, samplesMin: 1 }, random()),
      /alpha: above 0/,
    ],
  ] as const)
    t.throws(make, { code: "data.setting", message: told });
});
