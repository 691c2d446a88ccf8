import { type TendermintOptions, timeoutMs } from "./options.ts";
import type { TimeoutKind } from "./round-machine.ts";
import type { Turn } from "./turn.ts";
import { NO_ROUND } from "./vote.ts";

/** The timers of one height. */
export class Waits {
  readonly #options: TendermintOptions;
  readonly #height: number;
  /** The round whose proposal is waited for. */
  #proposalRound = NO_ROUND;

  constructor(options: TendermintOptions, height: number) {
    this.#options = options;
    this.#height = height;
  }

  /** Once a round, whether the proposal is another's or is still to be made here. */
  forProposal(turn: Turn, round: number): void {
    if (round === this.#proposalRound) return;
    this.#proposalRound = round;
    this.forStep(turn, "propose", round);
  }

  forStep(turn: Turn, kind: TimeoutKind, round: number): void {
    const afterMs = timeoutMs(this.#options, kind, round);
    turn.timers.push({ timer: { kind, height: this.#height, round }, afterMs });
  }

  forRebroadcast(turn: Turn): void {
    const timer = { kind: "rebroadcast", height: this.#height, round: 0 } as const;
    turn.timers.push({ timer, afterMs: this.#options.rebroadcastMs });
  }
}
