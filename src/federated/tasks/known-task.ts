import type { Control, TaskState } from "./control.ts";
import type { Manifest } from "./manifest.ts";

/** A committee's decision on the newest round of a task. Immutable. */
export interface KnownHead {
  /** From 1. */
  readonly round: number;
  /** As it travels, with its certificate. */
  readonly bytes: Uint8Array;
}

/** A task as far as it is known here. Immutable. */
export interface KnownTask {
  readonly manifest: Manifest;
  readonly control?: Control;
  readonly head?: KnownHead;
}

/** What one node says of a task to another; parts that are left out are known, or not. */
export interface Statement {
  /** 32 hexadecimal digits. */
  readonly task: string;
  readonly manifest?: Manifest["proof"];
  readonly control?: Control["proof"];
  readonly head?: Uint8Array;
}

/** How much of a task a node knows. */
export interface TaskVersion {
  readonly task: string;
  /** 0 without a control. */
  readonly serial: number;
  /** 0 without a head. */
  readonly round: number;
}

/** @returns whether the author wants it to go on */
export function stateOf({ control }: Pick<KnownTask, "control">): TaskState {
  return control?.state ?? "running";
}

/** @returns how much of it is known */
export function versionOf({ manifest, control, head }: KnownTask): TaskVersion {
  return { task: manifest.task, serial: control?.serial ?? 0, round: head?.round ?? 0 };
}
