import type { PeerId } from "../../platform/signer.ts";
import type { Envelope } from "./envelope.ts";

/** Authors remembered; of those heard of longest ago a message may come twice. */
const AUTHORS_MAX = 4_096;

interface Expected {
  readonly epoch: number;
  readonly sequence: number;
}

/**
 * Lets every message of an author pass once, in the order in which it was written: what was here before is a copy,
 * and what comes before its turn has to come again.
 */
export class Inbox {
  readonly #expected = new Map<PeerId, Expected>();

  /** @returns what to do with it; a `new` one counts as taken from now on */
  judge(author: PeerId, { epoch, sequence, oldest }: Envelope): "new" | "copy" | "early" {
    const known = this.#expected.get(author);
    if (known !== undefined && epoch < known.epoch) return "copy";
    const since = known?.epoch === epoch ? Math.max(known.sequence, oldest) : oldest;
    if (sequence < since) return "copy";
    if (sequence > since) return "early";
    this.#expected.delete(author);
    this.#expected.set(author, { epoch, sequence: sequence + 1 });
    if (this.#expected.size > AUTHORS_MAX) {
      const [longestAgo] = this.#expected.keys();
      if (longestAgo !== undefined) this.#expected.delete(longestAgo);
    }
    return "new";
  }
}
