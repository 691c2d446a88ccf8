import type { Progress } from "../../simulator/run/simulation.ts";

const BAR_CELLS = 24;
/** Where nobody looks at the line as it changes. */
const PLAIN_INTERVAL_MS = 10_000;
const TERMINAL_INTERVAL_MS = 200;

/** How far a simulation is, on stderr: one line that changes on a terminal, a line now and then elsewhere. */
export class ProgressLine {
  readonly #quiet: boolean;
  /** Within a simulation nobody may ask for the time; this was bound before. */
  readonly #nowMs = performance.now.bind(performance);
  readonly #startMs = this.#nowMs();
  readonly #isTerminal = process.stderr.isTTY;
  #shownAtMs = Number.NEGATIVE_INFINITY;
  #isOpen = false;

  constructor(quiet: boolean) {
    this.#quiet = quiet;
  }

  show({ phase, virtualMs, untilMs, sample }: Progress): void {
    const share = Math.min(1, virtualMs / untilMs);
    const cells = Math.round(share * BAR_CELLS);
    const bar = `${"#".repeat(cells)}${".".repeat(BAR_CELLS - cells)}`;
    const minutes = (virtualMs / 60_000).toFixed(1);
    this.note(
      `[${bar}] ${phase}, ${minutes} min, ${sample.running} agents run, ${sample.violations} violations`,
    );
  }

  note(text: string): void {
    const nowMs = this.#nowMs();
    const intervalMs = this.#isTerminal ? TERMINAL_INTERVAL_MS : PLAIN_INTERVAL_MS;
    if (this.#quiet || nowMs - this.#shownAtMs < intervalMs) return;
    this.#shownAtMs = nowMs;
    this.#isOpen = this.#isTerminal;
    process.stderr.write(this.#isTerminal ? `\r\u001b[K${text}` : `${text}\n`);
  }

  /** Real milliseconds since the beginning. */
  get elapsedMs(): number {
    return this.#nowMs() - this.#startMs;
  }

  /** @returns real milliseconds since the beginning */
  end(): number {
    if (this.#isOpen) process.stderr.write("\r\u001b[K");
    this.#isOpen = false;
    return this.elapsedMs;
  }
}
