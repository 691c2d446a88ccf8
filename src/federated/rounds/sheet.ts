import { create, toBinary } from "@bufbuild/protobuf";
import { fromHex, toHex } from "../../platform/hex.ts";
import type { Signer } from "../../platform/signer.ts";
import { RoundSheetSchema } from "../../wire/agent_mesh/v1/learning_rounds_pb.ts";
import { hashOf, readCanonical } from "./canonical.ts";
import { ROUNDS_MAX, SHEET_BYTES_MAX, TASK_BYTES, UPDATES_MAX } from "./limits.ts";
import { readWord, type TrainerWord } from "./trainer-word.ts";

/** Whose updates went into a round. Immutable. */
export interface Sheet {
  /** 32 hexadecimal digits. */
  readonly task: string;
  /** From 1. */
  readonly round: number;
  /** Of the model that the round began with. */
  readonly baseHash: string;
  /** Undefined in round 1. */
  readonly previousSheetHash: string | undefined;
  /** One for each trainer, in the order of their names (UTF-16 code units); all signed. */
  readonly words: readonly TrainerWord[];
}

/** @returns the words as a sheet has them */
export function inSheetOrder(words: readonly TrainerWord[]): readonly TrainerWord[] {
  return words.toSorted((one, other) => (one.trainer < other.trainer ? -1 : 1));
}

/** Encodes a sheet: the same bytes everywhere. @param sheet its words are {@link inSheetOrder} */
export function encodeSheet({
  task,
  round,
  baseHash,
  previousSheetHash,
  words,
}: Sheet): Uint8Array {
  return toBinary(
    RoundSheetSchema,
    create(RoundSheetSchema, {
      task: fromHex(task),
      round,
      baseHash: fromHex(baseHash),
      ...(previousSheetHash !== undefined && { previousSheetHash: fromHex(previousSheetHash) }),
      words: words.map(({ signed }) => signed),
    }),
  );
}

/**
 * Reads a sheet from anywhere, with the signature of every word; whether it belongs into a chain is not looked at. Never throws.
 * @returns undefined for what is none: not canonical, out of bounds, out of order, or with words that were not signed
 */
export function readSheet(signer: Signer, bytes: Uint8Array): Sheet | undefined {
  const read = readCanonical(RoundSheetSchema, bytes, SHEET_BYTES_MAX);
  if (read === undefined || read.task.length !== TASK_BYTES) return undefined;
  const { round, words: signed } = read;
  if (round < 1 || round > ROUNDS_MAX) return undefined;
  if (signed.length < 1 || signed.length > UPDATES_MAX) return undefined;
  const baseHash = hashOf(read.baseHash);
  const previousSheetHash = hashOf(read.previousSheetHash);
  if (baseHash === undefined || (read.previousSheetHash.length === 0) !== (round === 1))
    return undefined;
  if (previousSheetHash === undefined && round > 1) return undefined;
  const task = toHex(read.task);
  const words: TrainerWord[] = [];
  for (const each of signed) {
    const word = readWord(signer, each);
    if (typeof word === "string" || word.task !== task) return undefined;
    const last = words.at(-1);
    if (last !== undefined && last.trainer >= word.trainer) return undefined;
    words.push(word);
  }
  return Object.freeze({ task, round, baseHash, previousSheetHash, words: Object.freeze(words) });
}
