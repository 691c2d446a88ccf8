import {
  ProposerRotation,
  type ValidatorChange,
} from "../../../src/consensus/tendermint/proposer-rotation.ts";
import { Proposers } from "../../../src/consensus/tendermint/proposers.ts";
import type { PeerId } from "../../../src/platform/signer.ts";
import type { Faults } from "../consensus/faults.ts";
import { CHAIN_MAX } from "./world-parts.ts";

/** Who votes and proposes at which height, in a world whose committee changes a few times. */
export class Rotations {
  readonly first: ProposerRotation;
  readonly #changes: ReadonlyMap<number, readonly ValidatorChange[]>;
  readonly #faults: Faults;
  readonly #rotations = new Map<number, { rotation: ProposerRotation; proposers: Proposers }>();

  /** @param members in order, with their power @param observer follows, joins, and leaves again */
  constructor(
    members: readonly { readonly id: PeerId; readonly power: number }[],
    observer: PeerId,
    faults: Faults,
  ) {
    this.first = ProposerRotation.begin(members);
    this.#faults = faults;
    const [honest] = members;
    this.#changes = new Map([
      [2, [{ id: observer, power: 1 }]],
      [3, honest === undefined ? [] : [{ id: honest.id, power: honest.power + 1 }]],
      [4, [{ id: observer, power: 0 }]],
    ]);
  }

  /** What a height's decision brings with it. */
  changesAfter(height: number): readonly ValidatorChange[] {
    const changes = this.#changes.get(height);
    return changes !== undefined && this.#faults.happens("membership", true) ? changes : [];
  }

  /** @returns undefined for heights that no world comes to */
  proposersOf(height: number): Proposers | undefined {
    if (height < 1 || height > CHAIN_MAX) return undefined;
    const known = this.#rotations.get(height);
    if (known !== undefined) return known.proposers;
    let rotation = this.first;
    for (let at = 1; at < height; at++) {
      const before = this.#rotations.get(at)?.rotation ?? rotation;
      rotation = before.change(this.changesAfter(at)).advance();
      this.#rotations.set(at + 1, { rotation, proposers: new Proposers(rotation) });
    }
    const entry = this.#rotations.get(height) ?? { rotation, proposers: new Proposers(rotation) };
    this.#rotations.set(height, entry);
    return entry.proposers;
  }
}
