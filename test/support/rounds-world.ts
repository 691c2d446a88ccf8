import type { RoundPace, RoundTimes } from "../../src/federated/rounds/options.ts";
import { nodeHasher } from "../../src/platform/node/hasher.ts";
import { VirtualKeys } from "../../src/simulator/virtual-signer.ts";
import { RoundsAgent } from "./rounds/agent.ts";
import { ToyCommittee } from "./rounds/committee.ts";
import { Ether } from "./rounds/ether.ts";
import { Ledger, Violation } from "./rounds/ledger.ts";
import type { AgentPlan, PlantedBug, Stage } from "./rounds/plan.ts";
import { FIRST_MODEL } from "./rounds/toy-model.ts";

const TASK = "0123456789abcdef0123456789abcdef";
/** What worlds wait for, in milliseconds of their own time. */
export const WORLD_TIMES: RoundTimes = { gatherMs: 50, retellMs: 120, retryMs: 60, staggerMs: 50 };

/** What a world is made of. */
export interface WorldOptions {
  readonly seed: number;
  readonly agents: readonly AgentPlan[];
  /** Names of agents. */
  readonly members: readonly string[];
  readonly quorum: number;
  readonly pace: RoundPace;
  readonly bugs?: ReadonlySet<PlantedBug>;
  readonly trace?: (atMs: number, agent: string, what: string) => void;
}

/** Agents that take part in the rounds of one task, over a network and a committee of which everything can be decided. */
export class RoundsWorld {
  readonly ether: Ether;
  readonly ledger: Ledger;
  readonly agents: readonly RoundsAgent[];

  constructor({ seed, agents, members, quorum, pace, bugs, trace }: WorldOptions) {
    this.ether = new Ether(seed);
    const keys = new VirtualKeys();
    const signers = new Map(agents.map(({ name }) => [name, keys.signer(name)]));
    const peers = new Map<string, RoundsAgent>();
    const contents = new Map<string, string | Uint8Array>();
    const modelHash = nodeHasher.sha256Hex(FIRST_MODEL);
    contents.set(modelHash, FIRST_MODEL);
    this.ledger = new Ledger(keys.signer("ledger"), pace, contents, modelHash);
    const seats = members.map((name) => signers.get(name)!.peerId);
    const committee = new ToyCommittee(this.ether, seats, quorum, {
      isUp: (peer) => peers.get(peer)?.isUp === true,
      onAccepted: (value) => this.ledger.accepted(value),
    });
    const stage: Stage = {
      task: TASK,
      pace,
      times: WORLD_TIMES,
      hasher: nodeHasher,
      ether: this.ether,
      committee,
      ledger: this.ledger,
      contents,
      bugs: bugs ?? new Set(),
      names: new Map(agents.map(({ name }) => [signers.get(name)!.peerId, name])),
      trace: (agent, what) => trace?.(this.ether.nowMs, agent, what),
    };
    const all: RoundsAgent[] = [];
    const neighbours = { all: () => all, of: (peer: string) => peers.get(peer) };
    for (const plan of agents) {
      const agent = new RoundsAgent(stage, plan, signers.get(plan.name)!, neighbours);
      all.push(agent);
      peers.set(agent.peer, agent);
    }
    this.agents = all;
    for (const agent of all) agent.start();
  }

  get round(): number {
    return this.ledger.head.round;
  }

  agent(name: string): RoundsAgent {
    return this.agents.find(({ plan }) => plan.name === name)!;
  }

  kill(agent: RoundsAgent): void {
    if (!agent.isUp) return;
    agent.crash();
    this.ether.after(250, () => this.#tell(agent));
  }

  restart(agent: RoundsAgent): void {
    if (agent.isUp) return;
    agent.start();
    this.#tell(agent);
  }

  /** Runs until so many rounds are decided. @throws Violation when they are not in that time */
  runTo(round: number, withinMs: number): void {
    this.ether.run(this.ether.nowMs + withinMs, () => this.round >= round);
    if (this.round < round)
      throw new Violation(`round ${this.round + 1} did not come about within ${withinMs} ms`);
  }

  #tell(agent: RoundsAgent): void {
    for (const other of this.agents) if (other.isUp) other.living(agent.peer, agent.isUp);
  }
}
