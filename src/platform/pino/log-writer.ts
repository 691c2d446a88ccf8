/** sd-daemon(3): the number in front of a line is its priority in the journal. */
const PRIORITIES: Readonly<Record<string, number>> = { error: 3, warn: 4, info: 6, debug: 7 };

interface LogLine {
  readonly level: string;
  readonly time: string;
  readonly room?: string;
  readonly message: string;
}

/** How log lines are written: JSON as it is, with a journal priority, or for people at a terminal. */
export type LogFormat = "json" | "journal" | "terminal";

/** @returns what takes pino's JSON lines and passes them on in the wanted format. */
export function logWriter(
  format: LogFormat,
  write: (text: string) => void,
): (line: string) => void {
  if (format === "json") return write;
  return (line) => {
    const { level, time, room, message, ...fields } = JSON.parse(line) as LogLine;
    if (format === "journal") write(`<${PRIORITIES[level] ?? 6}>${line}`);
    else {
      const rest = Object.entries(fields).map(([name, value]) => `${name}=${textOf(value)}`);
      const where = room === undefined ? "" : `${room}: `;
      const words = [time.slice(11, 19), level.padEnd(5), `${where}${message}`, ...rest];
      write(`${words.join(" ")}\n`);
    }
  };
}

function textOf(value: unknown): string {
  return typeof value === "string" && !value.includes(" ") ? value : JSON.stringify(value);
}
