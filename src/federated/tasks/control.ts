import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { fromHex, toHex } from "../../platform/hex.ts";
import type { Signer } from "../../platform/signer.ts";
import {
  LearningControlSchema,
  LearningState,
  type SignedControl,
} from "../../wire/agent_mesh/v1/learning_tasks_pb.ts";

const PURPOSE = "agent-mesh/learning-control/1";
const CONTROL_BYTES_MAX = 64;
const TASK_BYTES = 16;
const READ_OPTIONS = { readUnknownFields: false } as const;

/** A control as it travels. */
export type ControlProof = Pick<SignedControl, "control" | "signature">;

/** Whether a task goes on; `stopped` is for good. */
export type TaskState = "running" | "paused" | "stopped";

const STATES: Readonly<Record<TaskState, LearningState>> = {
  running: LearningState.RUNNING,
  paused: LearningState.PAUSED,
  stopped: LearningState.STOPPED,
};

/** What the author of a task wants of it now. Immutable. */
export interface Control {
  readonly task: string;
  /** From 1; a later one replaces an earlier one, and what is stopped stays so. */
  readonly serial: number;
  readonly state: TaskState;
  readonly proof: ControlProof;
}

/** Signs it; only the author's counts. */
export function signControl(signer: Signer, content: Omit<Control, "proof">): Control {
  const { task, serial, state } = content;
  const control = toBinary(
    LearningControlSchema,
    create(LearningControlSchema, { task: fromHex(task), serial, state: STATES[state] }),
  );
  return { ...content, proof: { control, signature: signer.sign(PURPOSE, control) } };
}

/** @param publicKey of the task's author @returns undefined when it is none, or not the author's; never throws */
export function readControl(
  signer: Signer,
  publicKey: Uint8Array,
  { control, signature }: ControlProof,
): Control | undefined {
  if (control.length > CONTROL_BYTES_MAX) return undefined;
  if (!signer.verify(publicKey, PURPOSE, control, signature)) return undefined;
  try {
    const { task, serial, state } = fromBinary(LearningControlSchema, control, READ_OPTIONS);
    const [name] = Object.entries(STATES).find(([, value]) => value === state) ?? [];
    if (task.length !== TASK_BYTES || serial < 1 || name === undefined) return undefined;
    const proof = { control: control.slice(), signature: signature.slice() };
    return { task: toHex(task), serial, state: name as TaskState, proof };
  } catch {
    // What the decoder throws depends on the bytes; to us it is all the same.
    return undefined;
  }
}

/** @returns whether the one replaces the other; of one serial the larger signature, so that all come to the same */
export function replaces(one: Control, other: Control | undefined): boolean {
  if (other === undefined) return true;
  if (other.state === "stopped" || one.state === "stopped")
    return one.state === "stopped" && other.state !== "stopped";
  if (one.serial !== other.serial) return one.serial > other.serial;
  return toHex(one.proof.signature) > toHex(other.proof.signature);
}
