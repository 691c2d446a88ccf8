import { create, toBinary } from "@bufbuild/protobuf";
import { fromHex, toHex } from "../../platform/hex.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import {
  RoundRecordSchema,
  SignedRoundRecordSchema,
} from "../../wire/agent_mesh/v1/learning_rounds_pb.ts";
import { hashOf, readCanonical } from "./canonical.ts";
import { KEY_BYTES, RECORD_BYTES_MAX, ROUNDS_MAX, TASK_BYTES, UPDATES_MAX } from "./limits.ts";

const PURPOSE = "agent-mesh/learning-record/1";

/** What a round came to, as its aggregator says. Immutable. */
export interface RoundRecord {
  /** 32 hexadecimal digits. */
  readonly task: string;
  /** From 1. */
  readonly round: number;
  /** Of the model that the round began with. */
  readonly baseHash: string;
  /** Undefined in round 1. */
  readonly previousSheetHash: string | undefined;
  readonly sheetHash: string;
  readonly modelHash: string;
  /** Undefined where the strategy remembers nothing. */
  readonly stateHash: string | undefined;
  readonly aggregator: PeerId;
  /** How many went into it. */
  readonly updates: number;
  /** Of these updates. */
  readonly samples: number;
  /** Of all rounds until now, this one included. */
  readonly samplesTotal: number;
}

/** Why bytes are no record. */
export type RecordFault = "malformed" | "forged";

/** Signs what a round came to. @returns the value for the committee */
export function signRecord(signer: Signer, content: Omit<RoundRecord, "aggregator">): Uint8Array {
  const { task, round, baseHash, previousSheetHash, sheetHash, modelHash, stateHash } = content;
  const record = toBinary(
    RoundRecordSchema,
    create(RoundRecordSchema, {
      task: fromHex(task),
      round,
      baseHash: fromHex(baseHash),
      ...(previousSheetHash !== undefined && { previousSheetHash: fromHex(previousSheetHash) }),
      sheetHash: fromHex(sheetHash),
      modelHash: fromHex(modelHash),
      ...(stateHash !== undefined && { stateHash: fromHex(stateHash) }),
      aggregator: signer.publicKey,
      updates: content.updates,
      samples: BigInt(content.samples),
      samplesTotal: BigInt(content.samplesTotal),
    }),
  );
  const signature = signer.sign(PURPOSE, record);
  return toBinary(SignedRoundRecordSchema, create(SignedRoundRecordSchema, { record, signature }));
}

/** Decodes, checks and verifies what is proposed or was decided. Whether it follows a head is not looked at. Never throws. */
export function readRecord(signer: Signer, value: Uint8Array): RoundRecord | RecordFault {
  const outer = readCanonical(SignedRoundRecordSchema, value, RECORD_BYTES_MAX);
  if (outer === undefined) return "malformed";
  const read = readCanonical(RoundRecordSchema, outer.record, RECORD_BYTES_MAX);
  if (read === undefined || read.task.length !== TASK_BYTES) return "malformed";
  if (read.aggregator.length !== KEY_BYTES) return "malformed";
  const { round, updates } = read;
  if (round < 1 || round > ROUNDS_MAX || updates < 1 || updates > UPDATES_MAX) return "malformed";
  if (read.samples < 1n || read.samplesTotal < read.samples) return "malformed";
  if (read.samplesTotal > BigInt(Number.MAX_SAFE_INTEGER)) return "malformed";
  const [baseHash, sheetHash, modelHash] = [
    hashOf(read.baseHash),
    hashOf(read.sheetHash),
    hashOf(read.modelHash),
  ];
  const previousSheetHash = hashOf(read.previousSheetHash);
  const stateHash = hashOf(read.stateHash);
  if (baseHash === undefined || sheetHash === undefined || modelHash === undefined)
    return "malformed";
  if ((read.previousSheetHash.length === 0) !== (round === 1)) return "malformed";
  if (previousSheetHash === undefined && round > 1) return "malformed";
  if (stateHash === undefined && read.stateHash.length > 0) return "malformed";
  if (!signer.verify(read.aggregator, PURPOSE, outer.record, outer.signature)) return "forged";
  return Object.freeze({
    task: toHex(read.task),
    round,
    baseHash,
    previousSheetHash,
    sheetHash,
    modelHash,
    stateHash,
    aggregator: signer.peerIdOf(read.aggregator),
    updates,
    samples: Number(read.samples),
    samplesTotal: Number(read.samplesTotal),
  });
}
