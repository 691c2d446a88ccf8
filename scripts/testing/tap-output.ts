/** How one test file fared. */
export interface FileResult {
  readonly file: string;
  readonly ok: boolean;
  readonly seconds: number;
  /** The file's output without what passed; empty when all did. */
  readonly failure: string;
}

/** What the runner's closing line counts. */
export interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const pointAtTop = /^(ok|not ok) \d+ - (.*?)(?: # time=([\d.]+)(ms|s|m)?)?(?: \{)?$/;
const passedPoint = /^\s+ok \d+/;
const skippedPoint = /^\s*ok \d+(?: - )?(.*?)\s+# SKIP\b\s*(.*)$/i;
const closing = /^# \{ total: \d+.*\}$/;

function count(line: string, name: string): number {
  return Number(new RegExp(`\\b${name}: (\\d+)`).exec(line)?.[1] ?? 0);
}

/**
 * Reads node-tap's TAP 14 stream line by line. Files come one after the other, whole, each closed by a
 * test point at the margin.
 */
export class TapOutput {
  readonly #onFile: (result: FileResult) => void;
  /** `test name: reason` of every skipped test. */
  readonly skips: string[] = [];
  totals: Totals = { passed: 0, failed: 0, skipped: 0 };
  #block: string[] = [];
  /** The closing point of a failed file is followed by a diagnostic block that belongs to it. */
  #failed: { file: string; seconds: number } | undefined;

  constructor(onFile: (result: FileResult) => void) {
    this.#onFile = onFile;
  }

  line(text: string): void {
    const skip = skippedPoint.exec(text);
    if (skip !== null) this.skips.push(`${skip[1]}: ${skip[2] || "no reason given"}`);
    if (closing.test(text)) {
      this.totals = {
        passed: count(text, "pass"),
        failed: count(text, "fail"),
        skipped: count(text, "skip") + count(text, "todo"),
      };
    }
    const point = pointAtTop.exec(text);
    if (point !== null) {
      this.#closeFailed();
      const scale = { ms: 1000, s: 1, m: 1 / 60 }[point[4] ?? "ms"] ?? 1000;
      const result = { file: point[2] ?? "", seconds: Number(point[3] ?? 0) / scale };
      if (point[1] === "ok") {
        this.#onFile({ ...result, ok: true, failure: "" });
        this.#block = [];
        return;
      }
      this.#failed = result;
    }
    if (/^(# Subtest: |# |1\.\.|TAP version)/.test(text)) this.#closeFailed();
    if (!passedPoint.test(text) && text.trim() !== "") this.#block.push(text);
  }

  /** Nothing more comes. */
  end(): void {
    this.#closeFailed();
  }

  #closeFailed(): void {
    if (this.#failed === undefined) return;
    this.#onFile({ ...this.#failed, ok: false, failure: this.#block.join("\n") });
    this.#failed = undefined;
    this.#block = [];
  }
}
