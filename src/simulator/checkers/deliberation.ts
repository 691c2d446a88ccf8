import { quorumOf } from "../../consensus/ordering/quorum.ts";
import type { ConsensusView, DecisionView } from "../../consensus/view.ts";
import type { Random } from "../../platform/random.ts";
import type { SimulatedAgent } from "../simulated-agent.ts";
import type { SimulatedFleet } from "../simulated-fleet.ts";
import { hashBytes } from "../trace.ts";

const TOPIC = "simulation";
const LOOK_MS = 1_000;
/** Between two proposals of the whole fleet, on average. */
const PROPOSE_MS = 5_000;
const EXPIRES_AFTER_MS = 60_000;
/** One proposal in so many is not wanted. */
const UNWANTED_SHARE = 5;
const DECISIONS_MAX = 256;
/** What an operator does where a committee can decide no more. */
const REFOUND_MS = 30_000;

/** How a proposal ended, as one agent says. */
interface Ending {
  readonly words: string;
  readonly by: string;
}

/**
 * People who put values before the committee and vote on them, by hand at any agent, and what has to hold meanwhile: no two
 * agents ever know different decisions, and what is certified can be checked everywhere.
 */
export class Deliberation {
  readonly #fleet: SimulatedFleet;
  readonly #random: Random;
  readonly #endings = new Map<string, Ending>();
  /** Last decision that was seen of each process. */
  readonly #seen = new WeakMap<object, { group: string; number: number }>();
  readonly #voted = new WeakMap<object, Set<string>>();
  #lastDecidedAtMs = 0;
  #proposed = 0;
  #foundedAtMs = 0;

  constructor(fleet: SimulatedFleet, random: Random) {
    this.#fleet = fleet;
    this.#random = random;
  }

  /** Decisions that any agent knew of. */
  get decisions(): number {
    return this.#endings.size;
  }

  /** When the last one was heard of first. */
  get lastDecidedAtMs(): number {
    return this.#lastDecidedAtMs;
  }

  start(): void {
    this.#look();
    this.#proposeLater();
  }

  /** Somebody sees that the committee can decide no more, and has another one founded. */
  operate(): void {
    const nowMs = this.#fleet.clock.monotonicMs();
    if (nowMs - this.#foundedAtMs < REFOUND_MS) return;
    for (const { agent } of this.#fleet.agents) {
      const view = agent?.context.consensus;
      const committee = view?.status().committee;
      if (view === undefined || committee === undefined) continue;
      const { protocol, members } = committee;
      const able = members.filter(
        ({ peerId, fitness }) =>
          fitness !== "lost" && this.#consensusOf(this.#fleet.byPeer(peerId)) !== "lost",
      );
      const there = able.filter(({ peerId }) => this.#fleet.byPeer(peerId)?.agent !== undefined);
      if (there.length >= quorumOf(protocol, members.length)) continue;
      this.#foundedAtMs = nowMs;
      // Only the coordinator can; others say so.
      view.found().catch(() => undefined);
    }
  }

  #consensusOf(agent: SimulatedAgent | undefined): string | undefined {
    return agent?.agent?.context.consensus.status().standing;
  }

  #look(): void {
    this.#fleet.clock.setTimer("deliberation.look", LOOK_MS, () => {
      this.#look();
      for (const { agent, agentId } of this.#fleet.agents) {
        if (agent === undefined) continue;
        const { consensus } = agent.context;
        this.#vote(agent, consensus);
        this.#check(agent, agentId, consensus);
      }
    });
  }

  #proposeLater(): void {
    const afterMs = PROPOSE_MS * (0.5 + this.#random.next());
    this.#fleet.clock.setTimer("deliberation.propose", afterMs, () => {
      this.#proposeLater();
      const { agents } = this.#fleet;
      const agent = agents[Math.floor(this.#random.next() * agents.length)]?.agent;
      const number = ++this.#proposed;
      const value = new TextEncoder().encode(
        `${number % UNWANTED_SHARE === 0 ? "unwanted" : "wanted"} ${number}`,
      );
      // Nobody may be there to take it.
      agent?.context.consensus.propose(value, TOPIC, EXPIRES_AFTER_MS).catch(() => undefined);
    });
  }

  #vote(key: object, consensus: ConsensusView): void {
    const voted = this.#voted.get(key) ?? new Set();
    this.#voted.set(key, voted);
    for (const { proposalId, topic, value } of consensus.proposals()) {
      if (topic !== TOPIC || voted.has(proposalId)) continue;
      voted.add(proposalId);
      const isWanted = new TextDecoder().decode(value).startsWith("wanted");
      consensus
        .vote(proposalId, isWanted ? "accept" : "reject", isWanted ? "" : "unwanted")
        // It was not cast, perhaps: it is tried again.
        .catch(() => void voted.delete(proposalId));
    }
  }

  #check(key: object, agentId: string, consensus: ConsensusView): void {
    const { committee, seat } = consensus.status();
    if (committee === undefined || seat === undefined) return;
    const before = this.#seen.get(key);
    const seen = before?.group === committee.group ? before : { group: committee.group, number: 0 };
    this.#seen.set(key, seen);
    for (const decision of consensus.decisions(seen.number, DECISIONS_MAX)) {
      seen.number = decision.number;
      this.#compare(agentId, committee.group, decision);
    }
  }

  #compare(by: string, group: string, { number, proposalId, outcome, topic, value }: DecisionView) {
    const words = `${outcome} ${topic} ${proposalId} ${hashBytes(value)}`;
    const nowMs = this.#fleet.clock.monotonicMs();
    const add = (promise: string, what: string): void =>
      this.#fleet.violations.add(nowMs, promise, what);
    for (const name of [`${group}/${number}`, `${group}/${proposalId}`]) {
      const known = this.#endings.get(name);
      if (known === undefined) {
        this.#endings.set(name, { words, by });
        this.#lastDecidedAtMs = nowMs;
      } else if (known.words !== words)
        add(
          "agreement",
          `decision ${name} is "${known.words}" to ${known.by}, "${words}" to ${by}`,
        );
    }
    const isUnwanted = new TextDecoder().decode(value).startsWith("unwanted");
    if (topic === TOPIC && outcome === "accepted" && isUnwanted)
      add("validity", `${by}: decision ${number} accepts what every member rejects`);
  }
}
