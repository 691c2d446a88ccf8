import type { Counted } from "../../../src/federated/rounds/step.ts";
import type { Base } from "../../../src/federated/rounds/talk.ts";

/** A model that can be counted: how often each trainer's update went into it, and the sum of what these add. */
interface Model {
  readonly round: number;
  readonly sum: number;
  readonly counts: Readonly<Record<string, number>>;
}

/** The model that a task begins with. */
export const FIRST_MODEL = JSON.stringify({ round: 0, sum: 0, counts: {} } satisfies Model);

/** @returns what a trainer comes to @param salt another one where its data have changed since */
export function updateOf(trainer: string, { baseRound, baseHash }: Base, salt: number): string {
  const add = (trainer.charCodeAt(0) % 7) + 1;
  return JSON.stringify({ trainer, baseRound, baseHash, add, salt });
}

/** @returns whether an update is one, and changes something */
export function lookAt(update: string): "good" | "empty" | "malformed" {
  if (update.startsWith("nothing")) return "empty";
  return update.startsWith("{") ? "good" : "malformed";
}

/** @returns the new model: the same bits for the same input */
export function putTogether(
  base: string,
  round: number,
  counted: readonly (Counted & { readonly update: string })[],
): string {
  const { sum: before, counts: old } = JSON.parse(base) as Model;
  const counts: Record<string, number> = { ...old };
  let sum = before;
  for (const { peer, weight, update } of counted) {
    const { add } = JSON.parse(update) as { add: number };
    counts[peer] = (counts[peer] ?? 0) + 1;
    sum += add * weight;
  }
  const sorted = Object.fromEntries(Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1)));
  return JSON.stringify({ round, sum, counts: sorted } satisfies Model);
}
