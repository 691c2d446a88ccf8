import { setTimeout as delay } from "node:timers/promises";
import type { Body } from "../../api/schemas/common.ts";
import type { learningRound, learningRounds } from "../../api/schemas/learning.ts";
import { print, printable } from "../output.ts";
import type { RestClient } from "../rest-client.ts";
import { pathOf, type TaskDocument } from "./find-task.ts";
import { activityOf, roundLine } from "./task-text.ts";

type Round = Body<typeof learningRound>;

const BAR_CELLS = 24;
const WATCH_INTERVAL_MS = 500;
/** So long the newest round is held back for how good its model is. */
const JUDGED_WITHIN_MS = 3_000;
/** Rounds of one answer. */
const PAGE_MAX = 500;
/** Rounds of before that are told of at first. */
const EARLIER_SHOWN = 10;

/**
 * Prints the newest rounds, each further one as it is decided, and how far the one under way is, until the task ends.
 * Sets the exit code where the task was stopped.
 * @param stopping ends the watching, not the task
 * @throws RestError
 */
export async function watchTask(
  client: RestClient,
  task: string,
  json: boolean,
  stopping: AbortSignal,
): Promise<void> {
  const line = new StatusLine(json);
  let news: RoundNews | undefined;
  try {
    for (;;) {
      // The task first: what its rounds are told of then is at least as new.
      const known = await client.get<TaskDocument>(pathOf(task));
      news ??= new RoundNews(Math.max(0, known.round - EARLIER_SHOWN));
      const rounds = await roundsAfter(client, task, news.last);
      const hasEnded = known.state === "finished" || known.state === "stopped";
      for (const round of news.take(rounds, known, performance.now())) {
        line.clear();
        print(json ? JSON.stringify(round) : printable(roundLine(round, known.spec.rounds)));
      }
      if (hasEnded && !news.waits && rounds.length < PAGE_MAX) {
        line.clear();
        print(json ? JSON.stringify(known) : `${known.spec.name} is ${known.state}`);
        if (known.state === "stopped") process.exitCode = 1;
        return;
      }
      line.show(statusOf(known));
      await delay(WATCH_INTERVAL_MS, undefined, { signal: stopping });
    }
  } catch (error) {
    line.clear();
    if (!stopping.aborted) throw error;
    if (!json) print(`the task goes on; see it with: agent-mesh learn watch ${task}`);
  }
}

/** Which rounds are to be told of now: each once, and the newest only once its model is judged, or was not for a while. */
class RoundNews {
  /** The newest that was told of. */
  last: number;
  /** A round is held back. */
  waits = false;
  #heldRound = 0;
  #heldAtMs = 0;

  /** @param after rounds up to this are not told of */
  constructor(after: number) {
    this.last = after;
  }

  take(rounds: readonly Round[], { samples, round: newest }: TaskDocument, nowMs: number): Round[] {
    const told: Round[] = [];
    this.waits = false;
    for (const round of rounds) {
      if (round.round !== this.#heldRound) {
        this.#heldRound = round.round;
        this.#heldAtMs = nowMs;
      }
      const mayBeJudged = samples > 0 && round.round >= newest && round.evaluation === undefined;
      if (mayBeJudged && nowMs - this.#heldAtMs < JUDGED_WITHIN_MS) {
        this.waits = true;
        break;
      }
      told.push(round);
      this.last = round.round;
    }
    return told;
  }
}

async function roundsAfter(client: RestClient, task: string, after: number) {
  const path = `${pathOf(task)}/rounds?limit=${PAGE_MAX}&after=${after}`;
  return (await client.get<Body<typeof learningRounds>>(path)).items;
}

function statusOf(task: TaskDocument): string {
  const { round, spec, state } = task;
  const cells = Math.min(BAR_CELLS, Math.round((round / spec.rounds) * BAR_CELLS));
  const bar = `${"#".repeat(cells)}${".".repeat(BAR_CELLS - cells)}`;
  const how = state === "running" ? "" : `${state}, `;
  return printable(`[${bar}] ${how}round ${round} of ${spec.rounds}, here: ${activityOf(task)}`);
}

/** A line on stderr that changes; only on a terminal. */
class StatusLine {
  readonly #isShown: boolean;
  #isOpen = false;

  constructor(quiet: boolean) {
    this.#isShown = !quiet && process.stderr.isTTY;
  }

  show(text: string): void {
    if (!this.#isShown) return;
    this.#isOpen = true;
    process.stderr.write(`\r\u001b[K${text.slice(0, (process.stderr.columns ?? 80) - 1)}`);
  }

  clear(): void {
    if (this.#isOpen) process.stderr.write("\r\u001b[K");
    this.#isOpen = false;
  }
}
