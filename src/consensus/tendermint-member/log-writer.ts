import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Random } from "../../platform/random.ts";
import { GroupCommit } from "../ordering/group-commit.ts";
import type { Evidence } from "../tendermint/evidence.ts";
import type { WalEntry } from "../tendermint/wal.ts";
import type { LogDisk } from "./log-disk.ts";
import type { ProvenState } from "./record-codec.ts";

interface Parts {
  readonly disk: LogDisk;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The disk lost what was written before. */
  readonly lost: (error: Error) => void;
}

interface Item {
  readonly entries: readonly WalEntry[];
  readonly replaced: ProvenState | undefined;
  readonly kept: ProvenState | undefined;
  readonly evidence: readonly Evidence[];
  readonly done: () => void;
}

/** Writes what a member wants on disk, in order, and lets it speak once that is there. */
export class LogWriter {
  readonly #commit: GroupCommit<Item>;

  constructor({ disk, ...parts }: Parts) {
    this.#commit = new GroupCommit({
      ...parts,
      timer: "tendermint.write",
      write: (items) => (items.some(hasContent) ? disk.write(merged(items)) : undefined),
      done: ({ done }) => done(),
      batch: beforeReplaced,
    });
  }

  /** @param done is called once all that came before, and this, is durable; at once when there is nothing to wait for */
  push(entries: readonly WalEntry[], done: () => void): void {
    if (entries.length > 0 || !this.#commit.isIdle)
      this.#commit.push({ entries, replaced: undefined, kept: undefined, evidence: [], done });
    else if (!this.#commit.isClosed) done();
  }

  /** Keeps a state that this member made, in place of the decisions up to it. */
  keep(kept: ProvenState): void {
    this.#commit.push({ entries: [], replaced: undefined, kept, evidence: [], done: nothing });
  }

  keepEvidence(evidence: readonly Evidence[]): void {
    this.#commit.push({
      entries: [],
      replaced: undefined,
      kept: undefined,
      evidence,
      done: nothing,
    });
  }

  /** A state of others takes the place of all that was written. */
  replace(replaced: ProvenState, entries: readonly WalEntry[], done: () => void): void {
    this.#commit.push({ entries, replaced, kept: undefined, evidence: [], done });
  }

  /** Nothing is written any more. @returns once what is under way has ended */
  close(): Promise<void> {
    return this.#commit.close();
  }
}

/** All that waits, but not what was written before a state took its place. */
function beforeReplaced(waiting: readonly Item[]): number {
  const at = waiting.findIndex(({ replaced }, index) => replaced !== undefined && index > 0);
  return at < 0 ? waiting.length : at;
}

function hasContent({ entries, replaced, kept, evidence }: Item): boolean {
  return entries.length > 0 || replaced !== undefined || kept !== undefined || evidence.length > 0;
}

function merged(items: readonly Item[]): Parameters<LogDisk["write"]>[0] {
  const [first, ...rest] = items;
  return {
    replaced: first?.replaced,
    entries: [first?.entries ?? [], ...rest.map(({ entries }) => entries)].flat(),
    // The latest one is enough.
    kept: items.findLast(({ kept }) => kept !== undefined)?.kept,
    evidence: items.flatMap(({ evidence }) => evidence),
  };
}

function nothing(): void {
  // Nobody waits for it.
}
