import type { Entry } from "./entry.ts";
import type { HardState, Snapshot } from "./log-storage.ts";
import type { Acknowledgement, AppendDone, ApplyDone, Message, PromiseMessage } from "./message.ts";
import type { ReadState } from "./reads.ts";
import type { RaftState, SoftState } from "./state.ts";

/** Asks a writer to make something durable, in the order of the requests. */
export interface StorageAppend {
  readonly hardState: HardState | undefined;
  readonly entries: readonly Entry[];
  /** It takes the place of the log, and of everything up to its index that was not applied yet. */
  readonly snapshot: Snapshot | undefined;
  /**
   * Go out when all of it is durable: those to this node by `acknowledge`, the others to their receivers. Without any,
   * nobody waits for the write to be durable.
   */
  readonly responses: readonly (PromiseMessage | AppendDone)[];
}

/** Asks an applier to apply entries, in the order of the requests, except for those that a snapshot has overtaken. */
export interface StorageApply {
  readonly entries: readonly Entry[];
  /** To give to `acknowledge` when they are applied. */
  readonly response: ApplyDone;
}

/**
 * What is to be done. First persist `snapshot`, `entries` and `hardState`, then send `promises` and apply `committed`,
 * then `advance`. `messages` may be sent at once. With `asyncStorage` do instead what `append` and `apply` ask for, while
 * the next `Ready` may be taken, and never `advance`.
 */
export interface Ready {
  /** When it changed. */
  readonly softState: SoftState | undefined;
  /** To be persisted, when it changed. */
  readonly hardState: HardState | undefined;
  /** To be persisted, in the place of what is there from the first of them on. */
  readonly entries: readonly Entry[];
  /** To be persisted and applied, in the place of everything. */
  readonly snapshot: Snapshot | undefined;
  /** Entries and hard state have to survive a loss of power before anything is promised; a snapshot always has to. */
  readonly mustSync: boolean;
  /** To be sent, at once or later. */
  readonly messages: readonly Message[];
  /** To be sent after everything above is persisted. Empty with `asyncStorage`: see `append`. */
  readonly promises: readonly PromiseMessage[];
  /** To be applied, in order. */
  readonly committed: readonly Entry[];
  /** Reads that may be done when their index is applied. */
  readonly readStates: readonly ReadState[];
  /** With `asyncStorage`. */
  readonly append: StorageAppend | undefined;
  /** With `asyncStorage`. */
  readonly apply: StorageApply | undefined;
}

/** Collects what there is to do since the last time, and remembers what was handed out. */
export class ReadyMaker {
  readonly #state: RaftState;
  readonly #isAsync: boolean;
  #softState: SoftState;
  #hardState: HardState;

  constructor(state: RaftState) {
    this.#state = state;
    this.#isAsync = state.options.asyncStorage;
    this.#softState = state.softState;
    this.#hardState = state.hardState;
  }

  get hasReady(): boolean {
    const { log, messages, promises, readStates } = this.#state;
    return (
      messages.length > 0 ||
      promises.length > 0 ||
      log.unstable.hasNextEntries ||
      log.hasNextCommitted(!this.#isAsync) ||
      log.unstable.nextSnapshot !== undefined ||
      readStates.length > 0 ||
      this.#newSoftState() !== undefined ||
      this.#newHardState() !== undefined
    );
  }

  /** @returns what to do, and what to acknowledge when that is done without `asyncStorage` */
  make(): { readonly ready: Ready; readonly onAdvance: readonly Acknowledgement[] } {
    const state = this.#state;
    const { log, messages, readStates } = state;
    const softState = this.#newSoftState();
    const hardState = this.#newHardState();
    const before = this.#hardState;
    const entries = log.unstable.nextEntries();
    const snapshot = log.unstable.nextSnapshot;
    const committed = log.nextCommitted(!this.#isAsync);
    const mustSync = entries.length > 0 || state.term !== before.term || state.vote !== before.vote;
    const done = this.#appendDone(snapshot);
    const acknowledged: readonly (PromiseMessage | AppendDone)[] =
      done === undefined ? state.promises : [...state.promises, done];
    const response: ApplyDone | undefined =
      committed.length === 0 ? undefined : { kind: "apply-done", to: state.id, entries: committed };
    const written = { hardState, entries, snapshot };
    // The answer of a writer alone is no reason to write: it comes along with whatever is next.
    const isWriting =
      this.#isAsync && (mustSync || hardState || snapshot || state.promises.length > 0);
    const ready: Ready = {
      ...written,
      softState,
      mustSync,
      messages,
      committed,
      readStates,
      promises: this.#isAsync ? [] : state.promises.filter(({ to }) => to !== state.id),
      append: isWriting ? { ...written, responses: acknowledged } : undefined,
      apply: this.#isAsync && response ? { entries: committed, response } : undefined,
    };
    this.#accept(ready);
    if (this.#isAsync) return { ready, onAdvance: [] };
    const own = acknowledged.filter(({ to }) => to === state.id);
    return { ready, onAdvance: response === undefined ? own : [...own, response] };
  }

  #accept({ softState, hardState, committed }: Ready): void {
    if (softState !== undefined) this.#softState = softState;
    if (hardState !== undefined) this.#hardState = hardState;
    const { log } = this.#state;
    this.#state.takeOutput();
    log.unstable.accept();
    log.acceptApplying(committed, !this.#isAsync);
  }

  /**
   * Says what is durable when everything up to now is: the last entry of all, not of this time. If its own answer was
   * ignored since the term changed meanwhile, the next one makes up for it.
   */
  #appendDone(snapshot: Snapshot | undefined): AppendDone | undefined {
    const { log, id: to, term } = this.#state;
    if (log.unstable.isEmpty && snapshot === undefined) return undefined;
    const last = log.unstable.isEmpty ? { index: 0, term: 0 } : log.last;
    return { kind: "append-done", to, term, index: last.index, logTerm: last.term, snapshot };
  }

  #newSoftState(): SoftState | undefined {
    const { leader, role, softState } = this.#state;
    return leader === this.#softState.leader && role === this.#softState.role
      ? undefined
      : softState;
  }

  #newHardState(): HardState | undefined {
    const { term, vote, log, hardState } = this.#state;
    const before = this.#hardState;
    const isSame = term === before.term && vote === before.vote && log.committed === before.commit;
    return isSame ? undefined : hardState;
  }
}
