import * as highs from "highs";

/** What is used of npm's `highs`, a build of the HiGHS solver. */
export interface Highs {
  solve(
    problem: string,
    options: { readonly time_limit: number },
  ): { readonly Status: string; readonly ObjectiveValue: number };
}

/** The solver, loaded. The package's types say nothing of its default export, which is what loads it. */
export function loadHighs(): Promise<Highs> {
  const { default: load } = highs as unknown as { readonly default: () => Promise<Highs> };
  return load();
}
