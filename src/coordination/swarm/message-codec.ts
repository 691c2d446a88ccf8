import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { PeerId, Signer } from "../../platform/signer.ts";
import {
  TrailDepositSchema,
  type TrailsMessage,
  TrailsMessageSchema,
} from "../../wire/agent_mesh/v1/trails_pb.ts";
import { type DepositProof, isTrailName } from "./deposit.ts";
import { DEPOSITS_PER_MESSAGE_MAX } from "./trail-gossip.ts";

const PURPOSE = "agent-mesh/trail/1";
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
/** Largest encoded TrailDeposit: a name of 128 characters, and three numbers. */
const DEPOSIT_BYTES_MAX = 416;
/** What stands around it. */
const PROOF_BYTES = KEY_BYTES + SIGNATURE_BYTES + 32;
/** Largest message either way. */
export const MESSAGE_BYTES_MAX = DEPOSITS_PER_MESSAGE_MAX * (DEPOSIT_BYTES_MAX + PROOF_BYTES);

const READ_OPTIONS = { readUnknownFields: false } as const;

/** A deposit in the words of its agent, and how long ago that was as far as the teller knows. */
export interface ToldDeposit {
  readonly proof: DepositProof;
  readonly ageTicks: number;
}

/** What a signed deposit says; its signature is checked by {@link isSigned}. */
export interface SignedDeposit {
  readonly origin: PeerId;
  readonly trail: string;
  readonly epoch: number;
  readonly tick: number;
  readonly amount: number;
}

/** What neighbours tell each other. */
export interface TrailsWords {
  readonly deposits: readonly ToldDeposit[];
  /** 0 where there are none. */
  readonly through: number;
  /** 0 for none. */
  readonly acknowledged: number;
}

/** Signs what this agent has on a trail. */
export function signDeposit(signer: Signer, content: Omit<SignedDeposit, "origin">): DepositProof {
  const deposit = toBinary(TrailDepositSchema, create(TrailDepositSchema, content));
  return { publicKey: signer.publicKey, deposit, signature: signer.sign(PURPOSE, deposit) };
}

/** Decodes a signed deposit. @returns undefined when it is none; the signature is not looked at; never throws */
export function readDeposit(
  signer: Signer,
  { publicKey, deposit }: DepositProof,
): SignedDeposit | undefined {
  if (publicKey.length !== KEY_BYTES || deposit.length > DEPOSIT_BYTES_MAX) return undefined;
  try {
    const { trail, epoch, tick, amount } = fromBinary(TrailDepositSchema, deposit, READ_OPTIONS);
    if (!isTrailName(trail) || !(amount > 0 && Number.isFinite(amount))) return undefined;
    return { origin: signer.peerIdOf(publicKey), trail, epoch, tick, amount };
  } catch {
    // What the decoder throws depends on the bytes; to us it is all the same.
    return undefined;
  }
}

/** Whether the agent itself signed it. */
export function isSigned(signer: Signer, { publicKey, deposit, signature }: DepositProof): boolean {
  return signer.verify(publicKey, PURPOSE, deposit, signature);
}

/** Encodes a message. */
export function encodeMessage({ deposits, through, acknowledged }: TrailsWords): Uint8Array {
  return toBinary(
    TrailsMessageSchema,
    create(TrailsMessageSchema, {
      deposits: deposits.map(({ proof, ageTicks }) => ({
        ...proof,
        ageTicks: Math.min(0xffff_ffff, Math.max(0, Math.floor(ageTicks))),
      })),
      through: BigInt(through),
      acknowledged: BigInt(acknowledged),
    }),
  );
}

/** @returns the message, or undefined when it is none; never throws */
export function decodeMessage(bytes: Uint8Array): TrailsWords | undefined {
  if (bytes.length > MESSAGE_BYTES_MAX) return undefined;
  let read: TrailsMessage;
  try {
    read = fromBinary(TrailsMessageSchema, bytes, READ_OPTIONS);
  } catch {
    // As in readDeposit.
    return undefined;
  }
  const through = countOf(read.through);
  const acknowledged = countOf(read.acknowledged);
  const { deposits } = read;
  if (through === undefined || acknowledged === undefined) return undefined;
  if (deposits.length > DEPOSITS_PER_MESSAGE_MAX || deposits.length > 0 !== through > 0)
    return undefined;
  return {
    deposits: deposits.map(({ publicKey, deposit, signature, ageTicks }) => ({
      proof: { publicKey, deposit, signature },
      ageTicks,
    })),
    through,
    acknowledged,
  };
}

function countOf(value: bigint): number | undefined {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : undefined;
}
