import type { PeerId } from "../../platform/signer.ts";
import { bytesInBatch, unfitness } from "./batch-codec.ts";
import { refusedForGood, type Sending, type Settled } from "./handed-over.ts";
import type { UpdateFields } from "./relayed-update.ts";

/** What a host allows. */
export interface BatchBounds {
  readonly batchBytesMax: number;
  readonly updateBytesMax: number;
  /** Agents that an update may have come through, this one counted. */
  readonly passedMax: number;
}

/** What is handed over next. */
export interface NextBatch {
  /** So many from the front are dealt with: they are in the batch, or unfit. */
  readonly looked: number;
  readonly batch: readonly Sending[];
  /** The same, as they travel. */
  readonly fields: readonly UpdateFields[];
  /** Those that could never be relayed. */
  readonly unfit: readonly Settled[];
  /** The batch is empty, since the first update has come through more agents than the host allows. */
  readonly tooFar: boolean;
}

/** A batch is handed over when the one before has been answered: large ones make up for the way. */
const BATCH_UPDATES = 512;

/** @returns as many from the front as a batch holds, in their order. Pure */
export function nextBatch(
  pending: readonly Sending[],
  self: PeerId,
  { batchBytesMax, updateBytesMax, passedMax }: BatchBounds,
): NextBatch {
  const batch: Sending[] = [];
  const fields: UpdateFields[] = [];
  const unfit: Settled[] = [];
  let bytes = 0;
  let looked = 0;
  let tooFar = false;
  for (const sending of pending) {
    const { update } = sending;
    const path = [...(update.path ?? []), self];
    if (path.length > passedMax) {
      tooFar = batch.length === 0;
      break;
    }
    const size = bytesInBatch(update);
    if (batch.length > 0 && bytes + size > batchBytesMax) break;
    if (batch.length === BATCH_UPDATES) break;
    looked++;
    const reason = unfitness(update, updateBytesMax);
    if (reason !== undefined) {
      unfit.push({ sending, outcome: refusedForGood(reason) });
      continue;
    }
    batch.push(sending);
    fields.push(fieldsOf(sending, path));
    bytes += size;
  }
  return { looked, batch, fields, unfit, tooFar };
}

function fieldsOf({ update }: Sending, path: readonly PeerId[]): UpdateFields {
  const { agentId, stream, sequence, payload, contentType, key } = update;
  const { observedAtMs, observedAtTrusted } = update;
  return {
    agentId,
    stream,
    sequence,
    payload,
    contentType,
    observedAtMs,
    observedAtTrusted,
    key,
    path,
  };
}
