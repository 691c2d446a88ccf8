import t from "tap";
import {
  gaussian,
  innerProductManipulation,
  littleIsEnough,
  omniscient,
  signFlip,
  zero,
} from "../../../../src/federated/strategies/attacks.ts";
import {
  scaffoldClientStep,
  scaffoldCorrection,
  scaffoldServerStep,
} from "../../../../src/federated/strategies/clients/scaffold.ts";
import { workerMomentum } from "../../../../src/federated/strategies/clients/worker-momentum.ts";
import { exp, ln, power, standardNormal } from "../../../../src/federated/strategies/elementary.ts";
import { average } from "../../../../src/federated/strategies/helpers.ts";
import { PlainVectorMath } from "../../../../src/federated/strategies/plain-vector-math.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";

const math = new PlainVectorMath();

t.test("SCAFFOLD finds the optimum of two quadratics where FedAvg does not", async (t) => {
  // ½ a (x − b)²: the optimum of the sum is Σ a b / Σ a = 10/11.
  const clients = [
    { a: 1, b: 0 },
    { a: 10, b: 1 },
  ];
  const [learningRate, steps] = [0.05, 10];
  const descend = (client: (typeof clients)[number], from: number, correction: number) => {
    let x = from;
    for (let step = 0; step < steps; step++)
      x -= learningRate * (client.a * (x - client.b) + correction);
    return Float32Array.of(x);
  };
  let averaged: Float32Array = Float32Array.of(0);
  let model: Float32Array = Float32Array.of(0);
  let server: Float32Array = Float32Array.of(0);
  const variates: Float32Array[] = clients.map(() => Float32Array.of(0));
  for (let round = 0; round < 400; round++) {
    averaged = average(
      clients.map((client) => descend(client, averaged[0]!, 0)),
      math,
    );
    const before = model;
    const ends = clients.map((client, index) =>
      descend(client, before[0]!, scaffoldCorrection(server, variates[index]!)[0]!),
    );
    const changes = ends.map((after, index) => {
      const round = { before, after, server, client: variates[index]!, steps, learningRate };
      const { client, change } = scaffoldClientStep(round);
      variates[index] = client;
      return change;
    });
    model = average(ends, math);
    server = scaffoldServerStep(server, average(changes, math), 1);
  }
  t.ok(Math.abs(averaged[0]! - 0.713442) < 1e-6, `FedAvg stays at ${averaged[0]}`);
  t.ok(Math.abs(model[0]! - 10 / 11) < 1e-6, `SCAFFOLD at ${model[0]}`);
});

t.test("SCAFFOLD's arguments", async (t) => {
  const one = Float32Array.of(1);
  const round = { before: one, after: one, server: one, client: one, steps: 1, learningRate: 1 };
  t.throws(() => scaffoldClientStep({ ...round, steps: 0 }), RangeError);
  t.throws(() => scaffoldClientStep({ ...round, learningRate: 0 }), RangeError);
  t.throws(() => scaffoldServerStep(one, one, 0), RangeError);
  t.throws(() => scaffoldServerStep(one, one, 1.5), RangeError);
  t.same([...scaffoldServerStep(one, Float32Array.of(2), 0.5)], [2]);
});

t.test("worker momentum", async (t) => {
  const first = workerMomentum(undefined, Float32Array.of(2, 4), 0.75);
  t.same([...first], [2, 4]);
  t.same([...workerMomentum(first, Float32Array.of(6, 0), 0.75)], [3, 3]);
  t.throws(() => workerMomentum(first, first, 1), RangeError);
});

t.test("attacks", async (t) => {
  const honest = [
    [1, 2],
    [3, 2],
    [2, 5],
  ].map((values) => Float32Array.from(values));
  const scene = { honest, attackers: 2, random: new SeededRandom("attack") };
  const sent = (attack: (of: typeof scene) => Float32Array[]) =>
    attack(scene).map((each) => [...each]);
  t.same(sent(omniscient(20)), [
    [-40, -60],
    [-40, -60],
  ]);
  t.same(sent(innerProductManipulation(0.5))[0], [-1, -1.5]);
  const [alie] = sent(littleIsEnough(1));
  t.ok(
    Math.abs(alie![0]! - (2 - Math.sqrt(2 / 3))) < 1e-6 &&
      Math.abs(alie![1]! - (3 - Math.sqrt(2))) < 1e-6,
  );
  t.same(sent(signFlip)[1], [-2, -3]);
  t.same(
    signFlip({ ...scene, own: [Float32Array.of(7, -8)] }).map((each) => [...each]),
    [[-7, 8]],
  );
  t.same(sent(zero), [
    [0, 0],
    [0, 0],
  ]);
  const wide = [new Float32Array(50_000)];
  const [noise] = gaussian(200)({ ...scene, honest: wide });
  const mean = noise!.reduce((sum, value) => sum + value, 0) / noise!.length;
  const variance = noise!.reduce((sum, value) => sum + value * value, 0) / noise!.length;
  t.ok(
    Math.abs(mean) < 4 && Math.abs(Math.sqrt(variance) - 200) < 4,
    `${mean} ± ${Math.sqrt(variance)}`,
  );
});

t.test("elementary functions", async (t) => {
  const random = new SeededRandom("elementary");
  let [worstLn, worstExp, worstPower] = [0, 0, 0];
  const off = (found: number, wanted: number) => Math.abs(found / wanted - 1);
  for (let round = 0; round < 20_000; round++) {
    const x = 10 ** (600 * random.next() - 300);
    worstLn = Math.max(worstLn, off(ln(x), Math.log(x)));
    const y = 1_400 * random.next() - 700;
    worstExp = Math.max(worstExp, off(exp(y), Math.exp(y)));
    const [base, exponent] = [10 ** (8 * random.next() - 4), 20 * random.next() - 10];
    worstPower = Math.max(worstPower, off(power(base, exponent), base ** exponent));
  }
  t.ok(
    worstLn < 1e-14 && worstExp < 1e-14 && worstPower < 1e-13,
    `${worstLn} ${worstExp} ${worstPower}`,
  );
  t.ok(off(ln(5e-324), Math.log(5e-324)) < 1e-14);
  t.ok(off(ln(Number.MAX_VALUE), Math.log(Number.MAX_VALUE)) < 1e-14);
  t.same([ln(1), exp(0), exp(1_000), exp(-1_000)], [0, 1, Number.POSITIVE_INFINITY, 0]);
  t.same(
    [power(0, 0), power(0, 2), power(0, -1), power(5, 1), power(1, 1e9)],
    [1, 0, Number.POSITIVE_INFINITY, 5, 1],
  );
  let sum = 0;
  for (let draw = 0; draw < 10_000; draw++) sum += standardNormal(random) ** 4;
  t.ok(Math.abs(sum / 10_000 - 3) < 0.5, "the fourth moment of the normal distribution is 3");
});
