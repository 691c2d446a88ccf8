import type { EventSink } from "../../platform/event-sink.ts";
import type { Logger } from "../../platform/logger.ts";
import { DataError } from "../data/data-error.ts";
import type { AlertMessage, ScoreMessage } from "../serving/detector.ts";
import type { VersionBook } from "../serving/version-book.ts";
import type { LearningAlert, ServingState, ServingView, VersionCommand } from "../serving/view.ts";
import type { BookedLabel, Label } from "../streams/label-book.ts";
import { LearningError } from "../tasks/learning-error.ts";
import type { StreamNews, StreamPart } from "./stream-part.ts";

/** Alerts that are kept to be shown. */
const ALERTS_KEPT_MAX = 256;

/** What a desk works with. */
export interface ServingDeskParts {
  readonly events: EventSink;
  readonly logger: Logger;
  /** Where what is found goes: to the agent's broker. Never throws. */
  readonly publish: (finding: Finding) => void;
  /** Whether a task of that id is known. */
  readonly isKnown: (task: string) => boolean;
}

/** What was found on this device's streams. */
export type Finding =
  | { readonly kind: "score"; readonly name: string; readonly message: ScoreMessage }
  | { readonly kind: "alert"; readonly name: string; readonly message: AlertMessage };

/** All tasks on streams that this agent takes part in: says what they find, and shows it. */
export class ServingDesk implements ServingView {
  readonly #parts: ServingDeskParts;
  readonly #streams = new Map<string, { readonly name: string; readonly part: StreamPart }>();
  #alerts: readonly LearningAlert[] = [];

  constructor(parts: ServingDeskParts) {
    this.#parts = parts;
  }

  /** @returns where a task's findings go */
  news(task: string, name: string): StreamNews {
    const { events, publish, logger } = this.#parts;
    return {
      score: (message) => publish({ kind: "score", name, message }),
      alert: (message) => {
        this.#alerts = [{ ...message, name }, ...this.#alerts].slice(0, ALERTS_KEPT_MAX);
        publish({ kind: "alert", name, message });
        const { window: _, ...said } = message;
        events.emit("learning.alert", { ...said, name });
      },
      versions: (_, effects) => {
        for (const effect of effects)
          if (effect.kind === "decided") {
            const { round, state } = effect.version;
            const { reason } = effect;
            events.emit("learning.version", { task, name, round, state, reason });
          }
      },
      fault: (fault) => {
        logger.warn("a stream can not be used", { task, ...fault });
        events.emit("learning.stream-fault", { task, name, ...fault });
      },
    };
  }

  joined(task: string, name: string, part: StreamPart): void {
    this.#streams.set(task, { name, part });
  }

  left(task: string): void {
    this.#streams.delete(task);
  }

  state(task: string): ServingState {
    const { name, part } = this.#get(task);
    return part.state(name);
  }

  versions(task: string): VersionBook {
    return this.#get(task).part.versions;
  }

  async command(task: string, command: VersionCommand): Promise<VersionBook> {
    return this.#get(task).part.command(command);
  }

  labels(task: string): readonly BookedLabel[] {
    return this.#get(task).part.labels;
  }

  async addLabel(task: string, label: Label): Promise<BookedLabel> {
    const { part } = this.#get(task);
    try {
      return await part.addLabel(label);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      throw new LearningError("learning.label", error.message, { cause: error });
    }
  }

  async removeLabel(task: string, id: number): Promise<boolean> {
    return this.#get(task).part.removeLabel(id);
  }

  alerts(): readonly LearningAlert[] {
    return this.#alerts;
  }

  #get(task: string) {
    const found = this.#streams.get(task);
    if (found !== undefined) return found;
    if (!this.#parts.isKnown(task))
      throw new LearningError("learning.unknown-task", `no task ${task} is known here`);
    throw new LearningError(
      "learning.no-streams",
      "the task is not on streams (data.kind), or this agent does not take part in it: see the task",
    );
  }
}
