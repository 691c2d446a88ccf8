import type { Clock } from "../../platform/clock.ts";
import { WakeUp } from "../../platform/wake-up.ts";
import type { Step } from "../rounds/step.ts";

/** An input of a machine, before it is said when it came. */
export type Untimed<Input> = Input extends { nowMs: number } ? Omit<Input, "nowMs"> : never;

/** What drives one machine of the rounds. */
export interface MachineParts<Input, Effect> {
  readonly clock: Pick<Clock, "monotonicMs" | "setTimer">;
  /** Shows up in traces. */
  readonly name: string;
  step(input: Input, nowMs: number): Step<Effect>;
  perform(effect: Effect): void;
  /** The time has come that the machine asked for. */
  wake(): void;
}

/** Tells one machine of the rounds what happens and when, performs what it wants, and wakes it when it said. */
export class MachineLoop<Input, Effect> {
  readonly #parts: MachineParts<Input, Effect>;
  readonly #wakeUp: WakeUp;

  constructor(parts: MachineParts<Input, Effect>) {
    this.#parts = parts;
    this.#wakeUp = new WakeUp(parts.clock, parts.name, () => parts.wake());
  }

  input(input: Input): void {
    const parts = this.#parts;
    const { effects, nextTickAtMs } = parts.step(input, parts.clock.monotonicMs());
    for (const effect of effects) parts.perform(effect);
    this.#wakeUp.at(nextTickAtMs);
  }

  /** It is not woken any more. */
  rest(): void {
    this.#wakeUp.cancel();
  }
}
