import type { Matrix } from "./assignment-problem.ts";

/** Less than this share of the largest numbers is no improvement, but what rounding makes of none. */
const IMPROVEMENT_SHARE_MIN = 1e-9;
/** How far the penalty may go from where it began, either way. */
const PENALTY_FACTOR_MAX = 1_000;
/** Steps of one descent, for each job. */
const STEPS_PER_JOB_MAX = 100;
/** How much dearer overload becomes when it does not go away, and cheaper when there is none. */
const PENALTY_STEP = 1.25;
/** Jobs that one kick moves. */
const KICKED = 3;

/**
 * Local search over complete assignments, overloaded ones included: shifts a job, swaps two, or ejects one to make room for
 * another, as long as cost and penalty for overload get less; then kicks some jobs and goes on from there (iterated local
 * search; ejection chains and adaptive penalties as in Yagiura, Ibaraki and Glover 2004). Deterministic.
 */
export class AssignmentSearch {
  readonly #matrix: Matrix;
  readonly #agentOf: Int32Array;
  readonly #used: Float64Array;
  readonly #penaltyAtFirst: number;
  readonly #costMost: number;
  readonly #loadMost: number;
  /** Less than this is no overload. */
  readonly #overMin: number;
  #cost = 0;
  #penalty = 0;
  /** Less than this is no gain. */
  #gainMin = 0;
  #kick = 0;
  #best: Int32Array | undefined;
  #bestCost = Number.POSITIVE_INFINITY;

