// The committee of a fleet, as its agents are composed, in virtual time.
import t, { type Test } from "tap";
import type { OrderingProtocol } from "../../src/consensus/ordering/ordering.ts";
import type { ConsensusStatus } from "../../src/consensus/view.ts";
import { type RelayAgent, RelayWorld } from "../support/relay-world.ts";

t.setTimeout(400_000);

const BASE = ["power.mode=normal", "consensus.enabled=true", "consensus.replaceAfterMs=20000"];

/** Agents that are all linked to the first. */
async function fleet(
  seed: string,
  names: readonly string[],
  sets: readonly string[] = [],
): Promise<{ world: RelayWorld; agents: RelayAgent[] }> {
  const world = new RelayWorld(seed);
  const agents = names.map((name) => world.agent(name, [], [...BASE, ...sets]));
  for (const [at, agent] of agents.entries()) await agent.start(...agents.slice(0, at));
  return { world, agents };
}

const statusOf = (agent: RelayAgent): ConsensusStatus => agent.agent.context.consensus.status();

/** All go by one committee of so many, and those that have a seat know its leader. */
function agree(agents: readonly RelayAgent[], members: number): boolean {
  const known = agents.map(statusOf);
  const groups = new Set(
    known.map(
      ({ committee }) => `${committee?.group} ${committee?.epoch} ${committee?.members.length}`,
    ),
  );
  const leaders = new Set(known.flatMap(({ seat }) => seat?.leader?.peerId ?? []));
  return (
    groups.size === 1 &&
    known[0]?.committee?.members.length === members &&
    leaders.size === 1 &&
    known.filter(({ seat }) => seat !== undefined).length >= members - 1
  );
}

async function decide(
  world: RelayWorld,
  by: RelayAgent,
  voters: readonly RelayAgent[],
  text: string,
) {
  const { consensus } = by.agent.context;
  const { proposalId } = await world.settle(
    consensus.propose(Buffer.from(text), "maintenance", 600_000),
  );
  for (const voter of voters)
    await world.until(
      "the proposal to be there",
      () =>
        [undefined, proposalId].includes(
          voter.agent.context.consensus.proposal(proposalId)?.proposalId,
        ) && voter.agent.context.consensus.proposal(proposalId) !== undefined,
    );
  for (const voter of voters)
    await world.settle(voter.agent.context.consensus.vote(proposalId, "accept", "")).catch(
      // The others were enough.
      () => undefined,
    );
  return proposalId;
}

async function certified(world: RelayWorld, agent: RelayAgent, proposalId: string) {
  for (let waited = 0; waited < 120; waited++) {
    const decision = await world.settle(agent.agent.context.consensus.decision(proposalId));
    if (decision?.certificate !== undefined) return decision;
    await world.clock.advance(500);
  }
  throw new Error(`${agent.id} knows of no decision`);
}

async function stopAll(t: Test, world: RelayWorld): Promise<void> {
  for (const agent of world.agents.values()) await agent.stop();
  await world.clock.advance(60_000);
  t.same(world.clock.waiting, [], "no timer is left behind");
}

const typesOf = (agent: RelayAgent): readonly string[] =>
  agent.agent.context.events
    .since(0)
    .events.map(({ type }) => type)
    .filter((type) => type.startsWith("consensus."));

const SIZES: readonly (readonly [OrderingProtocol, number])[] = [
  ["raft", 3],
  ["pbft", 4],
  ["tendermint", 4],
];

for (const [protocol, size] of SIZES)
  t.test(`${protocol}: founded, decides, loses its leader, decides on`, async (t) => {
    const names = ["a", "b", "c", "d"].slice(0, size);
    const { world, agents } = await fleet(`committee/${protocol}`, names, [
      `consensus.protocol=${protocol}`,
    ]);
    await world.until("a committee", () => agree(agents, size));
    t.match(statusOf(agents[0]!), { enabled: true, standing: "seated", committee: { protocol } });

    const id = await decide(world, agents[0]!, agents, '"noon"');
    for (const agent of agents) {
      const decision = await certified(world, agent, id);
      t.match(decision, { outcome: "accepted", topic: "maintenance" });
      t.match(agent.agent.context.consensus.verify(decision.certificate!), { valid: true });
    }

    const leader = statusOf(agents[0]!).seat?.leader?.peerId;
    const leading = agents.find(({ peer }) => peer === leader)!;
    leading.crash();
    const others = agents.filter((agent) => agent !== leading);
    // The others look for another one only when there is something to decide.
    if (protocol === "raft")
      await world.until("another leader", () =>
        others.every((one) => {
          const { seat } = statusOf(one);
          return seat?.leader !== undefined && seat.leader.peerId !== leader;
        }),
      );
    const later = await decide(world, others[0]!, others, '"midnight"');
    const { number } = await certified(world, others[1]!, later);
    t.ok(number > 1);

    await leading.start(...others);
    await world.until("it to be back", () => agree(agents, size));
    const caughtUp = await certified(world, leading, later);
    t.equal(Buffer.from(caughtUp.value).toString(), '"midnight"');
    t.ok(typesOf(others[0]!).includes("consensus.leader-changed"));
    await stopAll(t, world);
  });

/** The agents that have a seat, and the others. */
function split(agents: readonly RelayAgent[]): { seated: RelayAgent[]; others: RelayAgent[] } {
  const seated = agents.filter((agent) => statusOf(agent).standing === "seated");
  return { seated, others: agents.filter((agent) => !seated.includes(agent)) };
}

