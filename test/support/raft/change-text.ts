import type { ChangeStep, ChangeStepKind } from "../../../src/consensus/raft/change.ts";

const LETTERS: Readonly<Record<ChangeStepKind, string>> = {
  "add-voter": "v",
  "add-learner": "l",
  remove: "r",
  update: "u",
};

/** Steps of a change from `v1 l2 r3`. */
export function stepsFrom(text: string): ChangeStep[] {
  const words = text.trim().split(/\s+/).filter(Boolean);
  return words.map((word) => {
    const kinds = Object.entries(LETTERS) as [ChangeStepKind, string][];
    const kind = kinds.find(([, letter]) => word.startsWith(letter))?.[0];
    if (kind === undefined) throw new Error(`unknown step ${word}`);
    return { kind, id: Number(word.slice(1)) };
  });
}

/** The way back. */
export function stepsText(steps: readonly ChangeStep[]): string {
  return steps.map(({ kind, id }) => `${LETTERS[kind]}${id}`).join(" ");
}
