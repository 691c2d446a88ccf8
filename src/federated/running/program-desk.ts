import {
  type CustomAggregation,
  CustomRuleBook,
  customRuleIn,
} from "../strategies/custom-rules.ts";
import type { TaskSpec } from "../tasks/task-spec.ts";
import { withCustomRules } from "./custom-combining.ts";
import type { LearningGround } from "./learning-ground.ts";
import type { LearningPrograms } from "./learning-programs.ts";
import { type DataOffer, ProgramData } from "./program-data.ts";

/** What programs of this process have brought, for the tasks that name it. */
export class ProgramDesk implements LearningPrograms {
  readonly #data = new ProgramData();
  readonly #rules = new CustomRuleBook();
  readonly #onChange: (isMeant: (spec: TaskSpec) => boolean) => void;

  /** @param onChange hears for which tasks something was brought, or taken back */
  constructor(onChange: (isMeant: (spec: TaskSpec) => boolean) => void) {
    this.#onChange = onChange;
  }

  /** Names of samples that are offered. */
  get datasets(): readonly string[] {
    return this.#data.names();
  }

  offer(offer: DataOffer): () => void {
    const takeBack = this.#data.offer(offer);
    const changed = (): void =>
      this.#onChange(({ data }) => data.kind === "dataset" && data.name === offer.name);
    changed();
    return () => {
      takeBack();
      changed();
    };
  }

  bring(rule: CustomAggregation): () => void {
    this.#rules.add(rule);
    const changed = (): void =>
      this.#onChange(({ strategy }) => customRuleIn(strategy)?.name === rule.name);
    changed();
    return () => {
      this.#rules.delete(rule);
      changed();
    };
  }

  /** @returns the samples for a task; and in words why the rule that it names is not here, where it is not */
  for({ data, strategy }: TaskSpec): { readonly offer?: DataOffer; readonly unable?: string } {
    const offer = data.kind === "dataset" ? this.#data.get(data.name) : undefined;
    const custom = customRuleIn(strategy);
    const rule = custom && this.#rules.find(custom);
    return {
      ...(offer !== undefined && { offer }),
      ...(typeof rule === "string" && { unable: rule }),
    };
  }

  /** @returns the ground, on which rules that programs have brought are found too */
  over(ground: LearningGround): LearningGround {
    return withCustomRules(ground, this.#rules);
  }
}
