import type { KeyValueStore, StoreOperation } from "../../platform/key-value-store.ts";
import type { Signer } from "../../platform/signer.ts";
import { SURE_EDITIONS_MAX } from "../rounds/limits.ts";
import type { ReputationScore } from "../rounds/reputation.ts";
import { decodeTalk, encodeTalk } from "../rounds/talk.ts";
import type { TrainerWord } from "../rounds/trainer-word.ts";
import type { TensorShelf } from "../tensors/tensor-shelf.ts";
import type { KeptModels, VotedModels } from "./model-keeper.ts";

const WORD_PREFIX = "l/word/";
const SPOKEN_PREFIX = "l/spoken/";
const SHEETS_PREFIX = "l/sheets/";
const KEPT_PREFIX = "l/kept/";
const VOTED_PREFIX = "l/voted/";
const REPUTATION_PREFIX = "l/reputation/";

/** What it works with. */
export interface TaskMemoryParts {
  readonly store: KeyValueStore;
  readonly signer: Signer;
  readonly shelf: TensorShelf;
}

/** What an agent's part in a task has to know after a restart: its last word, and what it has on the shelf's flash. */
export class TaskMemory {
  readonly #parts: TaskMemoryParts;

  constructor(parts: TaskMemoryParts) {
    this.#parts = parts;
  }

  /** The last word that was kept. @throws StoreError */
  async word(task: string): Promise<TrainerWord | undefined> {
    const { store, signer } = this.#parts;
    const value = await store.get(WORD_PREFIX + task);
    const talk = value && decodeTalk(signer, value);
    return talk?.kind === "word" ? talk.word : undefined;
  }

  /**
   * @returns how often the store was damaged, where that was so since the last word of which this agent was sure: later ones may be lost.
   * 0 where it was not @throws StoreError
   */
  async damages(task: string): Promise<number> {
    const { store } = this.#parts;
    const value = await store.get(SPOKEN_PREFIX + task);
    const spoken = value === undefined ? 0 : Number(Buffer.from(value).toString());
    return store.generation === spoken ? 0 : store.generation;
  }

  /** @throws StoreError */
  keepWord(task: string, word: TrainerWord): Promise<void> {
    const { store } = this.#parts;
    const value = encodeTalk({ kind: "word", word });
    const operations: StoreOperation[] = [{ type: "put", key: WORD_PREFIX + task, value }];
    if (word.edition <= SURE_EDITIONS_MAX)
      operations.push({
        type: "put",
        key: SPOKEN_PREFIX + task,
        value: Buffer.from(String(store.generation)),
      });
    return store.write(operations, { durable: true });
  }

  /** Sheets that were kept, by hash. @throws StoreError */
  async sheets(task: string): Promise<ReadonlyMap<string, Uint8Array>> {
    const sheets = new Map<string, Uint8Array>();
    for (const hash of await this.#hashes(SHEETS_PREFIX + task)) {
      const bytes = await this.#parts.shelf.get(hash);
      if (bytes !== undefined) sheets.set(hash, bytes);
    }
    return sheets;
  }

  /** @throws StoreError */
  keepSheets(task: string, hashes: readonly string[]): Promise<void> {
    return this.#put(SHEETS_PREFIX + task, Buffer.from(hashes.join(",")));
  }

  /** Models, and what strategies remember, that were kept. @throws StoreError */
  async kept(task: string): Promise<KeptModels> {
    const voted = await this.#text(VOTED_PREFIX + task);
    return {
      hashes: await this.#hashes(KEPT_PREFIX + task),
      voted: voted === "" ? [] : voted.split("\n").map(readVoted),
    };
  }

  /** @throws StoreError */
  keep(task: string, { hashes, voted }: KeptModels): Promise<void> {
    const lines = voted.map((one) => `${one.round} ${one.hashes.join(",")}`);
    const operations: StoreOperation[] = [
      { type: "put", key: KEPT_PREFIX + task, value: Buffer.from(hashes.join(",")) },
      { type: "put", key: VOTED_PREFIX + task, value: Buffer.from(lines.join("\n")) },
    ];
    return this.#parts.store.write(operations, { durable: true });
  }

  /** What is left of the reputation of whoever did wrong. @throws StoreError */
  async reputation(task: string): Promise<readonly ReputationScore[]> {
    const lines = (await this.#text(REPUTATION_PREFIX + task)).split("\n");
    return lines.flatMap((line) => {
      const [peer = "", score] = line.split(" ");
      return peer === "" ? [] : [{ peer, score: Number(score) }];
    });
  }

  /** @throws StoreError */
  keepReputation(task: string, scores: readonly ReputationScore[]): Promise<void> {
    const lines = scores.map(({ peer, score }) => `${peer} ${score}`);
    return this.#put(REPUTATION_PREFIX + task, Buffer.from(lines.join("\n")));
  }

  /** Takes from flash what none of these tasks wants there any more. @throws StoreError */
  async sweep(tasks: Iterable<string>): Promise<void> {
    const { shelf } = this.#parts;
    const wanted = new Set<string>();
    for (const task of tasks)
      for (const prefix of [KEPT_PREFIX, SHEETS_PREFIX])
        for (const hash of await this.#hashes(prefix + task)) wanted.add(hash);
    for (const hash of shelf.kept()) if (!wanted.has(hash)) await shelf.release(hash);
  }

  async #hashes(key: string): Promise<readonly string[]> {
    const text = await this.#text(key);
    return text === "" ? [] : text.split(",");
  }

  async #text(key: string): Promise<string> {
    const value = await this.#parts.store.get(key);
    return value === undefined ? "" : Buffer.from(value).toString("utf8");
  }

  #put(key: string, value: Uint8Array): Promise<void> {
    return this.#parts.store.write([{ type: "put", key, value }], { durable: true });
  }
}

/** @param line a round's number, and the hashes of what comes of it */
function readVoted(line: string): VotedModels {
  const [round = "", hashes = ""] = line.split(" ");
  return { round: Number(round), hashes: hashes.split(",") };
}
