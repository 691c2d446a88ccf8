import type { PeerId } from "../../platform/signer.ts";
import type { ProposerRotation } from "./proposer-rotation.ts";

/** Who proposes in the rounds of one height: each round is one turn. Worked out as far as somebody asked. */
export class Proposers {
  readonly #known: PeerId[];
  #last: ProposerRotation;

  /** @param rotation whose turn is round 0 */
  constructor(rotation: ProposerRotation) {
    this.#known = [rotation.proposer];
    this.#last = rotation;
  }

  /** @param round its cost the first time grows with the distance to the furthest round so far */
  of(round: number): PeerId {
    while (this.#known.length <= round) {
      this.#last = this.#last.advance();
      this.#known.push(this.#last.proposer);
    }
    return this.#known[round] ?? this.#last.proposer;
  }
}
