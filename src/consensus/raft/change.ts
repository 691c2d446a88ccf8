import type { EntryKind, Proposal } from "./entry.ts";
import { NO_DATA } from "./entry.ts";
import { readVarint } from "./varint.ts";

/** What happens to one member. `update` changes nothing in the group: it carries the context of the change. */
export type ChangeStepKind = "add-voter" | "add-learner" | "remove" | "update";

/** One step of a change. */
export interface ChangeStep {
  readonly kind: ChangeStepKind;
  /** Member; 0 says that the step was given up when the change was applied. */
  readonly id: number;
}

/**
 * How the group gets to the new configuration. `auto`: at once if there is one step, else through a joint configuration
 * that is left by itself; `implicit`: through a joint configuration that is left by itself; `explicit`: through one that
 * is left when an empty change with `auto` is proposed.
 */
export type ChangeTransition = "auto" | "implicit" | "explicit";

/** A change of the members (Ongaro 2014, chapter 4). Without steps and `auto` it leaves a joint configuration. */
export interface Change {
  readonly transition: ChangeTransition;
  readonly steps: readonly ChangeStep[];
  /** For the application, not read here. */
  readonly context: Uint8Array;
}

/** The most steps in one change. */
export const CHANGE_STEPS_MAX = 128;
/** The most bytes of context in one change. */
export const CHANGE_CONTEXT_BYTES_MAX = 64 * 1024;
/** Leaves the joint configuration. Its encoding is empty, so that no limit on bytes can refuse it. */
export const LEAVE_JOINT: Change = { transition: "auto", steps: [], context: NO_DATA };

const TRANSITIONS: readonly ChangeTransition[] = ["auto", "implicit", "explicit"];
const STEP_KINDS: readonly ChangeStepKind[] = ["add-voter", "add-learner", "remove", "update"];

/** Whether the change is the one that leaves a joint configuration. */
export function leavesJoint({ transition, steps }: Change): boolean {
  return transition === "auto" && steps.length === 0;
}

/** Whether the change goes through a joint configuration. */
export function entersJoint({ transition, steps }: Change): boolean {
  return transition !== "auto" || steps.length > 1;
}

/**
 * The entry data of a change: empty for {@link LEAVE_JOINT}, else a byte for the transition, the number of steps as a
 * varint, for every step a byte and the id as a varint, then the context.
 * @param kind `change-v1` can hold one step and `auto` only, for members that know nothing else
 * @throws {Error} when the change is greater than allowed, has ids that are none, or does not fit into `change-v1`
 */
export function proposalOf(change: Change, kind: "change-v1" | "change-v2"): Proposal {
  const { transition, steps, context } = change;
  if (steps.length > CHANGE_STEPS_MAX || context.length > CHANGE_CONTEXT_BYTES_MAX)
    throw new Error(`a change has ${CHANGE_STEPS_MAX} steps and 64 KiB of context at most`);
  if (kind === "change-v1" && (steps.length !== 1 || transition !== "auto"))
    throw new Error("a change-v1 has exactly one step and the transition auto");
  if (leavesJoint(change) && context.length === 0) return { kind, data: NO_DATA };
  const head = [TRANSITIONS.indexOf(transition)];
  writeVarint(head, steps.length);
  for (const step of steps) {
    if (!Number.isSafeInteger(step.id) || step.id < 0)
      throw new Error(`${step.id} is not the id of a member`);
    head.push(STEP_KINDS.indexOf(step.kind));
    writeVarint(head, step.id);
  }
  const data = new Uint8Array(head.length + context.length);
  data.set(head);
  data.set(context, head.length);
  return { kind, data };
}

/** Whether entries of this kind change the members. */
export function isChangeKind(kind: EntryKind): boolean {
  return kind !== "normal";
}

/** Reads what {@link proposalOf} wrote. @returns `undefined` when the entry is no change, or malformed */
export function changeOf({ kind, data }: Proposal): Change | undefined {
  if (!isChangeKind(kind)) return undefined;
  const change = data.length === 0 ? LEAVE_JOINT : read(data);
  if (change === undefined || kind !== "change-v1") return change;
  return change.steps.length === 1 && change.transition === "auto" ? change : undefined;
}

function read(data: Uint8Array): Change | undefined {
  const cursor = { at: 1 };
  const transition = TRANSITIONS[data[0] ?? TRANSITIONS.length];
  const count = readVarint(data, cursor);
  if (transition === undefined || count === undefined || count > CHANGE_STEPS_MAX) return undefined;
  const steps: ChangeStep[] = [];
  while (steps.length < count) {
    const kind = STEP_KINDS[data[cursor.at++] ?? STEP_KINDS.length];
    const id = readVarint(data, cursor);
    if (kind === undefined || id === undefined) return undefined;
    steps.push({ kind, id });
  }
  if (data.length - cursor.at > CHANGE_CONTEXT_BYTES_MAX) return undefined;
  return { transition, steps, context: data.subarray(cursor.at) };
}

/** By arithmetic, since ids can have more than 32 bits. */
function writeVarint(bytes: number[], value: number): void {
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  bytes.push(rest);
}
