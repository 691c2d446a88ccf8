import type { Logger } from "../../src/platform/logger.ts";

/** A logger that keeps its lines. */
export interface KeptLog extends Logger {
  readonly lines: { level: string; message: string; fields: Readonly<Record<string, unknown>> }[];
}

/** @returns a logger for a test that looks at what was said. */
export function keptLog(): KeptLog {
  const lines: KeptLog["lines"] = [];
  const at =
    (level: string) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      lines.push({ level, message, fields });
    };
  const logger: KeptLog = {
    lines,
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: () => logger,
  };
  return logger;
}
