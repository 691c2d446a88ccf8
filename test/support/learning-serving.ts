// What an agent makes of learned models on its own streams, as REST and command line are shown it.

import { DataError } from "../../src/federated/data/data-error.ts";
import type { VersionBook } from "../../src/federated/serving/version-book.ts";
import { stepVersions } from "../../src/federated/serving/version-step.ts";
import type {
  LearningAlert,
  ServingState,
  ServingView,
  VersionCommand,
} from "../../src/federated/serving/view.ts";
import { type Label, LabelBook } from "../../src/federated/streams/label-book.ts";
import { LearningError } from "../../src/federated/tasks/learning-error.ts";

const BEGIN_MS = 1_795_305_600_000;
const hash = (digit: string): string => digit.repeat(64);

/** A view of one task on streams; everything else has none. */
export class StillServing implements ServingView {
  readonly #task: () => string | undefined;
  readonly #labels = new LabelBook();
  kept: LearningAlert[] = [];
  book: VersionBook = {
    versions: [
      { round: 9, hash: hash("9"), sinceMs: BEGIN_MS + 9, state: "canary", holdOutError: 0.2 },
      {
        round: 7,
        hash: hash("7"),
        sinceMs: BEGIN_MS + 7,
        state: "serving",
        holdOutError: 0.25,
        threshold: 0.5,
      },
      { round: 4, hash: hash("4"), sinceMs: BEGIN_MS + 4, state: "retired", holdOutError: 0.5 },
    ],
    trial: { round: 9, windows: 3, canaryError: 0.5, servingError: 0.75 },
  };

  /** @param task that is on streams */
  constructor(task: () => string | undefined) {
    this.#task = task;
  }

  state(task: string): ServingState {
    this.#check(task);
    const window = { fromMs: BEGIN_MS, toMs: BEGIN_MS + 60_000 };
    return {
      task,
      name: "iris",
      round: 7,
      threshold: 0.5,
      newest: {
        task,
        atMs: window.toMs,
        score: 0.75,
        threshold: 0.5,
        isAnomalous: true,
        round: 7,
        window,
      },
      alert: { raised: true, sinceMs: BEGIN_MS + 30_000 },
      detector: { judged: 100, anomalous: 4, skipped: 1, failed: 0, alerts: 1, suppressed: 0 },
      recorder: {
        heard: 200,
        recorded: 198,
        unparsable: 1,
        implausible: 1,
        late: 0,
        duplicates: 0,
        refused: 0,
        clockJumps: 0,
        streams: 2,
        points: 199,
        memoryBytes: 4_096,
      },
      scale: [{ channel: "temperature", mean: 21.5, deviation: 2.25 }],
    };
  }

  versions(task: string): VersionBook {
    this.#check(task);
    return this.book;
  }

  async command(task: string, command: VersionCommand): Promise<VersionBook> {
    this.#check(task);
    const rules = { shadowWindows: 8, worseShareMax: 0.1 };
    const { book, refusal } = stepVersions(this.book, command, rules, BEGIN_MS + 100);
    if (refusal !== undefined) throw new LearningError("learning.version", refusal);
    this.book = book;
    return book;
  }

  labels(task: string) {
    this.#check(task);
    return this.#labels.labels;
  }

  async addLabel(task: string, label: Label) {
    this.#check(task);
    try {
      return this.#labels.add(label);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      throw new LearningError("learning.label", error.message);
    }
  }

  async removeLabel(task: string, id: number): Promise<boolean> {
    this.#check(task);
    return this.#labels.remove(id);
  }

  alerts(): readonly LearningAlert[] {
    return this.kept;
  }

  /** One that began and one that ended, so many times. */
  alert(times: number, task: string): void {
    for (let at = 0; at < 2 * times; at++) {
      const atMs = BEGIN_MS + at * 60_000;
      this.kept.unshift({
        task,
        name: "iris",
        state: at % 2 === 0 ? "raised" : "cleared",
        atMs,
        sinceMs: at % 2 === 0 ? atMs : atMs - 60_000,
        score: at % 2 === 0 ? 0.75 : 0.25,
        threshold: 0.5,
        round: 7,
        window: { fromMs: atMs - 60_000, toMs: atMs },
        suppressed: 0,
      });
    }
  }

  #check(task: string): void {
    if (task === this.#task()) return;
    throw new LearningError("learning.no-streams", "the task is not on streams");
  }
}
