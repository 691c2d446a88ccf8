import type { PeerId } from "../../platform/signer.ts";
import { ChangeLog } from "./change-log.ts";
import { type Deposit, type DepositProof, isDeposit, isTrailName, supersedes } from "./deposit.ts";
import { Evaporation } from "./evaporation.ts";
import type { PheromoneOptions } from "./options.ts";
import { RankHeap } from "./rank-heap.ts";
import { type Scent, Trail } from "./trail.ts";

/** What a map of trails is made of. */
export interface PheromoneParts {
  readonly self: PeerId;
  readonly options: PheromoneOptions;
  /** Whose deposits count. */
  readonly isMember: (peer: PeerId) => boolean;
}

/**
 * What became of a deposit that a peer told of. `news`: it was taken. `known`: this one, or a newer one, was here already.
 * `faint`: nothing of it is left. `no-room`: the map is full of what is stronger. Faults of the teller: `malformed-deposit`;
 * `not-a-member`: its origin is not of the fleet; `from-the-future`; `too-strong`: more than any agent can have there.
 */
export type MergeOutcome =
  | "news"
  | "known"
  | "faint"
  | "no-room"
  | "malformed-deposit"
  | "not-a-member"
  | "from-the-future"
  | "too-strong";

/** How often each outcome came about, and how many trails gave way to stronger ones. */
export type PheromoneCounters = Readonly<Record<MergeOutcome | "evicted", number>>;

/** A trail and what is on it. */
export interface TrailLevel {
  readonly trail: string;
  readonly level: number;
}

/**
 * Trails that a whole mesh lays and smells: each agent deposits on its own account, the newest account of each is merged
 * from neighbours, and everything evaporates (ant system: Dorigo, Maniezzo and Colorni 1996; digital pheromones shared by
 * agents: Parunak, "Go to the Ant", 1997). Evaporation never changes which of two trails is stronger, so the weakest is
 * always at hand, and gives way when there is no room. Ticks are counted alike by all agents, as by a clock that they share.
 */
