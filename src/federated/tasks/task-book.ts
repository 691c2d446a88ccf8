import { DirtyWriter } from "../../platform/dirty-writer.ts";
import type { Hasher } from "../../platform/hasher.ts";
import type { KeyValueStore, StoreOperation } from "../../platform/key-value-store.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Signer } from "../../platform/signer.ts";
import { readControl, replaces } from "./control.ts";
import type { KnownHead, KnownTask, Statement, TaskVersion } from "./known-task.ts";
import { stateOf, versionOf } from "./known-task.ts";
import { readManifest } from "./manifest.ts";
import { decodeStatement, encodeStatement } from "./message-codec.ts";

const PREFIX = "l/task/";
const PREFIX_END = "l/task0";
/** Tasks that are known; one that was stopped gives way to a new one. */
export const TASKS_MAX = 64;

/** What came of looking at a statement. */
export type Taken =
  /** Something is known now that was not: `what` of the statement is to be passed on. */
  | { readonly kind: "news"; readonly news: Statement; readonly task: KnownTask }
  | { readonly kind: "old" }
  /** The statement has no manifest, and there is none here. */
  | { readonly kind: "unknown-task" }
  /** It can not be judged here yet: a later program made the manifest, or the committee is not known. */
  | { readonly kind: "not-understood" }
  | { readonly kind: "full" }
  | { readonly kind: "fault"; readonly fault: "malformed" | "forged" };

/** What a head is worth: `lacking` where the committee that decided is not known here. */
export type HeadVerdict =
  | { readonly task: string; readonly round: number }
  | "lacking"
  | "forged"
  | "malformed";

/** What a book is made of. */
export interface TaskBookParts {
  readonly store: KeyValueStore;
  readonly signer: Signer;
  readonly hasher: Hasher;
  readonly logger: Logger;
  /**
   * Looks whether a committee has decided it. Never throws.
   * @param isOwn from this agent's own store: it was looked at when it came, and its committee may have been replaced since
   */
  readonly judgeHead: (bytes: Uint8Array, isOwn: boolean) => HeadVerdict;
}

/**
 * All learning tasks that this agent knows, its own and others', in memory and on disk. What an author says replaces what it said
 * before; of rounds the newest counts.
 */
export class TaskBook {
  readonly #parts: TaskBookParts;
  readonly #tasks = new Map<string, KnownTask>();
  /** By task: the newest head that can not be judged yet, since its committee is not known here. */
  readonly #unjudged = new Map<string, Uint8Array>();
  readonly #writer: DirtyWriter;

  constructor(parts: TaskBookParts) {
    this.#parts = parts;
    const operation = (name: string): StoreOperation => this.#operation(name);
    this.#writer = new DirtyWriter({ ...parts, what: "learning tasks", operation });
  }

  get(task: string): KnownTask | undefined {
    return this.#tasks.get(task);
  }

  /** Oldest first. */
  all(): MapIterator<KnownTask> {
    return this.#tasks.values();
  }

