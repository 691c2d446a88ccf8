/** Lines of the script's own logger: prose that is not compared. */
const LOGGED = /^\s*(DEBUG|INFO|WARN|ERROR)\b/;

/** Collects what a command prints. */
export class Printer {
  #lines: string[] = [];
  #indent = "";
  /** Prints nothing. */
  isQuiet = false;

  print(text: string): void {
    if (this.isQuiet) return;
    for (const line of text.split("\n")) this.#lines.push(`${this.#indent}${line}`);
  }

  indented(act: () => void): void {
    const before = this.#indent;
    this.#indent += "  ";
    act();
    this.#indent = before;
  }

  take(): readonly string[] {
    const lines = this.#lines;
    this.#lines = [];
    return lines;
  }
}

/** What is compared of an output: without the logger's prose, and `ok` if nothing else was said. */
export function comparable(lines: readonly string[]): string {
  const rest = lines.filter((line) => !LOGGED.test(line)).map((line) => line.trimEnd());
  return rest.length === 0 ? "ok" : rest.join("\n");
}
