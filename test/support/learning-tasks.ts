// Learning tasks as REST and command line are shown them.
import type { TaskState } from "../../src/federated/tasks/control.ts";
import { LearningError } from "../../src/federated/tasks/learning-error.ts";
import { completeSpec } from "../../src/federated/tasks/task-spec.ts";
import {
  type LearningRound,
  type LearningTask,
  type LearningView,
  noLearning,
} from "../../src/federated/view.ts";
import { StillServing } from "./learning-serving.ts";

const SELF = { peerId: "12D3KooWself", agentId: "agent-1", self: true };
const OTHER = { peerId: "12D3KooWpeer", agentId: "agent-2", self: false };

/** What is to be learned, as a user writes it: nothing that has a default. */
export const irisSpec = {
  name: "iris",
  model: {
    inputShape: [4],
    layers: [{ kind: "dense", units: 3 }],
    loss: "softmax-cross-entropy",
  },
  data: { kind: "dataset", name: "iris" },
  client: { kind: "local", learningRate: 0.1 },
  rounds: 3,
} as const;

/** A view of tasks whose rounds are decided by whoever tests. */
export class StillLearning implements LearningView {
  readonly kept: LearningTask[] = [];
  readonly asked: (readonly (readonly number[])[])[] = [];
  /** What the model answers, for each row. */
  output: readonly number[] = [0.5, 2.25, -1];
  /** Of the first task that was started. */
  readonly serving = new StillServing(() => this.kept[0]?.task);
  readonly #rounds = new Map<string, LearningRound[]>();

  status: LearningView["status"] = () => ({
    ...noLearning.status(),
    enabled: true,
    tasks: { ...noLearning.status().tasks, running: this.kept.length },
    datasets: ["iris"],
    counters: { ...noLearning.status().counters, rounds: 2, evidence: { silent: 1 } },
  });

  tasks: LearningView["tasks"] = () => this.kept.toReversed();

  task: LearningView["task"] = (id) => this.kept.find(({ task }) => task === id);

  rounds: LearningView["rounds"] = (id, after, limit) =>
    this.task(id) === undefined
      ? undefined
      : (this.#rounds.get(id) ?? []).filter(({ round }) => round > after).slice(0, limit);

  async start(document: unknown): Promise<LearningTask> {
    const task: LearningTask = {
      // So that the beginning of one is not the beginning of another.
      task: String(this.kept.length + 1).padEnd(32, "a"),
      spec: completeSpec(document),
      author: SELF,
      createdAtMs: 1_795_305_600_000 + this.kept.length,
      state: "running",
      round: 0,
      activity: "training",
      progress: { round: 1, step: 3, steps: 15 },
      samples: 150,
    };
    this.kept.push(task);
    return task;
  }

  async control(id: string, state: TaskState): Promise<LearningTask> {
    const task = this.task(id);
    if (task === undefined)
      throw new LearningError("learning.unknown-task", `no task ${id} is known here`);
    if (!task.author.self)
      throw new LearningError("learning.not-the-author", "only agent-2 can do that");
    if (task.state === "stopped" && state !== "stopped")
      throw new LearningError("learning.ended", "a task that was stopped stays so");
    return this.#put({ ...task, state });
  }

  async predict(
    id: string,
    features: readonly (readonly number[])[],
    model: "own" | "global" = "global",
  ) {
    const round = this.task(id)?.round;
    if (round === undefined)
      throw new LearningError("learning.unknown-task", `no task ${id} is known here`);
    if (features.some(({ length }) => length !== 4))
      throw new LearningError("learning.spec", "features 0 has another length than 4");
    this.asked.push(features);
    return { round, model, outputs: features.map(() => this.output) };
  }

  /** Another agent started it. */
  giveAway(id: string): void {
    const task = this.task(id);
    if (task !== undefined) this.#put({ ...task, author: OTHER });
  }

  /** The committee decided the task's next round. */
  decide(id: string, evaluation?: LearningRound["evaluation"]): void {
    const task = this.task(id);
    if (task === undefined) return;
    const latest: LearningRound = {
      round: task.round + 1,
      heardAtMs: 1_795_305_600_000 + 5_000 * (task.round + 1),
      ...(task.round > 0 && { tookMs: 5_000 }),
      aggregator: OTHER,
      updates: 2,
      samples: 300,
      samplesTotal: 300 * (task.round + 1),
      modelHash: "0123456789abcdef".repeat(4),
      ...(evaluation !== undefined && { evaluation }),
    };
    this.#rounds.set(id, [...(this.#rounds.get(id) ?? []), latest]);
    const isLast = latest.round === task.spec.rounds;
    this.#put({
      ...task,
      round: latest.round,
      latest,
      ...(isLast && { state: "finished", activity: "resting" }),
    });
  }

  #put(task: LearningTask): LearningTask {
    const at = this.kept.findIndex((kept) => kept.task === task.task);
    this.kept[at] = task;
    return task;
  }
}
