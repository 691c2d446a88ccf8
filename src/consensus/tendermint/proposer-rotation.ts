import type { PeerId } from "../../platform/signer.ts";
import { type Validator, ValidatorSet } from "./validators.ts";

/** Priorities lie within this many times the total power of each other. */
const WINDOW = 2;

/** A validator and its claim to propose. */
export interface PrioritizedValidator extends Validator {
  readonly priority: number;
}

/** A validator joins, or has another power; 0 takes it out. */
export type ValidatorChange = Validator;

/**
 * Takes turns in proportion to power: each turn everybody gains as much priority as it has power, who then has most
 * proposes and pays with the power of all. This is the public algorithm of CometBFT ("Proposer Selection Procedure in
 * CometBFT"), with its scaling, its centring and its price for joining, so that nobody gains a turn by leaving and coming
 * back. Immutable: a rotation at one height gives those of the rounds and heights that follow.
 */
export class ProposerRotation {
  readonly validators: ValidatorSet;
  readonly proposer: PeerId;
  readonly #priorities: ReadonlyMap<PeerId, number>;

  private constructor(
    validators: ValidatorSet,
    priorities: ReadonlyMap<PeerId, number>,
    proposer: PeerId,
  ) {
    this.validators = validators;
    this.#priorities = priorities;
    this.proposer = proposer;
  }

  /** The first turn of a set. @throws RangeError as {@link ValidatorSet} does */
  static begin(validators: Iterable<Validator>): ProposerRotation {
    const set = new ValidatorSet(validators);
    const priorities = joined(set, new Map(), set.totalPower);
    return take(set, priorities, 1, (...parts) => new ProposerRotation(...parts));
  }

  /** As it was written down by {@link ProposerRotation.snapshot}. @throws RangeError for what no rotation ever was */
  static restore(snapshot: readonly PrioritizedValidator[], proposer: PeerId): ProposerRotation {
    const set = new ValidatorSet(snapshot.map(({ id, power }) => ({ id, power })));
    if (!set.has(proposer)) throw new RangeError(`the proposer ${proposer} is no validator`);
    const priorities = new Map(snapshot.map(({ id, priority }) => [id, priority]));
    for (const priority of priorities.values())
      if (!Number.isSafeInteger(priority)) throw new RangeError(`${priority} is no priority`);
    return new ProposerRotation(set, priorities, proposer);
  }

  /** For the write-ahead log, in the order of the validators' names. */
  snapshot(): PrioritizedValidator[] {
    return this.validators.all.map(({ id, power }) => ({
      id,
      power,
      priority: this.priorityOf(id),
    }));
  }

  /** @returns 0 for somebody who has no vote */
  priorityOf(id: PeerId): number {
    return this.#priorities.get(id) ?? 0;
  }

  /** So many turns later. @throws RangeError for less than one turn */
  advance(turns = 1): ProposerRotation {
    if (!Number.isSafeInteger(turns) || turns < 1)
      throw new RangeError(`a rotation goes on by turns of one or more, not ${turns}`);
    return take(
      this.validators,
      new Map(this.#priorities),
      turns,
      (...parts) => new ProposerRotation(...parts),
    );
  }

  /**
   * The same turn with another set. The proposer stays what it is until the next turn, unless it is gone.
   * @throws RangeError for a repeated validator, an unknown one that is to leave, and a set that can not be
   */
  change(changes: readonly ValidatorChange[]): ProposerRotation {
    if (changes.length === 0) return this;
    const powers = new Map(this.validators.all.map(({ id, power }) => [id, power]));
    const seen = new Set<PeerId>();
    let removedPower = 0;
    for (const { id, power } of changes) {
      if (seen.has(id)) throw new RangeError(`${id} changes twice`);
      seen.add(id);
      if (power !== 0) {
        powers.set(id, power);
        continue;
      }
      if (!powers.has(id)) throw new RangeError(`${id} can not leave: it is no validator`);
      removedPower += this.validators.powerOf(id);
      powers.delete(id);
    }
    const set = new ValidatorSet([...powers].map(([id, power]) => ({ id, power })));
    // Newcomers pay by the power before anybody leaves: else the price would depend on who goes at the same time.
    const priorities = joined(set, this.#priorities, set.totalPower + removedPower);
    rescale(priorities, WINDOW * set.totalPower);
    centre(priorities);
    const proposer = set.has(this.proposer) ? this.proposer : foremost(set, priorities);
    return new ProposerRotation(set, priorities, proposer);
  }
}

type Make = (
  validators: ValidatorSet,
  priorities: ReadonlyMap<PeerId, number>,
  proposer: PeerId,
) => ProposerRotation;

/** Those who stay keep their priority; who is new begins behind everybody, by 1.125 times the power. */
function joined(
  set: ValidatorSet,
  before: ReadonlyMap<PeerId, number>,
  power: number,
): Map<PeerId, number> {
  const price = -(power + Math.floor(power / 8));
  const priorities = new Map(set.all.map(({ id }) => [id, before.get(id) ?? price]));
  if (before.size === 0) {
    rescale(priorities, WINDOW * set.totalPower);
    centre(priorities);
  }
  return priorities;
}

function take(
  set: ValidatorSet,
  priorities: Map<PeerId, number>,
  turns: number,
  make: Make,
): ProposerRotation {
  rescale(priorities, WINDOW * set.totalPower);
  centre(priorities);
  let proposer = "";
  for (let turn = 0; turn < turns; turn++) {
    for (const { id, power } of set.all) priorities.set(id, (priorities.get(id) ?? 0) + power);
    proposer = foremost(set, priorities);
    priorities.set(proposer, (priorities.get(proposer) ?? 0) - set.totalPower);
  }
  return make(set, priorities, proposer);
}

/** Of those with the same priority, the first by name. */
function foremost(set: ValidatorSet, priorities: ReadonlyMap<PeerId, number>): PeerId {
  let found = "";
  let most = Number.NEGATIVE_INFINITY;
  for (const { id } of set.all) {
    const priority = priorities.get(id) ?? 0;
    if (priority <= most) continue;
    most = priority;
    found = id;
  }
  return found;
}

function rescale(priorities: Map<PeerId, number>, spreadMax: number): void {
  let most = Number.NEGATIVE_INFINITY;
  let least = Number.POSITIVE_INFINITY;
  for (const priority of priorities.values()) {
    most = Math.max(most, priority);
    least = Math.min(least, priority);
  }
  const spread = most - least;
  if (spread <= spreadMax) return;
  const ratio = Math.ceil(spread / spreadMax);
  for (const [id, priority] of priorities) priorities.set(id, Math.trunc(priority / ratio));
}

/** Around zero. The sum is exact: at most 256 priorities of less than 2^43 each. */
function centre(priorities: Map<PeerId, number>): void {
  const { size } = priorities;
  let sum = 0;
  for (const priority of priorities.values()) sum += priority;
  const average = (sum - (((sum % size) + size) % size)) / size;
  for (const [id, priority] of priorities) priorities.set(id, priority - average);
}
