import type { Clock, Timer } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Proposal } from "./decision.ts";

/** How a member votes without being asked. `abstain`: it does not, unless somebody votes by hand. */
export type Verdict = "accept" | "abstain" | { readonly reject: string };

/** Looks at a value of its topic. What it throws, and what takes too long, counts as `abstain`. */
export type Judge = (value: Uint8Array, proposal: Proposal) => Verdict | Promise<Verdict>;

/** What judges work with. */
export interface JudgesParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly judgeTimeoutMs: number;
}

/** One judge for each topic. */
export class Judges {
  readonly #parts: JudgesParts;
  readonly #judges = new Map<string, Judge>();

  constructor(parts: JudgesParts) {
    this.#parts = parts;
  }

  /** @throws Error when the topic has a judge @returns takes the judge away again */
  set(topic: string, judge: Judge): () => void {
    if (this.#judges.has(topic)) throw new Error(`the topic ${topic} has a judge already`);
    this.#judges.set(topic, judge);
    return () => void this.#judges.delete(topic);
  }

  has(topic: string): boolean {
    return this.#judges.has(topic);
  }

  /** Never throws. */
  async ask(proposal: Proposal): Promise<Verdict> {
    const { clock, logger, judgeTimeoutMs } = this.#parts;
    const judge = this.#judges.get(proposal.topic);
    if (judge === undefined) return "abstain";
    const { id, topic } = proposal;
    let timer: Timer | undefined;
    const tooLate = new Promise<Verdict>((resolve) => {
      timer = clock.setTimer("agreement.judge", judgeTimeoutMs, () => {
        logger.warn("a judge took too long and abstains", { topic, proposal: id });
        resolve("abstain");
      });
    });
    try {
      return await Promise.race([judge(proposal.value, proposal), tooLate]);
    } catch (error) {
      logger.warn("a judge failed and abstains", { topic, proposal: id, error });
      return "abstain";
    } finally {
      timer?.cancel();
    }
  }
}