export class PheromoneMap {
  readonly #self: PeerId;
  readonly #options: PheromoneOptions;
  readonly #isMember: (peer: PeerId) => boolean;
  readonly #evaporation: Evaporation;
  readonly #amountMax: number;
  readonly #trails = new Map<string, Trail>();
  readonly #heap = new RankHeap<Trail>();
  readonly #log = new ChangeLog<Scent>();
  #scentCount = 0;
  readonly #counters: Record<MergeOutcome | "evicted", number> = {
    news: 0,
    known: 0,
    faint: 0,
    "no-room": 0,
    "malformed-deposit": 0,
    "not-a-member": 0,
    "from-the-future": 0,
    "too-strong": 0,
    evicted: 0,
  };

  /** @throws RangeError for a decay outside 0 … 1 and for bounds below 1 */
  constructor({ self, options, isMember }: PheromoneParts) {
    this.#evaporation = new Evaporation(options.decayPerTick);
    if (!(options.trailsMax >= 1 && options.originsPerTrailMax >= 1))
      throw new RangeError("there has to be room for one trail and one origin at least");
    this.#self = self;
    this.#options = options;
    this.#isMember = isMember;
    this.#amountMax = options.depositMax / options.decayPerTick;
  }

  get trailCount(): number {
    return this.#trails.size;
  }

  /** Deposits that the map holds, at most one of each agent on each trail. */
  get depositCount(): number {
    return this.#scentCount;
  }

  /** Grows with everything that changes; see {@link changesSince}. */
  get version(): number {
    return this.#log.version;
  }

  counters(): PheromoneCounters {
    return { ...this.#counters };
  }

  /**
   * Deposits for this agent.
   * @param amount up to `depositMax`; more counts as that much
   * @returns whether there was room for it
   * @throws RangeError for what can not name a trail, and for an amount that is not above 0
   */
  deposit(name: string, amount: number, tick: number): boolean {
    if (!isTrailName(name)) throw new RangeError("a trail's name has 1 to 128 characters");
    if (!(amount > 0)) throw new RangeError("a deposit has to be above 0");
    const held = this.#trails.get(name)?.scents.get(this.#self);
    // One's own from before a restart may be ahead: what is added to it must not be taken for older.
    const at = Math.max(tick, held?.tick ?? 0);
    const left = held === undefined ? 0 : held.amount * this.#evaporation.keptAfter(at - held.tick);
    const total = Math.min(left + Math.min(amount, this.#options.depositMax), this.#amountMax);
    return this.#put({ trail: name, origin: this.#self, tick: at, amount: total });
  }

  /** Takes what a neighbour told of, whoever deposited it. Never throws. @param tick this agent's own */
  merge(value: unknown, tick: number): MergeOutcome {
    const outcome = this.#merge(value, tick);
    this.#counters[outcome]++;
    return outcome;
  }

  /** What an agent signed of what it has on a trail, as far as that is held here. */
  proofOf(trail: string, origin: PeerId): DepositProof | undefined {
    return this.#trails.get(trail)?.scents.get(origin)?.proof;
  }

  /** What is on a trail, 0 when nothing is. */
  level(trail: string, tick: number): number {
    return this.#trails.get(trail)?.level(tick) ?? 0;
  }

  /** The strongest trails first. Sorts all there are: for people, not for every choice. */
  strongest(count: number, tick: number): readonly TrailLevel[] {
    return [...this.#trails.values()]
      .sort((a, b) => b.rank - a.rank || (a.name < b.name ? -1 : 1))
      .slice(0, count)
      .map((trail) => ({ trail: trail.name, level: trail.level(tick) }));
  }

  /** Forgets trails of which next to nothing is left; takes time for those only. @returns how many there were */
  sweep(tick: number): number {
    let count = 0;
    for (;;) {
      const weakest = this.#heap.lowest;
      if (weakest === undefined || weakest.level(tick) >= this.#options.amountMin) return count;
      this.#drop(weakest);
      count++;
    }
  }

  /**
   * Deposits that changed here after a version, oldest change first.
   * @returns at most `countMax`, and the version to go on from
   */
  changesSince(
    version: number,
    countMax: number,
  ): { readonly deposits: readonly Deposit[]; readonly through: number } {
    const deposits: Deposit[] = [];
    let through = version;
    for (const scent of this.#log.since(version)) {
      if (deposits.length >= countMax) return { deposits, through };
      const { trail, origin, tick, amount, proof } = scent;
      const deposit = { trail: trail.name, origin, tick, amount };
      deposits.push(proof === undefined ? deposit : { ...deposit, proof });
      through = scent.version;
    }
    return { deposits, through: this.#log.version };
  }

  #merge(value: unknown, tick: number): MergeOutcome {
    if (!isDeposit(value)) return "malformed-deposit";
    if (value.tick > tick + this.#options.ticksAheadMax) return "from-the-future";
    if (value.amount > this.#amountMax) return "too-strong";
    const held = this.#trails.get(value.trail)?.scents.get(value.origin);
    if (held !== undefined && !supersedes(value, held)) return "known";
    if (!this.#isMember(value.origin)) return "not-a-member";
    const left = value.amount * this.#evaporation.keptAfter(tick - value.tick);
    if (left < this.#options.amountMin) return "faint";
    return this.#put(value) ? "news" : "no-room";
  }

  #put({ trail: name, origin, tick, amount, proof }: Deposit): boolean {
    const trail =
      this.#trails.get(name) ?? this.#open(name, this.#evaporation.rankOf(amount, tick));
    if (trail === undefined) return false;
    let scent = trail.scents.get(origin);
    if (scent === undefined) {
      if (!this.#makeRoomOn(trail, this.#evaporation.rankOf(amount, tick))) return false;
      scent = { trail, origin, tick, amount, proof, version: 0 };
      trail.scents.set(origin, scent);
      this.#scentCount++;
    } else {
      scent.tick = tick;
      scent.amount = amount;
      scent.proof = proof;
    }
    trail.sum();
    this.#heap.moved(trail);
    this.#log.changed(scent, this.#scentCount);
    return true;
  }

  #open(name: string, rank: number): Trail | undefined {
    if (this.#trails.size >= this.#options.trailsMax) {
      const weakest = this.#heap.lowest;
      if (weakest !== undefined && weakest.rank >= rank) return undefined;
      if (weakest !== undefined) this.#drop(weakest);
      this.#counters.evicted++;
    }
    const trail = new Trail(name, this.#evaporation);
    this.#trails.set(name, trail);
    this.#heap.add(trail);
    return trail;
  }

  #makeRoomOn(trail: Trail, rank: number): boolean {
    if (trail.scents.size < this.#options.originsPerTrailMax) return true;
    const faintest = trail.faintest();
    if (faintest === undefined) return false;
    if (this.#evaporation.rankOf(faintest.amount, faintest.tick) >= rank) return false;
    trail.scents.delete(faintest.origin);
    this.#log.removed(faintest);
    this.#scentCount--;
    return true;
  }

  #drop(trail: Trail): void {
    this.#trails.delete(trail.name);
    this.#heap.remove(trail);
    for (const scent of trail.scents.values()) this.#log.removed(scent);
    this.#scentCount -= trail.scents.size;
  }
}
