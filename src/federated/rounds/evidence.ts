import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { toHex } from "../../platform/hex.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import {
  type RoundEvidence,
  RoundEvidenceSchema,
} from "../../wire/agent_mesh/v1/learning_rounds_pb.ts";
import { EVIDENCE_MAX, WORD_BYTES_MAX } from "./limits.ts";
import { isSameTurn, readWord, type TrainerWord } from "./trainer-word.ts";

/** Two words of one trainer on one base, of one edition, that differ: it lies, and here is the proof. Immutable. */
export interface Evidence {
  readonly accused: PeerId;
  /** Of the two, the one whose bytes sort first. */
  readonly first: TrainerWord;
  readonly second: TrainerWord;
}

/** A proof with its keys and signatures. */
const EVIDENCE_BYTES_MAX = 2 * (WORD_BYTES_MAX + 128);

/** @returns the proof, where the words contradict each other; both were found signed */
export function contradictionOf(one: TrainerWord, other: TrainerWord): Evidence | undefined {
  if (!isSameTurn(one, other)) return undefined;
  const [left, right] = [toHex(one.signed.word), toHex(other.signed.word)];
  if (left === right) return undefined;
  const [first, second] = left < right ? [one, other] : [other, one];
  return Object.freeze({ accused: one.trainer, first, second });
}

/** Encodes a proof for others, or for the store. */
export function encodeEvidence(evidence: Evidence): Uint8Array {
  return toBinary(RoundEvidenceSchema, create(RoundEvidenceSchema, evidenceFields(evidence)));
}

/** Reads and checks a proof; never throws. @returns undefined for what proves nothing */
export function decodeEvidence(signer: Signer, bytes: Uint8Array): Evidence | undefined {
  if (bytes.length > EVIDENCE_BYTES_MAX) return undefined;
  try {
    return evidenceIn(signer, fromBinary(RoundEvidenceSchema, bytes, { readUnknownFields: false }));
  } catch {
    // What the decoder throws depends on the bytes; to us it is all the same.
    return undefined;
  }
}

/** @returns the proof as it stands in a message */
export function evidenceFields({ first, second }: Evidence) {
  const value = { first: first.signed, second: second.signed };
  return { proof: { case: "equivocation", value } } as const;
}

/** @returns undefined for what proves nothing; never throws */
export function evidenceIn(signer: Signer, { proof }: RoundEvidence): Evidence | undefined {
  if (proof.case !== "equivocation") return undefined;
  const { first, second } = proof.value;
  if (first === undefined || second === undefined) return undefined;
  const [one, other] = [readWord(signer, first), readWord(signer, second)];
  if (typeof one === "string" || typeof other === "string") return undefined;
  return contradictionOf(one, other);
}

/** The last proofs, one for each trainer and base. */
export class EvidencePool {
  readonly #proofs = new Map<string, Evidence>();

  /** @returns false when the trainer is known to have lied there already */
  add(evidence: Evidence): boolean {
    const key = keyOf(evidence.first);
    if (this.#proofs.has(key)) return false;
    this.#proofs.set(key, evidence);
    if (this.#proofs.size <= EVIDENCE_MAX) return true;
    for (const oldest of this.#proofs.keys()) {
      this.#proofs.delete(oldest);
      break;
    }
    return true;
  }

  /** @returns whether its trainer is known to have lied about that base */
  convicts(word: TrainerWord): boolean {
    return this.#proofs.has(keyOf(word));
  }

  /** Oldest first. */
  all(): readonly Evidence[] {
    return [...this.#proofs.values()];
  }
}

function keyOf({ trainer, task, baseRound, baseHash }: TrainerWord): string {
  return `${trainer}/${task}/${baseRound}/${baseHash}`;
}
