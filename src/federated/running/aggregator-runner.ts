import type { PeerId } from "../../platform/signer.ts";
import { RoundAggregator } from "../rounds/aggregator.ts";
import type { AggregatorEffect, AggregatorInput } from "../rounds/aggregator-effects.ts";
import type { FetchEffect } from "../rounds/step.ts";
import type { RoundsTalk } from "../rounds/talk.ts";
import { TensorError } from "../tensors/tensor-error.ts";
import { MachineLoop, type Untimed } from "./machine-loop.ts";
import type { RoundScene } from "./round-scene.ts";

/** Performs what the aggregator of one task wants: updates are fetched, looked at and put together, records proposed. */
export class AggregatorRunner {
  readonly #scene: RoundScene;
  readonly #loop: MachineLoop<Untimed<AggregatorInput>, AggregatorEffect>;
  /** Everybody who could train. */
  #trainers: readonly PeerId[] = [];

  constructor(scene: RoundScene) {
    this.#scene = scene;
    const { reputation } = scene;
    const { task, signer, hasher, spec, times, head, keptSheets: sheets, clock } = scene.parts;
    const common = { task, signer, hasher, pace: spec.pace, times, reputation, head, sheets };
    const machine = new RoundAggregator({ ...common, startMs: clock.monotonicMs() });
    this.#loop = new MachineLoop({
      clock,
      name: "rounds.aggregator",
      step: (input, nowMs) => machine.step({ ...input, nowMs }),
      perform: (effect) => this.#perform(effect),
      wake: () => this.input({ kind: "tick" }),
    });
  }

  input(input: Untimed<AggregatorInput>): void {
    if (this.#scene.isIdle) return;
    if (input.kind === "trainers") this.#trainers = input.peers;
    this.#loop.input(input);
  }

  rest(): void {
    this.#loop.rest();
  }

  /** An update that came with its word is held at once, if there is room for it. */
  hearWord(from: PeerId, { word, update }: Extract<RoundsTalk, { kind: "word" }>): void {
    this.#scene.countAlong("received", from, update);
    const { updateHash, baseRound } = word;
    const isHere = !this.#scene.isIdle && update !== undefined && this.#shelve(updateHash, update);
    this.input({ kind: "word", word, isHere });
    if (isHere) void this.#lookAt(updateHash, update, baseRound);
  }

  /** @returns false where there is no room: it is asked for when it is to be counted */
  #shelve(hash: string, bytes: Uint8Array): boolean {
    try {
      this.#scene.parts.shelf.hold(hash, bytes);
      return true;
    } catch (error) {
      if (!(error instanceof TensorError)) throw error;
      return false;
    }
  }

  #perform(effect: AggregatorEffect): void {
    const { shelf, onEvent, task, decision } = this.#scene.parts;
    switch (effect.kind) {
      case "fetch":
        void this.#fetch(effect);
        break;
      case "hold":
        this.#scene.held.hold("aggregator", effect);
        break;
      case "aggregate":
        void this.#aggregate(effect);
        break;
      case "store":
        shelf.hold(effect.hash, effect.bytes);
        break;
      case "propose":
      case "submit":
        void this.#propose(effect);
        break;
      case "send-head": {
        const decided = decision();
        const { round } = this.#scene.head;
        if (decided !== undefined)
          void this.#scene.tell(effect.to, { kind: "head", task, round, decision: decided });
        break;
      }
      case "gossip":
        this.#scene.spread(effect.evidence, this.#trainers);
        break;
      case "event":
        if (effect.event.kind === "blamed") this.#scene.blamed();
        onEvent({ by: "aggregator", event: effect.event });
        break;
      default:
        effect satisfies never;
    }
  }

  async #propose({
    kind,
    attempt,
    value,
  }: Extract<AggregatorEffect, { kind: "propose" | "submit" }>): Promise<void> {
    const { committee, logger } = this.#scene.parts;
    try {
      const end = await committee.propose(value);
      if (kind === "propose") this.input({ kind: "proposal-ended", attempt, ...end });
    } catch (error) {
      logger.error("a proposal was lost", { error });
    }
  }

  async #fetch(effect: FetchEffect): Promise<void> {
    const { hash, what } = effect;
    const bytes = await this.#scene.tensors.wanted(effect, this.#scene.ending);
    if (bytes === undefined) this.input({ kind: "unfetchable", hash, wrongBytes: false });
    else if (what === "sheet") this.input({ kind: "sheet", hash, bytes });
    else await this.#lookAt(hash, bytes, this.#scene.head.round);
  }

  /** An update is here, for the round behind that one. */
  async #lookAt(hash: string, bytes: Uint8Array, headRound: number): Promise<void> {
    try {
      const is = await this.#scene.combining.inspect(bytes, headRound);
      this.input({ kind: "had", hash, is });
    } catch (error) {
      this.#scene.parts.logger.warn("an update could not be looked at", { hash, error });
      this.input({ kind: "unfetchable", hash, wrongBytes: false });
    }
  }

  async #aggregate({
    attempt,
    head,
    counted,
  }: Extract<AggregatorEffect, { kind: "aggregate" }>): Promise<void> {
    const { combining } = this.#scene;
    const combined = await combining.combine(head, counted);
    if (combined.kind === "combined") {
      this.input({ kind: "aggregated", attempt, ...combining.shelved(combined) });
      return;
    }
    if (combined.kind === "lacking" && combined.hash !== undefined)
      this.input({ kind: "lost", hash: combined.hash });
    const blamed = combined.kind === "blamed" ? combined.sender : undefined;
    this.input({ kind: "not-aggregated", attempt, blamed, reason: combined.reason });
  }
}
