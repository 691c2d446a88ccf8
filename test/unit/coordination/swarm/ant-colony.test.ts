import t from "tap";
import { AntColony, defaultColonyOptions } from "../../../../src/coordination/swarm/ant-colony.ts";
import { Distances } from "../../../../src/coordination/swarm/distances.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";
import { tsplib } from "../../../support/coordination/instances.ts";

const colony = (distances: Distances, seed: string): AntColony =>
  new AntColony({ distances, random: new SeededRandom(seed), options: defaultColonyOptions });

t.test("optima of TSPLIB are found, by tours of just that length", async (t) => {
  for (const [name, optimum] of [
    ["berlin52", 7542],
    ["eil51", 426],
  ] as const) {
    const distances = tsplib(name);
    const ants = colony(distances, name);
    t.equal(ants.best, undefined);
    let length = Number.POSITIVE_INFINITY;
    while (length > optimum && ants.iteration < 1_500) length = ants.iterate();
    t.equal(length, optimum, `${name} after ${ants.iteration} iterations`);
    const { places = [] } = ants.best ?? {};
    t.equal(new Set(places).size, distances.size);
    t.equal(distances.lengthOf(places), optimum);
  }
});

t.test("the same seed gives the same tours, and the best never gets worse", async (t) => {
  const distances = tsplib("eil51");
  const one = colony(distances, "same");
  const other = colony(distances, "same");
  let before = Number.POSITIVE_INFINITY;
  for (let iteration = 0; iteration < 10; iteration++) {
    const length = one.iterate();
    t.ok(length <= before);
    t.equal(other.iterate(), length);
    before = length;
  }
  t.same(one.best, other.best);
});

t.test("places that coincide, and as few as there can be", async (t) => {
  const three = Distances.roundedEuclidean([
    [0, 0],
    [0, 0],
    [3, 4],
  ]);
  t.equal(colony(three, "three").iterate(), 10);
  const all = Distances.of(8, () => 0);
  t.equal(colony(all, "zero").iterate(), 0);
});

t.test("what is no problem is refused by name", async (t) => {
  t.throws(() => Distances.roundedEuclidean([[0, 0]]), /places/);
  t.throws(() => Distances.of(3, () => Number.NaN), /distance from 0 to 1/);
  const options = { ...defaultColonyOptions, ants: 0 };
  const distances = Distances.of(3, () => 1);
  const random = new SeededRandom("x");
  t.throws(() => new AntColony({ distances, random, options }), /ant/);
});
