import { weightsOfBytes } from "../../federated/combining/weights-codec.ts";
import type { LearningTask } from "../../federated/view.ts";
import type { LearningWorld } from "../learning-world.ts";
import type { SimulatedAgent } from "../simulated-agent.ts";
import type { SimulatedFleet } from "../simulated-fleet.ts";
import { hashText } from "../trace.ts";
import { accuracyOf, JUDGED_MODELS, undisturbedAccuracy } from "../undisturbed-learning.ts";
import { RoundAudit } from "./round-audit.ts";

const TOPIC = "learning/round";
const LOOK_MS = 1_000;
const MANY = 4_096;
/** Rounds that have to come about when all is well again. */
const HEALED_ROUNDS = 3;
/** Accuracy is asked for after so many rounds only: before, chance has its part in it. */
const JUDGED_ROUNDS = 12;

/** What came of learning in a world. */
export interface Learned {
  /** That a committee decided. */
  readonly rounds: number;
  /** That were counted in them, all together. */
  readonly updates: number;
  /** Of the last few models in the mean, on samples that no agent has; absent with a stand-in. */
  readonly accuracy?: number;
  /** Of as many rounds in which nothing goes wrong. */
  readonly undisturbed?: number;
}

/**
 * Has a fleet learn, and sees from outside that what rounds promise is kept: see {@link RoundAudit} for what was decided; besides,
 * no agent goes by a model that nobody decided, and when all is well again rounds go on and all come to one model that is good.
 */
export class LearningWatch {
  readonly #fleet: SimulatedFleet;
  readonly #world: LearningWorld;
  readonly #audit: RoundAudit;
  /** Last decision of a committee that was seen at a process. */
  readonly #seen = new WeakMap<object, { readonly group: string; number: number }>();
  /** Newest round that was seen at a process, by task. */
  readonly #heads = new WeakMap<object, Map<string, number>>();
  /** Models that somebody goes by and no decision was seen of yet, by task, round and model. */
  readonly #unvouched = new Map<string, { readonly by: string; readonly sinceMs: number }>();
  /** When which round was the newest for the first time. */
  readonly #times: number[] = [];
  #agreedAtMs = Number.NEGATIVE_INFINITY;
  #starting = false;

