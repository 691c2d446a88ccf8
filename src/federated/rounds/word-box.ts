import type { PeerId } from "../../platform/signer.ts";
import { contradictionOf, type Evidence } from "./evidence.ts";
import { WORDS_WAITING_MAX } from "./limits.ts";
import type { TrainerWord } from "./trainer-word.ts";

/** Rounds that a word may be ahead of the head that is known here: heads and words take different ways. */
const AHEAD_MAX = 2;
/** Bases of one round for which a trainer may have a word: beyond two nobody needs more proof that it lies. */
const SPARE_OF_ONE = 2;

/** How far an update has come. `left-out`: for good; `missing`: it could not be had, unless the trainer says its word again. */
export type WaitingState = "told" | "fetching" | "held" | "missing" | "left-out";

/** A word, and how far its update has come. */
export interface Waiting {
  readonly word: TrainerWord;
  /** Only the box changes it. */
  state: WaitingState;
  /** While it is `fetching`: it came along with its word, and is being looked at. */
  isHere: boolean;
  /** How often its update could not be had. */
  failures: number;
  retryAtMs: number;
}

/** What came of putting a word into the box. */
export type Put =
  | { readonly kind: "new"; readonly waiting: Waiting }
  /** It is in the box already. */
  | { readonly kind: "known"; readonly waiting: Waiting }
  /** Somebody else has told of the same update. */
  | { readonly kind: "copy" }
  /** The trainer said something else on the same base before: both are left out. */
  | { readonly kind: "contradiction"; readonly evidence: Evidence }
  | { readonly kind: "full" };

/** The words of one task that wait for their round, in the order in which they came; bounded, for each trainer too. */
export class WordBox {
  readonly #ofOneMax: number;
  /** By trainer, then by base. */
  readonly #words = new Map<PeerId, Map<string, Waiting>>();
  readonly #byUpdate = new Map<string, Waiting>();
  readonly #byState: Readonly<Record<WaitingState, Set<Waiting>>> = {
    told: new Set(),
    fetching: new Set(),
    held: new Set(),
    missing: new Set(),
    "left-out": new Set(),
  };
  #size = 0;
  #changes = 0;
  #heldChanges = 0;

  constructor(stalenessMax: number) {
    this.#ofOneMax = stalenessMax + 1 + AHEAD_MAX + SPARE_OF_ONE;
  }

  /** @returns whether a word is so far ahead that it is not kept */
  static isTooFarAhead({ baseRound }: TrainerWord, headRound: number): boolean {
    return baseRound > headRound + AHEAD_MAX;
  }

  get size(): number {
    return this.#size;
  }

  /** Another number after each change. */
  get version(): number {
    return this.#changes;
  }

  /** Another number after each change of what may be held. */
  get heldVersion(): number {
    return this.#heldChanges;
  }

  /** Those that have come so far, in the order in which they did. */
  in(state: WaitingState): ReadonlySet<Waiting> {
    return this.#byState[state];
  }

  /** Its update is here, and is being looked at. */
  arrived(waiting: Waiting): void {
    this.change(waiting, "fetching");
    waiting.isHere = true;
  }

  change(waiting: Waiting, state: WaitingState): void {
    if (!this.#byState[waiting.state].delete(waiting)) return;
    this.#heldChanges++;
    waiting.isHere = false;
    waiting.state = state;
    this.#byState[state].add(waiting);
    this.#changes++;
  }

  put(word: TrainerWord): Put {
    const key = keyOf(word);
    const before = this.#words.get(word.trainer)?.get(key);
    if (before !== undefined) {
      const evidence = contradictionOf(before.word, word);
      if (evidence !== undefined) {
        this.change(before, "left-out");
        return { kind: "contradiction", evidence };
      }
      // What is here already, or was left out for good, a later edition does not change.
      const isOver = before.state === "held" || before.state === "left-out";
      if (isOver || word.edition <= before.word.edition) return { kind: "known", waiting: before };
      this.#forget(before);
    }
    const ofOne = this.#words.get(word.trainer);
    if (this.#size >= WORDS_WAITING_MAX || (ofOne?.size ?? 0) >= this.#ofOneMax)
      return { kind: "full" };
    const original = this.#byUpdate.get(word.updateHash);
    const isCopy = original !== undefined && original.word.trainer !== word.trainer;
    const waiting: Waiting = {
      word,
      state: isCopy ? "left-out" : "told",
      isHere: false,
      failures: 0,
      retryAtMs: Number.NEGATIVE_INFINITY,
    };
    if (ofOne === undefined) this.#words.set(word.trainer, new Map([[key, waiting]]));
    else ofOne.set(key, waiting);
    if (!isCopy) this.#byUpdate.set(word.updateHash, waiting);
    this.#byState[waiting.state].add(waiting);
    this.#size++;
    this.#changes++;
    return isCopy ? { kind: "copy" } : { kind: "new", waiting };
  }

  /** Whose update that is. */
  ofUpdate(updateHash: string): Waiting | undefined {
    return this.#byUpdate.get(updateHash);
  }

  /** Words of one trainer. */
  of(trainer: PeerId): Iterable<Waiting> {
    return this.#words.get(trainer)?.values() ?? [];
  }

  /** In the order in which their trainers were first heard. */
  *all(): Generator<Waiting> {
    for (const ofOne of this.#words.values()) yield* ofOne.values();
  }

  /** Forgets every word of which that is so. */
  drop(isOver: (word: TrainerWord) => boolean): void {
    for (const waiting of this.all()) if (isOver(waiting.word)) this.#forget(waiting);
  }

  #forget(waiting: Waiting): void {
    const { word } = waiting;
    const ofOne = this.#words.get(word.trainer);
    if (ofOne?.delete(keyOf(word)) !== true) return;
    if (ofOne.size === 0) this.#words.delete(word.trainer);
    if (this.#byUpdate.get(word.updateHash) === waiting) this.#byUpdate.delete(word.updateHash);
    this.#byState[waiting.state].delete(waiting);
    this.#heldChanges++;
    this.#size--;
    this.#changes++;
  }
}

function keyOf({ baseRound, baseHash }: TrainerWord): string {
  return `${baseRound}/${baseHash}`;
}
