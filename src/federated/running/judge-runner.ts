import { RoundJudge } from "../rounds/judge.ts";
import type { JudgeEffect, JudgeInput } from "../rounds/judge-effects.ts";
import type { FetchEffect } from "../rounds/step.ts";
import { MachineLoop, type Untimed } from "./machine-loop.ts";
import type { RoundScene } from "./round-scene.ts";

/** Performs what the judge of one task wants: updates are fetched, records recomputed, votes cast. */
export class JudgeRunner {
  readonly #scene: RoundScene;
  readonly #loop: MachineLoop<Untimed<JudgeInput>, JudgeEffect>;

  constructor(scene: RoundScene) {
    this.#scene = scene;
    const { reputation } = scene;
    const { task, signer, hasher, spec, times, head, keptSheets: sheets, clock } = scene.parts;
    const common = { task, signer, hasher, pace: spec.pace, times };
    const machine = new RoundJudge({ ...common, reputation, head, sheets });
    this.#loop = new MachineLoop({
      clock,
      name: "rounds.judge",
      step: (input, nowMs) => machine.step({ ...input, nowMs }),
      perform: (effect) => this.#perform(effect),
      wake: () => this.input({ kind: "tick" }),
    });
  }

  input(input: Untimed<JudgeInput>): void {
    if (!this.#scene.isIdle) this.#loop.input(input);
  }

  rest(): void {
    this.#loop.rest();
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
      case "keep":
        void this.#keep(effect);
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

  async #keep({ id, round, hashes }: Extract<JudgeEffect, { kind: "keep" }>): Promise<void> {
    const durable = await this.#scene.parts.keepVoted(round, hashes);
    this.input({ kind: "kept", id, durable });
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