  constructor(fleet: SimulatedFleet, world: LearningWorld) {
    this.#fleet = fleet;
    this.#world = world;
    this.#audit = new RoundAudit({
      world,
      signer: fleet.outsider,
      broken: (promise, what) => fleet.violations.add(fleet.clock.monotonicMs(), promise, what),
    });
    fleet.onLearningEvidence = (by, data) => this.#blamed(by, data);
  }

  start(): void {
    this.#fleet.clock.setTimer("learning.look", LOOK_MS, () => {
      this.#look();
      this.start();
    });
  }

  /** @returns what is not as it should be where nothing has gone wrong since; undefined: everything is */
  lacking(sinceMs: number): string | undefined {
    const { agents } = this.#fleet;
    if (!agents.some(({ agent }) => agent?.context.consensus.status().committee !== undefined))
      return undefined;
    const rounds = this.#times.filter((atMs) => atMs > sinceMs).length;
    if (rounds < HEALED_ROUNDS)
      return `${rounds} rounds since, ${HEALED_ROUNDS} at least: ${this.#states()}`;
    if (this.#agreedAtMs <= sinceMs) return `the agents go by several models: ${this.#states()}`;
    const [unvouched] = this.#unvouched;
    return unvouched && `${unvouched[1].by} goes by ${unvouched[0]}, which nobody decided`;
  }

  /** Nobody in these worlds says two things of one round, whatever befalls it. */
  #blamed(by: string, { peerId, misdeed }: Readonly<Record<string, unknown>>): void {
    if (misdeed === "equivocation")
      this.#broken("honest-blamed", `${by} has proof that ${String(peerId)} said two things`);
  }

  /** The end: what came of it. */
  close(): Learned {
    this.#look();
    const { rounds, updates } = this.#audit;
    const early = this.#audit.early().map(({ round }) => round);
    if (early.length > 0)
      this.#broken("one-aggregate", `nothing is known before rounds ${early.join()}`);
    if (this.#fleet.scenario.learning.trains !== "model" || rounds < JUDGED_ROUNDS)
      return { rounds, updates };
    const accuracy = this.#accuracy();
    const names = this.#fleet.agents.map(({ agentId }) => agentId);
    const undisturbed = undisturbedAccuracy(this.#world, names, rounds);
    const least = this.#fleet.scenario.learning.accuracyLeast * undisturbed;
    if (accuracy < least)
      this.#broken(
        "accuracy",
        `${accuracy} in the end, undisturbed ${undisturbed} after ${rounds} rounds`,
      );
    return { rounds, updates, accuracy, undisturbed };
  }

  /** Of the newest models in the mean, as the agent that knows most of them has heard. */
  #accuracy(): number {
    const known = this.#fleet.agents.map(({ agent }) => {
      const { task, round = 0 } = newestIn(agent?.context.learning.tasks()) ?? {};
      if (agent === undefined || task === undefined) return [];
      return agent.context.learning.rounds(task, round - JUDGED_MODELS, JUDGED_MODELS) ?? [];
    });
    const newest = Math.max(...known.flatMap((rounds) => rounds.at(-1)?.round ?? 0));
    const [last = []] = known
      .filter((rounds) => rounds.at(-1)?.round === newest)
      .sort((one, other) => other.length - one.length);
    const accuracies = last.map(({ modelHash }) => {
      const bytes = this.#world.witness.bytes(modelHash);
      const weights = bytes && weightsOfBytes(bytes, this.#world.parameterCount);
      return weights === undefined ? 0 : accuracyOf(this.#world, weights);
    });
    return accuracies.reduce((sum, accuracy) => sum + accuracy, 0) / Math.max(1, accuracies.length);
  }

  #look(): void {
    const states = new Set<string>();
    // Whoever has just begun anew does not show its model before the next round.
    const models = new Set<string>();
    let isKnown = false;
    for (const simulated of this.#fleet.agents) {
      const { agent } = simulated;
      if (agent === undefined) continue;
      this.#readDecisions(agent);
    }
    for (const simulated of this.#fleet.agents) {
      const tasks = simulated.agent?.context.learning.tasks() ?? [];
      if (tasks.length > 0) isKnown = true;
      states.add(stateOf(tasks));
      const { latest, round } = newestIn(tasks) ?? {};
      if (latest?.round === round && latest !== undefined) models.add(latest.modelHash);
      this.#readRounds(simulated, tasks);
    }
    const nowMs = this.#fleet.clock.monotonicMs();
    if (states.size === 1 && models.size <= 1) this.#agreedAtMs = nowMs;
    for (const [name, { by, sinceMs }] of this.#unvouched) {
      const [task = "", round = "", modelHash = ""] = name.split("/");
      if (this.#audit.knows(task, Number(round), modelHash)) this.#unvouched.delete(name);
      else if (nowMs - sinceMs > VOUCHED_WITHIN_MS && sinceMs > 0) {
        this.#unvouched.set(name, { by, sinceMs: 0 });
        this.#broken("unvouched", `${by} goes by ${name}, which no committee has decided`);
      }
    }
    if (!isKnown) this.#startTask();
  }

  #readDecisions(agent: NonNullable<SimulatedAgent["agent"]>): void {
    const { consensus } = agent.context;
    const { committee, seat } = consensus.status();
    if (committee === undefined || seat === undefined) return;
    const before = this.#seen.get(agent);
    const seen = before?.group === committee.group ? before : { group: committee.group, number: 0 };
    this.#seen.set(agent, seen);
    for (const { number, topic, outcome, value } of consensus.decisions(seen.number, MANY)) {
      seen.number = number;
      if (topic === TOPIC && outcome === "accepted") {
        const before = this.#audit.rounds;
        this.#audit.decided(committee.group, value);
        if (this.#audit.rounds > before) this.#times.push(this.#fleet.clock.monotonicMs());
      }
    }
  }

  #readRounds({ agent, agentId, index }: SimulatedAgent, tasks: readonly LearningTask[]): void {
    if (agent === undefined) return;
    const heads = this.#heads.get(agent) ?? new Map<string, number>();
    this.#heads.set(agent, heads);
    for (const { task } of tasks)
      for (const { round, modelHash } of agent.context.learning.rounds(
        task,
        heads.get(task) ?? 0,
        MANY,
      ) ?? []) {
        heads.set(task, round);
        this.#fleet.note("round", index, round, hashText(modelHash));
        const name = `${task}/${round}/${modelHash}`;
        if (this.#audit.knows(task, round, modelHash) || this.#unvouched.has(name)) continue;
        this.#unvouched.set(name, { by: agentId, sinceMs: this.#fleet.clock.monotonicMs() });
      }
  }

  /** The first agent that may begin does. */
  #startTask(): void {
    if (this.#starting) return;
    const able = this.#fleet.agents.find(
      ({ agent }) => agent?.context.consensus.status().committee !== undefined,
    );
    if (able?.agent === undefined) return;
    this.#starting = true;
    void this.#startAt(able.agent);
    // A process that is killed never answers.
    this.#fleet.clock.setTimer("learning.start", START_AGAIN_MS, () => {
      this.#starting = false;
    });
  }

  async #startAt({ context }: NonNullable<SimulatedAgent["agent"]>): Promise<void> {
    try {
      await context.learning.start(this.#world.spec);
    } catch {
      // A disk may be full: it is tried again.
    }
    this.#starting = false;
  }

  #states(): string {
    const states = new Map<string, number>();
    for (const { agent } of this.#fleet.agents) {
      const state = stateOf(agent?.context.learning.tasks() ?? []);
      states.set(state, (states.get(state) ?? 0) + 1);
    }
    return Array.from(states, ([state, count]) => `${count} at ${state || "nothing"}`).join(", ");
  }

  #broken(promise: string, what: string): void {
    this.#fleet.violations.add(this.#fleet.clock.monotonicMs(), promise, what);
  }
}

/** Members that decided may all be gone before anybody looked; when they are back they still know. */
const VOUCHED_WITHIN_MS = 600_000;
const START_AGAIN_MS = 60_000;

function stateOf(tasks: readonly LearningTask[]): string {
  const newest = newestIn(tasks);
  return newest === undefined ? "" : `${newest.task.slice(0, 4)}/${newest.round}`;
}

/** The one that all agents find first. */
function newestIn(tasks: readonly LearningTask[] | undefined): LearningTask | undefined {
  return tasks?.toSorted((a, b) => (a.task < b.task ? -1 : 1))[0];
}
