import type { LogFields, Logger } from "./logger.ts";

const nothing = (_message: string, _fields?: LogFields): void => undefined;

/** For those who do not want to hear anything. */
export const silentLogger: Logger = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  child: () => silentLogger,
};
