import type { Aggregation } from "./aggregation.ts";

/** The most rules of their own that programs bring to one agent. */
const RULES_MAX = 64;

/**
 * A rule that a program brings along. Agents can not check that two programs mean the same by a name, so that whoever changes what
 * a rule does changes its version: tasks name both, and an agent takes no other one for it.
 */
export interface CustomAggregation extends Aggregation {
  /** Lower case letters, digits and dashes; 64 characters at most. */
  readonly name: string;
  /** 32 characters at most. */
  readonly version: string;
  /** What else the result follows from, as JSON; it travels with the task and has to be the same at all agents. */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** A custom rule as a task names it. */
export interface CustomRuleName {
  readonly name: string;
  readonly version: string;
  readonly options?: Readonly<Record<string, unknown>>;
}

/** Where the rules of programs are found. */
export type CustomRules = Pick<CustomRuleBook, "find">;

/** Rules that programs have brought to this agent, by name. */
export class CustomRuleBook {
  readonly #rules = new Map<string, CustomAggregation>();

  /**
   * Takes the place of one of the same name.
   * @throws RangeError beyond 64 rules
   */
  add(rule: CustomAggregation): void {
    if (!this.#rules.has(rule.name) && this.#rules.size >= RULES_MAX)
      throw new RangeError(`${RULES_MAX} rules of programs at most`);
    this.#rules.set(rule.name, rule);
  }

  delete(rule: CustomAggregation): void {
    if (this.#rules.get(rule.name) === rule) this.#rules.delete(rule.name);
  }

  /** @returns the rule, or in words why it is not here */
  find({ name, version, options = {} }: CustomRuleName): CustomAggregation | string {
    const rule = this.#rules.get(name);
    if (rule === undefined)
      return `the rule ${name} is not here: attach a task with an aggregation of that name, version ${version}`;
    if (rule.version !== version)
      return `the task wants version ${version} of the rule ${name}, here is ${rule.version}`;
    if (canonical(rule.options ?? {}) !== canonical(options))
      return `the task wants the rule ${name} with ${canonical(options)}, here it is with ${canonical(rule.options ?? {})}`;
    return rule;
  }
}

/** Nobody has brought any. */
export const noCustomRules: CustomRules = new CustomRuleBook();

/** @returns the custom rule that a strategy names; undefined for one that is built in */
export function customRuleIn(strategy: unknown): CustomRuleName | undefined {
  const { rule } = (strategy ?? {}) as { readonly rule?: { readonly kind?: unknown } };
  return rule?.kind === "custom" ? (rule as unknown as CustomRuleName) : undefined;
}

/** @returns JSON that does not depend on the order in which keys were written */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(
          Object.entries(part).toSorted(([one], [other]) => (one < other ? -1 : 1)),
        )
      : part,
  );
}