  constructor(matrix: Matrix, start: Int32Array) {
    this.#matrix = matrix;
    this.#agentOf = start.slice();
    this.#used = new Float64Array(matrix.agents);
    const { costs, loads } = matrix;
    this.#costMost = costs.reduce((most, cost) => Math.max(most, Math.abs(cost)), 0);
    this.#loadMost = loads.reduce(
      (most, load) => (load < Number.POSITIVE_INFINITY ? Math.max(most, load) : most),
      0,
    );
    this.#overMin = IMPROVEMENT_SHARE_MIN * this.#loadMost;
    this.#penaltyAtFirst = initialPenalty(matrix);
    this.#punish(this.#penaltyAtFirst);
    this.#take(start);
  }

  /** The cheapest assignment so far that keeps all capacities. */
  get best(): Int32Array | undefined {
    return this.#best;
  }

  get bestCost(): number {
    return this.#bestCost;
  }

  /** One descent and one kick. */
  iterate(): void {
    this.#descend();
    let isFeasible = true;
    for (let agent = 0; agent < this.#matrix.agents; agent++)
      if (this.#over(agent, 0) > 0) isFeasible = false;
    this.#punish(this.#penalty * (isFeasible ? 1 / PENALTY_STEP : PENALTY_STEP));
    if (isFeasible && this.#cost < this.#bestCost) {
      this.#best = this.#agentOf.slice();
      this.#bestCost = this.#cost;
    }
    this.#perturb();
  }

  #punish(penalty: number): void {
    const least = this.#penaltyAtFirst / PENALTY_FACTOR_MAX;
    const most = this.#penaltyAtFirst * PENALTY_FACTOR_MAX;
    this.#penalty = Math.min(Math.max(penalty, least), most);
    this.#gainMin = IMPROVEMENT_SHARE_MIN * (this.#costMost + this.#penalty * this.#loadMost);
  }

  #descend(): void {
    const { jobs } = this.#matrix;
    // From where the last step was: jobs that did not help a moment ago wait.
    let sinceStep = 0;
    let stepsLeft = STEPS_PER_JOB_MAX * jobs;
    for (let job = 0; sinceStep < jobs && stepsLeft > 0; job = (job + 1) % jobs) {
      sinceStep++;
      if (!this.#shift(job) && !this.#swap(job) && !this.#eject(job)) continue;
      sinceStep = 0;
      stepsLeft--;
    }
  }

  #shift(job: number): boolean {
    const from = this.#agentOf[job] ?? 0;
    for (let to = 0; to < this.#matrix.agents; to++)
      if (to !== from && this.#isAble(to, job) && this.#gainOfShift(job, to) > this.#gainMin) {
        this.#move(job, to);
        return true;
      }
    return false;
  }

  #swap(job: number): boolean {
    const from = this.#agentOf[job] ?? 0;
    for (let other = job + 1; other < this.#matrix.jobs; other++) {
      const to = this.#agentOf[other] ?? 0;
      if (to === from || !this.#isAble(to, job) || !this.#isAble(from, other)) continue;
      const inFrom = this.#load(from, other) - this.#load(from, job);
      const inTo = this.#load(to, job) - this.#load(to, other);
      const gain =
        this.#costOf(from, job) +
        this.#costOf(to, other) -
        this.#costOf(to, job) -
        this.#costOf(from, other) +
        this.#relief(from, inFrom) +
        this.#relief(to, inTo);
      if (gain <= this.#gainMin) continue;
      this.#move(job, to);
      this.#move(other, from);
      return true;
    }
    return false;
  }

  /** The job goes to another agent, and one of that agent's to a third. */
  #eject(job: number): boolean {
    const { agents, jobs } = this.#matrix;
    const from = this.#agentOf[job] ?? 0;
    for (let to = 0; to < agents; to++) {
      if (to === from || !this.#isAble(to, job)) continue;
      const gain = this.#gainOfShift(job, to);
      // What is dear without overloading does not get cheaper by making room.
      if (gain <= this.#gainMin && this.#relief(to, this.#load(to, job)) === 0) continue;
      this.#move(job, to);
      for (let other = 0; other < jobs; other++) {
        if (other === job || this.#agentOf[other] !== to) continue;
        for (let third = 0; third < agents; third++) {
          if (third === to || !this.#isAble(third, other)) continue;
          if (gain + this.#gainOfShift(other, third) <= this.#gainMin) continue;
          this.#move(other, third);
          return true;
        }
      }
      this.#move(job, from);
    }
    return false;
  }

  /** Moves some jobs to their next best agents; which ones goes round, so that each kick is another. */
  #perturb(): void {
    const { agents, jobs, choices } = this.#matrix;
    if (this.#best !== undefined && this.#kick % 8 === 7) this.#take(this.#best);
    for (let count = 0; count < Math.min(KICKED, jobs); count++) {
      this.#kick++;
      const job = (this.#kick * 7 + Math.floor(this.#kick / jobs) * 3) % jobs;
      const wanted = 1 + (Math.floor(this.#kick / jobs) % Math.max(1, agents - 1));
      const at = choices.indexOf(this.#agentOf[job] ?? 0, job * agents) - job * agents;
      const to = choices[job * agents + ((at + wanted) % agents)] ?? -1;
      if (to !== -1) this.#move(job, to);
    }
  }

  #take(assignment: Int32Array): void {
    this.#agentOf.set(assignment);
    this.#used.fill(0);
    this.#cost = 0;
    for (const [job, agent] of assignment.entries()) {
      this.#used[agent] = (this.#used[agent] ?? 0) + this.#load(agent, job);
      this.#cost += this.#costOf(agent, job);
    }
  }

  #move(job: number, to: number): void {
    const from = this.#agentOf[job] ?? 0;
    this.#used[from] = (this.#used[from] ?? 0) - this.#load(from, job);
    this.#used[to] = (this.#used[to] ?? 0) + this.#load(to, job);
    this.#cost += this.#costOf(to, job) - this.#costOf(from, job);
    this.#agentOf[job] = to;
  }

  #gainOfShift(job: number, to: number): number {
    const from = this.#agentOf[job] ?? 0;
    return (
      this.#costOf(from, job) -
      this.#costOf(to, job) +
      this.#relief(from, -this.#load(from, job)) +
      this.#relief(to, this.#load(to, job))
    );
  }

  /** How much less the penalty is when an agent gets that much more load. */
  #relief(agent: number, more: number): number {
    return this.#penalty * (this.#over(agent, 0) - this.#over(agent, more));
  }

  #over(agent: number, more: number): number {
    const over = (this.#used[agent] ?? 0) + more - (this.#matrix.capacities[agent] ?? 0);
    return over > this.#overMin ? over : 0;
  }

  #isAble(agent: number, job: number): boolean {
    return this.#load(agent, job) <= (this.#matrix.capacities[agent] ?? 0);
  }

  #load(agent: number, job: number): number {
    return this.#matrix.loads[agent * this.#matrix.jobs + job] ?? 0;
  }

  #costOf(agent: number, job: number): number {
    return this.#matrix.costs[agent * this.#matrix.jobs + job] ?? 0;
  }
}

/** About what one unit of load costs. */
function initialPenalty({ costs, loads }: Matrix): number {
  let cost = 0;
  let load = 0;
  for (let at = 0; at < costs.length; at++) {
    const weight = loads[at] ?? 0;
    if (!Number.isFinite(weight)) continue;
    cost += Math.abs(costs[at] ?? 0);
    load += weight;
  }
  return load > 0 && cost > 0 ? cost / load : 1;
}
