import t from "tap";
import { ContractWorld } from "../../../support/coordination/contract-world.ts";

const chain = [
  { name: "a", knows: ["b"] },
  { name: "b", knows: ["a", "c"] },
  { name: "c", knows: ["b", "d"] },
  { name: "d", knows: ["c"], skills: ["camera"], workMs: 3_000 },
];
const CAMERA = { needs: ["camera"] };
const PATIENT = { bidWithinMs: 8_000, expiresInMs: 120_000 };

t.test(
  "what nobody near can do is passed on until somebody can, and the result comes back",
  async (t) => {
    const world = new ContractWorld({ seed: "chain" }, chain);
    const call = world.submit("a", CAMERA, PATIENT);
    world.run(60_000);
    t.same(world.outcome(call), { fault: undefined, results: [{ peer: "b", output: "by d" }] });
    t.same(world.violations, []);
    t.equal(world.contracts.filter(({ by }) => by === "b" || by === "c").length, 0);
    for (const { name } of chain)
      t.same(world.agent(name).load(), { calls: 0, contracts: 0, taken: 0 });
  },
);

t.test("a circle of agents that all know each other passes nothing on for ever", async (t) => {
  const names = ["a", "b", "c", "d", "e"];
  const world = new ContractWorld(
    { seed: "circle" },
    names.map((name) => ({ name })),
  );
  const call = world.submit("a", CAMERA, PATIENT);
  world.run(120_000);
  t.equal(world.outcome(call)?.fault, "too-few-bids");
  // Every way through five agents without coming back, at the very most.
  t.ok((world.said.get("announce") ?? 0) < 64 * 8, `${world.said.get("announce")} announcements`);
  for (const name of names) t.same(world.agent(name).load(), { calls: 0, contracts: 0, taken: 0 });
});

t.test("what is cancelled at its beginning is cancelled at its end", async (t) => {
  const world = new ContractWorld({ seed: "cancel" }, [
    ...chain.slice(0, 3),
    { name: "d", knows: ["c"], skills: ["camera"], manner: "hangs" },
  ]);
  const call = world.submit("a", CAMERA, PATIENT);
  world.run(10_000);
  t.match(world.contracts, [{ by: "d", change: { kind: "begin" } }]);
  world.input("a", { kind: "cancel", call: call?.call ?? "" });
  world.run(1_000);
  t.match(world.contracts.at(-1), { by: "d", change: { kind: "stop", reason: "cancelled" } });
  t.equal(world.outcome(call)?.fault, "cancelled");
});

t.test("what the contractor's contractor does not end is told to the one who asked", async (t) => {
  const world = new ContractWorld({ seed: "fails" }, [
    ...chain.slice(0, 3),
    { name: "d", knows: ["c"], skills: ["camera"], manner: "fails" },
  ]);
  const call = world.submit("a", CAMERA, PATIENT);
  world.run(60_000);
  t.equal(world.outcome(call)?.fault, "too-few-contractors");
});

t.test("one's own task is done here if it can be, with no word to anybody", async (t) => {
  const world = new ContractWorld({ seed: "own" }, [{ name: "a", capacity: 1 }, { name: "b" }]);
  const own = world.submit("a");
  t.same([...world.said.keys()], []);
  const other = world.submit("a");
  world.run(10_000);
  t.same(world.outcome(own)?.results, [{ peer: "a", output: "by a" }]);
  t.same(world.outcome(other)?.results, [{ peer: "b", output: "by b" }], "a has no room for two");
});
