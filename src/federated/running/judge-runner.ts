import { WakeUp } from "../../platform/wake-up.ts";
import { RoundJudge } from "../rounds/judge.ts";
import type { JudgeEffect, JudgeInput } from "../rounds/judge-effects.ts";
import type { FetchEffect } from "../rounds/step.ts";
import type { RoundScene, Untimed } from "./round-scene.ts";

/** Performs what the judge of one task wants: updates are fetched, records recomputed, votes cast. */
export class JudgeRunner {
  readonly #scene: RoundScene;
  readonly #machine: RoundJudge;
  readonly #wakeUp: WakeUp;

  constructor(scene: RoundScene) {
    this.#scene = scene;
    const { reputation } = scene;
    const { task, signer, hasher, spec, times, head, keptSheets: sheets, clock } = scene.parts;
    const common = { task, signer, hasher, pace: spec.pace, times };
    this.#machine = new RoundJudge({ ...common, reputation, head, sheets });
    this.#wakeUp = new WakeUp(clock, "rounds.judge", () => this.input({ kind: "tick" }));
  }

  input(input: Untimed<JudgeInput>): void {
    const { isIdle, parts } = this.#scene;
    if (isIdle) return;
    const nowMs = parts.clock.monotonicMs();
    const { effects, nextTickAtMs } = this.#machine.step({ ...input, nowMs });
    for (const effect of effects) this.#perform(effect);
    this.#wakeUp.at(nextTickAtMs);
  }

  rest(): void {
    this.#wakeUp.cancel();
  }

  #perform(effect: JudgeEffect): void {
    const { committee, onEvent } = this.#scene.parts;
    switch (effect.kind) {
      case "fetch":
        void this.#fetch(effect);
        break;
      case "hold":
        this.#scene.held.hold("judge", effect);
        break;
      case "recompute":
        void this.#recompute(effect);
        break;
      case "verdict":
        committee.vote(effect.id, effect.verdict);
        break;
      case "event":
        if (effect.event.kind === "blamed") this.#scene.blamed();
        onEvent({ by: "judge", event: effect.event });
        break;
      default:
        effect satisfies never;
    }
  }

  async #fetch(effect: FetchEffect): Promise<void> {
    const { hash, what } = effect;
    const bytes = await this.#scene.tensors.wanted(effect, this.#scene.ending);
    if (bytes === undefined) this.input({ kind: "unfetchable", hash });
    else if (what === "sheet") this.input({ kind: "sheet", hash, bytes });
    else this.input({ kind: "had", hash });
  }

  async #recompute({
    id,
    head,
    counted,
  }: Extract<JudgeEffect, { kind: "recompute" }>): Promise<void> {
    const { combining } = this.#scene;
    const combined = await combining.combine(head, counted);
    if (combined.kind === "combined") {
      this.input({ kind: "recomputed", id, ...combining.shelved(combined) });
      return;
    }
    const lacking = combined.kind === "lacking";
    this.input({ kind: "not-recomputed", id, reason: combined.reason, lacking });
  }
}
