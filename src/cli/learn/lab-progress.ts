import type { RoundReport } from "../../federated/lab/federation.ts";
import { duration } from "../output.ts";
import type { CheckedVariant } from "./experiment-source.ts";
import type { LabRun } from "./lab-run.ts";

const BAR_CELLS = 24;
const TERMINAL_INTERVAL_MS = 200;
/** Where nobody looks at the line as it changes. */
const PLAIN_INTERVAL_MS = 10_000;

/** How far an experiment is, on stderr: one line that changes on a terminal, a line now and then elsewhere. */
export class LabProgress {
  readonly #runs: number;
  readonly #quiet: boolean;
  readonly #startMs = performance.now();
  #shownAtMs = Number.NEGATIVE_INFINITY;
  #isOpen = false;
  #done = 0;
  #title = "";
  #runStartMs = 0;
  #accuracy: number | undefined;

  constructor(runs: number, quiet: boolean) {
    this.#runs = runs;
    this.#quiet = quiet;
  }

  begun({ labels }: CheckedVariant, seed: number): void {
    this.#title = titleOf(labels, seed);
    this.#runStartMs = performance.now();
    this.#accuracy = undefined;
  }

  round({ round, accuracy }: RoundReport, rounds: number): void {
    this.#accuracy = accuracy ?? this.#accuracy;
    const nowMs = performance.now();
    const isTerminal = process.stderr.isTTY;
    const intervalMs = isTerminal ? TERMINAL_INTERVAL_MS : PLAIN_INTERVAL_MS;
    if (this.#quiet || nowMs - this.#shownAtMs < intervalMs) return;
    this.#shownAtMs = nowMs;
    const cells = Math.round((round / rounds) * BAR_CELLS);
    const bar = `${"#".repeat(cells)}${".".repeat(BAR_CELLS - cells)}`;
    const leftMs = ((nowMs - this.#runStartMs) / round) * (rounds - round);
    const known = this.#accuracy === undefined ? "" : `, ${percent(this.#accuracy)}`;
    const text = `[${bar}] ${this.#done + 1} of ${this.#runs}: ${this.#title}: round ${round}${known}, ${duration(leftMs)} left`;
    this.#isOpen = isTerminal;
    process.stderr.write(isTerminal ? `\r\u001b[K${text}` : `${text}\n`);
  }

  ended(run: LabRun): void {
    this.#done++;
    const { labels, seed, accuracy, rounds, diverged, stopped } = run;
    const how = diverged === undefined ? (stopped === true ? ", stopped" : "") : `, ${diverged}`;
    this.#say(
      `${titleOf(Object.entries(labels), seed)}: ${percent(accuracy)} after ${rounds} rounds${how}`,
    );
  }

  failed({ labels }: CheckedVariant, seed: number, { message }: Error): void {
    this.#done++;
    this.end();
    // Not progress: who wants JSON alone on stdout still wants to know why.
    process.stderr.write(`${titleOf(labels, seed)}: ${message}\n`);
  }

  stopping(): void {
    this.#say("stopping after this round; once more to end at once");
  }

  /** @returns real milliseconds since the beginning */
  end(): number {
    if (this.#isOpen) process.stderr.write("\r\u001b[K");
    this.#isOpen = false;
    return performance.now() - this.#startMs;
  }

  #say(text: string): void {
    this.end();
    if (!this.#quiet) process.stderr.write(`${text}\n`);
  }
}

/** @returns `97.1 %` */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function titleOf(labels: readonly (readonly [string, string])[], seed: number): string {
  return [...labels.map(([, value]) => value), `seed ${seed}`].join(", ");
}
