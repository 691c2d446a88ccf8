import { type Logger as Pino, pino } from "pino";
import type { LogFields, Logger } from "../logger.ts";

/** Levels from most to least said. */
export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/**
 * JSON lines on standard error, one per event. Under systemd each line goes to the journal with its
 * priority (`<6>` and so on, sd-daemon(3)).
 */
export class PinoLogger implements Logger {
  readonly #pino: Pino;

  private constructor(logger: Pino) {
    this.#pino = logger;
  }

  static create(options: { level: LogLevel; write: (line: string) => void }): PinoLogger {
    return new PinoLogger(
      pino(
        {
          level: options.level,
          base: null,
          timestamp: () => `,"time":"${new Date().toISOString()}"`,
          formatters: { level: (label) => ({ level: label }) },
          messageKey: "message",
        },
        { write: options.write },
      ),
    );
  }

  debug(message: string, fields: LogFields = {}): void {
    this.#pino.debug(fields, message);
  }

  info(message: string, fields: LogFields = {}): void {
    this.#pino.info(fields, message);
  }

  warn(message: string, fields: LogFields = {}): void {
    this.#pino.warn(fields, message);
  }

  error(message: string, fields: LogFields = {}): void {
    this.#pino.error(fields, message);
  }

  child(room: string): Logger {
    return new PinoLogger(this.#pino.child({ room }));
  }
}
