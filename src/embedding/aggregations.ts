import type { CustomAggregation } from "../federated/strategies/custom-rules.ts";
import type { TaskSpec } from "../federated/tasks/task-spec.ts";

/** A strategy as tasks name it: `rule`, `before`, `server`. */
export type StrategyOptions = NonNullable<TaskSpec["strategy"]>;

/** Rules that need not be told anything, by their names. */
export type PlainRule = "mean" | "median" | "geometric-median";

/** How updates become one: a name, one of the classes here, a rule of the program's own, or all that a task can say. */
export type TaskAggregation = PlainRule | BuiltInAggregation | CustomAggregation | StrategyOptions;

/** A rule that every agent has. */
export class BuiltInAggregation {
  readonly rule: Readonly<Record<string, unknown>> & { readonly kind: string };

  /** @param rule as tasks name it */
  constructor(rule: BuiltInAggregation["rule"]) {
    this.rule = rule;
  }
}

/** The weighted mean (McMahan et al. 2017). */
export class MeanAggregation extends BuiltInAggregation {
  constructor() {
    super({ kind: "mean" });
  }
}

/** The update nearest to its neighbours, or with `select` the mean of the best (Blanchard et al. 2017). */
export class KrumAggregation extends BuiltInAggregation {
  /** @param options `f`: liars that it withstands, of at least 2f + 3 updates; `select`: updates that are averaged */
  constructor({ f, select }: { readonly f: number; readonly select?: number }) {
    super(
      select === undefined
        ? { kind: "krum", byzantine: f }
        : { kind: "multi-krum", byzantine: f, select },
    );
  }
}

/** Krum again and again, then a mean around the median (El Mhamdi et al. 2018). */
export class BulyanAggregation extends BuiltInAggregation {
  /** @param options `f`: liars that it withstands, of at least 4f + 3 updates */
  constructor({ f }: { readonly f: number }) {
    super({ kind: "bulyan", byzantine: f });
  }
}

/** The median of each coordinate (Yin et al. 2018). */
export class MedianAggregation extends BuiltInAggregation {
  constructor() {
    super({ kind: "median" });
  }
}

/** The mean of each coordinate without its extremes (Yin et al. 2018). */
export class TrimmedMeanAggregation extends BuiltInAggregation {
  /** @param options `trim`: values left out at each end */
  constructor({ trim }: { readonly trim: number }) {
    super({ kind: "trimmed-mean", trim });
  }
}

/** The point with the least sum of distances (Pillutla et al. 2022). */
export class GeometricMedianAggregation extends BuiltInAggregation {
  constructor(options: { readonly iterations?: number; readonly smoothing?: number } = {}) {
    super({ kind: "geometric-median", ...options });
  }
}

/** Updates clipped around the last aggregate (Karimireddy et al. 2021). */
export class CentredClippingAggregation extends BuiltInAggregation {
  /** @param options `radius`: how far from the last aggregate an update may be */
  constructor(options: { readonly radius: number; readonly iterations?: number }) {
    super({ kind: "centred-clipping", ...options });
  }
}

/** @returns the strategy as a task's manifest has it, with the rule that the program has to bring along for it */
export function strategyOf(aggregation: TaskAggregation): {
  readonly strategy: StrategyOptions;
  readonly custom?: CustomAggregation;
} {
  if (typeof aggregation === "string") return { strategy: { rule: { kind: aggregation } } };
  if (aggregation instanceof BuiltInAggregation) return { strategy: { rule: aggregation.rule } };
  if (!isCustom(aggregation)) return { strategy: aggregation };
  const { name, version, options } = aggregation;
  return {
    strategy: {
      rule: { kind: "custom", name, version, ...(options !== undefined && { options }) },
    },
    custom: aggregation,
  };
}

function isCustom(
  aggregation: StrategyOptions | CustomAggregation,
): aggregation is CustomAggregation {
  return typeof (aggregation as Partial<CustomAggregation>).aggregate === "function";
}
