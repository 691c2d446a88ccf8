// Many agents of the contract net in one process: messages take time, get lost, come twice and out of order; agents crash.
import {
  ContractAgent,
  type ContractEffects,
  type ContractInput,
  type ContractOffence,
} from "../../../src/coordination/contract-net/agent.ts";
import type { Estimate } from "../../../src/coordination/contract-net/contract.ts";
import {
  type DelegationOptions,
  defaultDelegationOptions,
} from "../../../src/coordination/contract-net/delegation.ts";
import type {
  CallChange,
  CallOutcome,
  ContractChange,
  Sent,
} from "../../../src/coordination/contract-net/effects.ts";
import {
  defaultInitiatorOptions,
  defaultParticipantOptions,
  type InitiatorOptions,
  type ParticipantOptions,
} from "../../../src/coordination/contract-net/options.ts";
import {
  defaultReputationOptions,
  Reputation,
} from "../../../src/coordination/contract-net/reputation.ts";
import { defaultBidWeights } from "../../../src/coordination/contract-net/score.ts";
import type { Task, Terms } from "../../../src/coordination/contract-net/task.ts";
import { SeededRandom } from "../../../src/platform/seeded-random.ts";
import { EventHeap } from "../../../src/simulator/event-heap.ts";

/** An agent, and how it works. */
export interface Worker {
  readonly name: string;
  readonly skills?: readonly string[];
  readonly capacity?: number;
  readonly estimate?: Estimate;
  /** Until a task is done. */
  readonly workMs?: number;
  /** What becomes of its work. `hangs`: it never ends. */
  readonly manner?: "does" | "fails" | "hangs";
  /** Whom it can announce to; everybody when not said. */
  readonly knows?: readonly string[] | undefined;
}

export interface ContractWorldOptions {
  readonly seed: string;
  readonly loss?: number;
  readonly doubled?: number;
  readonly delayMs?: readonly [least: number, most: number];
  readonly initiator?: Partial<InitiatorOptions>;
  readonly participant?: Partial<ParticipantOptions>;
  readonly delegation?: Partial<DelegationOptions>;
  /** Hears every word as it is said. */
  readonly onSaid?: (from: string, sent: Sent) => void;
}

interface Node {
  readonly worker: Worker;
  agent: ContractAgent;
  up: boolean;
  starts: number;
  tickAtMs: number;
  /** What it works on, by contract, and in how much of its capacity. */
  readonly working: Map<string, number>;
}

/** One call, and what its initiator told of it. */
export interface Followed {
  readonly by: string;
  readonly call: string;
  readonly atMs: number;
  readonly terms: Terms;
  readonly changes: CallChange[];
  endedAtMs: number | undefined;
}

type Untimed = ContractInput extends infer I
  ? I extends unknown
    ? Omit<I, "nowMs">
    : never
  : never;
export const TASK: Task = {
  name: "measure",
  kind: "measure",
  input: "",
  needs: [],
  demand: 1,
};
export const TERMS: Terms = { agentsMin: 1, agentsMax: 1, bidWithinMs: 2_000, expiresInMs: 60_000 };

export class ContractWorld {
  readonly followed: Followed[] = [];
  readonly contracts: { readonly by: string; readonly change: ContractChange }[] = [];
  readonly offences: { readonly by: string; readonly kind: ContractOffence }[] = [];
  /** Words by kind, of all agents together. */
  readonly said = new Map<string, number>();
  /** What must not be: an agent beyond its capacity, a contract begun twice, a call that ends twice. */
  readonly violations: string[] = [];
  nowMs = 0;
  readonly #options: ContractWorldOptions;
  readonly #random: SeededRandom;
  readonly #nodes = new Map<string, Node>();
  readonly #events = new EventHeap<() => void>();
  readonly #begun = new Set<string>();