  versions(): readonly TaskVersion[] {
    return Array.from(this.#tasks.values(), versionOf);
  }

  /** Reads what the last run left. @throws StoreError */
  async load(): Promise<void> {
    const { store, logger } = this.#parts;
    const entries = await store.range({ gte: PREFIX, lt: PREFIX_END, limit: 2 * TASKS_MAX });
    const read = entries.flatMap(([key, value]) => {
      const statement = decodeStatement(value);
      const task = statement && this.#read(statement);
      if (task !== undefined) return [task];
      logger.warn("a learning task could not be read and is forgotten", { key });
      this.#writer.mark(key.slice(PREFIX.length));
      return [];
    });
    for (const task of read.sort((a, b) => a.manifest.createdAtMs - b.manifest.createdAtMs))
      this.#tasks.set(task.manifest.task, task);
  }

  /** Looks at what somebody says, and keeps what is new. */
  take(statement: Statement): Taken {
    const before = this.#tasks.get(statement.task);
    const manifest =
      before?.manifest ?? (statement.manifest && readManifest(this.#parts, statement.manifest));
    if (manifest === undefined) return { kind: "unknown-task" };
    if (manifest === "not-understood") return { kind: "not-understood" };
    if (typeof manifest === "string") return { kind: "fault", fault: manifest };
    if (manifest.task !== statement.task) return { kind: "fault", fault: "malformed" };
    const { signer } = this.#parts;
    const control =
      statement.control && readControl(signer, manifest.proof.publicKey, statement.control);
    if (statement.control !== undefined && control?.task !== manifest.task)
      return { kind: "fault", fault: "forged" };
    // Neighbours tell the same, and a certificate takes its time.
    const isKnownHead =
      statement.head !== undefined &&
      before?.head !== undefined &&
      isSame(statement.head, before.head.bytes);
    const head = isKnownHead ? undefined : this.#headIn(statement, false);
    if (head === "malformed" || head === "forged") return { kind: "fault", fault: head };
    if (before === undefined && !this.#makeRoom()) return { kind: "full" };
    if (head === "lacking") this.#unjudged.set(statement.task, statement.head?.slice() ?? NOTHING);
    const newControl = control !== undefined && replaces(control, before?.control);
    const newHead =
      head !== undefined && head !== "lacking" && head.round > (before?.head?.round ?? 0);
    if (before !== undefined && !newControl && !newHead)
      return { kind: head === "lacking" ? "not-understood" : "old" };
    const task: KnownTask = {
      manifest,
      ...before,
      ...(newControl && { control }),
      ...(newHead && { head }),
    };
    this.#put(task);
    const news: Statement = {
      task: statement.task,
      ...(before === undefined && { manifest: manifest.proof }),
      ...(newControl && { control: control.proof }),
      ...(newHead && { head: head.bytes }),
    };
    return { kind: "news", news, task };
  }

  /** Whether a round of it was told that can not be judged here yet. */
  isUncertain(task: string): boolean {
    return this.#unjudged.has(task);
  }

  /** Looks again at what could not be judged: another committee is known now. */
  judgeAgain(): readonly Taken[] {
    const heads = [...this.#unjudged];
    this.#unjudged.clear();
    return heads.map(([task, head]) => this.take({ task, head }));
  }

  /** Until everything so far is on disk. @throws StoreError */
  async written(): Promise<void> {
    await this.#writer.written();
  }

  #headIn(
    { task, head }: Statement,
    isOwn: boolean,
  ): KnownHead | "lacking" | "forged" | "malformed" | undefined {
    if (head === undefined) return undefined;
    const verdict = this.#parts.judgeHead(head, isOwn);
    if (typeof verdict === "string") return verdict;
    return verdict.task === task ? { round: verdict.round, bytes: head.slice() } : "malformed";
  }

  /** Of this agent's own store: heads were judged when they came. */
  #read(statement: Statement): KnownTask | undefined {
    if (statement.manifest === undefined) return undefined;
    const manifest = readManifest(this.#parts, statement.manifest);
    if (typeof manifest === "string" || manifest.task !== statement.task) return undefined;
    const control =
      statement.control &&
      readControl(this.#parts.signer, manifest.proof.publicKey, statement.control);
    const head = this.#headIn(statement, true);
    return {
      manifest,
      ...(control?.task === manifest.task && { control }),
      ...(typeof head === "object" && { head }),
    };
  }

  #makeRoom(): boolean {
    if (this.#tasks.size < TASKS_MAX) return true;
    for (const [name, task] of this.#tasks) {
      if (stateOf(task) !== "stopped") continue;
      this.#tasks.delete(name);
      this.#unjudged.delete(name);
      this.#writer.write(name);
      return true;
    }
    return false;
  }

  #put(task: KnownTask): void {
    this.#tasks.set(task.manifest.task, task);
    this.#writer.write(task.manifest.task);
  }

  #operation(name: string): StoreOperation {
    const task = this.#tasks.get(name);
    const key = PREFIX + name;
    if (task === undefined) return { type: "del", key };
    const { manifest, control, head } = task;
    const statement: Statement = {
      task: name,
      manifest: manifest.proof,
      ...(control !== undefined && { control: control.proof }),
      ...(head !== undefined && { head: head.bytes }),
    };
    return { type: "put", key, value: encodeStatement(statement) };
  }
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

const NOTHING = new Uint8Array(0);
