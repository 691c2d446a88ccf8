import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { KeyValueStore, StoreOperation } from "../../platform/key-value-store.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Signer } from "../../platform/signer.ts";
import { SignedBallotWordSchema } from "../../wire/agent_mesh/v1/agreement_pb.ts";
import { OPEN_MAX } from "./limits.ts";
import { isGenuine, readWord, signWord, type VoteBody, type Word } from "./word.ts";

const NUMBER_BYTES = 8;
/** Votes that are read back: those of open ballots, and some that nobody could forget. */
const VOTES_MAX = 4 * OPEN_MAX;

interface OwnVote {
  readonly word: Word<VoteBody>;
  /** Decisions that the group had taken when it was cast. */
  readonly decided: number;
}

/** What a memory of votes is made of. */
export interface VoteMemoryParts {
  readonly group: string;
  readonly signer: Signer;
  /** Votes are under `c/<group>/ballots/`. */
  readonly store: KeyValueStore;
  readonly logger: Logger;
}

/**
 * What this member has voted on ballots that are open, on disk before anybody hears of it: a member that dies with its vote
 * under way says the same again, and never contradicts itself.
 */
export class VoteMemory {
  readonly #parts: VoteMemoryParts;
  readonly #prefix: string;
  /** On disk. */
  readonly #votes = new Map<string, OwnVote>();
  /** On the way there. */
  readonly #casting = new Set<string>();
  #batch: StoreOperation[] = [];
  #written: Promise<void> | undefined;

  private constructor(parts: VoteMemoryParts) {
    this.#parts = parts;
    this.#prefix = `c/${parts.group}/ballots/`;
  }

  /** Reads back what was voted before a restart. @throws StoreError */
  static async open(parts: VoteMemoryParts): Promise<VoteMemory> {
    const memory = new VoteMemory(parts);
    const range = { gte: memory.#prefix, lt: `${memory.#prefix}~`, limit: VOTES_MAX };
    for (const [, value] of await parts.store.range(range)) memory.#load(value);
    return memory;
  }

  /** A vote that was cast, and may be said. */
  get(proposalId: string): Word<VoteBody> | undefined {
    return this.#votes.get(proposalId)?.word;
  }

  /** Whether a vote is being cast at the moment. */
  isCasting(proposalId: string): boolean {
    return this.#casting.has(proposalId);
  }

  /**
   * Casts a vote, once for each proposal: nobody may hear of it before this has resolved. Votes that come at the same time
   * are written together.
   * @throws StoreError; the vote is not cast then @throws Error when there is a vote already
   */
  async cast(proposalId: string, body: VoteBody, decided: number): Promise<Word<VoteBody>> {
    const { group, signer } = this.#parts;
    if (this.#casting.has(proposalId) || this.#votes.has(proposalId))
      throw new Error(`a vote on ${proposalId} was cast before`);
    const word = signWord(signer, group, proposalId, body);
    const value = encode(word, decided);
    this.#casting.add(proposalId);
    try {
      await this.#write({ type: "put", key: this.#keyOf(proposalId), value });
      this.#votes.set(proposalId, { word, decided });
    } finally {
      this.#casting.delete(proposalId);
    }
    return word;
  }

  /** The ballot is closed. */
  forget(proposalId: string): void {
    if (!this.#votes.delete(proposalId)) return;
    this.#parts.store
      .write([{ type: "del", key: this.#keyOf(proposalId) }], { durable: false })
      .catch((error: unknown) =>
        this.#parts.logger.debug("a vote was not forgotten on disk", { error }),
      );
  }

  /**
   * Forgets votes on ballots that closed unseen. Where no decision was taken since the vote, the ballot may only not have
   * been seen again yet.
   */
  sweep(isOpen: (proposalId: string) => boolean, decided: number): void {
    for (const [proposalId, vote] of this.#votes)
      if (!isOpen(proposalId) && vote.decided < decided) this.forget(proposalId);
  }

  /** One durable write at a time; what comes meanwhile goes with the next. */
  async #write(operation: StoreOperation): Promise<void> {
    this.#batch.push(operation);
    const batch = this.#batch;
    const before = this.#written;
    await before?.catch(() => undefined);
    if (this.#batch === batch) {
      this.#batch = [];
      this.#written = this.#parts.store.write(batch, { durable: true });
    }
    await this.#written;
  }

  #load(value: Uint8Array): void {
    const { group, signer, logger } = this.#parts;
    try {
      const decided = Number(new DataView(value.buffer, value.byteOffset).getBigUint64(0));
      const signed = fromBinary(SignedBallotWordSchema, value.subarray(NUMBER_BYTES));
      const word = readWord(signer, group, signed);
      if (typeof word === "string" || word.body.kind !== "vote") throw new Error("it is no vote");
      if (word.speaker !== signer.peerId || !isGenuine(signer, word))
        throw new Error("it is not this member's");
      this.#votes.set(word.proposalId, { word: { ...word, body: word.body }, decided });
    } catch (error) {
      logger.warn("a vote of before can not be read", { error });
    }
  }

  #keyOf(proposalId: string): string {
    return `${this.#prefix}${proposalId}`;
  }
}

function encode({ signed }: Word, decided: number): Uint8Array {
  const word = toBinary(SignedBallotWordSchema, create(SignedBallotWordSchema, signed));
  const bytes = new Uint8Array(NUMBER_BYTES + word.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(decided));
  bytes.set(word, NUMBER_BYTES);
  return bytes;
}
