import type { StoreOperation } from "../platform/key-value-store.ts";
import { admit, admitFirst } from "./admission.ts";
import { addDeadLetters, removeDeadLetters } from "./dead-letters.ts";
import type { Entry, NumberedBlock } from "./entry.ts";
import { evict } from "./eviction.ts";
import { deletions } from "./lane.ts";
import type { Ledger } from "./ledger.ts";
import { Numbering } from "./numbering.ts";
import type { OutboxParts } from "./parts.ts";
import type { PendingLetter, Requests, WaitingRequests } from "./requests.ts";
import { newShed } from "./shed.ts";
import { Thinning } from "./thinning.ts";

/** Additions after which the books are written though nothing was removed. */
const BOOKS_EVERY_UPDATES = 4_096;

/** One commit in the making: who asked for it, and what it comes to. */
export class CommitDraft {
  readonly requests: Requests;
  /** Dead letters that become updates again. */
  readonly requeuedKeys: readonly string[];
  readonly operations: StoreOperation[] = [];
  readonly shed = newShed();
  letters: readonly PendingLetter[] = [];
  admitted: readonly Entry[] = [];
  blocks: readonly NumberedBlock[] = [];
  /** The newest update of each state-like key. */
  latest: ReadonlyMap<string, number> = new Map();
  /** What does not fit goes into the next one: there is more that gives way. */
  moreLater = false;
  /** Of blocks that are deleted since nothing of them is left. */
  deadBytes = 0;
  /** Deletes one of {@link requeuedKeys}. */
  requeue: (key: string) => void = () => undefined;

  constructor(requests: Requests) {
    this.requests = requests;
    this.requeuedKeys = requests.appends.flatMap(({ letterKey }) => letterKey ?? []);
  }
}

/** Makes commits of what waits: what is deleted, what is let in under which numbers, and the books that go with it. */
export class CommitComposer {
  readonly #parts: OutboxParts;
  readonly #waiting: WaitingRequests;
  readonly #numbering: Numbering;
  readonly #thinning: Thinning;
  #sinceBooks = 0;

  constructor(parts: OutboxParts, waiting: WaitingRequests) {
    this.#parts = parts;
    this.#waiting = waiting;
    this.#numbering = new Numbering(parts);
    this.#thinning = new Thinning(parts.store, parts.options.compress);
  }

  /** Takes what goes into the next commit. */
  take(): CommitDraft {
    return new CommitDraft(this.#waiting.take(this.#parts.options.bytesMax / 4));
  }

  /** Finds out what gives way to it. @throws StoreError */
  async makeRoom(draft: CommitDraft, ledger: Ledger): Promise<void> {
    const { store, options } = this.#parts;
    const { appends, letterRemovals } = draft.requests;
    const removals = {
      removedKeys: letterRemovals.map(({ key }) => key),
      requeuedKeys: draft.requeuedKeys,
      incomingBytes: this.#waiting.letterBytes,
      bytesMax: options.deadLetterBytesMax,
    };
    draft.requeue = await removeDeadLetters(removals, ledger, store, draft.operations);
    const thinning = this.#thinning;
    draft.moreLater = await evict({ ledger, store, options, thinning }, appends, draft.shed);
  }

  /** Puts everything else in. It has to be written in this turn: the books must be those of this batch. */
  compose(draft: CommitDraft, ledger: Ledger): void {
    const { clock, options } = this.#parts;
    const { operations, shed, requests } = draft;
    const { appends, letterRemovals } = requests;
    const letters = this.#waiting.takeLetters();
    draft.letters = letters;
    addDeadLetters(
      letters.map(({ draft: letter }) => letter),
      clock.wallMs(),
      ledger,
      operations,
    );
    const room = options.bytesMax - ledger.bytes;
    const admitted = draft.moreLater ? admitFirst(appends, room) : admit(appends, room);
    draft.admitted = admitted;
    for (const lane of ledger.lanes) operations.push(...deletions(lane.dead));
    operations.push(...shed.operations);
    for (const { letterKey } of admitted) if (letterKey !== undefined) draft.requeue(letterKey);
    const { blocks, latest } = this.#numbering.number(admitted, ledger, operations);
    draft.blocks = blocks;
    draft.latest = latest;
    this.#sinceBooks += admitted.length;
    const changed =
      this.#waiting.removals +
      shed.operations.length +
      letters.length +
      letterRemovals.length +
      draft.requeuedKeys.length;
    if (changed > 0 || this.#sinceBooks >= BOOKS_EVERY_UPDATES) {
      operations.push(...ledger.write(blocks));
      this.#sinceBooks = 0;
    }
    this.#waiting.removals = 0;
    operations.push(...ledger.takeBootName());
    draft.deadBytes = takeDead(ledger);
  }
}

/** @returns the bytes of blocks whose deletion is being written. */
function takeDead(ledger: Ledger): number {
  let bytes = 0;
  for (const lane of ledger.lanes) {
    for (const block of lane.dead) bytes += block.bytes;
    if (lane.dead.length > 0) lane.dead = [];
  }
  return bytes;
}
