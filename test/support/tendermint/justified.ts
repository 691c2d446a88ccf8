import type { ValidatorSet } from "../../../src/consensus/tendermint/validators.ts";
import type { Proposal, ValueId, Vote } from "../../../src/consensus/tendermint/vote.ts";
import type { PeerId } from "../../../src/platform/signer.ts";

/** What honest nodes may say follows from what was said before; of liars it is assumed that they say anything. */
export class Justified {
  readonly #liars: ReadonlySet<PeerId>;
  readonly #proposerOf: (height: number, round: number) => PeerId | undefined;
  readonly #voters = new Map<string, Set<PeerId>>();
  readonly #proposals = new Set<string>();
  /** The latest precommit for a value, of each node and height. */
  readonly #locks = new Map<string, Vote>();

  constructor(
    liars: ReadonlySet<PeerId>,
    proposerOf: (height: number, round: number) => PeerId | undefined,
  ) {
    this.#liars = liars;
    this.#proposerOf = proposerOf;
  }

  /** An honest node proposes. @throws Error when it is not its turn */
  proposed({ height, round, valueId, proposer }: Proposal): void {
    const expected = this.#proposerOf(height, round);
    if (expected !== undefined && expected !== proposer)
      throw new Error(`proposer: ${proposer} proposes at ${height}/${round}, not ${expected}`);
    this.#proposals.add(`${height}/${round}/${valueId}`);
  }

  /** An honest node votes. @throws Error when nothing that was said lets it */
  voted(vote: Vote, validators: ValidatorSet): void {
    const { kind, height, round, valueId, validator } = vote;
    if (valueId !== null) {
      if (kind === "prevote") this.#checkPrevote(vote, valueId, validators);
      else {
        if (!this.#mayBePolka(height, round, valueId, validators))
          throw new Error(`polka: ${validator} precommits at ${height}/${round} without one`);
        const lock = this.#locks.get(`${height}/${validator}`);
        if (lock === undefined || lock.round < round)
          this.#locks.set(`${height}/${validator}`, vote);
      }
    }
    const key = keyOf(vote);
    const voters = this.#voters.get(key);
    if (voters === undefined) this.#voters.set(key, new Set([validator]));
    else voters.add(validator);
  }

  #checkPrevote(vote: Vote, valueId: ValueId, validators: ValidatorSet): void {
    const { height, round, validator } = vote;
    const proposer = this.#proposerOf(height, round);
    const isLiarsTurn = proposer === undefined || this.#liars.has(proposer);
    if (!isLiarsTurn && !this.#proposals.has(`${height}/${round}/${valueId}`))
      throw new Error(`proposer: ${validator} prevotes at ${height}/${round} what it was not told`);
    const lock = this.#locks.get(`${height}/${validator}`);
    if (lock === undefined || lock.valueId === valueId || lock.round >= round) return;
    for (let at = lock.round; at < round; at++)
      if (this.#mayBePolka(height, at, valueId, validators)) return;
    throw new Error(`locking: ${validator} leaves its lock of ${lock.round} at ${height}/${round}`);
  }

  /** More than 2/3 have said it, or may have said it to somebody. */
  #mayBePolka(height: number, round: number, valueId: ValueId, validators: ValidatorSet): boolean {
    const key = keyOf({ kind: "prevote", height, round, valueId });
    const voters = new Set([...(this.#voters.get(key) ?? []), ...this.#liars]);
    return isQuorum(voters, validators);
  }
}

/** Counted here anew: what counts in the nodes may be what is wrong. */
export function isQuorum(voters: ReadonlySet<PeerId>, validators: ValidatorSet): boolean {
  let power = 0;
  let total = 0;
  for (const { id, power: own } of validators.all) {
    total += own;
    if (voters.has(id)) power += own;
  }
  return 3 * power > 2 * total;
}

function keyOf({ kind, height, round, valueId }: Omit<Vote, "validator">): string {
  return `${kind}/${height}/${round}/${valueId}`;
}
