// The committee of a fleet, as its agents are composed, in virtual time.
import t, { type Test } from "tap";
import type { OrderingProtocol } from "../../src/consensus/ordering/ordering.ts";
import type { ConsensusStatus } from "../../src/consensus/view.ts";
import { type RelayAgent, RelayWorld } from "../support/relay-world.ts";

t.setTimeout(120_000);

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

for (const [protocol, size] of [
  ["raft", 3],
  ["pbft", 4],
  ["tendermint", 4],
] as readonly (readonly [OrderingProtocol, number])[])
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
    const { number = 0 } = await certified(world, others[1]!, later);
    t.ok(number > 1);

    await leading.start(...others);
    await world.until("it to be back", () => agree(agents, size));
    const caughtUp = await certified(world, leading, later);
    t.equal(Buffer.from(caughtUp.value).toString(), '"midnight"');
    t.ok(typesOf(others[0]!).includes("consensus.leader-changed"));
    await stopAll(t, world);
  });
