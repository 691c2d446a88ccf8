import type { PeerId } from "../../platform/signer.ts";
import { PARTS_MAX } from "../tendermint/parts.ts";
import { ProposerRotation } from "../tendermint/proposer-rotation.ts";
import { OPERATION_ID_BYTES } from "./operation.ts";

const LENGTH_BYTES = 4;
/** A state travels in parts of this size, or of a multiple of it when there would be too many. */
const PART_BYTES_MIN = 65_536;
/** Goes into a message, with its proof. */
export const STATE_PART_BYTES_MAX = 4 * 1_048_576;

/** Everything that a member has to know after a height to go on with the next one. */
export interface StoredState {
  readonly height: number;
  readonly head: string;
  /** Of the next height. */
  readonly rotation: ProposerRotation;
  readonly admissions: readonly (readonly [PeerId, string])[];
  readonly formers: readonly (readonly [PeerId, string])[];
  /** Names, one after the other. */
  readonly recent: Uint8Array;
  readonly machine: Uint8Array;
}

/** @returns the size of the parts of a state: the same for everybody */
export function statePartBytes(bytes: number): number {
  let size = PART_BYTES_MIN;
  while (size < STATE_PART_BYTES_MAX && size * PARTS_MAX < bytes) size *= 2;
  return size;
}

/**
 * The same bytes at every member: the lengths of the head and of the names, the head in JSON, the names of what was decided
 * lately, the application's state.
 */
export function encodeState(state: StoredState): Uint8Array {
  const { height, head, rotation, admissions, formers, recent, machine } = state;
  const turns = rotation.snapshot().map(({ id, power, priority }) => [id, power, priority]);
  const { proposer } = rotation;
  const fields = { height, head, turns, proposer, admissions, formers };
  const text = new TextEncoder().encode(JSON.stringify(fields));
  const bytes = new Uint8Array(2 * LENGTH_BYTES + text.length + recent.length + machine.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, text.length);
  view.setUint32(LENGTH_BYTES, recent.length);
  let at = 2 * LENGTH_BYTES;
  for (const part of [text, recent, machine]) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Reads what {@link encodeState} wrote. @returns undefined when it is no such thing; never throws */
export function decodeState(bytes: Uint8Array): StoredState | undefined {
  try {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const namesAt = 2 * LENGTH_BYTES + view.getUint32(0);
    const machineAt = namesAt + view.getUint32(LENGTH_BYTES);
    if (machineAt > bytes.length) return undefined;
    const text = new TextDecoder().decode(bytes.subarray(2 * LENGTH_BYTES, namesAt));
    const fields: unknown = JSON.parse(text);
    if (!isRecord(fields)) return undefined;
    const { height, head, turns, proposer, admissions, formers } = fields;
    if (typeof height !== "number" || typeof head !== "string" || typeof proposer !== "string")
      return undefined;
    if (!isPairs(admissions) || !isPairs(formers) || !Array.isArray(turns)) return undefined;
    const validators = turns.map(turnOf);
    const recent = bytes.subarray(namesAt, machineAt);
    if (recent.length % OPERATION_ID_BYTES !== 0) return undefined;
    const rotation = ProposerRotation.restore(validators, proposer);
    const machine = bytes.subarray(machineAt);
    return { height, head, rotation, admissions, formers, recent, machine };
  } catch {
    // Whatever JSON or the rotation did not like about it.
    return undefined;
  }
}

/** @throws TypeError for what is no turn */
function turnOf(value: unknown): {
  readonly id: PeerId;
  readonly power: number;
  readonly priority: number;
} {
  const [id, power, priority]: readonly unknown[] = Array.isArray(value) ? value : [];
  if (typeof id !== "string" || typeof power !== "number" || typeof priority !== "number")
    throw new TypeError("a turn has a name, a power and a priority");
  return { id, power, priority };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}

function isPairs(value: unknown): value is readonly (readonly [string, string])[] {
  return Array.isArray(value) && value.every((one) => isTexts(one) && one.length === 2);
}