  constructor(options: ContractWorldOptions, workers: readonly Worker[]) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
    for (const worker of workers) {
      const agent = this.#agentOf(worker, 1);
      this.#nodes.set(worker.name, {
        worker,
        agent,
        up: true,
        starts: 1,
        tickAtMs: Number.POSITIVE_INFINITY,
        working: new Map(),
      });
    }
  }

  agent(name: string): ContractAgent {
    return this.#node(name).agent;
  }

  isUp(name: string): boolean {
    return this.#node(name).up;
  }

  submit(by: string, task: Partial<Task> = {}, terms: Partial<Terms> = {}): Followed | undefined {
    const full = { ...TERMS, ...terms };
    const followed: Followed[] = [];
    this.input(by, { kind: "submit", task: { ...TASK, ...task }, terms: full }, (call) => {
      followed.push({ by, call, atMs: this.nowMs, terms: full, changes: [], endedAtMs: undefined });
      this.followed.push(...followed);
    });
    return followed[0];
  }

  input(name: string, untimed: Untimed, onCalled: (call: string) => void = () => undefined): void {
    const node = this.#node(name);
    if (!node.up) return;
    const effects = node.agent.step({ ...untimed, nowMs: this.nowMs });
    if (effects.called !== undefined) onCalled(effects.called);
    this.#perform(node, effects);
  }

  /** The agent and all it knew are gone; others learn of it where `told`. */
  crash(name: string, told = true): void {
    const node = this.#node(name);
    node.up = false;
    node.working.clear();
    node.tickAtMs = Number.POSITIVE_INFINITY;
    if (!told) return;
    for (const other of this.#nodes.keys())
      this.#at(this.nowMs + 1_000, () => this.input(other, { kind: "gone", peer: name }));
  }

  restart(name: string): void {
    const node = this.#node(name);
    if (node.up) return;
    node.up = true;
    node.starts++;
    node.agent = this.#agentOf(node.worker, node.starts);
  }

  run(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const { nextMs } = this.#events;
      if (nextMs > untilMs) break;
      this.nowMs = nextMs;
      this.#events.pop()?.();
    }
    this.nowMs = untilMs;
  }

  /** How a call ended; undefined as long as it has not. */
  outcome(followed: Followed | undefined): CallOutcome | undefined {
    const last = followed?.changes.at(-1);
    return last?.kind === "ended" ? last.outcome : undefined;
  }

  #node(name: string): Node {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new Error(`nobody is called ${name}`);
    return node;
  }

  #agentOf(worker: Worker, epoch: number): ContractAgent {
    const { name, skills = [], capacity = 2, estimate = { cost: 1, endsInMs: 5_000 } } = worker;
    const names = (): string[] => [...this.#nodes.keys()].filter((other) => other !== name);
    return new ContractAgent({
      self: name,
      epoch,
      initiator: { ...defaultInitiatorOptions, ...this.#options.initiator },
      participant: { ...defaultParticipantOptions, ...this.#options.participant, capacity },
      delegation: { ...defaultDelegationOptions, ...this.#options.delegation },
      weights: defaultBidWeights,
      reputation: new Reputation(defaultReputationOptions),
      hasSkill: (skill) => skills.includes(skill),
      appraise: () => estimate,
      neighbours: () => worker.knows ?? names(),
      isMember: (peer) => this.#nodes.has(peer),
    });
  }

  #perform(node: Node, effects: ContractEffects): void {
    const { name } = node.worker;
    for (const sent of effects.send) {
      const { to, message } = sent;
      this.#options.onSaid?.(name, sent);
      this.said.set(message.kind, (this.said.get(message.kind) ?? 0) + 1);
      this.#post(name, to, structuredClone(message));
    }
    for (const change of effects.calls) this.#callChanged(name, change);
    for (const change of effects.contracts) this.#contractChanged(node, change);
    for (const { kind } of effects.offences) this.offences.push({ by: name, kind });
    this.#checkCapacity(node);
    this.#plan(node, effects.nextTickAtMs);
  }

  #post(from: string, to: string, value: unknown): void {
    const { loss = 0, doubled = 0, delayMs = [5, 50] } = this.#options;
    const copies = this.#random.next() < doubled ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (this.#random.next() < loss) continue;
      const ms = delayMs[0] + this.#random.next() * (delayMs[1] - delayMs[0]);
      this.#at(this.nowMs + ms, () => this.input(to, { kind: "message", from, value }));
    }
  }

  #callChanged(by: string, change: CallChange): void {
    const followed = this.followed.find((one) => one.by === by && one.call === change.call);
    if (followed === undefined) {
      this.violations.push(`${by} told of ${change.call}, which nobody called`);
      return;
    }
    if (followed.endedAtMs !== undefined) this.violations.push(`${by}/${change.call} went on`);
    followed.changes.push(change);
    if (change.kind === "ended") followed.endedAtMs = this.nowMs;
  }

  #contractChanged(node: Node, change: ContractChange): void {
    const { name, workMs = 1_000, manner = "does" } = node.worker;
    this.contracts.push({ by: name, change });
    const { initiator, call } = change;
    const key = `${initiator}/${call}`;
    if (change.kind === "stop") node.working.delete(key);
    if (change.kind !== "begin") return;
    if (this.#begun.has(`${name}#${node.starts}:${key}`))
      this.violations.push(`${name} began ${key} twice`);
    this.#begun.add(`${name}#${node.starts}:${key}`);
    node.working.set(key, change.task.demand);
    if (manner === "hangs") return;
    const { starts } = node;
    this.#at(this.nowMs + workMs, () => {
      if (node.starts !== starts || !node.working.delete(key)) return;
      this.input(
        name,
        manner === "does"
          ? { kind: "done", initiator, call, output: `by ${name}` }
          : { kind: "failed", initiator, call, reason: "failed" },
      );
    });
  }

  #checkCapacity({ worker, agent, working }: Node): void {
    const { name, capacity = 2 } = worker;
    const { taken } = agent.load();
    const used = [...working.values()].reduce((sum, demand) => sum + demand, 0);
    if (taken > capacity + 1e-9 || used > capacity + 1e-9)
      this.violations.push(`${name} promised ${taken} and works on ${used} of ${capacity}`);
  }

  #plan(node: Node, tickAtMs: number): void {
    node.tickAtMs = tickAtMs;
    if (tickAtMs === Number.POSITIVE_INFINITY) return;
    this.#at(Math.max(tickAtMs, this.nowMs), () => {
      if (node.tickAtMs === tickAtMs) this.input(node.worker.name, { kind: "tick" });
    });
  }

  #at(atMs: number, event: () => void): void {
    this.#events.push(atMs, event);
  }
}
