import type { PeerId } from "../../platform/signer.ts";
import type { RoundHead } from "../rounds/chain.ts";
import type { Base, RoundsTalk } from "../rounds/talk.ts";
import type { RoundTrainer } from "../rounds/trainer.ts";
import { AggregatorRunner } from "./aggregator-runner.ts";
import { JudgeRunner } from "./judge-runner.ts";
import type { LearningRoles, RoundParts } from "./round-parts.ts";
import { RoundScene } from "./round-scene.ts";
import { TrainerRunner } from "./trainer-runner.ts";

/** The three parts that an agent has in the rounds of one task, and what happens around them. */
export class RoundRunner {
  readonly #parts: RoundParts;
  readonly #scene: RoundScene;
  readonly #trainer: TrainerRunner | undefined;
  readonly #aggregator: AggregatorRunner;
  readonly #judge: JudgeRunner;

  constructor(parts: RoundParts) {
    this.#parts = parts;
    this.#scene = new RoundScene(parts);
    const { trainer, samples } = parts;
    if (trainer !== undefined && samples !== undefined)
      this.#trainer = new TrainerRunner(this.#scene, { trainer, samples });
    this.#aggregator = new AggregatorRunner(this.#scene);
    this.#judge = new JudgeRunner(this.#scene);
  }

  get head(): RoundHead {
    return this.#scene.head;
  }

  /** What this agent trains on at the moment. */
  get training(): Base | undefined {
    return this.#trainer?.base;
  }

  get trainerState(): RoundTrainer["state"] | undefined {
    return this.#trainer?.state;
  }

  /** Begins with where the task stands. */
  start(): void {
    if (this.head.round >= this.#parts.spec.rounds) this.#rest();
    this.committee();
    this.#trainer?.input({ kind: "head", head: this.head });
  }

  async stop(): Promise<void> {
    this.#rest();
    await this.#scene.stop();
  }

  #rest(): void {
    this.#scene.rest();
    for (const runner of [this.#trainer, this.#aggregator, this.#judge]) runner?.rest();
  }

  /** The task has gone on; after its last round there is nothing more to do. */
  goOn(head: RoundHead): void {
    this.#scene.goOn(head);
    if (head.round >= this.#parts.spec.rounds) {
      this.#rest();
      return;
    }
    this.#trainer?.input({ kind: "head", head });
    this.#aggregator.input({ kind: "head", head });
    this.#judge.input({ kind: "head", head });
  }

  roles({ aggregators, trainers, trainersInFleet: inFleet }: LearningRoles): void {
    for (const input of [
      { kind: "aggregators", peers: aggregators },
      { kind: "trainers", peers: trainers, inFleet },
    ] as const) {
      this.#trainer?.input(input);
      this.#aggregator.input(input);
    }
  }

  /** The committee may be another one. */
  committee(): void {
    const members = this.#parts.committee.members();
    this.#aggregator.input({ kind: "committee", members });
    this.#judge.input({ kind: "committee", members, quorum: this.#parts.committee.quorum() });
  }

  /** An agent is gone, or is back. */
  living(peer: PeerId, alive: boolean): void {
    this.#aggregator.input({ kind: "living", peer, alive });
    this.#judge.input({ kind: "living", peer, alive });
    if (alive) this.#trainer?.input({ kind: "returned", peer });
  }

  /** Whether power and budget allow to train. */
  mayTrain(allowed: boolean): void {
    this.#trainer?.input({ kind: "may-train", allowed });
  }

  /** Somebody said something about this task. */
  hear(from: PeerId, talk: Extract<RoundsTalk, { kind: "begun" | "word" | "evidence" }>): void {
    if (talk.kind === "word") this.#aggregator.hearWord(from, talk);
    else if (talk.kind === "evidence")
      this.#aggregator.input({ kind: "evidence", evidence: talk.evidence });
    else {
      const { baseRound, baseHash } = talk;
      this.#aggregator.input({ kind: "begun", from, base: { baseRound, baseHash } });
    }
  }

  /** @returns the newest model, from here or from others; undefined where nobody has it */
  model(): Promise<Uint8Array | undefined> {
    return this.#scene.tensors.model(this.head.modelHash, this.head.aggregator);
  }

  /** @returns what the strategy remembers of the newest round, from here or from others; undefined where nobody has it, or there is nothing */
  state(): Promise<Uint8Array | undefined> {
    const { stateHash, aggregator } = this.head;
    return stateHash === undefined
      ? Promise.resolve(undefined)
      : this.#scene.tensors.state(stateHash, aggregator);
  }

  /** A record of this task is before the committee. */
  proposed(id: string, value: Uint8Array, proposer: PeerId): void {
    this.#judge.input({ kind: "proposal", id, value, proposer });
  }

  /** It is not any more. */
  ended(id: string, accepted: boolean): void {
    this.#judge.input({ kind: "ended", id, accepted });
  }
}
