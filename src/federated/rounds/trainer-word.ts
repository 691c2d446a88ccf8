import { create, toBinary } from "@bufbuild/protobuf";
import { fromHex, toHex } from "../../platform/hex.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import {
  type SignedTrainerWord,
  TrainerWordSchema,
} from "../../wire/agent_mesh/v1/learning_rounds_pb.ts";
import { hashOf, readCanonical } from "./canonical.ts";
import {
  EDITIONS_MAX,
  KEY_BYTES,
  ROUNDS_MAX,
  SAMPLES_MAX,
  TASK_BYTES,
  TENSOR_BYTES_MAX,
  WORD_BYTES_MAX,
} from "./limits.ts";

const PURPOSE = "agent-mesh/learning-word/1";

/** A word as it travels. */
export type SignedWord = Pick<SignedTrainerWord, "publicKey" | "word" | "signature">;

/** What a word says. */
export interface WordContent {
  /** 32 hexadecimal digits. */
  readonly task: string;
  /** The round whose model the training began with; 0 for the first weights. */
  readonly baseRound: number;
  /** Of that model. */
  readonly baseHash: string;
  readonly updateHash: string;
  readonly updateBytes: number;
  /** From 1 to 8,388,607. */
  readonly samples: number;
  /** Mean loss of the base on these samples: 0 or more, finite. */
  readonly loss: number;
  /** From 1. One more where the trainer lost its update in a restart, and training came to another one. */
  readonly edition: number;
}

/** A trainer's word, found signed by it. Immutable. */
export interface TrainerWord extends WordContent {
  readonly trainer: PeerId;
  readonly signed: SignedWord;
}

/** Why bytes are no word. */
export type WordFault = "malformed" | "forged";

/** Signs what a trainer has to give. @throws RangeError naming what is out of bounds */
export function signWord(signer: Signer, content: WordContent): TrainerWord {
  const { task, baseRound, baseHash, updateHash, updateBytes, samples, loss, edition } = content;
  const fault = faultOf(content);
  if (fault !== undefined) throw new RangeError(fault);
  const word = toBinary(
    TrainerWordSchema,
    create(TrainerWordSchema, {
      task: fromHex(task),
      baseRound,
      baseHash: fromHex(baseHash),
      updateHash: fromHex(updateHash),
      updateBytes,
      samples,
      loss,
      edition,
    }),
  );
  const { publicKey, peerId } = signer;
  const signed = { publicKey, word, signature: signer.sign(PURPOSE, word) };
  return Object.freeze({
    task,
    trainer: peerId,
    baseRound,
    baseHash,
    updateHash,
    updateBytes,
    samples,
    loss,
    edition,
    signed,
  });
}

/** Decodes, checks and verifies a word from anywhere. Keeps nothing of the bytes it was given. Never throws. */
export function readWord(
  signer: Signer,
  { publicKey, word, signature }: SignedWord,
): TrainerWord | WordFault {
  if (publicKey.length !== KEY_BYTES) return "malformed";
  const read = readCanonical(TrainerWordSchema, word, WORD_BYTES_MAX);
  if (read === undefined || read.task.length !== TASK_BYTES) return "malformed";
  const baseHash = hashOf(read.baseHash);
  const updateHash = hashOf(read.updateHash);
  if (baseHash === undefined || updateHash === undefined) return "malformed";
  const { baseRound, updateBytes, samples, loss, edition } = read;
  const task = toHex(read.task);
  const content = { task, baseRound, baseHash, updateHash, updateBytes, samples, loss, edition };
  if (faultOf(content) !== undefined) return "malformed";
  if (!signer.verify(publicKey, PURPOSE, word, signature)) return "forged";
  const trainer = signer.peerIdOf(publicKey);
  const signed = {
    publicKey: publicKey.slice(),
    word: word.slice(),
    signature: signature.slice(),
  };
  return Object.freeze({ ...content, trainer, signed });
}

/** @returns whether both are of one trainer on one base and of one edition; whoever signs two of these that differ lies */
export function isSameTurn(one: TrainerWord, other: TrainerWord): boolean {
  return (
    one.trainer === other.trainer &&
    one.task === other.task &&
    one.baseRound === other.baseRound &&
    one.baseHash === other.baseHash &&
    one.edition === other.edition
  );
}

/**
 * How much an update counts in a round: its samples, divided by √(1 + s) where its base is s rounds older than the newest
 * (Nguyen et al., "Federated Learning with Buffered Asynchronous Aggregation", 2022, section 5). Division and root are exactly rounded by
 * IEEE 754, so everybody comes to the same bits.
 * @param round that it goes into; above `baseRound`
 */
export function weightOf(
  { samples, baseRound }: Pick<TrainerWord, "samples" | "baseRound">,
  round: number,
): number {
  return samples / Math.sqrt(round - baseRound);
}

function faultOf(content: WordContent): string | undefined {
  const { baseRound, updateBytes, samples, loss, edition } = content;
  if (!isWithin(baseRound, 0, ROUNDS_MAX - 1)) return `there is no base round ${baseRound}`;
  if (!isWithin(updateBytes, 1, TENSOR_BYTES_MAX))
    return `an update takes 1 to ${TENSOR_BYTES_MAX} bytes, not ${updateBytes}`;
  if (!isWithin(samples, 1, SAMPLES_MAX))
    return `an update counts for 1 to ${SAMPLES_MAX} samples, not ${samples}`;
  if (!isWithin(edition, 1, EDITIONS_MAX))
    return `a word has an edition from 1 to ${EDITIONS_MAX}, not ${edition}`;
  if (!Number.isFinite(loss) || loss < 0 || Object.is(loss, -0))
    return `a loss is finite and not below 0, not ${loss}`;
  return undefined;
}

function isWithin(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}