for (const [protocol, size] of SIZES)
  t.test(`${protocol}: a member is gone for good, and another agent takes its place`, async (t) => {
    const names = ["a", "b", "c", "d", "e"].slice(0, size + 1);
    const { world, agents } = await fleet(`committee/replaced/${protocol}`, names, [
      `coordination.roles.committeeMax=${size}`,
      `consensus.protocol=${protocol}`,
    ]);
    await world.until("a committee", () => agree(agents, size));
    const { seated, others } = split(agents);
    const [spare] = others as [RelayAgent];
    t.equal(seated.length, size);
    t.match(statusOf(spare), { standing: "follows", committee: { epoch: 1 } });

    const first = await decide(world, spare, seated, '"by one without a seat"');
    const early = await certified(world, spare, first);
    t.match(early, { outcome: "accepted", topic: "maintenance" });

    const gone = seated.find(({ peer }) => peer !== statusOf(seated[0]!).seat?.leader?.peerId)!;
    gone.crash();
    const rest = agents.filter((agent) => agent !== gone);
    await world.until("its replacement", () => {
      const { committee, standing } = statusOf(spare);
      return (
        standing === "seated" &&
        committee?.members.length === size &&
        committee.members.every(({ peerId }) => peerId !== gone.peer)
      );
    });
    await world.until("all to know of it", () => agree(rest, size));
    const second = await decide(
      world,
      spare,
      seated.filter((one) => one !== gone).concat(spare),
      '"by the new one"',
    );
    for (const agent of rest) {
      const { certificate } = await certified(world, agent, second);
      t.match(agent.agent.context.consensus.verify(certificate!), { valid: true });
      t.match(
        agent.agent.context.consensus.verify(early.certificate!),
        { valid: true },
        "what earlier members decided can still be checked",
      );
    }

    await gone.start(...rest);
    await world.until("it to learn that it is out", () => statusOf(gone).standing === "follows");
    const asked = await certified(world, gone, second);
    t.match(gone.agent.context.consensus.verify(asked.certificate!), { valid: true });
    t.ok(typesOf(rest[0]!).includes("consensus.members-changed"));
    await stopAll(t, world);
  });

t.test("a member that lost its disk is taken out, and comes back as another one", async (t) => {
  const { world, agents } = await fleet("committee/lost", ["a", "b", "c"]);
  await world.until("a committee", () => agree(agents, 3));
  await decide(world, agents[0]!, agents, '"before"');
  const lost = agents.find(({ peer }) => peer !== statusOf(agents[0]!).seat?.leader?.peerId)!;
  lost.crash();
  lost.loseDisk();
  const rest = agents.filter((agent) => agent !== lost);
  await lost.start(...rest);
  await world.until("it to have its seat again", () => agree(agents, 3) && epochOf(lost) >= 3);
  const id = await decide(world, lost, agents, '"after"');
  for (const agent of agents) t.match(await certified(world, agent, id), { outcome: "accepted" });
  await stopAll(t, world);
});

const epochOf = (agent: RelayAgent): number => statusOf(agent).committee?.epoch ?? 0;

t.test("all lose their power at once and come back", async (t) => {
  const { world, agents } = await fleet("committee/power", ["a", "b", "c"]);
  await world.until("a committee", () => agree(agents, 3));
  const id = await decide(world, agents[0]!, agents, '"kept"');
  await certified(world, agents[0]!, id);
  const { group } = statusOf(agents[0]!).committee!;
  for (const agent of agents) agent.crash();
  await world.clock.advance(5_000);
  for (const [at, agent] of agents.entries()) await agent.start(...agents.slice(0, at));
  await world.until("the same committee", () => agree(agents, 3));
  t.equal(statusOf(agents[0]!).committee?.group, group);
  t.match(await certified(world, agents[2]!, id), { outcome: "accepted" });
  await stopAll(t, world);
});

t.test("two fleets, each with its committee, meet: all go by the same one", async (t) => {
  const world = new RelayWorld("committee/two");
  const make = (name: string): RelayAgent => world.agent(name, [], BASE);
  const [one, two] = [["a", "b", "c"].map(make), ["d", "e", "f"].map(make)];
  for (const side of [one, two])
    for (const [at, agent] of side.entries()) await agent.start(...side.slice(0, at));
  await world.until("two committees", () => agree(one, 3) && agree(two, 3));
  t.not(statusOf(one[0]!).committee?.group, statusOf(two[0]!).committee?.group);
  const [from, to] = [one[0]!, two[0]!];
  void from.agent.context.mesh.join([`/memory/${to.peer}/p2p/${to.peer}`]).catch(() => undefined);
  const all = [...one, ...two];
  await world.until(
    "one committee",
    () => new Set(all.map((a) => statusOf(a).committee?.group)).size === 1,
  );
  await world.until("it to take in others", () => split(all).seated.length >= 4);
  const id = await decide(world, all[0]!, split(all).seated, '"together"');
  for (const agent of all) t.match(await certified(world, agent, id), { outcome: "accepted" });
  await stopAll(t, world);
});

t.test("nobody founds a committee with fewer than it needs, or on battery", async (t) => {
  const { world, agents } = await fleet(
    "committee/few",
    ["a", "b", "c"],
    ["consensus.protocol=pbft"],
  );
  await world.clock.advance(120_000);
  for (const agent of agents) t.match(statusOf(agent), { enabled: true, standing: "none" });
  await t.rejects(
    agents[0]!.agent.context.consensus.propose(Buffer.from("1"), "maintenance", 1_000),
    { code: "consensus.unready" },
  );
  await stopAll(t, world);
});
