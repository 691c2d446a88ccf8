/** Named values that go with a log line. Never a secret. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Structured log. The message is a constant; what varies goes in `fields`. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger whose lines carry `room`, the part of the agent that speaks. */
  child(room: string): Logger;
}
