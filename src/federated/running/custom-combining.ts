import { SeededRandom } from "../../platform/seeded-random.ts";
import { type Combined, type CombineJob, combine } from "../combining/combine.ts";
import { type CustomRules, customRuleIn } from "../strategies/custom-rules.ts";
import { PlainVectorMath } from "../strategies/plain-vector-math.ts";
import type { LearningGround } from "./learning-ground.ts";

/**
 * Rules that programs bring along are functions of the program's own: they run where it runs, and hold it up that long. Others go where the
 * ground has them run. Arithmetic is the plain one at all agents, whatever the ground has, so that all get the same bits.
 */
export function withCustomRules(ground: LearningGround, rules: CustomRules): LearningGround {
  const math = new PlainVectorMath();
  return {
    training: ground.training,
    dataset: (name) => ground.dataset(name),
    close: () => ground.close(),
    inspect: (bytes, form) => ground.inspect(bytes, form),
    pack: (job) => ground.pack(job),
    async combine(job: CombineJob, seed: string): Promise<Combined> {
      if (customRuleIn(job.strategy) === undefined) return ground.combine(job, seed);
      await Promise.resolve();
      try {
        return combine(job, { math, random: new SeededRandom(seed), rules });
      } catch (error) {
        // Code of the program's: its fault ends the round's attempt, and nothing else.
        return { kind: "failed", reason: error instanceof Error ? error.message : String(error) };
      }
    },
  };
}
